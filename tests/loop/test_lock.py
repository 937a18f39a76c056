"""The lock of an apply: who gets it, how long it lasts, that it is released, and what is written down when it is."""

import itertools
import json
import re
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import stripe

from reconciler.diagnostics import LockedError, PlanRefusedError, ReconcilerError
from reconciler.planning.lock import MARK, TERM, Holder, Lock, is_recorded, read_lock
from reconciler.planning.plan import Plan
from reconciler.provider.executor import Ending, Report
from reconciler.provider.gateway import Connection
from reconciler.provider.holder import this_run
from reconciler.provider.lease import REQUEST_SECONDS, Lease
from reconciler.provider.limiter import UNLIMITED
from reconciler.provider.lock import KEPT, Locks
from reconciler.provider.ports import Ports
from reconciler.sandbox import Fault, Settings

from .samples import everything, simple
from .world import KEY, START, World, actions

REUSABLE = pytest.mark.parametrize(
    "settings",
    [Settings(deleted_id_reusable=True), Settings(deleted_id_reusable=False)],
    ids=["reusable", "not reusable"],
)


class Killed(BaseException):
    """The process died here."""


class Mortal(stripe.HTTPClient):
    """A transport that dies at its n-th request, before it is sent or after it was carried out; 0 is never."""

    name = "mortal"

    def __init__(self, world: World, at: int, *, after: bool, error: type[BaseException] = Killed) -> None:
        super().__init__()
        self.inner = world.sandbox.http_client()
        self.at, self.after, self.error, self.count = at, after, error, 0

    def request(self, method: str, url: str, headers: Any, post_data: Any = None) -> Any:
        """Send a request, unless dead."""
        self.count += 1
        if self.count == self.at and not self.after:
            raise self.error
        answer = self.inner.request(method, url, headers, post_data)
        if self.count == self.at:
            raise self.error
        return answer


def taken(world: World, *, name: str = "alice", elapsed: Callable[[], float] | None = None) -> Lease:
    """Take the lock without applying anything."""
    locks = locks_of(world, elapsed=elapsed)
    return locks.take(Holder(name, "build-7", 4121), "0" * 32, locks.look())


def locks_of(world: World, *, elapsed: Callable[[], float] | None = None) -> Locks:
    """Open the lock of the sample namespace."""
    connection = Connection(KEY, transport=world.sandbox.http_client(), rates=UNLIMITED)
    return Locks(Ports.of(connection, sleep=lambda _seconds: None), "acme", elapsed=elapsed or world.clock)


def latest(world: World) -> Lock:
    """Return the latest generation."""
    lock = world.locks().latest
    assert lock is not None
    return lock


def lock_writes(world: World) -> list[tuple[str, str]]:
    """Return the writes that were for locks alone: those of products that are locks, and their creation."""
    return [(method, path) for method, path in world.writes() if "_lock_" in path]


def test_an_apply_holds_and_releases_a_generation() -> None:
    """Each apply makes the next generation, an inactive product without an owner mark, and leaves it released."""
    world = World()
    for number, amount in enumerate(("10", "11"), start=1):
        world.locked(world.plan(simple(amount)), name="alice")
        lock = latest(world)
        assert (lock.generation, lock.id, lock.released) == (number, f"acme_lock_{number}", True)
        assert lock.holder == "alice on host, process 1"
    product = world.dashboard.v1.products.retrieve("acme_lock_2").to_dict()
    assert (product["active"], product["name"], "managed_by" in product["metadata"]) == (
        False,
        "reconciler lock",
        False,
    )


def test_locks_are_no_part_of_any_catalogue() -> None:
    """Locks of any namespace are neither foreign nor strays; another inactive product is foreign."""
    world = World()
    world.locked(world.plan(simple()))
    world.dashboard.v1.products.create({"id": "x_lock_1", "name": "l", "active": False, "metadata": {MARK: "x"}})
    assert world.plan(simple()).foreign.get("product", 0) == 0
    assert actions(world.plan(simple())) == {}
    world.dashboard.v1.products.create({"id": "x_luck_1", "name": "l", "active": False, "metadata": {"luck": "x"}})
    assert world.plan(simple()).foreign["product"] == 1


def test_a_lock_is_nobodys_to_take_over() -> None:
    """An entry of imports, or a key, that names a lock does not find it: the lock stays what it is, and its record."""
    world = World()
    world.locked(world.plan(simple()))
    files = simple() | {"imports": [{"to": "plans.two", "id": "acme_lock_1"}]}
    files["plans"]["two"] = {"name": "Two"}
    assert actions(world.plan(files)) == {"plans.two": "create"}
    world.locked(world.plan(files))
    lock = world.dashboard.v1.products.retrieve("acme_lock_1").to_dict()
    assert (lock["active"], "managed_by" in lock["metadata"]) == (False, False)
    assert latest(world).applied is not None


def test_nothing_but_a_lock_hides_behind_its_mark() -> None:
    """An object that somebody gave the mark of a lock is still seen, and not made a second time."""
    world = World()
    world.apply(everything())
    rate = world.dashboard.v1.tax_rates.list().data[0].id
    world.dashboard.v1.tax_rates.update(rate, {"metadata": {MARK: "acme"}})
    world.dashboard.v1.products.update("acme_plan_pro", {"metadata": {MARK: "acme"}})
    assert actions(world.plan(everything())) == {}


def test_a_held_lock_refuses_and_names_its_holder() -> None:
    """While somebody holds it, another apply ends with 6 before any write, with holder, instants and the way out."""
    world = World()
    plan = world.plan(simple())
    taken(world)
    world.sandbox.requests.clear()
    with pytest.raises(LockedError) as caught:
        world.locked(plan, name="bob")
    said = " ".join([caught.value.message, *caught.value.details, caught.value.remedy or ""])
    assert caught.value.exit_code == 6
    for words in ("alice on build-7", "2027-01-01 00:00:00 UTC", "2027-01-01 00:10:00 UTC", "unlock --generation=1"):
        assert words in said
    assert lock_writes(world) == world.writes() == []


@REUSABLE
def test_the_lock_of_the_dead_ends_with_its_term(settings: Settings) -> None:
    """One second before the end of the term it refuses; at its end the next apply takes over, as generation 2."""
    world = World(settings)
    plan = world.plan(simple())
    taken(world)
    world.clock.now += TERM - 1
    with pytest.raises(LockedError):
        world.locked(plan)
    world.clock.now += 1
    assert world.locked(plan).ending is Ending.COMPLETE
    assert (latest(world).generation, latest(world).released) == (2, True)


@pytest.mark.parametrize("skew", [-600, 0, 600, 10**8])
def test_the_clock_of_the_machine_counts_for_nothing(skew: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However wrong this machine's clock is, a held lock refuses and one whose term is over does not."""
    world = World()
    plan = world.plan(simple())
    monkeypatch.setattr("time.time", lambda: float(START + skew))
    taken(world)
    with pytest.raises(LockedError):
        world.locked(plan)
    world.clock.now += TERM
    assert world.locked(plan).recorded
    applied = latest(world).applied
    assert applied is not None
    assert applied.instant == datetime.fromtimestamp(START + TERM, UTC)


def test_renewing_holds_it_longer() -> None:
    """A renewal counts from when it was sent, for the holder, and from when it arrived, for others."""
    world = World()
    lease = taken(world)
    world.clock.now += 400
    lease.renew()
    assert (lease.lost, lease.left()) == (None, TERM)
    world.clock.now += TERM - 1
    with pytest.raises(LockedError):
        taken(world, name="bob")
    world.clock.now += 1
    assert taken(world, name="bob").lock.generation == 2


@pytest.mark.parametrize(
    ("renewed", "ends"),
    [("", 0), (str(START + 400), 400), (str(START - 1), 0), (str(START + 10**6), 0), ("9" * 400, 0), ("soon", 0)],
)
def test_a_renewal_counts_though_stripe_may_not_note_it(renewed: str, ends: int) -> None:
    """Whether metadata alone moves a product's ``updated`` is not documented, so the holder's own note counts too."""
    metadata = {MARK: "acme", "renewed": renewed}
    lock = read_lock({"id": "acme_lock_3", "created": START, "updated": START, "metadata": metadata})
    assert lock is not None
    assert lock.ends == START + ends + TERM


def test_the_holder_notes_when_it_renewed() -> None:
    """The note is of the account's clock, which the holder learnt from an answer, however wrong the machine's is."""
    world = World()
    lease = taken(world)
    world.clock.now += 400
    lease.renew()
    noted = world.dashboard.v1.products.retrieve("acme_lock_1").metadata["renewed"]
    assert noted == str(START + 400)


class Slow(stripe.HTTPClient):
    """A transport on which every answer takes twenty seconds."""

    name = "slow"

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world, self.inner = world, world.sandbox.http_client()

    def request(self, method: str, url: str, headers: Any, post_data: Any = None) -> Any:
        """Send a request and wait for its answer."""
        answer = self.inner.request(method, url, headers, post_data)
        self.world.clock.now += 20
        return answer


def test_the_way_of_an_answer_is_no_time_of_the_holder() -> None:
    """What a holder has left counts from before its request was sent, not from when the answer came."""
    world = World()
    locks = Locks(Ports.of(Connection(KEY, transport=Slow(world), rates=UNLIMITED)), "acme", elapsed=world.clock)
    lease = locks.take(Holder("alice", "h", 1), "", locks.look())
    assert lease.left() == TERM - 40  # the creation, and the second look
    lease.renew()
    assert lease.left() == TERM - 20


def test_a_holder_stops_before_others_may_begin() -> None:
    """With less than the time of one request left nothing may be begun, though nobody else could take it yet."""
    world = World()
    lease = taken(world)
    world.clock.now += TERM - int(REQUEST_SECONDS)
    assert lease.in_time()
    world.clock.now += 1
    assert not lease.in_time()
    with pytest.raises(LockedError):
        taken(world, name="bob")


LOSSES: dict[str, tuple[Callable[[World], object], str]] = {
    "unlocked": (lambda world: locks_of(world).unlock(latest(world), "bob"), "released by bob"),
    "deleted": (lambda world: world.dashboard.v1.products.delete("acme_lock_1"), "deleted"),
    "changed": (
        lambda world: world.dashboard.v1.products.update("acme_lock_1", {"metadata": {"token": "other"}}),
        "changed",
    ),
    "spoiled": (
        lambda world: world.dashboard.v1.products.update("acme_lock_1", {"metadata": {MARK: ""}}),
        "changed",
    ),
    "late": (lambda world: setattr(world.clock, "now", world.clock.now + TERM + 1), "too late"),
}


@pytest.mark.parametrize("name", LOSSES)
def test_a_renewal_finds_that_the_lock_is_lost(name: str) -> None:
    """Whatever takes the lock away is found by the next renewal, and named."""
    world = World()
    lease = taken(world)
    change, words = LOSSES[name]
    change(world)
    lease.renew()
    loss = lease.loss()
    assert loss is not None
    assert words in loss.message
    assert loss.exit_code == 7


def test_what_was_freed_by_hand_is_not_released_again() -> None:
    """Who finds the lock freed leaves it as it is."""
    world = World()
    lease = taken(world)
    locks_of(world).unlock(latest(world), "bob")
    lease.renew()
    world.sandbox.requests.clear()
    assert (lease.release(), world.writes(), latest(world).by) == (None, [], "bob")


def test_a_renewal_that_fails_is_no_loss() -> None:
    """A renewal without an answer, or refused for now, changes nothing; the next one is as good."""
    world = World()
    lease = taken(world)
    for fault in ({"kind": "drop_before"}, {"kind": "drop_after"}, {"kind": "error", "status": 500, "when": "after"}):
        world.sandbox.faults.add(Fault(method="POST", **fault))
        world.clock.now += 10
        lease.renew()
        world.sandbox.faults.clear()
    assert (lease.lost, lease.left()) == (None, TERM - 30)
    lease.renew()
    assert lease.left() == TERM


def test_the_background_renews_and_stops_what_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """While an apply runs the lock is renewed beside it; once it is lost the apply begins nothing more and ends 7."""
    monkeypatch.setattr("reconciler.provider.lease.RENEWAL_SECONDS", 0.001)
    world = World()
    plan = world.plan(everything())

    def progress(_result: object) -> None:
        if len(seen) == 3:
            locks_of(world).unlock(latest(world), "bob")
            assert stop.wait(30)
        seen.append(1)

    seen: list[int] = []
    stop = threading.Event()
    report = world.locked(plan, progress=progress, stop=stop, threads=1)
    assert report.ending is Ending.PARTLY
    assert isinstance(report.cause, ReconcilerError)
    assert (report.cause.exit_code, "released by bob" in report.cause.message) == (7, True)
    assert latest(world).by == "bob"
    assert not report.recorded
    assert world.locked(plan).recorded


def test_a_refusal_releases_the_lock() -> None:
    """A stale plan is refused with 5 and leaves the lock free (hashicorp/terraform#28693)."""
    world = World()
    world.locked(world.plan(simple()))
    plan = world.plan(simple("20"))
    world.dashboard.v1.products.update("acme_plan_pro", {"name": "Edited"})
    with pytest.raises(PlanRefusedError):
        world.locked(plan)
    assert (latest(world).generation, latest(world).released) == (2, True)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit, Killed])
def test_every_exception_releases_the_lock(error: type[BaseException], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever leaves the checks or the writes by force, the lock is released first."""
    world = World()
    plan = world.plan(simple())

    def broken(*_arguments: object) -> None:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr("reconciler.provider.executor.Preflight.check", broken)
        with pytest.raises(error):
            world.locked(plan)
    assert latest(world).released


def dies(world: World, plan: Plan, at: int, *, after: bool) -> Report | None:
    """Apply and die at a request; None where death came."""
    try:
        return world.locked(plan, transport=Mortal(world, at, after=after), threads=1)
    except Killed:
        return None


@REUSABLE
@pytest.mark.usefixtures("one_reader")
def test_death_at_any_request_is_healed(settings: Settings) -> None:
    """Dead at any request of an apply, before or after it: after a term the next apply takes over and is complete."""
    step = 1 if settings.deleted_id_reusable else 3
    for at in itertools.count(1, step):
        world = World(settings)
        plan = world.plan(simple())
        if dies(world, plan, at, after=at % 2 == 0) is not None:
            break
        world.clock.now += TERM
        report = world.locked(plan)
        assert (report.ending, report.recorded) == (Ending.COMPLETE, True), at
        assert (latest(world).released, actions(world.plan(simple()))) == (True, {}), at
        assert len(world.prices(active=True)) == 1
    assert at > 15


@pytest.fixture
def one_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let readers have one thread, so that requests are numbered alike in every run."""
    monkeypatch.setattr("reconciler.provider.reads.THREADS", 1)


def test_a_renewal_that_dies_leaves_what_expires() -> None:
    """Dead in a renewal, before or after it was carried out: the lock ends a term later at most."""
    for after in (False, True):
        world = World()
        mortal = Mortal(world, 0, after=after)
        connection = Connection(KEY, transport=mortal, rates=UNLIMITED)
        locks = Locks(Ports.of(connection, sleep=lambda _seconds: None), "acme", elapsed=world.clock)
        lease = locks.take(Holder("alice", "h", 1), "", locks.look())
        mortal.at = mortal.count + 1
        with pytest.raises(Killed):
            lease.renew()
        world.clock.now += TERM
        assert taken(world).lock.generation == 2


LOST_ANSWERS: dict[str, dict[str, Any]] = {
    "lost before": {"kind": "drop_before"},
    "lost after": {"kind": "drop_after"},
    "500 instead, remembered": {"kind": "error", "status": 500, "when": "instead"},
    "500 after, remembered": {"kind": "error", "status": 500, "when": "after"},
    "409": {"kind": "error", "status": 409, "when": "before"},
    "429": {"kind": "error", "status": 429, "code": "rate_limit", "when": "before"},
}


@pytest.mark.parametrize("name", LOST_ANSWERS)
@pytest.mark.parametrize("nth", ["first", "last"])
def test_a_lost_answer_is_read_back(name: str, nth: str) -> None:
    """A fault at the creation or the release of the lock never leaves it held by nobody, nor an apply without it."""
    world = World()
    plan = world.plan({"plans": {"bare": {"name": "Bare"}}})
    world.sandbox.faults.add(Fault(method="POST", nth=1 if nth == "first" else 3, **LOST_ANSWERS[name]))
    report = world.locked(plan)
    assert (report.ending, report.cause, report.recorded) == (Ending.COMPLETE, None, True)
    world.sandbox.faults.clear()
    assert (world.locks().holding, latest(world).generation) == (None, 1)


def test_a_release_that_never_succeeds_is_told() -> None:
    """Where the last request is never carried out, all is applied, the apply ends 7 and says until when it waits."""
    world = World()
    plan = world.plan({"plans": {"bare": {"name": "Bare"}}})
    world.sandbox.faults.add(Fault(method="POST", path="/v1/products/acme_lock_1", status=403, every=1))
    report = world.locked(plan)
    assert report.ending is Ending.COMPLETE
    assert isinstance(report.cause, ReconcilerError)
    assert (report.cause.code, report.cause.exit_code, report.recorded) == ("E0824", 7, False)
    assert "2027-01-01 00:10:00 UTC" in str(report.cause.remedy)


def test_the_files_that_are_applied_are_written_down_once() -> None:
    """Scenario a: an apply writes down its digests with its last request; the same files again write nothing at all."""
    world = World()
    plan = world.plan(simple())
    assert world.locked(plan).recorded
    applied = latest(world).applied
    assert applied is not None
    assert (applied.config_digest, applied.plan) == (plan.config_digest, plan.digest)
    assert world.propose(simple()).live.applied == applied
    world.sandbox.requests.clear()
    again = world.locked(world.plan(simple()))
    assert (again.ending, again.recorded, world.writes()) == (Ending.COMPLETE, False, [])


def test_other_files_without_a_change_at_stripe_are_written_down() -> None:
    """Where the files differ though nothing at Stripe does, an apply takes the lock and writes that down, no more."""
    world = World()
    world.locked(world.plan(simple()))
    limited = simple()
    limited["plans"]["pro"]["limits"] = [{"of": "*", "max": 10, "per": "minute", "kind": "rate"}]
    plan = world.plan(limited)
    assert actions(plan) == {}
    world.sandbox.requests.clear()
    assert world.locked(plan).recorded
    assert world.writes() == [("POST", "/v1/products"), ("POST", "/v1/products/acme_lock_2")]
    assert is_recorded(plan, latest(world).applied)


def test_what_was_applied_is_carried_on_by_those_that_fail() -> None:
    """An apply that is not whole leaves the record of the last one that was."""
    world = World()
    first = world.plan(simple())
    world.locked(first)
    world.sandbox.faults.add(Fault(method="POST", path="/v1/prices", status=403, every=1))
    assert world.locked(world.plan(simple("20"))).ending is not Ending.COMPLETE
    assert (latest(world).generation, is_recorded(first, latest(world).applied)) == (2, True)


def test_finding_the_lock_costs_the_same_after_many_applies() -> None:
    """However many applies there were, ten generations are kept and an apply sends as many requests as before."""
    world = World()
    costs = []
    for number in range(20):
        world.sandbox.requests.clear()
        plan = world.plan({"plans": {"bare": {"name": f"Bare {number}"}}})
        world.sandbox.requests.clear()
        world.locked(plan)
        costs.append(len(world.sandbox.requests))
    assert len(world.locks().locks) == KEPT
    assert len(set(costs[12:])) == 1
    assert latest(world).generation == 20


def test_a_hundred_archived_products_cost_nothing() -> None:
    """The latest generation is younger than what was archived before it, so one page finds it."""
    world = World()
    for number in range(101):
        world.dashboard.v1.products.create({"name": f"Old {number}", "active": False})
    world.locked(world.plan(simple()))
    world.sandbox.requests.clear()
    assert latest(world).generation == 1
    assert len(world.sandbox.requests) == 1


@REUSABLE
def test_deleted_locks_are_stepped_over(settings: Settings) -> None:
    """Where somebody deleted all locks, an apply still gets one, whether their ids may be used again or not."""
    world = World(settings)
    for number in range(5):
        world.locked(world.plan({"plans": {"bare": {"name": f"Bare {number}"}}}))
    for lock in world.locks().locks:
        world.dashboard.v1.products.delete(lock.id)
    assert world.locked(world.plan(simple())).recorded
    assert latest(world).released


def test_a_product_at_the_id_of_a_lock_is_stepped_over() -> None:
    """A product of somebody else's under the next id is neither taken for a lock nor touched."""
    world = World()
    world.dashboard.v1.products.create({"id": "acme_lock_1", "name": "Theirs"})
    assert world.locked(world.plan(simple())).recorded
    assert latest(world).generation == 2
    assert world.dashboard.v1.products.retrieve("acme_lock_1").name == "Theirs"


@REUSABLE
def test_one_that_was_stalled_before_creating_gives_way(settings: Settings) -> None:
    """Who looked, slept through twelve applies and creates what is deleted by now, finds the later ones and goes on."""
    world = World(settings)
    world.locked(world.plan(simple()))
    stalled = locks_of(world)
    seen = stalled.look()
    for number in range(12):
        world.locked(world.plan({"plans": {"bare": {"name": f"Bare {number}"}}}))
    holder = taken(world)
    with pytest.raises(LockedError) as caught:
        stalled.take(Holder("late", "h", 1), "", seen)
    assert "alice" in " ".join(caught.value.details)
    assert [lock.generation for lock in world.locks().locks if lock.is_held(world.clock.now)] == [14]
    holder.release()
    lease = stalled.take(Holder("late", "h", 1), "", seen)
    assert lease.lock.generation == 15


def test_namespaces_do_not_lock_each_other() -> None:
    """The lock of one namespace stops no apply of another, also where one name begins with the other."""
    world = World()
    taken(world)
    for namespace in ("acme2", "acme_lock", "acm"):
        connection = Connection(KEY, transport=world.sandbox.http_client(), rates=UNLIMITED)
        locks = Locks(Ports.of(connection), namespace)
        assert locks.take(Holder("bob", "h", 1), "", locks.look()).lock.generation == 1


@pytest.mark.parametrize(
    "metadata",
    [
        {"term": "soon"},
        {"term": "-1"},
        {"term": "9" * 400},
        {"state": "?"},
        {"token": ""},
        {"holder": "\x1b[31m"},
        {"applied": "yesterday"},
        {"config_digest": "<script>"},
    ],
    ids=lambda metadata: next(iter(metadata)) + json.dumps(next(iter(metadata.values())))[:6],
)
def test_a_spoiled_lock_is_held_and_ends(metadata: dict[str, str]) -> None:
    """What somebody writes into a lock neither frees it nor keeps it beyond a day, and nothing in it is believed."""
    product = {"id": "acme_lock_3", "created": START, "updated": START, "metadata": {MARK: "acme"} | metadata}
    lock = read_lock(product)
    assert lock is not None
    assert lock.is_held(START + 1)
    assert not lock.is_held(START + 86_400)
    assert lock.applied is None


def test_the_name_of_a_holder_is_short_and_without_secrets() -> None:
    """Names from the environment are cut, and a key that stands in one is not written to the account."""
    run = {"GITHUB_ACTOR": "sk_test_4eC39HqLyjWDarjtT1zdp7dc", "GITHUB_REPOSITORY": "a/b", "GITHUB_RUN_ID": "7"}
    named = this_run(run)
    assert "4eC39" not in str(named)
    assert "a/b run 7" in str(named)
    assert len(this_run({**run, "GITHUB_ACTOR": "x" * 500}).name) == 60
    assert re.fullmatch(r".+ on .+, process \d+", str(this_run({})))
