"""What of a tenant's use is billed in a stretch of time: units that go to Stripe's meters, and charges as booked. Pure.

Units count where their window begins, as they do at Stripe; what is owed back was billed, and stays so.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from reconciler import money
from reconciler.entitlements.daily import Window
from reconciler.entitlements.ledger_calls import Booked, Find, booked
from reconciler.entitlements.periods import SECOND, micros
from reconciler.entitlements.policy import MICRO, SPEND
from reconciler.ledger.entry import Entry
from reconciler.pricing.lines import Usage
from reconciler.pricing.periods import Period

_MICROSECOND = timedelta(microseconds=1)


class _Counted(NamedTuple):
    window: int
    meter: str
    number: int
    tool: str
    calls: int


class BilledUse:
    """A tenant's use by meter and window, to be added up for one billing interval after another."""

    def __init__(self, entries: Iterable[Entry], find: Find) -> None:
        self._counted = [
            _Counted(units.window, units.meter, units.number, each.tool, each.calls)
            for each in booked(entries, find)
            if isinstance(each, Booked)
            for units in (*each.units, *each.spent)
            if units.window is not None and not units.owed
        ]

    @classmethod
    def of_windows(cls, windows: Mapping[Window, int]) -> "BilledUse":
        """Return a use that was added up by meter and window before; which tool charged what is not told."""
        found = cls((), lambda _key: None)
        found._counted = [_Counted(each.start, each.meter, number, "", 0) for each, number in windows.items()]
        return found

    def units(self, meter: str, period: Period) -> int:
        """Return the units of a meter in a period, of a spend meter the millionths that were charged."""
        return sum(each.number for each in self._within(period) if each.meter == meter)

    def projected(self, period: Period, now: datetime) -> "BilledUse":
        """Return what a period comes to where it goes on as it did until now: each meter in proportion, units whole.

        ValueError where nothing of the period has passed.
        """
        start, end = period
        passed, length = (min(now, end) - start) // _MICROSECOND, (end - start) // _MICROSECOND
        if passed <= 0:
            raise ValueError("nothing of the period has passed yet")
        meters = {each.meter for each in self._within(period)}
        opened = micros(start) // SECOND
        return BilledUse.of_windows(
            {Window(meter, opened): self.units(meter, period) * length // passed for meter in meters}
        )

    def within(self, period: Period, currency: str) -> Usage:
        """Return what was used in a period, charges in one currency."""
        units: dict[str, int] = {}
        calls: dict[str, int] = {}
        charged: dict[str, int] = {}
        for each in self._within(period):
            if not each.meter.startswith(SPEND):
                units[each.meter] = units.get(each.meter, 0) + each.number
            elif each.meter == SPEND + currency:
                calls[each.tool] = calls.get(each.tool, 0) + each.calls
                charged[each.tool] = charged.get(each.tool, 0) + each.number
        words = {f"{tool or '(directly)'}: {calls[tool]:,} calls": _minor(charged[tool], currency) for tool in charged}
        return Usage(units, charged=words)

    def _within(self, period: Period) -> Iterable[_Counted]:
        start, end = (micros(each) for each in period)
        return (each for each in self._counted if start <= each.window * SECOND < end)


def _minor(micro: int, currency: str) -> Decimal:
    return money.to_minor(money.EXACT.divide(Decimal(micro), Decimal(MICRO)), currency)
