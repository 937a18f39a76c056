"""What Stripe shows of the usage it was sent, to tell what arrived from what did not.

Source: https://docs.stripe.com/api/billing/meter-event-summary. Summaries lag behind what was sent, so nothing is
concluded while something was acknowledged lately, or may have arrived lately.
"""

import threading
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Any, NamedTuple

from reconciler.diagnostics import ProviderError
from reconciler.entitlements.periods import SECOND, instant
from reconciler.ledger.base import Export, Store
from reconciler.provider.gateway import Gateway
from reconciler.provider.reads import Reader

#: What is acknowledged is taken to be in the summaries after this.
LAG = 3600 * SECOND
_HOUR = 3600
#: Of more exports in doubt in one hour not every combination is tried.
_MANY = 12
#: Largest whole number a JSON number holds exactly.
_EXACT = 2**53


class Found(StrEnum):
    """What a look at the summaries says about an export."""

    THERE = "there"
    ABSENT = "absent"
    UNCLEAR = "unclear"
    LATER = "later"


class Look(NamedTuple):
    """A verdict, with its reason where it is not clear."""

    verdict: Found
    reason: str = ""


def _sums(numbers: Iterable[int]) -> set[int]:
    """Return what some of the numbers, all or none can come to; of many only none and all are looked at."""
    found, every = {0}, list(numbers)
    if len(every) > _MANY:
        return {0, sum(every)}
    for number in every:
        found |= {number + other for other in found}
    return found


def _sum(values: Iterable[Any]) -> int | float:
    """Add numbers up, exactly where all are whole numbers that JSON holds exactly."""
    found = list(values)
    if all(float(value).is_integer() and abs(value) < _EXACT for value in found):
        return sum(map(int, found))
    return sum(map(float, found))


class Summaries:
    """Compares an hour of the ledger with Stripe's; safe for many threads."""

    def __init__(self, gateway: Gateway, store: Store) -> None:
        self._reader = Reader(gateway)
        self._store = store
        self._lock = threading.Lock()
        self._meters: dict[str, str] = {}

    def acknowledged(self, export: Export, length: int) -> int:
        """Return the units that are sent of an export's tenant and meter in its UTC hour or day."""
        return sum(other.units for other in self._beside(export, length) if other.state == "sent")

    def _beside(self, export: Export, length: int) -> list[Export]:
        start = export.window - export.window % length
        return [
            other
            for other in self._store.exports(export.tenant, since=start)
            if other.meter == export.meter and other.window < start + length
        ]

    def look(self, export: Export, event_name: str, customer: str, now: int, remembered: int) -> Look:
        """Tell whether an export in doubt has arrived, by the total of its hour with and without what is in doubt.

        Where one of several arrived and it cannot be told which, this one is taken not to have: the sum is right then.
        """
        beside = self._beside(export, _HOUR)
        sent = [other for other in beside if other.state == "sent"]
        doubtful = [other for other in beside if other.state in ("pending", "streamed") and other.doubt]
        if any(other.due > now - LAG for other in sent) or any(other.doubt > now - remembered for other in doubtful):
            return Look(Found.LATER, "Stripe's summary is looked at when it holds what was sent lately")
        start = export.window - export.window % _HOUR
        try:
            total = self._total(event_name, customer, start)
        except ProviderError as error:
            return Look(Found.LATER, f"whether it arrived could not be read: {error.message}")
        known, unknown = sum(other.units for other in sent), sum(other.units for other in doubtful)
        beside_it = _sums(other.units for other in doubtful if other != export)
        if total - known in beside_it:
            return Look(Found.ABSENT)
        if total - known - export.units in beside_it:
            return Look(Found.THERE)
        hour = instant(start * SECOND).strftime("%Y-%m-%d %H:%M UTC")
        return Look(
            Found.UNCLEAR,
            f"it may have arrived more than a day ago: for the hour of {hour} Stripe shows {total} of {event_name} for "
            f"{customer}, {known} is acknowledged and {unknown} is in doubt; correct the usage there, then try again",
        )

    def _total(self, event_name: str, customer: str, start: int) -> int | float:
        return self.total(event_name, customer, start, start + _HOUR)

    def total(self, event_name: str, customer: str, start: int, end: int) -> int | float:
        """Return what Stripe counts of a meter in a stretch of whole minutes; ProviderError where it cannot be read."""
        bounds = {"customer": customer, "start_time": start, "end_time": end}
        return _sum(summary["aggregated_value"] for summary in self._read(event_name, bounds))

    def hours(self, event_name: str, customer: str, first: int, last: int) -> dict[int, int | float]:
        """Return what Stripe counts of a meter in each hour from ``first`` to ``last``; ProviderError as above."""
        bounds = {"customer": customer, "start_time": first, "end_time": last + _HOUR, "value_grouping_window": "hour"}
        return {
            summary["start_time"]: _sum((summary["aggregated_value"],)) for summary in self._read(event_name, bounds)
        }

    def _read(self, event_name: str, bounds: dict[str, Any]) -> Iterator[dict[str, Any]]:
        return self._reader.pages(f"/v1/billing/meters/{self.meter(event_name)}/event_summaries", bounds)

    def meter(self, event_name: str) -> str:
        """Return the id of the meter with an event name; ProviderError where the account has none."""
        with self._lock:
            if event_name not in self._meters:
                self._meters = {
                    meter["event_name"]: meter["id"] for meter in self._reader.pages("/v1/billing/meters", {})
                }
            if event_name not in self._meters:
                raise ProviderError("E0909", f"the account has no meter with event name {event_name!r}")
            return self._meters[event_name]
