"""Usage that arrives while its invoice is a draft.

Source: https://docs.stripe.com/billing/subscriptions/usage-based/configure-grace-period: usage of the previous period
can be reported until an invoice is final, and "during finalization, Stripe updates the invoice to reflect the latest
quantity for its billing period".
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

from reconciler.sandbox.billing import billables, lines
from reconciler.sandbox.billing.charges import Charge
from reconciler.sandbox.billing.stored import must, rewritten
from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.store import Row
from reconciler.sandbox.wire import Obj


def recounted(call: Call, invoice: Obj) -> list[Row]:
    """Return the lines of a draft after those of usage have been counted anew: their amounts, and how many they are."""
    held = lines.of_invoice(call, invoice["id"])
    groups: dict[object, list[Obj]] = {}
    for row in held:
        groups.setdefault(_measured(row.body) or row.body["id"], []).append(row.body)
    fresh = list(chain.from_iterable(_again(call, invoice, group) for group in groups.values()))
    if [line["id"] for line in fresh] == [row.body["id"] for row in held]:
        return [rewritten(call, "line_item", row, **line) for row, line in zip(held, fresh, strict=True)]
    family = call.families["line_item"]
    for row in held:
        call.delete(family, row)
    return [call.insert(family, line) for line in fresh]


def _measured(line: Obj) -> object:
    """Return what the lines of one count have in common, ``None`` where a line has no such thing (any more)."""
    charge = lines.charge_of_line(line)
    return charge.usage and charge.price and (charge.subscription_item, charge.usage, charge.price)


def _again(call: Call, invoice: Obj, held: Sequence[Obj]) -> list[Obj]:
    """Return the lines of one count as it is now; where nothing has changed they stay as they are."""
    before = [lines.charge_of_line(line) for line in held]
    span, price = before[0].usage, before[0].price
    if span is None or price is None:
        return list(held)
    now = billables.counted(call, must(call, "price", price).body, invoice["customer"], invoice["currency"], span)
    if [(each.amount, each.quantity) for each in now] == [(each.amount, each.quantity) for each in before]:
        return list(held)
    revised = [_revised(before[0], each) for each in now]
    kept = [{**line, **lines.shown_line(charge)} for line, charge in zip(held, revised, strict=False)]
    return [*kept, *(lines.build(call, charge, invoice["id"]) for charge in revised[len(held) :])]


def _revised(charge: Charge, count: Charge) -> Charge:
    """Return a charge with what has been counted, everything else as it was."""
    return replace(
        charge,
        amount=count.amount,
        description=count.description,
        quantity=count.quantity,
        unit_amount_decimal=count.unit_amount_decimal,
    )
