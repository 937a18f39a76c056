"""The runtime against the oracle: the same calls, in the same order, at the same instants, must come out the same."""

import contextlib
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from reconciler.config.catalog import catalog_from_text
from reconciler.entitlements import Decision, Entitlements, Policy
from reconciler.entitlements.compile import compile_catalog
from reconciler.entitlements.periods import instant

from .audit import audit, entries_of
from .catalogues import KINDS, METERS, TOOLS, ZONES, catalogue
from .judge import Answer, anchored, calendar
from .oracle import Oracle
from .worlds import HandClock

TENANTS = ("acme", "acme", "acme", "vip", "own", "ghost")
BURSTS = ("search", "search", "team/draw", "free-tool")
STARTS = ("2027-01-31T23:59:58", "2027-03-27T22:30:00", "2028-02-28T12:00:00")
MICRO = 1_000_000
tenants = st.sampled_from(TENANTS)
quantities = st.sampled_from([1, 1, 1, 2, 3, 4, 7, 0])


@st.composite
def requests(draw: Any) -> tuple[str, str, bool, int, dict[str, int] | None]:
    """Draw a call: tenant, tool or meter, which of the two, quantity, units."""
    if draw(st.integers(0, 5)) == 0:
        return draw(tenants), draw(st.sampled_from((*METERS, "none"))), True, draw(quantities), None
    tool = draw(st.sampled_from(TOOLS))
    units = {"fu": draw(quantities)} if tool == "exchange" else None
    if tool == "search" and draw(st.integers(0, 5)) == 0:
        units = {"calls": draw(quantities)}
    return draw(tenants), tool, False, draw(quantities), units


def policy_of(text: str) -> Policy:
    """Compile a catalogue, and read it back as a file does."""
    loaded, problems = catalog_from_text(text)
    assert loaded is not None, problems
    return Policy.load(compile_catalog(loaded).dump())


class Machine(RuleBasedStateMachine):
    """Whatever callers, clocks and operators may do, to the runtime and to the oracle."""

    done = Bundle("done")
    held = Bundle("held")
    lots = Bundle("lots")

    @initialize(data=st.data(), zone=st.sampled_from(ZONES), steady=st.booleans())
    def begin(self, data: st.DataObject, zone: str, *, steady: bool) -> None:
        """Open a runtime, and where time and catalogue go on steadily, a twin that is never swept."""
        self.zone, self.steady = zone, steady
        self.plans = data.draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=3, unique=True))
        text = data.draw(catalogue(zone, self.plans))
        self.clock = HandClock(data.draw(st.sampled_from(STARTS)))
        policy = policy_of(text)
        self.ent = Entitlements.open(policy, "sqlite://", mode="direct", clock=self.clock)
        self.twin = Entitlements.open(policy, "sqlite://", mode="direct", clock=self.clock) if steady else None
        self.oracle = Oracle(text)
        self.number = 0

    def key(self) -> str:
        """Return a key that was not used before."""
        self.number += 1
        return f"k{self.number:04d}"

    def both(self) -> list[Entitlements]:
        """Return the runtimes there are."""
        return [self.ent] if self.twin is None else [self.ent, self.twin]

    def judge(self, decision: Decision, answer: Answer) -> None:
        """Compare a decision with the answer it must be."""
        scale = MICRO if decision.bound == "credits" else 1
        remaining = None if answer.remaining is None else answer.remaining * scale
        expected = (answer.reason == "ok", answer.reason, remaining, answer.limit, answer.resets_at, answer.retry_after)
        found = decision.remaining, decision.limit, decision.resets_at, decision.retry_after
        assert (decision.allowed, decision.reason, *found) == expected
        assert decision.cost == answer.cost * MICRO
        assert (decision.unit, decision.paid_by, decision.recharge) == (answer.unit, answer.paid_by, answer.recharge)

    @rule(request=requests())
    def check(self, request: tuple[Any, ...]) -> None:
        """Ask what a call would come to; it leaves no trace."""
        tenant, name, meter, quantity, units = request
        answer = self.oracle.check(tenant, name, self.clock.now, quantity, units, meter=meter)
        for ent in self.both():
            self.judge(ent.check(tenant, **_called(name, meter=meter), quantity=quantity, units=units), answer)

    @rule(target=done, request=requests(), times=st.integers(1, 4))
    def consume(self, request: tuple[Any, ...], times: int) -> Any:
        """Make calls: decided as their check says, and booked if they are allowed."""
        found = [self.consume_one(request) for _ in range(times)]
        return multiple(*(done for done in found if done is not None))

    @rule(
        target=done,
        tenant=tenants,
        tool=st.sampled_from(["search", "search", "team/draw", "free-tool"]),
        times=st.integers(3, 12),
    )
    def burst(self, tenant: str, tool: str, times: int) -> Any:
        """Make plain calls one after the other."""
        found = [self.consume_one((tenant, tool, False, 1, None)) for _ in range(times)]
        return multiple(*(done for done in found if done is not None))

    def consume_one(self, request: tuple[Any, ...]) -> Any:
        """Make one call."""
        tenant, name, meter, quantity, units = request
        key, asked = self.key(), {**_called(name, meter=meter), "quantity": quantity, "units": units}
        answer = self.oracle.consume(tenant, name, self.clock.now, quantity, units, key, meter=meter)
        for ent in self.both():
            checked, decision = ent.check(tenant, **asked), ent.consume(tenant, **asked, key=key)
            assert checked == decision
            self.judge(decision, answer)
        return (tenant, key, "consume", asked, decision) if answer.reason == "ok" else None

    @rule(target=held, request=requests(), seconds=st.sampled_from([1, 60, 3600, 86_400 * 40]))
    def reserve(self, request: tuple[Any, ...], seconds: int) -> Any:
        """Reserve: decided as a call, and what it may cost is held."""
        tenant, name, meter, quantity, units = request
        key, asked = self.key(), {**_called(name, meter=meter), "quantity": quantity, "units": units}
        lasts = seconds * MICRO
        answer = self.oracle.reserve(tenant, name, self.clock.now, quantity, units, key, lasts, meter=meter)
        made = [ent.reserve(tenant, **asked, key=key, seconds=seconds) for ent in self.both()]
        for held in made:
            self.judge(held.decision, answer)
        return (tenant, key, asked, made) if made[0] else multiple()

    @rule(target=done, held=consumes(held), quantity=quantities | st.none(), more=quantities)
    def commit(self, held: Any, quantity: int | None, more: int) -> Any:
        """Commit less, the same, more, or late: at the reserved price of what was used, as far as it is there."""
        tenant, key, asked, made = held
        used = asked["quantity"] if quantity is None else quantity
        units = {**asked["units"], **dict.fromkeys(asked["units"], more)} if asked["units"] else None
        cost, short = self.oracle.commit(tenant, key, self.clock.now, used, units)
        for ent, reservation in zip(self.both(), made, strict=True):
            decision = reservation.commit(quantity, units)
            assert decision.allowed
            assert decision.cost == cost * MICRO
            assert reservation.commit(quantity, units) == decision._replace(replayed=True)
            assert not reservation.commit(used + 1, units).allowed
            assert not reservation.release()
            entry = ent.ledger.store.entry(tenant, f"~commit:{key}")
            assert entry is not None
            assert entry.answer[3] == short * MICRO
        return (tenant, key, "commit", asked, None)

    @rule(held=consumes(held))
    def release(self, held: Any) -> None:
        """Give back what is still held, once."""
        tenant, key, _, made = held
        expected = self.oracle.release(tenant, key, self.clock.now)
        for reservation in made:
            assert reservation.release() == expected
            assert not reservation.release()

    @rule(done=done)
    def again(self, done: Any) -> None:
        """Repeat a call under its key, and try another one under it: neither changes anything."""
        tenant, key, kind, asked, decision = done
        assume(kind == "consume")
        before = self.ent.ledger.store.read(tenant).seq
        for ent in self.both():
            assert ent.consume(tenant, **asked, key=key) == decision._replace(replayed=True)
            other = ent.consume(tenant, **{**asked, "quantity": asked["quantity"] + 1}, key=key)
            assert (other.allowed, other.reason) == (False, "key_conflict")
        assert self.ent.ledger.store.read(tenant).seq == before

    @rule(
        target=lots,
        tenant=tenants,
        amount=st.sampled_from(["0.5", "3", "10", "0.000001"]),
        lasts=st.none() | st.sampled_from([1, MICRO, 86_400 * MICRO * 20]),
        priority=st.sampled_from([0, 50, 50, 100]),
    )
    def grant(self, tenant: str, amount: str, lasts: int | None, priority: int) -> Any:
        """Bring in credits, once for a key."""
        key, until = self.key(), None if lasts is None else self.clock.now + lasts
        self.oracle.grant(tenant, key, Fraction(amount), self.clock.now, until, priority)
        for ent in self.both():
            for _ in range(2):
                left = ent.grant(
                    tenant,
                    Decimal(amount),
                    key=key,
                    expires=None if until is None else instant(until),
                    priority=priority,
                )
                assert left == self.oracle.account(tenant).credits * MICRO
        return tenant, key

    @rule(target=lots, tenant=tenants, pack=st.sampled_from(["small", "large"]))
    def buy(self, tenant: str, pack: str) -> Any:
        """Bring in a pack, once for a key, with its bonus."""
        key = self.key()
        self.oracle.buy(tenant, key, pack, self.clock.now)
        for ent in self.both():
            ent.grant(tenant, pack=pack, key=key)
        return tenant, key

    @rule(lot=lots)
    def void(self, lot: Any) -> None:
        """Take away what is left of a grant."""
        tenant, name = lot
        key, left = self.key(), self.oracle.void(tenant, name, self.clock.now)
        for ent in self.both():
            assert ent.void(tenant, name, key=key) == left * MICRO

    @rule(
        done=done,
        amount=st.none() | st.sampled_from(["0.5", "1", "3"]),
        until=st.none() | st.sampled_from([-1, 86_400 * MICRO]),
    )
    def refund(self, done: Any, amount: str | None, until: int | None) -> None:
        """Refund to the lots that paid, as far as they are there, and never beyond what was paid."""
        tenant, of, _, _, _ = done
        key, account = self.key(), self.oracle.account(tenant)
        times = account.refunds[of] = account.refunds.get(of, 0) + 1
        renew = None if until is None else self.clock.now + until
        wanted = None if amount is None else Fraction(amount)
        name = f"~renewed:~refund:{of}:{times}"
        expected = self.oracle.refund(tenant, of, self.clock.now, wanted, renew, name)
        for ent in self.both():
            for _ in range(2):
                found = ent.refund(
                    tenant,
                    of,
                    key=key,
                    credits=None if amount is None else Decimal(amount),
                    renew_until=None if renew is None else instant(renew),
                )
                assert tuple(found)[:3] == tuple(part * MICRO for part in expected)

    @rule(
        tenant=tenants,
        plan=st.integers(0, 5),
        status=st.sampled_from(
            ["active", "active", "trialing", "past_due", "canceled", "paused", "unpaid", "incomplete_expired"]
        ),
        anchor=st.none() | st.sampled_from([(2026, 12, 31), (2027, 1, 15), (2024, 2, 29), (2027, 1, 31)]),
    )
    def subscribe(self, tenant: str, plan: int, status: str, anchor: tuple[int, int, int] | None) -> None:
        """Begin, move or end a subscription, or let it fall behind."""
        names = (*self.plans, "hidden", None, "unheard-of")
        name = names[plan % len(names)]
        at = None if anchor is None else datetime(*anchor, 9, 30, 15, tzinfo=UTC)
        begun = None if at is None else int(at.timestamp()) * MICRO
        self.oracle.subscribe(tenant, name, status, begun, self.clock.now)
        for ent in self.both():
            ent.set_subscription(tenant, status=status, plan=name, anchor=at)

    @rule(sweeps=st.booleans(), seals=st.booleans())
    def keep_house(self, *, sweeps: bool, seals: bool) -> None:
        """Enter what is due, which the twin does when it is asked, and hand units to the export."""
        if sweeps:
            self.oracle.sweep(self.clock.now)
            self.ent.sweep()
        if seals:
            before = self.clock.now // MICRO - 3600
            for tenant in self.ent.ledger.store.unsent(before):
                self.oracle.settle(tenant, self.clock.now)
            for ent in self.both():
                ent.seal(before)

    @rule(
        per=st.sampled_from(["", "hour", "day", "week", "month", "year", "billing"]),
        micros=st.sampled_from([1, 999, MICRO, 17 * MICRO, 61 * MICRO, 3600 * MICRO, 86_400 * MICRO * 3]),
        less=st.sampled_from([0, 0, 1, MICRO]),
    )
    def pass_time(self, per: str, micros: int, less: int) -> None:
        """Let time go on, or to where a period begins, or just before."""
        end = self.clock.now + micros
        if per == "billing":
            begun = int(datetime(2027, 1, 31, 9, 30, 15, tzinfo=UTC).timestamp()) * MICRO
            end = anchored(self.clock.now, begun, "month", 1)[1] - less
        elif per:
            end = calendar(self.clock.now, per, self.zone, 1)[1] - less
        self.clock.now = max(self.clock.now, end)

    @precondition(lambda self: not self.steady)
    @rule(data=st.data(), back=st.sampled_from([0, 0, 1, MICRO, 3600 * MICRO, 86_400 * MICRO, 86_400 * MICRO * 35]))
    def disturb(self, data: st.DataObject, back: int) -> None:
        """Set the clock back, for which nothing may come twice, or let another catalogue decide from now on."""
        if back:
            self.clock.now -= back
            self.ent.ledger.looks.clear()
            return
        text = data.draw(catalogue(self.zone, self.plans))
        self.oracle.reload(text)
        self.ent.reload(policy_of(text))

    @invariant()
    def same_books(self) -> None:
        """Lots, holds and features are those of the oracle, read without a trace."""
        if not hasattr(self, "ent"):
            return
        for tenant in self.oracle.accounts:
            kept = self.ent.ledger.store.read(tenant)
            account = self.oracle.account(tenant)
            expected = {lot.id: (lot.left * MICRO, lot.expires, lot.priority) for lot in account.lots.values()}
            assert {lot.id: (lot.remaining, lot.expires, lot.priority) for lot in kept.order} == expected
            parts = {key: sum(part for _, part in call.parts) * MICRO for key, call in account.held.items()}
            assert {hold.id: hold.amount for hold in kept.holds.values()} == parts
            active = self.oracle.inactive(tenant, self.clock.now) is None
            assert self.ent.feature(tenant, "pro") == (active and "pro" in self.oracle.features(tenant))

    def teardown(self) -> None:
        """Every entry adds up; what was counted is what is to be exported; lazily and swept are the same entries."""
        if not hasattr(self, "ent"):
            return
        with contextlib.ExitStack() as opened:
            for ent in self.both():
                opened.enter_context(ent)
                ent.sweep()
            for tenant in self.oracle.accounts:
                audit(self.ent, tenant)
                self.same_export(tenant)
                if self.twin is not None:
                    assert [entry[1:] for entry in entries_of(self.ent, tenant)] == [
                        entry[1:] for entry in entries_of(self.twin, tenant)
                    ]

    def same_export(self, tenant: str) -> None:
        """Compare units by meter, waiting and handed over less what is owed back, with what was counted."""
        found: dict[str, int] = {}
        for meter, windows in self.ent.ledger.store.read(tenant).used.items():
            found[meter] = sum(windows.values())
        for export in self.ent.ledger.store.exports(tenant):
            found[export.meter] = found.get(export.meter, 0) + export.units
        for entry in entries_of(self.ent, tenant):
            for account, amount in entry.postings():
                if account.startswith("owed:"):
                    meter = account.removeprefix("owed:").partition("@")[0]
                    found[meter] = found.get(meter, 0) + amount
        expected = {meter: units for meter, units in self.oracle.account(tenant).exported.items() if units}
        assert {meter: units for meter, units in found.items() if units} == expected


def _called(name: str, *, meter: bool) -> dict[str, str]:
    return {"meter": name} if meter else {"tool": name}


@pytest.mark.timeout(900)
def test_the_runtime_is_what_the_language_says() -> None:
    """Random calls, grants, refunds, subscriptions, reloads and clocks come out as the oracle says, entry by entry."""
    run_state_machine_as_test(Machine, settings=settings(max_examples=40, stateful_step_count=40, deadline=None))


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_the_runtime_is_what_the_language_says_for_long() -> None:
    """The same for many and long runs."""
    run_state_machine_as_test(Machine, settings=settings(max_examples=500, stateful_step_count=80, deadline=None))
