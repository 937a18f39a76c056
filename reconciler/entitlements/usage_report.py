"""What a tenant has used in a stretch of time: by tool and meter, within and beyond what is included, and in money.

Pure, one pass over a tenant's entries from the first on, because units count from the beginning of their period. Units
that are sold are priced by :mod:`reconciler.pricing` as their invoice line will be, in the period their window is in;
what was charged by the call is the amount that was booked.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, NamedTuple

from reconciler import money
from reconciler.entitlements.ledger_calls import Booked, Find, Units, booked
from reconciler.entitlements.periods import SECOND
from reconciler.entitlements.policy import MICRO, SPEND, Line, Policy
from reconciler.entitlements.rates import exact_rate
from reconciler.entitlements.standing import Subscription
from reconciler.entitlements.terms import Terms
from reconciler.ledger.entry import Entry
from reconciler.pricing.rating import Rate, cost

ZERO = Decimal(0)


class Row(NamedTuple):
    """Use of one meter by one tool; ``meter`` is empty for the calls themselves, ``tool`` for units counted directly.

    ``within`` and ``beyond`` what is included are ``None`` where no usage line pays. ``credits`` and ``short`` are
    millionths; ``money`` is in major units of ``currency``.
    """

    tool: str
    meter: str
    calls: int = 0
    units: int = 0
    within: int | None = None
    beyond: int | None = None
    credits: int = 0
    short: int = 0
    money: Decimal = ZERO
    currency: str = ""

    def plus(self, other: "Row") -> "Row":
        """Add a row of the same tool, meter and currency."""
        return Row(
            self.tool,
            self.meter,
            self.calls + other.calls,
            self.units + other.units,
            _sum(self.within, other.within),
            _sum(self.beyond, other.beyond),
            self.credits + other.credits,
            self.short + other.short,
            money.EXACT.add(self.money, other.money),
            self.currency or other.currency,
        )

    def as_json(self) -> dict[str, Any]:
        """Return the row as JSON values, money as text."""
        return {**self._asdict(), "money": money.plain(self.money)}


class OwedBack(NamedTuple):
    """Units of a call that was refunded ``at`` an instant when the period they were billed in was over already.

    Nothing was taken back from what Stripe bills; ``money``, in major units of ``currency``, is what the period from
    ``start`` to ``end`` would have cost less, for a credit note or a credit grant. ``meter`` is empty for charges by
    the call.
    """

    at: int
    tool: str
    meter: str
    units: int
    start: int
    end: int
    money: Decimal
    currency: str

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values, money as text."""
        return {**self._asdict(), "money": money.plain(self.money)}


class TenantUsage(NamedTuple):
    """A tenant's use in ``start <= instant < end``, microseconds; rows by tool, meter and currency.

    ``owed`` is what is to be given back for refunds made in this time, beside the rows, which are what is billed.
    """

    tenant: str
    plan: str | None
    start: int
    end: int
    rows: tuple[Row, ...]
    owed: tuple[OwedBack, ...] = ()

    def by_meter(self) -> tuple[Row, ...]:
        """Return the rows of every meter, and of the calls themselves, added up over all tools."""
        found: Rows = {}
        for row in self.rows:
            _add(found, row._replace(tool=""))
        return _folded(found)

    def as_json(self) -> dict[str, Any]:
        """Return the use as JSON values."""
        return {
            **self._asdict(),
            "rows": [row.as_json() for row in self.rows],
            "meters": [row.as_json() for row in self.by_meter()],
            "owed": [each.as_json() for each in self.owed],
        }


def current_period(policy: Policy, tenant: str, subscription: Subscription | None, now: int) -> tuple[int, int]:
    """Return the billing month an instant lies in, the calendar's where no subscription says otherwise."""
    return Terms(policy, tenant, subscription).recurring().at(now)


def usage_of(policy: Policy, tenant: str, entries: Iterable[Entry], find: Find, period: tuple[int, int]) -> TenantUsage:
    """Return what a tenant used in a period, by all of its entries; the plan is the one of their end."""
    tally = _Tally(policy, tenant, period)
    for each in booked(entries, find):
        if isinstance(each, Booked):
            tally.enter(each)
        elif each.kind == "subscription":
            tally.terms = Terms(policy, tenant, Subscription(*each.answer))
    plan = tally.terms.standing.plan
    return TenantUsage(tenant, plan.id if plan else None, *period, _folded(tally.found), tuple(tally.owed))


#: Rows by tool, meter and currency.
Rows = dict[tuple[str, str, str], Row]


class _Tally:
    """Counts units up in their periods and adds up what is in the stretch of time that is asked for."""

    def __init__(self, policy: Policy, tenant: str, period: tuple[int, int]) -> None:
        self.terms = Terms(policy, tenant, None)
        self.found: Rows = {}
        self.owed: list[OwedBack] = []
        self._period = period
        self._meters = policy.meters
        self._rates: dict[int, Rate | None] = {}
        self._counted: dict[tuple[str, int], int] = {}
        self._given: dict[tuple[str, int], int] = {}
        self._sold: dict[tuple[str, int | None], tuple[Line, tuple[int, int]]] = {}

    def enter(self, call: Booked) -> None:
        tool = "" if self._direct(call) else call.tool
        at = call.entry.at
        self._add(at, Row(tool, "", call.calls, credits=call.credits, short=call.short))
        for units in (*call.spent, *call.units):
            if units.owed and units.window is not None:
                self._owe(tool, units, units.window * SECOND, at)
        for units in call.spent:
            if units.owed:
                continue
            charged = money.EXACT.divide(Decimal(units.number), Decimal(MICRO))
            row = Row(tool, "", money=charged, currency=units.meter.removeprefix(SPEND))
            self._add(_instant(units, at), row)
        for units in call.units:
            if units.owed:
                continue
            line = self.terms.lines.get(units.meter) if call.paid_by == "usage" else None
            if line is None:
                self._add(_instant(units, at), Row(tool, units.meter, units=units.number))
            else:
                self._on_line(tool, units, line, _instant(units, at) if line.per == "subscription" else at)

    def _direct(self, call: Booked) -> bool:
        """Tell whether units of a meter were counted without a tool."""
        return call.tool in self._meters and all(units.meter == call.tool for units in call.units)

    def _on_line(self, tool: str, units: Units, line: Line, at: int) -> None:
        ((_, _, period),) = self.terms.usage_lines({units.meter})
        stretch = period.at(at)
        self._sold[units.meter, units.window] = line, stretch
        key = (units.meter, stretch[0])
        before = self._counted.get(key, 0)
        self._counted[key] = after = before + units.number
        within, beyond = _within(line, after) - _within(line, before), _beyond(line, after) - _beyond(line, before)
        charged = money.EXACT.subtract(self._price(line, after), self._price(line, before))
        currency = line.currency if line.over == "priced" and not line.spend else ""
        self._add(at, Row(tool, units.meter, 0, units.number, within, beyond, money=charged, currency=currency))

    def _owe(self, tool: str, units: Units, window: int, at: int) -> None:
        """Note units that are owed back, at what they cost in the period they were billed in."""
        number, meter, owed, currency = -units.number, units.meter, ZERO, ""
        line, (start, end) = self._sold.get((meter, units.window), (None, self.terms.recurring().at(window)))
        if meter.startswith(SPEND):
            owed, currency = money.EXACT.divide(Decimal(number), Decimal(MICRO)), meter.removeprefix(SPEND)
            meter, number = "", 0
        elif line is not None:
            key, currency = (meter, start), line.currency
            left = self._counted[key] - self._given.get(key, 0)
            self._given[key] = self._given.get(key, 0) + number
            owed = money.EXACT.subtract(self._price(line, left), self._price(line, left - number))
        if self._period[0] <= at < self._period[1]:
            self.owed.append(OwedBack(at, tool, meter, number, start, end, owed, currency))

    def _price(self, line: Line, units: int) -> Decimal:
        """Return what the line's units of a period come to in major units; nothing used is nothing here."""
        if units <= 0 or line.spend:
            return ZERO
        rate = self._rates.get(id(line))
        if id(line) not in self._rates:
            rate = self._rates[id(line)] = exact_rate(line)
        return ZERO if rate is None else money.to_major(cost(rate, units), line.currency)

    def _add(self, at: int, row: Row) -> None:
        if self._period[0] <= at < self._period[1]:
            _add(self.found, row)


def _add(found: Rows, row: Row) -> None:
    key = (row.tool, row.meter, row.currency)
    before = found.get(key)
    found[key] = row if before is None else before.plus(row)


def _folded(found: Rows) -> tuple[Row, ...]:
    """Return rows in order; where there is one currency, what has none stands with it."""
    rows: list[Row] = []
    for key in sorted(found):
        row = found[key]
        if rows and rows[-1][:2] == row[:2] and not rows[-1].currency:
            row = rows.pop().plus(row)
        rows.append(row)
    return tuple(rows)


def _instant(units: Units, at: int) -> int:
    """Return when units count: the beginning of their window where they go to the export."""
    return at if units.window is None else units.window * SECOND


def _within(line: Line, units: int) -> int:
    return min(max(units, 0), line.included)


def _beyond(line: Line, units: int) -> int:
    return max(units - line.included, 0)


def _sum(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else one + other
