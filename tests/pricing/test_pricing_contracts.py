"""What a tenant is priced by is what its subscription is made of: the same prices, one currency, the same money."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.config.catalog import Catalog, catalog_from_text
from reconciler.config.parts import tenant_parts
from reconciler.pricing.subscription import contract_of
from reconciler.resources import credit_grant, subscription
from tests.loop.test_invoices import draw
from tests.loop.world import NOW

FILES = """
settings: {namespace: acme, currency: usd}
meters: {calls: {name: Calls}, pages: {name: Pages}}
plans:
  euro: {name: Euro, currency: eur, usage: {calls: {overage: {unit_amount: 1}}}}
  both:
    name: Both
    currency: eur
    prices: {month: {amount: 5, interval: month, currency_options: {usd: 6}}}
    usage: {calls: {overage: {unit_amount: 1}}}
  wide:
    name: Wide
    currency: eur
    prices: {month: {amount: 5, interval: month, currency_options: {usd: 6}}}
    usage: {calls: {overage: {unit_amount: 1, currency_options: {usd: 2}}}}
tenants:
  plain: {name: Plain, plan: euro, subscription: {}, money_credits: [{id: gift, amount: 5}]}
  counted:
    name: Counted
    plan: both
    usage: {pages: {included: 5}}
    subscription: {}
    money_credits: [{id: gift, amount: 5}]
  dollars: {name: Dollars, plan: wide, currency: usd, subscription: {}, money_credits: [{id: gift, amount: 5}]}
  own:
    name: Own
    plan: wide
    usage: {pages: {overage: {unit_amount: 1}}}
    subscription: {}
    money_credits: [{id: gift, amount: 5}]
"""


def check(catalog: Catalog, tenant: str) -> str:
    """Compare pricing, subscription and money credits of a tenant, and return the currency of all."""
    contract = contract_of(catalog.file, tenant, NOW)
    mine = f"tenants.{tenant}."
    (made,) = (each for each in subscription.desire(catalog) if each.address.startswith(mine))
    assert {item["price"]["$ref"] for item in made.values["items"]} == set(contract.tariff.addresses())
    assert len(tenant_parts(catalog.file, tenant)) == len(made.values["items"])
    quantities = {item["price"]["$ref"]: item["quantity"] for item in made.values["items"] if "quantity" in item}
    assert quantities == {price.address: quantity for price, quantity in contract.licensed()}
    amounts = [each.values["amount"]["monetary"] for each in credit_grant.desire(catalog) if mine in each.address]
    assert amounts == [{"currency": contract.tariff.currency, "value": each.balance} for each in contract.grants]
    assert made.values["currency"] == contract.tariff.currency
    return contract.tariff.currency


@pytest.mark.parametrize(
    ("tenant", "currency"), [("plain", "eur"), ("counted", "eur"), ("dollars", "usd"), ("own", "usd")]
)
def test_all_say_in_which_currency_a_tenant_is_billed(tenant: str, currency: str) -> None:
    """The tenant's own currency, else the first of its own usage's and its price's in which everything is sold."""
    catalog, problems = catalog_from_text(FILES)
    assert catalog is not None, problems
    assert check(catalog, tenant) == currency


@settings(max_examples=60)
@given(seed=st.integers(0, 10**6), said=st.booleans())
def test_a_subscription_is_made_of_what_is_priced(seed: int, said: bool) -> None:
    """Items, quantities, currency and money credits are the same by pricing, by validation and at Stripe."""
    sections = draw(random.Random(seed), "kwd")
    sections["settings"] = {"namespace": "acme", "currency": sections["plans"]["plan"]["currency"]}
    if not said:
        del sections["tenants"]["acme"]["currency"]
    catalog, problems = catalog_from_text(json.dumps(sections))
    assert catalog is not None, problems
    check(catalog, "acme")
