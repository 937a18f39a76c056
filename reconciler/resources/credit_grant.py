"""Money credits (https://docs.stripe.com/api/billing/credit-grant): given to a tenant once, used up by metered prices.

One that was given is never given again, whatever became of it, and nothing of it but its end and its metadata can be
changed: what leaves the files stays given.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from reconciler import money
from reconciler.config.catalog import Catalog
from reconciler.config.models.tenants import MoneyCredit
from reconciler.config.parts import billed_currency
from reconciler.resources.model import (
    Field,
    Fitted,
    Json,
    Kind,
    Mode,
    Removal,
    Resource,
    Stage,
    There,
    Values,
    live_id,
    optional_text,
    ref,
)

#: Metered prices are the only ones that credits of this kind can pay.
_SCOPE: Values = {"scope": {"price_type": "metered"}}
_FIXED = ("amount", "category", "name", "priority", "applicability_config", "customer")


def desire(catalog: Catalog) -> Iterator[Resource]:
    """Yield the money credits of the tenants."""
    for name, tenant in catalog.file.tenants.items():
        for index, credit in enumerate(tenant.money_credits):
            yield Resource(
                kind=KIND,
                address=f"tenants.{name}.money_credits.{credit.id}",
                key=None,
                values=KIND.canonical(_values(name, credit, credit.currency or billed_currency(catalog.file, name))),
                metadata=credit.metadata,
                source=catalog.at("tenants", name, "money_credits", index),
            )


def _values(tenant: str, credit: MoneyCredit, currency: str) -> Values:
    minor = money.to_minor(credit.amount, currency)
    return {
        "customer": ref(f"tenants.{tenant}"),
        "amount": {"type": "monetary", "monetary": {"currency": currency, "value": int(minor)}},
        "applicability_config": _SCOPE,
        "category": credit.category,
        "name": credit.name,
        "priority": credit.priority,
        "expires_at": int(credit.expires.timestamp()) if credit.expires else None,
    }


def _amount(live: Mapping[str, Any]) -> Json:
    monetary = live["amount"]["monetary"]
    return {"type": "monetary", "monetary": {"currency": monetary["currency"], "value": monetary["value"]}}


def _scope(live: Mapping[str, Any]) -> Json:
    scope = live["applicability_config"]["scope"]
    if scope.get("price_type"):
        return {"scope": {"price_type": scope["price_type"]}}
    return {"scope": {"prices": [live_id("price", each["id"]) for each in scope.get("prices") or []]}}


def fit(resource: Resource, there: There | None, _at: Any) -> Fitted:
    """Leave what was given as it was given, whose end is over even that; refuse to give another amount under its id."""
    if there is None:
        return Fitted(resource.values)
    differing = [name for name in _FIXED if there.values.get(name) != resource.values.get(name)]
    if differing:
        return Fitted(
            there.values,
            refusal=f"{', '.join(differing)} of a credit that was given cannot change; give another under a new id",
        )
    if there.facts.get("over"):
        ended = {name: value for name, value in resource.values.items() if name != "expires_at"}
        there_ends = {"expires_at": there.values["expires_at"]} if "expires_at" in there.values else {}
        return Fitted(ended | there_ends)
    return Fitted(resource.values)


def _facts(live: Mapping[str, Any]) -> Mapping[str, Json]:
    ends = live.get("expires_at")
    return {"over": bool(live.get("voided_at")) or (ends is not None and ends <= (live.get("updated") or 0))}


KIND = Kind(
    name="credit_grant",
    path="/v1/billing/credit_grants",
    key=None,
    create_stage=Stage.CONTRACT,
    retire_stage=Stage.END,
    removal=Removal.KEEP,
    desire=desire,
    contract=True,
    facts=_facts,
    fit=fit,
    within="customer",
    fields=(
        Field("customer", Mode.CREATE_ONLY, read=lambda live: live_id("customer", live.get("customer"))),
        Field("amount", Mode.CREATE_ONLY, read=_amount, yaml="amount"),
        Field("applicability_config", Mode.CREATE_ONLY, read=_scope),
        Field("category", Mode.CREATE_ONLY, default="paid", yaml="category"),
        Field("name", Mode.CREATE_ONLY, read=optional_text("name"), yaml="name"),
        Field("priority", Mode.CREATE_ONLY, default=50, yaml="priority"),
        Field("expires_at", Mode.MUTABLE, unset="", yaml="expires"),
    ),
    unmanaged={
        "customer_account": "a tenant is a customer, not an account of another platform",
        "effective_at": "a credit can be used from when it is given",
    },
)
