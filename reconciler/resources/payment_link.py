"""Payment links (https://docs.stripe.com/api/payment-link): what one sells never changes, so a change makes another.

An update can change quantities of lines by their ids and nothing else of them. A new link has a new address, so a link
that is switched off is not forgotten: switched on again, it is the same one. Its metadata is copied to every checkout
session it opens, so that whoever fulfils a purchase knows the tenant it was made for.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.config.catalog import Catalog
from reconciler.config.models import PaymentLink
from reconciler.config.terms import link_trial, sales
from reconciler.resources.model import Field, Json, Kind, Mode, Removal, Resource, Stage, Values, live_id, ref

_CONFIRMATION: Values = {"type": "hosted_confirmation"}


def _lines(live: Mapping[str, Any]) -> Json:
    """Read the lines; a metered one has no quantity at Stripe, though a creation must give it one."""
    items = (live.get("line_items") or {}).get("data") or []
    return [{"price": live_id("price", item["price"]), "quantity": item.get("quantity") or 1} for item in items]


def _completion(live: Mapping[str, Any]) -> Json:
    after = live.get("after_completion") or _CONFIRMATION
    if after["type"] != "redirect":
        return _CONFIRMATION
    return {"type": "redirect", "redirect": {"url": after["redirect"]["url"]}}


def _subscription(live: Mapping[str, Any]) -> Json:
    days = (live.get("subscription_data") or {}).get("trial_period_days")
    return {"trial_period_days": days} if days else None


def _never(_live: Json, _desired: Json) -> bool:
    """Refuse every change in place: an update can neither add lines nor take any away."""
    return False


def desire(catalog: Catalog) -> Iterator[Resource]:
    """Yield the payment links of the files."""
    for name, link in catalog.file.payment_links.items():
        yield Resource(
            kind=KIND,
            address=f"payment_links.{name}",
            key=None,
            values=KIND.canonical(_values(catalog, link)),
            metadata={**link.metadata, **({"tenant": link.tenant} if link.tenant else {})},
            source=catalog.at("payment_links", name),
        )


def _values(catalog: Catalog, link: PaymentLink) -> Values:
    lines: dict[str, int] = {}
    for sale in sales(catalog.file, link):
        lines[sale.address] = 1 if sale.quantity is None else lines.get(sale.address, 0) + sale.quantity
    days = link_trial(catalog.file, link)
    url = link.after_completion_url
    return {
        "line_items": [{"price": ref(address), "quantity": quantity} for address, quantity in lines.items()],
        "active": link.active,
        "allow_promotion_codes": link.allow_promotion_codes,
        "after_completion": {"type": "redirect", "redirect": {"url": url}} if url else _CONFIRMATION,
        "subscription_data": {"trial_period_days": days} if days else None,
    }


_CONNECT = "payments on behalf of connected accounts belong to platforms"
_DASHBOARD = "what is asked of a customer at checkout is left to the dashboard"
_TAX = "automatic tax needs a registration, which the files do not describe"
_SHIPPING = "what is sold here is used, not shipped to anybody"

KIND = Kind(
    name="payment_link",
    path="/v1/payment_links",
    key=None,
    create_stage=Stage.OFFER,
    retire_stage=Stage.RETIRE_OFFER,
    removal=Removal.ARCHIVE,
    told="url",
    desire=desire,
    expand=("line_items",),
    fields=(
        Field("line_items", Mode.MUTABLE, read=_lines, in_place=_never, yaml="items", unordered=True),
        Field("active", Mode.UPDATE_ONLY, default=True, yaml="active"),
        Field("allow_promotion_codes", Mode.MUTABLE, default=False, yaml="allow_promotion_codes"),
        Field("after_completion", Mode.MUTABLE, default=_CONFIRMATION, read=_completion, yaml="after_completion_url"),
        Field(
            "subscription_data",
            Mode.MUTABLE,
            read=_subscription,
            unset={"trial_period_days": ""},
            yaml="trial_days",
        ),
    ),
    unmanaged={
        "application_fee_amount": _CONNECT,
        "application_fee_percent": _CONNECT,
        "automatic_tax": _TAX,
        "billing_address_collection": _DASHBOARD,
        "consent_collection": _DASHBOARD,
        "currency": "the customer's own currency is chosen among those of the prices",
        "custom_fields": _DASHBOARD,
        "custom_text": _DASHBOARD,
        "customer_creation": "Stripe makes a customer wherever a subscription needs one",
        "inactive_message": "what a switched-off link says is left to the dashboard",
        "invoice_creation": "one-time purchases have receipts, subscriptions have their own invoices",
        "managed_payments": "who is the merchant of record is a matter of the account",
        "name_collection": _DASHBOARD,
        "on_behalf_of": _CONNECT,
        "optional_items": "a link sells what the files list and nothing beside it",
        "payment_intent_data": "capture and descriptors of one-time purchases follow the account",
        "payment_method_collection": "a payment method is always asked for, as is Stripe's default",
        "payment_method_options": "which methods of payment there are is set in the dashboard",
        "payment_method_types": "which methods of payment there are is set in the dashboard",
        "phone_number_collection": _DASHBOARD,
        "restrictions": "a link stays usable however often it was used",
        "shipping_address_collection": _SHIPPING,
        "shipping_options": _SHIPPING,
        "submit_type": "the words of the button follow from what is sold",
        "tax_id_collection": _TAX,
        "transfer_data": _CONNECT,
    },
)
