"""Prorations: what is given back for time already charged, and charged for time that has become dearer, to the second.

In flexible billing mode a credit gives back what was debited, debit by debit; in classic mode it is computed from the
present price, quantity and discounts (https://docs.stripe.com/billing/subscriptions/prorations#credit-prorations).
Amounts include discounts, and the lines take no further ones.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction

from reconciler.sandbox.billing import billables, cycles, discounts, lines, totals
from reconciler.sandbox.billing.charges import Charge
from reconciler.sandbox.billing.cycles import Period
from reconciler.sandbox.billing.rounding import rounded
from reconciler.sandbox.billing.stored import must
from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.wire import Obj


def debit(call: Call, subscription: Obj, items: Sequence[Obj], item: Obj, span: Period) -> list[Charge]:
    """Return the charge for a licensed item from a time within its period to the period's end; ``items`` are all.

    All items count because an amount off is shared out between them in proportion.
    """
    if cycles.is_metered(call, item) or span[0] >= span[1]:
        return []
    start, end = cycles.whole(call, subscription, item, span[0])
    full = _net(call, subscription, items, item, span)
    amount = rounded(full * Fraction(span[1] - span[0], end - start), call.settings)
    return [_line(call, subscription, item, span, amount, "Remaining")]


def credit(call: Call, subscription: Obj, item: Obj, span: Period) -> list[Charge]:
    """Return what is given back of a licensed item for a time that was charged; nothing where nothing was."""
    if subscription["billing_mode"]["type"] == "classic":
        return _by_present_price(call, subscription, item, span)
    return [
        replace(
            _line(call, subscription, item, (start, end), -amount, "Unused", each), credited_items=_source(call, each)
        )
        for each in item["_debits"]
        if (start := max(span[0], each["start"])) < (end := min(span[1], each["until"]))
        for amount in [_share(call, each, start, end)]
    ]


def _share(call: Call, each: Obj, start: int, end: int) -> int:
    return rounded(Fraction(debited(call, each) * (end - start), each["end"] - each["start"]), call.settings)


def debited(call: Call, each: Obj) -> int:
    """Return what a debit came to after its discounts: a line's amount may change until its invoice is finalized."""
    line = call.tx.find("line_item", each["line"]) if each["line"] else None
    if line is None:
        return int(each["amount"])
    return int(line.body["amount"] - sum(taken["amount"] for taken in line.body["discount_amounts"]))


def _by_present_price(call: Call, subscription: Obj, item: Obj, span: Period) -> list[Charge]:
    period = (item["current_period_start"], item["current_period_end"])
    start, end = max(span[0], period[0]), min(span[1], period[1])
    if cycles.is_metered(call, item) or start >= end or subscription["status"] == "trialing":
        return []
    full_start, full_end = cycles.whole(call, subscription, item, period[0])
    # The documented example takes the whole amount off this item, not its share of it.
    amount = _net(call, subscription, [item], item, period, _used_up(call, item)) * Fraction(
        end - start, full_end - full_start
    )
    return [_line(call, subscription, item, (start, end), -rounded(amount, call.settings), "Unused")]


def _used_up(call: Call, item: Obj) -> list[str]:
    """Return the discounts of the item's latest line that have come to their end since.

    A credit counts "the last discounts used" (https://docs.stripe.com/billing/subscriptions/billing-mode/compare): it
    gives back no more than was paid with a coupon that lasted for that invoice only.
    """
    named = [each["line"] for each in item["_debits"] if each["line"]]
    row = call.tx.find("line_item", named[-1]) if named else None
    used = [taken["discount"] for taken in row.body["discount_amounts"]] if row else []
    return discounts.outlived(call, used)


def _net(call: Call, subscription: Obj, items: Sequence[Obj], item: Obj, span: Period, also: Sequence[str] = ()) -> int:
    """Return a full period of an item after the discounts of the item, of the subscription, and others."""
    found = [charge for each in items for charge in _licensed(call, subscription, each, span)]
    bare = [_as_line(call, charge) for charge in found]
    wide = [*discounts.live(call, subscription["discounts"]), *also]
    coupons = discounts.coupons(call, [*wide, *(one for line in bare for one in line["discounts"])])
    taken = totals.discounted(bare, wide, coupons, call.settings)
    return sum(totals.net(line) for line in taken if line["_item"] == item["id"])


def _licensed(call: Call, subscription: Obj, item: Obj, span: Period) -> list[Charge]:
    return [] if cycles.is_metered(call, item) else billables.priced(call, subscription, item, span)


def _as_line(call: Call, charge: Charge) -> Obj:
    return {
        "amount": charge.amount,
        "currency": charge.currency,
        "discountable": True,
        "discounts": discounts.live(call, charge.discounts),
        "period": {"end": charge.period[1], "start": charge.period[0]},
        "_item": charge.subscription_item,
        "_product": charge.product,
    }


def _line(
    call: Call, subscription: Obj, item: Obj, span: Period, amount: int, kind: str, each: Obj | None = None
) -> Charge:
    """Return a proration's line; its price and quantity are those of what it gives back or charges (text observed)."""
    price = must(call, "price", each["price"] if each else item["price"]).body
    quantity = each["quantity"] if each else item["quantity"]
    day = datetime.fromtimestamp(span[0], UTC)
    name = billables.product_name(call, price)
    counted = name if quantity == 1 else f"{quantity} \u00d7 {name}"
    return Charge(
        amount=amount,
        currency=subscription["currency"],
        description=f"{kind} time on {counted} after {day.day} {day:%b %Y}",
        period=span,
        quantity=quantity,
        unit_amount_decimal=price["unit_amount_decimal"],
        price=price["id"],
        product=price["product"],
        subscription=subscription["id"],
        subscription_item=item["id"],
        proration=True,
        discountable=False,
        tax_rates=tuple(item["tax_rates"]),
        metadata=subscription["metadata"],
    )


def _source(call: Call, each: Obj) -> Obj | None:
    """Name what a credit gives back: lines of an invoice, or an invoice item that waits for one."""
    if each["invoice_item"] is None:
        return {"invoice": each["invoice"], "invoice_line_items": [each["line"]]}
    waiting = call.tx.find("invoiceitem", each["invoice_item"])
    if waiting is None or waiting.body["invoice"] is None:
        return {"invoice_item": each["invoice_item"]} if waiting else None
    line = lines.of_item(call, waiting.body)
    return {"invoice": waiting.body["invoice"], "invoice_line_items": [line.body["id"]]} if line else None


def shortened(item: Obj, until: int) -> Obj:
    """Return the item with its debits ended at a time, for what came after has been given back."""
    kept = [{**each, "until": min(each["until"], until)} for each in item["_debits"] if each["start"] < until]
    return {**item, "_debits": kept}


def charged(item: Obj, charge: Charge, *, line: Obj | None = None, invoice_item: str | None = None) -> Obj:
    """Return the item with one more debit to remember: which time it is for, and where its amount stands."""
    start, end = charge.period
    each = {
        "amount": charge.amount,
        "end": end,
        "invoice": line["invoice"] if line else None,
        "invoice_item": invoice_item,
        "line": line["id"] if line else None,
        "price": charge.price,
        "quantity": int(charge.quantity),
        "start": start,
        "until": end,
    }
    return {**item, "billed_until": end, "_debits": [*item["_debits"], each]}
