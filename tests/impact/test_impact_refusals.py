"""The refusals of an impact are those of the real runtime, asked call by call under each of the two files."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.config.catalog import Catalog, catalog_from_text
from reconciler.entitlements import Decision, Entitlements
from reconciler.entitlements.periods import instant
from reconciler.impact.compare import Question, compare
from reconciler.impact.history import recorded
from reconciler.impact.result import Impact
from reconciler.impact.side import Side
from reconciler.impact.used import Recorded, Used
from tests.entitlements.catalogues import KINDS, METERS, TOOLS, catalogue
from tests.entitlements.worlds import HandClock, at

#: March in Berlin, where the clocks change; calls are made within it in any zone.
START, END = at("2027-02-28T23:00:00"), at("2027-03-31T22:00:00")
MONTH = Recorded(START, END)
ASKED = Question("base", "head", "2027-03", "calls")
SECOND, HOUR, DAY = 1_000_000, 3_600_000_000, 86_400_000_000
Found = Counter[tuple[str, str, bool, str, str]]


class Asked(NamedTuple):
    """A call with its instant; ``key`` says that it is asked under a key."""

    at: int
    tenant: str
    name: str
    meter: bool
    quantity: int
    units: dict[str, int] | None
    key: bool


@st.composite
def asked(draw: Any, start: int = START) -> list[Asked]:
    """Draw calls of some tenants, each a little later than the one before, now and then much."""
    now, found = start + draw(st.integers(1, 20)) * DAY, list[Asked]()
    for _ in range(draw(st.integers(1, 40))):
        now += draw(st.sampled_from([0, 0, SECOND, 7 * SECOND, HOUR, 30 * HOUR]))
        if now >= END:
            break
        tenant = draw(st.sampled_from(["acme", "acme", "vip", "own", "ghost"]))
        quantity = draw(st.sampled_from([1, 1, 1, 2, 3, 7]))
        if draw(st.integers(0, 5)) == 0:
            found.append(Asked(now, tenant, draw(st.sampled_from(METERS)), True, quantity, None, False))
            continue
        tool = draw(st.sampled_from(TOOLS))
        units = {"fu": draw(st.integers(0, 4))} if tool == "exchange" else None
        found.append(Asked(now, tenant, tool, False, quantity, units, draw(st.booleans())))
    return found


def compiled(text: str) -> Catalog:
    """Read a catalogue."""
    found, problems = catalog_from_text(text)
    assert found is not None, problems
    return found


@st.composite
def changed(draw: Any, kinds: Sequence[str] = tuple(sorted(KINDS))) -> tuple[str, str]:
    """Draw two catalogues with the same plans' ids, whatever those plans are."""
    zone = draw(st.sampled_from(["UTC", "Europe/Berlin"]))
    plans = draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=2, unique=True))
    return draw(catalogue(zone, plans)), draw(catalogue(zone, plans))


def ask(ent: Entitlements, call: Asked, number: int = 0) -> Decision:
    """Make a call at the instant of the runtime's clock."""
    name = {"meter": call.name} if call.meter else {"tool": call.name}
    key = f"k{number}" if call.key else None
    return ent.consume(call.tenant, **name, quantity=call.quantity, units=call.units, key=key)


def brute(catalog: Catalog, calls: Sequence[Asked]) -> list[Decision]:
    """Return what the runtime says to every call, one after the other, from an empty ledger on."""
    clock = HandClock()
    with Entitlements.open(Side(catalog).policy, "sqlite://", mode="direct", clock=clock) as ent:
        found = []
        for number, call in enumerate(calls):
            clock.now = call.at
            found.append(ask(ent, call, number))
    return found


def differing(calls: Sequence[Asked], before: Sequence[Decision], after: Sequence[Decision]) -> Found:
    """Count the calls that only one of the two refuses, by tenant, name, effect and reason."""
    found: Found = Counter()
    for call, was, will in zip(calls, before, after, strict=True):
        if was.allowed and not will.allowed:
            found[call.tenant, call.name, call.meter, "refused", str(will.reason)] += 1
        elif will.allowed and not was.allowed:
            found[call.tenant, call.name, call.meter, "allowed", str(was.reason)] += 1
    return found


def told(impact: Impact) -> Found:
    """Return an impact's calls, counted likewise."""
    return Counter({(row.tenant, row.tool, row.meter, row.effect, row.reason): row.number for row in impact.calls})


def used(call: Asked) -> Used:
    """Return a call as it is recorded."""
    if call.meter:
        return Used("", 1, call.quantity, ((call.name, call.quantity),), call.at, single=True)
    return Used(call.name, 1, call.quantity, tuple((call.units or {}).items()), call.at, single=True)


def replayed(texts: tuple[str, str], calls: list[Asked]) -> None:
    """Compare an impact with the runtime."""
    files = tuple(map(compiled, texts))
    by_tenant: dict[str, list[Used]] = {}
    for call in calls:
        by_tenant.setdefault(call.tenant, []).append(used(call))
    usage = {tenant: MONTH._replace(events=tuple(own)) for tenant, own in by_tenant.items()}
    impact = compare(*map(Side, files), usage, MONTH, ASKED)
    before, after = (brute(catalog, calls) for catalog in files)
    assert told(impact) == differing(calls, before, after)
    refused = [sum(not each.allowed for each in made) for made in (before, after)]
    assert [sum(row.refused[side] for row in impact.rows) for side in (0, 1)] == refused


@given(changed(), asked())
@settings(max_examples=25, deadline=None)
def test_a_replay_refuses_what_the_runtime_refuses(texts: tuple[str, str], calls: list[Asked]) -> None:
    """Calls with their instants are refused and allowed as by the runtime, by tenant, tool and reason."""
    replayed(texts, calls)


@pytest.mark.soak
@given(changed(), asked())
@settings(max_examples=500, deadline=None)
def test_many_replays_refuse_what_the_runtime_refuses(texts: tuple[str, str], calls: list[Asked]) -> None:
    """The same holds for many random changes."""
    replayed(texts, calls)


def test_the_comparison_finds_a_refusal() -> None:
    """A quota that is one smaller refuses exactly one call more, and the comparison with the runtime sees it."""
    text = "settings: {namespace: acme}\nplans:\n  pro: {name: Pro, limits: [{of: '*', max: 3, per: day}]}\n"
    text += "tenants: {acme: {name: Acme, plan: pro}}\n"
    files = compiled(text), compiled(text.replace("max: 3", "max: 2"))
    calls = [Asked(START + number, "acme", "search", False, 1, None, False) for number in range(4)]
    found = differing(calls, *(brute(catalog, calls) for catalog in files))
    assert found == Counter({("acme", "search", False, "refused", "quota_exceeded"): 1})
    usage = {"acme": MONTH._replace(events=tuple(map(used, calls)))}
    assert told(compare(*map(Side, files), usage, MONTH, ASKED)) == found


PLANS_WITH_CREDITS = ("credits", "deny", "keep", "mixed", "overdraw")


class Lived:
    """A ledger that real calls and other things were booked in under one catalogue.

    ``deeds`` are those it knows of; what was refused before the month counts too, for a book moves on when it is asked.
    """

    def __init__(self, catalog: Catalog, deeds: Sequence[tuple[str, Any]]) -> None:
        self.side = Side(catalog)
        self.deeds: list[tuple[str, Any]] = []
        self.tenants: set[str] = set()
        self.clock = HandClock()
        self.ent = Entitlements.open(self.side.policy, "sqlite://", mode="direct", clock=self.clock)
        for number, (what, deed) in enumerate(deeds):
            self.clock.now = deed[0]
            self.tenants.add(deed[1])
            if what != "call":
                do(self.ent, deed, number)
            elif not ask(self.ent, deed, number) and deed.at >= START:
                continue
            self.deeds.append((what, deed))

    def usage(self) -> dict[str, Recorded]:
        """Return what is recorded of March."""
        store = self.ent.ledger.store
        return {
            tenant: recorded(self.side, store.entries(tenant, limit=100_000), (START, END)) for tenant in self.tenants
        }


def do(ent: Entitlements, deed: tuple[Any, ...], number: int) -> None:
    """Grant credits."""
    _, tenant, amount, expires = deed
    ent.grant(tenant, amount, key=f"g{number}", expires=expires)


@st.composite
def deeds(draw: Any) -> list[tuple[str, Any]]:
    """Draw what happens in February and March: calls and grants."""
    calls = [("call", call) for call in (*draw(asked(at("2027-02-05T00:00:00"))), *draw(asked()))]
    others = []
    for _ in range(draw(st.integers(1, 6))):
        when = at("2027-02-05T00:00:00") + draw(st.integers(0, 50)) * DAY
        expires = draw(st.sampled_from([None, instant(START + 10 * DAY)]))
        expires = None if expires is not None and when >= START + 10 * DAY else expires
        others.append(
            ("grant", (when, draw(st.sampled_from(["acme", "acme", "vip"])), draw(st.integers(1, 30)), expires))
        )
    return sorted([*calls, *others], key=lambda each: each[1][0])


def continued(texts: tuple[str, str], happened: list[tuple[str, Any]]) -> None:
    """Compare with a runtime that makes the same calls under the old files up to the month, then under the new ones."""
    files = tuple(map(compiled, texts))
    lived = Lived(files[0], happened)
    impact = compare(lived.side, new := Side(files[1]), lived.usage(), MONTH, ASKED)
    clock, found = HandClock(), Counter()
    with Entitlements.open(lived.side.policy, "sqlite://", mode="direct", clock=clock) as ent:
        for number, (what, deed) in enumerate(lived.deeds):
            if deed[0] >= START:
                ent.reload(new.policy)
            clock.now = deed[0]
            if what != "call":
                do(ent, deed, number)
            elif not (decision := ask(ent, deed, number)) and deed.at >= START:
                found[deed.tenant, deed.name, deed.meter, "refused", str(decision.reason)] += 1
    lived.ent.close()
    assert told(impact) == found
    assert [row.refused[0] for row in impact.rows] == [0] * len(impact.rows)


@given(changed(PLANS_WITH_CREDITS), deeds())
@settings(max_examples=20, deadline=None)
def test_a_ledger_is_replayed_from_where_it_was(texts: tuple[str, str], happened: list[tuple[str, Any]]) -> None:
    """A month begins with the credits and counters the ledger had; then the new files decide as they would have."""
    continued(texts, happened)


@pytest.mark.soak
@given(changed(), deeds())
@settings(max_examples=400, deadline=None)
def test_many_ledgers_are_replayed_from_where_they_were(
    texts: tuple[str, str], happened: list[tuple[str, Any]]
) -> None:
    """The same holds for many random changes of any plan."""
    continued(texts, happened)


@pytest.mark.parametrize("quantity", [1, 5])
@given(changed(), st.integers(1, 60), st.sampled_from(["search", "parse", "team/draw"]))
@settings(max_examples=10, deadline=None)
def test_a_sum_is_that_many_single_calls(quantity: int, texts: tuple[str, str], calls: int, tool: str) -> None:
    """So many calls in one row are decided, paid and priced as that many rows without an instant are."""
    files = tuple(map(compiled, texts))
    one = MONTH._replace(events=(Used(tool, calls, quantity),))
    many = MONTH._replace(events=(Used(tool, 1, quantity),) * calls)
    found = [compare(*map(Side, files), {"acme": usage}, MONTH, ASKED) for usage in (one, many)]
    assert found[0].rows == found[1].rows
    assert found[0].calls == found[1].calls
