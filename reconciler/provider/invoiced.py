"""What an account bills a customer of its meters: the periods of its subscriptions, and units on their invoices.

Source: https://docs.stripe.com/api/subscription_items/object and https://docs.stripe.com/api/invoice-line-item.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from reconciler.entitlements.periods import SECOND, Anchored
from reconciler.provider.gateway import Gateway
from reconciler.provider.reads import Reader

#: Statuses of invoices that nobody has to pay.
_NONE = frozenset({"void"})
_DRAFT = "draft"


class Item(NamedTuple):
    """A subscription item that bills a meter, by the meter's id; times in seconds, ``end`` where it has ended."""

    meter: str
    subscription: str
    start: int
    end: int | None
    anchor: int
    interval: str
    every: int

    def period(self, at: int) -> tuple[int, int] | None:
        """Return the billing period an instant in seconds lies in; ``None`` outside the subscription's time."""
        if at < self.start or (self.end is not None and at >= self.end):
            return None
        start, end = Anchored(self.anchor * SECOND, self.interval, self.every).at(at * SECOND)
        return max(start // SECOND, self.start), min(end // SECOND, end if self.end is None else self.end)


class Charge(NamedTuple):
    """Units of a meter that an invoice bills for a stretch of time, in seconds; ``final`` once it is no draft."""

    meter: str
    invoice: str
    start: int
    end: int
    units: int
    final: bool


class Invoices:
    """Reads subscriptions and invoices of customers; prices are read once. Safe for many threads."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._reader = Reader(gateway)
        self._prices: dict[str, Mapping[str, Any]] = {}
        self._lock = threading.Lock()

    def items(self, customer: str) -> list[Item]:
        """Return what bills a customer's meters, ended subscriptions too; ProviderError where it cannot be read."""
        found = []
        for each in self._reader.pages("/v1/subscriptions", {"customer": customer, "status": "all"}):
            if each["status"] not in ("incomplete", "incomplete_expired"):
                found += [_item(each, item) for item in self._items(each) if item["price"]["recurring"]["meter"]]
        return found

    def _items(self, subscription: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        listed = subscription["items"]
        if not listed["has_more"]:
            yield from listed["data"]
            return
        yield from self._reader.pages("/v1/subscription_items", {"subscription": subscription["id"]})

    def charges(self, customer: str, since: int) -> list[Charge]:
        """Return what invoices made since an instant, in seconds, bill of meters; ProviderError as above."""
        found = list[Charge]()
        bounds = {"customer": customer, "created": {"gte": since}}
        for invoice in self._reader.pages("/v1/invoices", bounds):
            if invoice["status"] not in _NONE:
                found += self._charged(invoice)
        return found

    def _charged(self, invoice: Mapping[str, Any]) -> Iterator[Charge]:
        lines: dict[tuple[str, int, int], list[Mapping[str, Any]]] = {}
        for line in self._lines(invoice):
            price = ((line.get("pricing") or {}).get("price_details") or {}).get("price")
            if price is not None:
                lines.setdefault((price, line["period"]["start"], line["period"]["end"]), []).append(line)
        for (price_id, start, end), together in lines.items():
            price = self._price(price_id)
            meter = (price["recurring"] or {}).get("meter")
            if meter is not None:
                units = units_of(together, price)
                yield Charge(meter, invoice["id"], start, end, units, invoice["status"] != _DRAFT)

    def _lines(self, invoice: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        if not invoice["lines"]["has_more"]:
            yield from invoice["lines"]["data"]
            return
        yield from self._reader.pages(f"/v1/invoices/{invoice['id']}/lines", {})

    def _price(self, price_id: str) -> Mapping[str, Any]:
        with self._lock:
            if price_id not in self._prices:
                self._prices[price_id] = self._reader.get(f"/v1/prices/{price_id}", {"expand": ["tiers"]})
            return self._prices[price_id]


def _item(subscription: Mapping[str, Any], item: Mapping[str, Any]) -> Item:
    recurring = item["price"]["recurring"]
    return Item(
        recurring["meter"],
        subscription["id"],
        subscription["start_date"],
        subscription["ended_at"],
        subscription["billing_cycle_anchor"],
        recurring["interval"],
        recurring["interval_count"],
    )


def units_of(lines: Sequence[Mapping[str, Any]], price: Mapping[str, Any]) -> int:
    """Return the units that the lines of one price stand for.

    A bracket has a line, and its flat fee may have one more that looks like a line of one unit. Of the lines that could
    be fees as many are as the units that are left would have.
    """
    total = sum(line["quantity"] or 0 for line in lines)
    fees = [tier["flat_amount"] for tier in price.get("tiers") or () if tier["flat_amount"]]
    could = 0
    for line in lines:
        if line["quantity"] == 1 and line["amount"] in fees:
            fees.remove(line["amount"])
            could += 1
    return next((total - each for each in range(could, 0, -1) if _fees(price, total - each) == each), total)


def _fees(price: Mapping[str, Any], units: int) -> int:
    """Return how many flat fees so many units have: of every bracket they enter, or of the one they end in."""
    entered, below = [], 0
    for place, tier in enumerate(price["tiers"]):
        if place == 0 or units > below:
            entered.append(tier)
        below = tier["up_to"] if tier["up_to"] is not None else units
    charged = entered[-1:] if price["tiers_mode"] == "volume" else entered
    return sum(1 for tier in charged if tier["flat_amount"])
