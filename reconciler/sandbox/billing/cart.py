"""What the lines of a payment link or a checkout session come to, before anything is bought.

Sources: https://docs.stripe.com/api/checkout/sessions/object (amounts) and
https://docs.stripe.com/payments/checkout/free-trials (nothing is due today for what is on trial).
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction

from reconciler.sandbox.billing import cycles, taxes, totals
from reconciler.sandbox.billing.periods import period_containing
from reconciler.sandbox.billing.rating import rate
from reconciler.sandbox.billing.rounding import rounded
from reconciler.sandbox.billing.stored import must
from reconciler.sandbox.expand import show
from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.wire import Obj

#: Stands for the discount of an order that has not been placed.
_PENDING = "pending"


def plain(call: Call, item: Obj, price: Obj) -> Obj:
    """Return a line with the amounts of its quantity at the price: no discount, no tax."""
    amount = gross(call, item, price)
    return {**item, "amount_subtotal": amount, "amount_total": amount}


def gross(call: Call, item: Obj, price: Obj) -> int:
    """Return what a line's quantity costs, in minor units; a metered price costs nothing before it is used.

    A price whose amount the customer chooses costs what they chose (``_amount``), before that its preset or nothing.
    """
    return sum(_parts(call, item, price))


def _parts(call: Call, item: Obj, price: Obj) -> list[int]:
    """Return the amounts of a line as an invoice splits it: one per tier and flat fee."""
    if item["quantity"] is None:
        return [0]
    custom = price["custom_unit_amount"]
    if custom is not None:
        chosen = item["_amount"]
        return [int((custom["preset"] or 0) if chosen is None else chosen)]
    return [part.amount for part in rate(price, item["quantity"], item["currency"], call.settings)]


def _due_today(call: Call, item: Obj, price: Obj, terms: Obj) -> list[int]:
    """Return what a line costs today on the terms of its subscription (``subscription_data``).

    Nothing recurring is due on trial; before a later anchor a part of a period is, or nothing without prorations.
    """
    parts = _parts(call, item, price)
    if not price["recurring"]:
        return parts
    share = _share(call, price["recurring"], terms)
    return [rounded(part * share, call.settings) for part in parts]


def _share(call: Call, each: Obj, terms: Obj) -> Fraction:
    if "trial_end" in terms or "trial_period_days" in terms:
        return Fraction(0)
    anchor = terms.get("billing_cycle_anchor")
    if "billing_cycle_anchor_config" in terms:
        anchor = cycles.anchor_by_config(call, terms["billing_cycle_anchor_config"], each["interval_count"], call.now)
    if anchor is None:
        return Fraction(1)
    if terms.get("proration_behavior", "create_prorations") == "none":
        return Fraction(0)
    start, end = period_containing(anchor, each["interval"], each["interval_count"], call.now)
    return Fraction(end - call.now, end - start)


def priced(call: Call, items: Sequence[Obj], *, discount: Obj | None, exempt: str, terms: Obj) -> list[Obj]:
    """Return the lines with their amounts of today: discounted, then taxed, to the unit as their invoice will be.

    ``discount`` is the one discount of the order, ``exempt`` the customer's ``tax_exempt``, ``terms`` the session's
    ``subscription_data``, whose ``default_tax_rates`` are those of lines that have none of their own.
    """
    lines = [line for item in items for line in _lines(call, item, terms)]
    coupons = {_PENDING: must(call, "coupon", discount["source"]["coupon"]).body} if discount else {}
    lines = totals.discounted(lines, list(coupons), coupons, call.settings)
    rates = {rate_id: must(call, "tax_rate", rate_id).body for line in lines for rate_id in line["_tax_rates"]}
    lines = totals.taxed(lines, rates, exempt, call.settings)
    return [
        _summed(call, item, [line for line in lines if line["_item"] == item["id"]], discount, rates) for item in items
    ]


def _lines(call: Call, item: Obj, terms: Obj) -> list[Obj]:
    price = must(call, "price", item["price"]).body
    shared = {
        "currency": item["currency"],
        "discountable": True,
        "discounts": [],
        "_item": item["id"],
        "_product": price["product"],
        "_tax_rates": item["_tax_rates"] or list(terms.get("default_tax_rates", ())),
    }
    return [{**shared, "amount": amount} for amount in _due_today(call, item, price, terms)]


def _summed(call: Call, item: Obj, lines: Sequence[Obj], discount: Obj | None, rates: Mapping[str, Obj]) -> Obj:
    """Return a line with the sums of the invoice lines it becomes."""
    amount = sum(line["amount"] for line in lines)
    taken = sum(part["amount"] for line in lines for part in line["discount_amounts"])
    found = taxes.summed(lines)
    exclusive = taxes.of_behavior(found, "exclusive")
    spared = sum(line["_spared"] for line in lines)
    shown = show(call.tx, call.families, call.families["discount"], discount) if discount else None
    return {
        **item,
        "amount_discount": taken,
        "amount_subtotal": amount,
        "amount_tax": exclusive + taxes.of_behavior(found, "inclusive"),
        "amount_total": amount - taken - spared + exclusive,
        "discounts": [{"amount": taken, "discount": shown}] if shown else [],
        "taxes": [
            {
                "amount": tax["amount"],
                "rate": rates[tax["tax_rate_details"]["tax_rate"]],
                "taxability_reason": None,
                "taxable_amount": tax["taxable_amount"],
            }
            for tax in found
        ],
    }


def summed(items: Sequence[Obj]) -> Obj:
    """Return a session's amounts: the sums of its lines, and their breakdown by discount and tax rate."""
    found: dict[str, Obj] = {}
    for item in items:
        for tax in item["taxes"]:
            held = found.get(tax["rate"]["id"], {**tax, "amount": 0, "taxable_amount": 0})
            found[tax["rate"]["id"]] = held | {name: held[name] + tax[name] for name in ("amount", "taxable_amount")}
    discounts = [entry for item in items for entry in item["discounts"]]
    taken = sum(item["amount_discount"] for item in items)
    return {
        "amount_subtotal": sum(item["amount_subtotal"] for item in items),
        "amount_total": sum(item["amount_total"] for item in items),
        "total_details": {
            "amount_discount": taken,
            "amount_shipping": 0,
            "amount_tax": sum(item["amount_tax"] for item in items),
            "breakdown": {
                "discounts": [{"amount": taken, "discount": discounts[0]["discount"]}] if discounts else [],
                "taxes": list(found.values()),
            },
        },
    }
