"""Two catalogues weighed against what tenants used: money and refusals, tenant by tenant.

Both begin the month with the same book. A call that a catalogue refuses is not made under it, and not paid: an invoice
is that of the calls its catalogue lets through.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from reconciler.entitlements.decision import Reason
from reconciler.impact.alike import Alike
from reconciler.impact.charges import cost_of
from reconciler.impact.notes import Doubts
from reconciler.impact.reach import Reach, reach
from reconciler.impact.replay import Replay
from reconciler.impact.result import CallRow, Impact, Note, TenantRow
from reconciler.impact.side import Side, Unpriced
from reconciler.impact.sums import PLENTY
from reconciler.impact.used import Recorded, Subscribed, Used
from reconciler.pricing.subscription import Contract


class Question(NamedTuple):
    """What the two catalogues are called, the month, where usage comes from, and remarks on it.

    An empty ``source`` says that there was no usage to look at.
    """

    base: str
    head: str
    month: str
    source: str = ""
    notes: tuple[Note, ...] = ()


def compare(before: Side, after: Side, usage: Mapping[str, Recorded], empty: Recorded, question: Question) -> Impact:
    """Return what a change of the files means for every tenant of either, and every one with usage.

    ``empty`` is the month of tenants without usage.
    """
    doubts, alike = Doubts(before, after), Alike()
    rows: list[TenantRow] = []
    calls: list[CallRow] = []
    for tenant in _tenants(before, after, usage):
        row, decided = _Case(before, after, tenant, usage.get(tenant, empty)).told(doubts, alike)
        rows.append(row)
        calls += decided
    rows.sort(key=_rank)
    calls.sort(key=lambda row: (-row.number, row))
    notes = doubts.notes(rows, given=bool(question.source))
    return Impact(
        question.base,
        question.head,
        question.month,
        question.source,
        tuple(rows),
        tuple(calls),
        (*question.notes, *notes),
    )


def _tenants(before: Side, after: Side, usage: Mapping[str, Recorded]) -> list[str]:
    """Return every tenant once, by the id it had before where it moved."""
    old = {*before.file.tenants, *usage}
    here = {after.tenant(tenant) for tenant in old}
    return sorted(old | {tenant for tenant in after.file.tenants if tenant not in here})


def _rank(row: TenantRow) -> tuple[object, ...]:
    return row.year is None, row.currency or "", -(row.year or 0), row.tenant


class _Case:
    """One tenant under both catalogues."""

    def __init__(self, before: Side, after: Side, tenant: str, recorded: Recorded) -> None:
        self._sides = (before, after)
        self._tenant = tenant
        self._recorded = recorded
        self._replays = (Replay(before, tenant, recorded, before), Replay(after, tenant, recorded, before))
        self._decided: Counter[tuple[str, bool, str, Reason]] = Counter()
        self._calls = 0
        self._refused = [0, 0]

    def told(self, doubts: Doubts, alike: Alike) -> tuple[TenantRow, list[CallRow]]:
        """Return what becomes of the tenant, and of its calls."""
        if self._recorded.opening is not None:
            self._open()
        old, new = self._replays
        twins = alike.decide(old.terms, new.terms, self._recorded.events)
        for event in self._recorded.events:
            if not isinstance(event, Used):
                old.happen(event)
                new.happen(event)
            elif twins:
                self._calls += event.calls
                self._refused[0] += event.calls - old.call(event)[0]
            else:
                self._call(event)
        if twins:
            self._refused[1] = self._refused[0]
            new.adopt(old)
        for replay in self._replays:
            doubts.heard(replay, self._recorded)
        return self._row(), list(self._rows())

    def _open(self) -> None:
        """Begin both with what the ledger had, and with what the old catalogue had counted before the month."""
        opening, (old, new) = self._recorded.opening, self._replays
        assert opening is not None  # noqa: S101  asked for only where there is one
        past = Replay(self._sides[0], self._tenant, self._recorded, self._sides[0])
        past.book.credits = PLENTY
        for event in opening.before:
            if isinstance(event, Used):
                past.call(event)
            elif isinstance(event, Subscribed):
                past.happen(event)
        for replay in (old, new):
            replay.open(opening, past.book.counters, past.book.cells)

    def _call(self, used: Used) -> None:
        """Decide calls by both; what only one of the two refuses are the calls between the two numbers allowed."""
        old, new = self._replays
        (was, why_before), (now, why_after) = old.call(used), new.call(used)
        number = used.calls
        self._calls += number
        self._refused[0] += number - was
        self._refused[1] += number - now
        name = used.tool or used.units[0][0]
        if now < was and why_after is not None:
            self._decided[name, not used.tool, "refused", why_after] += was - now
        elif was < now and why_before is not None:
            self._decided[name, not used.tool, "allowed", why_before] += now - was

    def _rows(self) -> Iterator[CallRow]:
        for (name, meter, effect, reason), number in self._decided.items():
            yield CallRow(self._tenant, name, meter, effect, str(reason), number)

    def _row(self) -> TenantRow:
        contracts = [
            side.contract(side.tenant(self._tenant), replay.subscription)
            for side, replay in zip(self._sides, self._replays, strict=True)
        ]
        costs = [
            None if isinstance(contract, Unpriced) else cost_of(contract, replay.usage())
            for contract, replay in zip(contracts, self._replays, strict=True)
        ]
        plans = [replay.terms.standing.plan for replay in self._replays]
        effects = Counter[str]()
        for (_, _, effect, _), number in self._decided.items():
            effects[effect] += number
        old, new = contracts
        return TenantRow(
            self._tenant,
            self._name(),
            (plans[0].id if plans[0] else None, plans[1].id if plans[1] else None),
            costs[0],
            costs[1],
            self._why(old, new),
            any(isinstance(event, Used) for event in self._recorded.events),
            self._calls,
            (self._refused[0], self._refused[1]),
            effects["refused"],
            effects["allowed"],
            (_trial(old), _trial(new)),
            *self._reach(old, new),
        )

    def _reach(self, old: Contract | Unpriced, new: Contract | Unpriced) -> Reach:
        if isinstance(old, Unpriced) or isinstance(new, Unpriced):
            return Reach()
        after = self._sides[1]
        return reach(after, after.tenant(self._tenant), old, new)

    def _name(self) -> str:
        for side in reversed(self._sides):
            found = side.file.tenants.get(side.tenant(self._tenant))
            if found is not None:
                return found.name
        return self._tenant

    def _why(self, old: Contract | Unpriced, new: Contract | Unpriced) -> str:
        """Say why two invoices do not compare, or in which of the files alone the tenant is."""
        there = [side.tenant(self._tenant) in side.file.tenants for side in self._sides]
        found = [] if all(there) else ["in neither of the files"]
        if any(there) and not all(there):
            found = [f"only in the {'old' if there[0] else 'new'} files"]
        for when, each, known in (("before", old, there[0]), ("after", new, there[1])):
            if isinstance(each, Unpriced) and (known or not each.stranger):
                found.append(f"{when}: {each.why}")
        if not isinstance(old, Unpriced) and not isinstance(new, Unpriced):
            currencies = (old.tariff.currency, new.tariff.currency)
            found += [f"from {currencies[0]} to {currencies[1]}"] if currencies[0] != currencies[1] else []
        return "; ".join(found)


def _trial(contract: Contract | Unpriced) -> int:
    return 0 if isinstance(contract, Unpriced) else contract.tariff.trial_days
