"""Invoices while they can still change: made from charges, computed anew after every change.

Source: https://docs.stripe.com/invoicing/integration/workflow-transitions and the fields' descriptions of
https://docs.stripe.com/api/invoices/object.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from reconciler.sandbox.billing import credits as grants
from reconciler.sandbox.billing import discounts as redeemed
from reconciler.sandbox.billing import lines, totals
from reconciler.sandbox.billing.balance import balance
from reconciler.sandbox.billing.charges import Charge
from reconciler.sandbox.billing.limits import chargeable, minimum
from reconciler.sandbox.billing.periods import DAY_SECONDS
from reconciler.sandbox.billing.stored import must, rows
from reconciler.sandbox.errors import no_such
from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.settings import Settings
from reconciler.sandbox.store import Row
from reconciler.sandbox.wire import Obj

#: A draft that advances by itself is finalized an hour after it was made.
DRAFT_SECONDS = 3_600
#: What takes credit grants off an invoice's discounted lines.
Credits = Callable[[Call, Obj, Sequence[Obj]], Sequence[Obj]]
_COPIED = {"address": "customer_address", "email": "customer_email", "name": "customer_name", "phone": "customer_phone"}
_ALSO_COPIED = {"shipping": "customer_shipping", "tax_exempt": "customer_tax_exempt"}


def draft(
    call: Call,
    *,
    customer: Obj,
    currency: str,
    charges: Sequence[Charge],
    billing_reason: str,
    collection_method: str,
    period: tuple[int, int],
    subscription: Obj | None = None,
    days_until_due: int | None = None,
    auto_advance: bool = True,
    default_payment_method: str | None = None,
    discounts: Sequence[str] | None = None,
    default_tax_rates: Sequence[str] = (),
    metadata: Mapping[str, str] | None = None,
    description: str | None = None,
    include_pending_items: bool = True,
    invoice_id: str | None = None,
    **fields: Any,
) -> Obj:
    """Store a draft invoice with its lines and return it; the customer's pending invoice items come first.

    ``discounts`` of ``None`` means the subscription's, and where it has none the customer's. ``charges`` are in the
    order of their subscription items, ``fields`` anything else the invoice shows.
    """
    invoice_id = invoice_id or new_id(call)
    items = _pending(call, customer, currency, subscription, billing_reason) if include_pending_items else []
    ordered = [*(lines.charge_of(row.body) for row in items), *_latest_first(charges)]
    used = redeemed.live(call, _inherited(customer, subscription) if discounts is None else discounts)
    invoice = blank(
        call,
        invoice_id,
        customer=customer,
        currency=currency,
        subscription=subscription,
        auto_advance=auto_advance,
        billing_reason=billing_reason,
        collection_method=collection_method,
        default_payment_method=default_payment_method,
        default_tax_rates=list(default_tax_rates),
        description=description,
        discounts=used,
        metadata=dict(metadata or {}),
        period_end=period[1],
        period_start=period[0],
        **{"_days_until_due": days_until_due, **fields},
    )
    made = [lines.build(call, charge, invoice_id) for charge in ordered]
    invoice, built = computed(call, invoice, made, _expected(call))
    for line in built:
        call.insert(call.families["line_item"], line)
    for row in items:
        call.replace(call.families["invoiceitem"], row, {**row.body, "invoice": invoice_id, "_was_pending": True})
    call.create(call.families["invoice"], invoice)
    return must(call, "invoice", invoice_id).body


def new_id(call: Call) -> str:
    """Return a fresh invoice id."""
    return call.new_id("in_1", 23)


def blank(call: Call, invoice_id: str, *, customer: Obj, currency: str, subscription: Obj | None, **fields: Any) -> Obj:
    """Return a draft without lines, not stored: the customer copied onto it, its times set."""
    invoice = call.fill(
        call.families["invoice"],
        invoice_id,
        currency=currency,
        customer=customer["id"],
        customer_account=customer.get("customer_account"),
        parent=_parent(subscription),
        test_clock=customer.get("test_clock"),
        webhooks_delivered_at=call.now,
        **{name: customer["invoice_settings"][name] for name in ("custom_fields", "footer")},
        **copied(call, customer),
    )
    return scheduled({**invoice, **fields})


def _parent(subscription: Obj | None) -> Obj | None:
    if subscription is None:
        return None
    details = {
        "metadata": subscription["metadata"],
        "subscription": subscription["id"],
    }
    return {"quote_details": None, "subscription_details": details, "type": "subscription_details"}


def customer_of(call: Call, invoice: Obj) -> Obj:
    """Return the customer of an invoice; what needs one that has been deleted is refused."""
    row = call.tx.find("customer", invoice["customer"])
    if row is None:
        raise no_such("customer", invoice["customer"], "customer")
    return row.body


def subscription_of(invoice: Obj) -> str | None:
    """Return the id of the subscription an invoice is for."""
    parent = invoice["parent"] or {}
    found: str | None = (parent.get("subscription_details") or {}).get("subscription")
    return found


def copied(call: Call, customer: Obj) -> Obj:
    """Return what an invoice shows of its customer until it is finalized, as the customer is now."""
    tax_ids = [{"type": row.body["type"], "value": row.body["value"]} for row in rows(call, "tax_id", _owner(customer))]
    shown = {copy: customer.get(name) for name, copy in {**_COPIED, **_ALSO_COPIED}.items()}
    return {**shown, "customer_tax_ids": tax_ids}


def _owner(customer: Obj) -> tuple[str, str]:
    return "customer", customer["id"]


def scheduled(invoice: Obj) -> Obj:
    """Return a draft with the times of its finalization, its due date and its first attempt."""
    sends, advances = invoice["collection_method"] == "send_invoice", invoice["auto_advance"]
    chosen = invoice["_finalizes_at"]
    at = (invoice["created"] + DRAFT_SECONDS if chosen is None else chosen) if advances else None
    days, due = invoice["_days_until_due"], invoice["due_date"]
    if sends and days is not None:
        due = invoice["created"] + days * DAY_SECONDS
    return {
        **invoice,
        "automatically_finalizes_at": at,
        "due_date": due if sends else None,
        "next_payment_attempt": None if sends else at,
    }


def _inherited(customer: Obj, subscription: Obj | None) -> Sequence[str]:
    """Return the discounts of the subscription, or else of the customer, whose ``discount`` is an id."""
    if subscription and subscription["discounts"]:
        return list(subscription["discounts"])
    return [customer["discount"]] if customer["discount"] else []


def _pending(call: Call, customer: Obj, currency: str, subscription: Obj | None, billing_reason: str) -> list[Row]:
    """Return the items that wait for this invoice: all of the customer's, or only what is not another subscription's.

    An invoice made by hand for one subscription takes nothing but that subscription's items.
    """
    of = subscription["id"] if subscription else None
    found = lines.pending(call, customer["id"], currency, of, every=subscription is None)
    if billing_reason != "manual" or subscription is None:
        return found
    return [row for row in found if row.body["parent"] is not None]


def _latest_first(charges: Sequence[Charge]) -> Iterable[Charge]:
    """Turn the order of subscription items round, as invoices list them; the lines of one item keep theirs."""
    groups: dict[object, list[Charge]] = {}
    for index, charge in enumerate(charges):
        groups.setdefault(charge.subscription_item or index, []).append(charge)
    return chain.from_iterable(reversed(list(groups.values())))


def _expected(call: Call) -> Credits | None:
    """Return what shows on a draft the credits that it is to take when it is finalized."""
    return grants.preview if call.settings.drafts_show_credits else None


def computed(
    call: Call, invoice: Obj, found: Sequence[Obj], credits_of: Credits | None = None
) -> tuple[Obj, list[Obj]]:
    """Return the invoice and its lines with every amount computed anew from the lines' own amounts."""
    defaults = list(invoice["default_tax_rates"])
    rated = [{**line, "_tax_rates": line["_own_tax_rates"] or defaults} for line in found]
    rates = {rate: must(call, "tax_rate", rate).body for line in rated for rate in line["_tax_rates"]}
    of_lines = chain.from_iterable([*line["discounts"], *(line["_wide"] or ())] for line in rated)
    named = [*invoice["discounts"], *of_lines]
    coupons = redeemed.coupons(call, named)
    less: Sequence[Obj] = totals.discounted(rated, invoice["discounts"], coupons, call.settings)
    if credits_of:
        less = credits_of(call, invoice, less)
    exempt = invoice["customer_tax_exempt"]
    done = totals.taxed(less, rates, exempt, call.settings)
    result = {**invoice, **totals.sums(done, rates, exempt, call.settings)}
    before = balance(customer_of(call, invoice), invoice["currency"])
    owed, _ = settled(result["total"], before, invoice["currency"], call.settings)
    return {**result, "amount_due": owed, "amount_remaining": owed, "starting_balance": before}, done


def settled(total: int, balance: int, currency: str, settings: Settings) -> tuple[int, int]:
    """Return what is due of a total and the customer's balance after it.

    Credit is used up first, and what cannot be charged is owed, or given back, with the next invoice
    (https://docs.stripe.com/billing/customer/balance).
    """
    owed = total + balance
    due = chargeable(owed, currency, settings) if owed >= minimum(currency) else 0
    return due, owed - due


def recompute(call: Call, row: Row, **changes: Any) -> Obj:
    """Compute a draft anew after a change of it, of its lines or of its customer, and return it."""
    found = lines.of_invoice(call, row.body["id"])
    customer = customer_of(call, row.body)
    changed = scheduled({**row.body, **changes, **copied(call, customer)})
    invoice, done = computed(call, changed, [line.body for line in found], _expected(call))
    store_lines(call, found, done)
    return call.save(call.families["invoice"], row, invoice)


def store_lines(call: Call, held: Sequence[Row], computed_lines: Sequence[Obj]) -> None:
    """Replace the lines that have changed."""
    for row, line in zip(held, computed_lines, strict=True):
        if line != row.body:
            call.replace(call.families["line_item"], row, line)


def preview(
    call: Call,
    *,
    customer: Obj,
    currency: str,
    charges: Sequence[Charge],
    period: tuple[int, int],
    subscription: Obj | None = None,
    collection_method: str = "charge_automatically",
    discounts: Sequence[str] | None = None,
    default_tax_rates: Sequence[str] = (),
    include_pending_items: bool = True,
    **fields: Any,
) -> Obj:
    """Return the invoice :func:`draft` would make at the end of a period, with its lines inside, and store nothing."""
    call, reason = call.at(max(call.now, period[1])), "upcoming"
    items = _pending(call, customer, currency, subscription, reason) if include_pending_items else []
    left = [replace(charge, discounts=tuple(redeemed.live(call, charge.discounts))) for charge in charges]
    ordered = [*(lines.charge_of(row.body) for row in items), *_latest_first(left)]
    invoice = blank(
        call,
        call.new_id("upcoming_in_1", 23),
        customer=customer,
        currency=currency,
        subscription=subscription,
        auto_advance=True,
        billing_reason=reason,
        collection_method=collection_method,
        default_tax_rates=list(default_tax_rates),
        discounts=redeemed.live(call, _inherited(customer, subscription) if discounts is None else discounts),
        period_end=period[1],
        period_start=period[0],
        **fields,
    )
    invoice, done = computed(
        call, invoice, [lines.build(call, charge, invoice["id"]) for charge in ordered], grants.preview
    )
    _, after = settled(invoice["total"], invoice["starting_balance"], currency, call.settings)
    return {**invoice, "automatically_finalizes_at": None, "ending_balance": after, "lines": done, "payments": []}
