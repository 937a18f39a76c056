"""Customers (https://docs.stripe.com/api/customers): a tenant of the files is one, found by its owner mark alone.

Never by e-mail, which nobody has verified. A customer is never deleted: that would end its subscriptions at once, and a
tenant that left the files is still billed to the end of its period.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from reconciler.config.catalog import Catalog
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
    optional_text,
)


def desire(catalog: Catalog) -> Iterator[Resource]:
    """Yield a customer for each tenant."""
    for name, tenant in catalog.file.tenants.items():
        yield Resource(
            kind=KIND,
            address=f"tenants.{name}",
            key=None,
            values=KIND.canonical(
                {"name": tenant.name, "email": tenant.email, "description": tenant.description},
            ),
            metadata=tenant.metadata,
            source=catalog.at("tenants", name),
        )


def fit(resource: Resource, there: There | None, _at: Callable[[str], There | None]) -> Fitted:
    """Leave the address that a customer gave in the portal where the files give none: invoices go there."""
    if there is None or "email" in resource.values or "email" not in there.values:
        return Fitted(resource.values)
    return Fitted({**resource.values, "email": there.values["email"]})


def _facts(live: Mapping[str, Any]) -> Mapping[str, Json]:
    """Tell whether there is something that invoices are charged to by themselves."""
    method = (live.get("invoice_settings") or {}).get("default_payment_method") or live.get("default_source")
    return {"pays": bool(method)}


_DASHBOARD = "what only concerns one customer's paperwork is left to the dashboard"
_MONEY = "balances and payment methods are not desired state, they come from payments"

KIND = Kind(
    name="customer",
    path="/v1/customers",
    key=None,
    create_stage=Stage.CUSTOMER,
    retire_stage=Stage.END,
    removal=Removal.KEEP,
    desire=desire,
    facts=_facts,
    fit=fit,
    contract=True,
    fields=(
        Field("name", Mode.MUTABLE, read=optional_text("name"), unset="", yaml="name", personal=True),
        Field("email", Mode.MUTABLE, read=optional_text("email"), unset="", yaml="email", personal=True),
        Field(
            "description",
            Mode.MUTABLE,
            read=optional_text("description"),
            unset="",
            yaml="description",
            personal=True,
        ),
    ),
    unmanaged={
        "address": _DASHBOARD,
        "balance": _MONEY,
        "business_name": _DASHBOARD,
        "cash_balance": _MONEY,
        "default_source": _MONEY,
        "individual_name": _DASHBOARD,
        "invoice_prefix": _DASHBOARD,
        "invoice_settings": _MONEY,
        "next_invoice_sequence": _DASHBOARD,
        "payment_method": _MONEY,
        "phone": _DASHBOARD,
        "preferred_locales": _DASHBOARD,
        "shipping": _DASHBOARD,
        "source": _MONEY,
        "tax": "where a customer is taxed is what the customer says at checkout",
        "tax_exempt": _DASHBOARD,
        "tax_id_data": _DASHBOARD,
        "test_clock": "clocks are for tests, and their customers are hidden from lists",
        "validate": "a source of an older kind, which nothing here makes",
    },
)
