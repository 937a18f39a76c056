"""A process of a run: threads or tasks that do whatever callers, operators and exporters do, until it is killed."""

import asyncio
import itertools
import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, Literal, NamedTuple
from unittest.mock import patch

import reconciler.ledger.postgres  # noqa: F401  loaded once for all processes
from reconciler.entitlements import Entitlements, Reason
from reconciler.entitlements.aio import AsyncEntitlements
from reconciler.entitlements.decision import Decision
from reconciler.entitlements.leases import Leases
from reconciler.ledger.base import StoreUnavailableError
from reconciler.ledger.lease import Slice
from reconciler.ledger.sqlite import SqliteStore
from tests.entitlements.worlds import policy

from .world import HOUR, MICRO, PAYING, TENANTS, TERMS, Log, Shared

Mode = Literal["direct", "group", "lease"]
THREADS, TASKS = 4, 24
#: How long a process waits before it asks again what was not answered, in seconds.
PAUSE = 0.02
#: Shared keys are so many at a time: all processes use the same ones at about the same time.
RECENT = 40
#: Compiled once, where this module is loaded: every process of a run is a copy of one that has loaded it.
POLICY = policy(TERMS)
Deed = Callable[["Hand"], None]


class Run(NamedTuple):
    """What a process has to know: the ledger's address, the mode, and where the run's files are."""

    url: str
    mode: Mode
    home: Path
    #: Whether it believes in its own books whatever others write: what the audit has to find out.
    careless: bool = False


class Hand:
    """One thread of a process: what it asks for next, and how."""

    def __init__(self, ent: Entitlements, log: Log, shared: Shared, name: str, thread: int) -> None:
        self.ent = ent
        self.shared = shared
        self.random = Random(f"{name} {thread}")
        self.number = 0
        self.paid: list[tuple[str, str]] = []
        self.lots: list[tuple[str, str]] = []
        self._log = log
        self._thread = thread
        self._name = name

    @property
    def key(self) -> str:
        """The key of what is asked for now."""
        return f"{self._name}.{self._thread}.{self.number}"

    def tell(self, what: str, tenant: str = "", key: str = "", more: object = "") -> None:
        """Write down an answer."""
        self._log.tell(self._thread, self.number, what, tenant, key, more)

    def tenant(self) -> str:
        """Choose a tenant; half of all calls are of one that always has enough."""
        return "rich" if self.random.random() < 0.5 else self.random.choice(TENANTS)

    def shared_key(self) -> str:
        """Choose a key that other processes use as well: it moves on with the clock."""
        return f"shared.{int(time.monotonic() * 5)}.{self.random.randrange(RECENT)}"

    def until_answered(self, ask: Callable[[], Any]) -> Any:
        """Ask, under the same key again as long as the ledger does not answer."""
        while True:
            try:
                answer = ask()
            except StoreUnavailableError:
                answer = None
            if answer is not None and getattr(answer, "reason", None) is not Reason.STORE_UNAVAILABLE:
                return answer
            time.sleep(PAUSE)

    def called(self, tenant: str, key: str, answer: Decision) -> None:
        """Tell the answer to a call under a key."""
        if not answer.allowed:
            self.tell("n", tenant, key, answer.reason)
            return
        self.tell("c", tenant, key, "again" if answer.replayed else "new")
        if tenant in PAYING and self.random.random() < 0.1:
            self.paid.append((tenant, key))

    def unkeyed(self, tenant: str, answer: Decision) -> None:
        """Tell the answer to a call without a key."""
        doubtful = answer.reason is Reason.STORE_UNAVAILABLE
        self.tell("u" if answer.allowed else "d" if doubtful else "n", tenant)


def keyed(hand: Hand) -> None:
    """Make a call under a key of its own."""
    tenant, key = hand.tenant(), hand.key
    hand.called(tenant, key, hand.until_answered(lambda: hand.ent.consume(tenant, "search", key=key)))


def repeated(hand: Hand) -> None:
    """Make a call that others make as well."""
    key = hand.shared_key()
    hand.called("rich", key, hand.until_answered(lambda: hand.ent.consume("rich", "search", key=key)))


def plain(hand: Hand) -> None:
    """Make a call without a key."""
    tenant = hand.tenant()
    hand.unkeyed(tenant, hand.ent.consume(tenant, "search"))


def reserve(hand: Hand) -> None:
    """Reserve calls and use some of them, all or more, or none."""
    tenant, key, size = hand.random.choice(PAYING), hand.key, hand.random.randint(1, 5)
    held = hand.until_answered(lambda: _answered(hand.ent.reserve(tenant, "search", quantity=size, key=key)))
    if not held:
        hand.tell("n", tenant, key)
        return
    hand.tell("h", tenant, key, size)
    if hand.random.random() < 0.3:
        held.release()
        hand.tell("l", tenant, key)
        return
    used = hand.random.randint(0, size + 1)
    answer = hand.until_answered(lambda: held.commit(used))
    hand.tell("m" if answer.allowed else "n", tenant, key, used)


def _answered(held: Any) -> Any:
    return None if held.decision.reason is Reason.STORE_UNAVAILABLE else held


def look(hand: Hand) -> None:
    """Check whether a call could be made."""
    hand.ent.check(hand.tenant(), "search")
    hand.tell("k")


def grant(hand: Hand) -> None:
    """Bring in credits, many of which expire."""
    tenant, key, amount = hand.random.choice(("poor", "poor", "monthly")), hand.key, hand.random.randint(1, 4)
    at = hand.shared.clock() + hand.random.randint(1, 200) * HOUR
    expires = datetime.fromtimestamp(at // MICRO, UTC) if hand.random.random() < 0.7 else None
    hand.until_answered(lambda: (hand.ent.grant(tenant, amount, key=key, expires=expires),))
    hand.tell("g", tenant, key, amount * MICRO)
    hand.lots.append((tenant, key))


def refund(hand: Hand) -> None:
    """Take back a call that was paid for."""
    if not hand.paid:
        look(hand)
        return
    tenant, of = hand.paid.pop(hand.random.randrange(len(hand.paid)))
    key = hand.key
    try:
        hand.until_answered(lambda: (hand.ent.refund(tenant, of, key=key),))
    except LookupError:
        hand.tell("n", tenant, key)
    else:
        hand.tell("f", tenant, key, of)


def void(hand: Hand) -> None:
    """Take away what is left of a lot."""
    if not hand.lots:
        look(hand)
        return
    tenant, lot = hand.lots.pop()
    key = hand.key
    hand.until_answered(lambda: (hand.ent.void(tenant, lot, key=key),))
    hand.tell("v", tenant, key)


def sweep(hand: Hand) -> None:
    """Enter what has become due."""
    hand.until_answered(lambda: (hand.ent.sweep(10),))
    hand.tell("k")


def reload(hand: Hand) -> None:
    """Load the policy anew: what was lent by the old one is given back."""
    with suppress(StoreUnavailableError):
        hand.ent.reload(hand.ent.policy)
    hand.tell("k")


def export(hand: Hand, patience: int = HOUR) -> int:
    """Hand over what was counted in hours that are over, and send some of it; return how much was sent."""
    store, now = hand.ent.ledger.store, hand.shared.clock()
    try:
        hand.ent.seal(now // HOUR * 3600)
        claimed = store.claim(now, now + patience, 20)
        for each in claimed:
            hand.tell("x", each.tenant, "", f"{each.meter} {each.window} {each.seq} {each.units}")
        store.settle(each._replace(state="sent") for each in claimed)
    except StoreUnavailableError:
        hand.tell("k")
        return -1
    hand.tell("k")
    return len(claimed)


def careful_export(hand: Hand) -> None:
    """Export, as one of the deeds of a thread."""
    export(hand)


BOOKED: dict[Deed, int] = {
    keyed: 36, plain: 14, repeated: 10, reserve: 8, look: 22, grant: 4, refund: 2, void: 1, sweep: 1, careful_export: 1,
}  # fmt: skip
#: A slice is worth borrowing where most of what is done are plain calls.
LENT: dict[Deed, int] = {
    keyed: 2500, plain: 6000, repeated: 300, reserve: 8, look: 1200, grant: 4, refund: 2, void: 1, sweep: 1,
    careful_export: 2, reload: 1,
}  # fmt: skip


def work(run: Run, name: str) -> None:
    """Do whatever there is to do, in threads, or in tasks where the ledger can answer many at once."""
    # The driver says of every connection that it was lost; that is what the run is about.
    logging.getLogger("psycopg").setLevel(logging.CRITICAL)
    shared = Shared(run.home / "shared")
    if run.careless:
        _careless()
    with Log(run.home / f"{name}.told") as log, _noting(log), opened(run, shared) as ent:
        hands = [Hand(ent, log, shared, name, thread) for thread in range(THREADS)]
        deeds = {keyed: 1, plain: 1} if run.careless else LENT if run.mode == "lease" else BOOKED
        threads = [threading.Thread(target=_go_on, args=(hand, deeds)) for hand in hands]
        for thread in threads:
            thread.start()
        if run.mode == "group":
            asyncio.run(_tasks([Hand(ent, log, shared, name, THREADS + place) for place in range(TASKS)]))
        for thread in threads:
            thread.join()
    # Whoever ends in order has told everything: nothing of it is in doubt.
    (run.home / f"{name}.ended").touch()


def opened(run: Run, shared: Shared) -> Entitlements:
    """Open the runtime, trying again while the database is away."""
    while True:
        try:
            return Entitlements.open(POLICY, run.url, mode=run.mode, clock=shared.clock, journal=run.home / "journal")
        except StoreUnavailableError:
            time.sleep(PAUSE)


def _go_on(hand: Hand, deeds: dict[Deed, int]) -> None:
    chosen, weights = list(deeds), list(itertools.accumulate(deeds.values()))
    while not hand.shared.ending:
        for deed in hand.random.choices(chosen, cum_weights=weights, k=32):
            hand.number += 1
            deed(hand)


async def _tasks(hands: list[Hand]) -> None:
    runtime = AsyncEntitlements(hands[0].ent)
    await asyncio.gather(*(_task(hand, runtime) for hand in hands))


async def _task(hand: Hand, runtime: AsyncEntitlements) -> None:
    while not hand.shared.ending:
        hand.number += 1
        tenant, key = hand.tenant(), hand.key if hand.random.random() < 0.7 else None
        while True:
            answer = await runtime.consume(tenant, "search", key=key)
            if key is None or answer.reason is not Reason.STORE_UNAVAILABLE:
                break
            await asyncio.sleep(PAUSE)
        if key is None:
            hand.unkeyed(tenant, answer)
        else:
            hand.called(tenant, key, answer)


def _noting(log: Log) -> Any:
    """Tell when the noting of what was used of leases begins and is done: what was told before that may not be lost."""
    note, number = Leases._note, itertools.count()

    def told(self: Leases, slices: list[Slice]) -> bool:
        if not threading.current_thread().name.endswith("_keep"):
            return note(self, slices)
        noting = next(number)
        log.tell(-1, noting, "b")
        done = note(self, slices)
        if done:
            log.tell(-1, noting, "e")
        return done

    return patch.object(Leases, "_note", told)


def _careless() -> None:
    """Let this process believe in its own books, whatever others write, and take no turns."""
    load = SqliteStore._load

    def stale(self: SqliteStore, jobs: Any) -> Any:
        (self._version,) = self._db.execute("PRAGMA data_version").fetchone()
        return load(self, jobs)

    SqliteStore._load = stale  # type: ignore[method-assign]  # this process alone is careless
