"""Whom a change reaches: the policy of what changes is told, and a tenant's own change goes by its subscription."""

import pytest

from .test_impact_unknown import notes, of, weighed

FILES = """
settings: {namespace: acme, currency: usd, default_meter: calls}
meters: {calls: {name: Calls}, pages: {name: Pages}}
plans:
  pro:
    name: Pro
    prices: {month: {amount: 10, interval: month, on_change: at_renewal}, year: {amount: 100, interval: year}}
    usage: {calls: {overage: {unit_amount: 1}}, pages: {overage: {unit_amount: 3, on_change: now}}}
  least: {name: Least, usage: {calls: {overage: {unit_amount: 1}}}, minimum: {per_month: 7, on_change: at_renewal}}
  packs:
    name: Packs
    usage: {calls: {included: 5, overage: {unit_amount: 1, transform_quantity: {divide_by: 2, round: up}}}}
tenants:
  acme:
    name: Acme
    plan: pro
    price: month
    subscription: {quantity: 2, on_change: now}
  bare: {name: Bare, plan: pro, price: month}
  least: {name: Least, plan: least}
  packs: {name: Packs, plan: packs}
  bulk:
    name: Bulk
    plan: least
    subscription: {on_change: now}
    usage: {calls: {included: 5, overage: {unit_amount: 6, transform_quantity: {divide_by: 2, round: up}}}}
  own:
    name: Own
    usage:
      calls: {included: 9, overage: {unit_amount: 4, on_change: grandfather}, reserved_price: {amount: 90}}
"""


@pytest.mark.parametrize(
    ("was", "will", "tenant", "flat", "usage"),
    [
        ("amount: 10,", "amount: 11,", "acme", "at_renewal", ()),
        ("amount: 100,", "amount: 110,", "acme", "", ()),
        ("quantity: 2,", "quantity: 3,", "acme", "now", ()),
        ("price: month\n", "price: year\n", "acme", "now", ()),
        ("price: month}", "price: year}", "bare", "", ()),
        ("{unit_amount: 1}}, pages", "{unit_amount: 2}}, pages", "acme", "", ("grandfather",)),
        ("unit_amount: 3,", "unit_amount: 2,", "acme", "", ("now",)),
        ("per_month: 7", "per_month: 8", "least", "", ("at_renewal",)),
        (", minimum: {per_month: 7, on_change: at_renewal}", "", "bulk", "", ("now",)),
        ("amount: 90", "amount: 91", "own", "", ("now_prorated",)),
        ("unit_amount: 4", "unit_amount: 5", "own", "", ("grandfather",)),
        ("unit_amount: 1, transform", "unit_amount: 2, transform", "packs", "", ()),
        ("name: Pro", "name: Professional", "acme", "", ()),
        ("now}\n  bare", "now}\n    usage: {calls: {overage: {unit_amount: 9}}}\n  bare", "acme", "", ("now",)),
    ],
)  # fmt: skip
def test_a_change_is_told_by_its_policy(was: str, will: str, tenant: str, flat: str, usage: tuple[str, ...]) -> None:
    """A price's change goes by the price's policy, a tenant's own by its subscription's, and no change by none."""
    assert FILES.count(was) == 1
    row = of(weighed(FILES, FILES.replace(was, will)), tenant)
    assert (row.on_change, row.usage_on_change) == (flat, usage)


def test_a_price_that_was_renamed_is_the_same_price() -> None:
    """A new id with ``moved`` is no other price of the tenant, so the price's own policy counts."""
    moved = "moved: [{from: plans.pro, to: plans.professional}]\n"
    head = FILES.replace("  pro:\n", "  professional:\n").replace("plan: pro", "plan: professional") + moved
    found = of(weighed(FILES, head.replace("amount: 10,", "amount: 11,").replace("unit_amount: 3,", "unit_amount: 2,")))
    assert (found.on_change, found.usage_on_change) == ("at_renewal", ("now",))


def test_who_never_pays_a_new_usage_price_is_named() -> None:
    """The notes name the tenants whose usage prices are grandfathered, and no others."""
    head = FILES.replace("unit_amount: 4", "unit_amount: 5").replace("unit_amount: 3,", "unit_amount: 2,")
    said = "Usage prices of 1 tenant change for new customers only (on_change: grandfather)"
    assert f"{said}; the figures are as if they paid them: own." in notes(weighed(FILES, head))
