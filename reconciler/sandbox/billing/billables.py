"""What the items of a subscription cost: licensed ones ahead of a period, metered ones after it.

Source: https://docs.stripe.com/billing/subscriptions/billing-mode/compare for what differs between the billing modes.
"""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

from reconciler.money import plain
from reconciler.sandbox.billing import cycles, usage
from reconciler.sandbox.billing.charges import Charge, for_price
from reconciler.sandbox.billing.cycles import Period
from reconciler.sandbox.billing.rounding import rounded
from reconciler.sandbox.billing.stored import must
from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.wire import Obj


def ahead(call: Call, subscription: Obj, item: Obj, span: Period) -> list[Charge]:
    """Return the lines of a licensed item for a period, or for its share of the full period it is a part of."""
    if cycles.is_metered(call, item):
        return []
    lines, full = priced(call, subscription, item, span), cycles.whole(call, subscription, item, span[0])
    return lines if span == full else scaled(call, lines, cycles.share(span, full))


def priced(call: Call, subscription: Obj, item: Obj, span: Period) -> list[Charge]:
    """Return the lines of a licensed item as a full period bills them, dated with a span."""
    price = must(call, "price", item["price"]).body
    return for_price(
        price,
        item["quantity"],
        subscription["currency"],
        call.settings,
        name=product_name(call, price),
        period=span,
        subscription=subscription["id"],
        subscription_item=item["id"],
        discounts=tuple(item["discounts"]),
        tax_rates=tuple(item["tax_rates"]),
        metadata=subscription["metadata"],
    )


def scaled(call: Call, lines: list[Charge], share: Fraction) -> list[Charge]:
    """Return the lines for a share of what they are for, each rounded once."""
    return [replace(line, amount=rounded(line.amount * share, call.settings)) for line in lines]


def behind(call: Call, subscription: Obj, item: Obj, until: int) -> list[Charge]:
    """Return the lines of what has been used since it was billed last, each use at the price of its time."""
    lines: list[Charge] = []
    for segment in segments(call, item, until):
        price = must(call, "price", segment["price"]).body
        start, end = segment["start"], segment["end"]
        lines += [
            replace(
                line,
                subscription=subscription["id"],
                subscription_item=item["id"],
                discounts=tuple(item["discounts"]),
                tax_rates=tuple(item["tax_rates"]),
                metadata=subscription["metadata"],
            )
            for line in counted(call, price, subscription["customer"], subscription["currency"], (start, end))
        ]
    return lines


def counted(call: Call, price: Obj, customer: str, currency: str, span: Period) -> list[Charge]:
    """Return the lines of a metered price for what a customer has used of it in a time, as is known now."""
    used = usage.billable(call, price["recurring"]["meter"], customer, *span)
    found = for_price(price, used, currency, call.settings, name=product_name(call, price), period=span)
    return [replace(line, usage=span) for line in found]


def segments(call: Call, item: Obj, until: int) -> list[Obj]:
    """Return the stretches of usage not billed yet: of metered prices the item had before, and of its present one."""
    present = {"price": item["price"], "start": item["_used_from"], "end": until}
    return [*item["_segments"], *([present] if cycles.is_metered(call, item) and present["start"] < until else [])]


def trial(call: Call, subscription: Obj, item: Obj, span: Period) -> Charge:
    """Return the line of nothing that says an item is, or for usage was, on trial; each mode documents its wording."""
    name, quantity = _name(call, item), item.get("quantity", 0)
    metered = cycles.is_metered(call, item)
    if metered:
        meter = cycles.recurring(call, item)["meter"]
        quantity = plain(usage.billable(call, meter, subscription["customer"], *span))
    if subscription["billing_mode"]["type"] == "flexible":
        text = f"Free trial for {quantity} \u00d7 {name}"
    else:
        text = f"{quantity} \u00d7 {name} (Free trial)" if metered else f"Trial period for {name}"
    return _nothing(call, subscription, item, span, text, Decimal(quantity))


def unused(call: Call, subscription: Obj, item: Obj, span: Period) -> Charge:
    """Return the line of nothing with which classic mode announces a metered item."""
    return _nothing(call, subscription, item, span, f"0 \u00d7 {_name(call, item)}", Decimal(0))


def _name(call: Call, item: Obj) -> str:
    return product_name(call, must(call, "price", item["price"]).body)


def _nothing(call: Call, subscription: Obj, item: Obj, span: Period, text: str, quantity: Decimal) -> Charge:
    price = must(call, "price", item["price"]).body
    return Charge(
        amount=0,
        currency=subscription["currency"],
        description=text,
        period=span,
        quantity=quantity,
        unit_amount_decimal="0",
        price=price["id"],
        product=price["product"],
        subscription=subscription["id"],
        subscription_item=item["id"],
        tax_rates=tuple(item["tax_rates"]),
        metadata=subscription["metadata"],
    )


def product_name(call: Call, price: Obj) -> str:
    """Return the name of a price's product."""
    row = call.tx.find("product", price["product"])
    return str(row.body["name"]) if row else str(price["product"])
