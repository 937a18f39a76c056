"""What a subscription is for: its items, from the parameters of a request to complete objects.

Sources: https://docs.stripe.com/api/subscription_items, https://docs.stripe.com/billing/subscriptions/quantities,
https://docs.stripe.com/billing/subscriptions/mixed-interval.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reconciler.sandbox.billing.given_lines import check_active, rates
from reconciler.sandbox.billing.rating import in_currency
from reconciler.sandbox.billing.stored import must
from reconciler.sandbox.errors import exclusive, invalid, missing, no_such, not_modelled, out_of_range
from reconciler.sandbox.lists import too_many
from reconciler.sandbox.objects import inline_price
from reconciler.sandbox.objects.base import Call, merge_metadata
from reconciler.sandbox.wire import Obj

MAX_ITEMS = 20
_REFUSED = ("billing_thresholds", "current_trial")
_FORMS = ("price", "price_data", "plan")
#: Units that share a measure: a week is seven days, a year twelve months, and no number of days is a month.
_DAYS, _MONTHS = {"day": 1, "week": 7}, {"month": 1, "year": 12}


@dataclass(frozen=True, slots=True)
class Change:
    """What a request does to one item: ``old`` is ``None`` for an added one, ``new`` for a removed one."""

    old: Obj | None
    new: Obj | None

    @property
    def bills(self) -> bool:
        """Whether the change concerns what is charged: another price, another quantity, a new or a removed item."""
        if self.old is None or self.new is None:
            return True
        return any(self.old.get(name) != self.new.get(name) for name in ("price", "quantity"))


def resolve(call: Call, given: Mapping[str, Any], at: str, *, recurring: bool = True) -> Obj:
    """Return the active price a parameter names or describes; ``plan`` is the old name of a price's id."""
    forms = [name for name in _FORMS if given.get(name) is not None]
    if {"price", "plan"} <= set(forms) and given["price"] == given["plan"]:
        forms.remove("plan")
    if len(forms) > 1:
        raise exclusive(*(f"{at}[{name}]" for name in forms))
    if not forms:
        raise missing(f"{at}[price]")
    param = f"{at}[{forms[0]}]"
    if forms[0] == "price_data":
        return inline_price.create(call, given["price_data"], param)
    price = call.refer("price", given[forms[0]], param)
    if recurring != bool(price["recurring"]):
        kinds = ("one_time", "recurring") if recurring else ("recurring", "one_time")
        # Observed.
        raise invalid(
            f"The price specified is set to `type={kinds[0]}` but this field only accepts prices with "
            f"`type={kinds[1]}`.",
            param,
        )
    check_active(call, price, given, param)
    return price


def merge(call: Call, subscription: Obj, held: Sequence[Obj], given: Sequence[Mapping[str, Any]]) -> list[Change]:
    """Return what the ``items`` parameter does: an ``id`` patches an item, none adds one, ``deleted`` removes one.

    New items know as ``_given`` which member of the parameter they come from.
    """
    changes = {item["id"]: Change(item, {**item, "_given": None}) for item in held}
    added: list[Change] = []
    for index, wanted in enumerate(given):
        at = f"items[{index}]"
        for name in _REFUSED:
            if wanted.get(name) is not None:
                raise not_modelled(f"the parameter `{at}[{name}]`", f"{at}[{name}]")
        if "id" not in wanted:
            if wanted.get("deleted"):
                raise missing(f"{at}[id]")
            added.append(Change(None, {**_added(call, subscription, wanted, at), "_given": index}))
            continue
        old = next((item for item in held if item["id"] == wanted["id"]), None)
        if old is None:
            raise no_such("subscription item", wanted["id"], f"{at}[id]")
        new = None if wanted.get("deleted") else {**_patched(call, subscription, old, wanted, at), "_given": index}
        changes[old["id"]] = Change(old, new)
    merged = [*changes.values(), *added]
    check(call, subscription, [change.new for change in merged if change.new])
    return merged


def _added(call: Call, subscription: Obj, given: Mapping[str, Any], at: str) -> Obj:
    family = call.families["subscription_item"]
    item = call.fill(family, call.new_id("si_", 14), subscription=subscription["id"])
    price = resolve(call, given, at)
    item["price"] = price["id"]
    return _shaped(call, subscription, item, price, given, at, quantity=given.get("quantity", 1))


def _patched(call: Call, subscription: Obj, old: Obj, given: Mapping[str, Any], at: str) -> Obj:
    item, quantity = dict(old), given.get("quantity", old.get("quantity", 1))
    price = must(call, "price", old["price"]).body
    named = given.get("price", given.get("plan"))
    if "price_data" in given or named not in {None, old["price"]}:
        # https://docs.stripe.com/api/subscriptions/update: the quantity is set to 1 unless one is given.
        price, quantity = resolve(call, given, at), given.get("quantity", 1)
        item["price"] = price["id"]
    return _shaped(call, subscription, item, price, given, at, quantity=quantity)


def _shaped(
    call: Call, subscription: Obj, item: Obj, price: Obj, given: Mapping[str, Any], at: str, *, quantity: int
) -> Obj:
    """Return the item with what is the same for new and old ones: quantity, taxes, metadata."""
    in_currency(price, subscription["currency"])
    if price["recurring"]["usage_type"] == "metered":
        if "quantity" in given:
            raise invalid("`quantity` cannot be set for a metered price.", f"{at}[quantity]")
        item.pop("quantity", None)
    else:
        if quantity < 0:
            raise out_of_range(f"{at}[quantity]", quantity, least=0)
        item["quantity"] = quantity
    if "tax_rates" in given:
        item["tax_rates"] = tax_rates(call, given["tax_rates"], f"{at}[tax_rates]")
    if "metadata" in given:
        item["metadata"] = merge_metadata(item["metadata"], given["metadata"])
    return item


def tax_rates(call: Call, given: Sequence[str] | None, at: str) -> list[str]:
    """Return the ids of tax rates after checking that they exist and are active."""
    return list(rates(call, list(given or ()), at))


def check(call: Call, subscription: Obj, items: Sequence[Obj]) -> None:
    """Refuse a set of items that cannot be billed together."""
    if not items:
        raise invalid("A subscription must have at least one item.", "items")
    if call.settings.twenty_subscription_items and len(items) > MAX_ITEMS:
        raise too_many("items", MAX_ITEMS)
    used = [item["price"] for item in items]
    if call.settings.unique_item_prices and len(set(used)) < len(used):
        raise invalid("Two items of a subscription cannot have the same price.", "items")
    recurring = [must(call, "price", price_id).body["recurring"] for price_id in used]
    if subscription["billing_mode"]["type"] == "classic":
        if len({(each["interval"], each["interval_count"]) for each in recurring}) > 1:
            # Observed in stripe/stripe-node#682.
            raise invalid(
                "Currency and interval fields must match across all plans on this subscription. Found mismatch in "
                "interval field.",
                "items",
            )
    elif not aligned(list(_measures(recurring))):
        raise invalid("Every interval must be a multiple of the shortest one.", "items")


def _measures(recurring: Sequence[Obj]) -> Iterator[tuple[str, int]]:
    for each in recurring:
        unit = "day" if each["interval"] in _DAYS else "month"
        yield unit, each["interval_count"] * {**_DAYS, **_MONTHS}[each["interval"]]


def aligned(measures: Sequence[tuple[str, int]]) -> bool:
    """Tell whether all lengths, as (``day`` or ``month``, number), are multiples of the shortest.

    Months are multiples of one day and of no other number of days, days never of months
    (https://docs.stripe.com/billing/subscriptions/mixed-interval#interval-alignment).
    """
    days = [number for unit, number in measures if unit == "day"]
    months = [number for unit, number in measures if unit == "month"]
    if days and months:
        return min(days) == 1
    return all(number % min(days or months) == 0 for number in days or months)
