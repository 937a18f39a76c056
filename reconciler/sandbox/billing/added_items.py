"""Single charges that a subscription's request adds to its next invoice (``add_invoice_items``).

Source: https://docs.stripe.com/api/subscriptions/create#create_subscription-add_invoice_items.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from reconciler.sandbox.billing import lines
from reconciler.sandbox.billing.given_lines import Place, described
from reconciler.sandbox.billing.stored import items_of
from reconciler.sandbox.errors import invalid, missing
from reconciler.sandbox.lists import at_most
from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.wire import Obj

MAX_ADDED = 20


def add(call: Call, subscription: Obj, customer: Obj, given: Sequence[Mapping[str, Any]]) -> None:
    """Let the charges wait as invoice items of the subscription."""
    for index, wanted in enumerate(at_most_added(given)):
        at = f"add_invoice_items[{index}]"
        if wanted.get("price") is None and wanted.get("price_data") is None:
            raise missing(f"{at}[price]")
        item_id = lines.new_item_id(call)
        place = Place(
            customer=customer,
            currency=subscription["currency"],
            at=at,
            invoice_item=item_id,
            subscription=subscription["id"],
        )
        plain = {name: value for name, value in wanted.items() if name != "period"}
        period = _period(call, subscription, wanted.get("period") or {}, f"{at}[period]")
        charge = replace(described(call, plain, place), period=period)
        lines.add_item(call, customer, charge, item_id=item_id)


def at_most_added(given: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Return the charges, or refuse more than a request can add."""
    at_most([""] * len(given), MAX_ADDED, "add_invoice_items")
    return given


def _period(call: Call, subscription: Obj, given: Mapping[str, Any], at: str) -> tuple[int, int]:
    items = items_of(call, subscription)
    known = {
        "max_item_period_start": max(item["current_period_start"] for item in items),
        "min_item_period_end": min(item["current_period_end"] for item in items),
        "now": call.now,
    }
    ends = []
    for name, default in (("start", "max_item_period_start"), ("end", "min_item_period_end")):
        wanted = given.get(name, {"type": default})
        if wanted["type"] == "timestamp" and "timestamp" not in wanted:
            raise missing(f"{at}[{name}][timestamp]")
        ends.append(wanted["timestamp"] if wanted["type"] == "timestamp" else known[wanted["type"]])
    if ends[0] > ends[1]:
        raise invalid("A period must not end before it starts.", f"{at}[end]")
    return ends[0], ends[1]
