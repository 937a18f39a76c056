"""Deaths between any two steps, workers that stall, many at once: the same final state, nothing twice, none lost."""

import contextlib
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from reconciler.entitlements.periods import SECOND
from reconciler.ledger.verify import verify
from reconciler.provider.gateway import Connection, Gateway
from reconciler.provider.limiter import UNLIMITED
from reconciler.provider.payments import Choice
from reconciler.provider.webhooks.fetch import Source
from reconciler.provider.webhooks.owner import Owner
from reconciler.sandbox.server import Server
from reconciler.service.hooks.inbox import HOLD
from reconciler.service.hooks.patrons import TERM
from reconciler.service.hooks.processor import Processor
from tests.cli.support import ROOT
from tests.ledger.databases import database
from tests.loop.world import KEY

from .hooks_world import Hooked

STEPS = ("claim", "learn", "lease", "read", "keep")


@pytest.fixture
def world() -> Iterator[Hooked]:
    """Lend an account with an inbox."""
    found = Hooked()
    yield found
    found.close()


class Death(BaseException):
    """The end of a process: nothing of it cleans up."""


def busy(world: Hooked) -> None:
    """Buy packs and a plan, and give some money back."""
    session = world.buy(pack="starter", quantity=2)
    world.stripe.v1.refunds.create({"payment_intent": session.payment_intent, "amount": 999})
    world.buy(plan="flat")


def recovered(world: Hooked) -> str:
    """Let a new process take over once the dead one's claims have run out, and return the state."""
    world.market.clock.now += 2 * HOLD // SECOND
    world.another().round()
    assert {hook.state for hook in world.inbox.listed(limit=1000)} == {"done", "ignored"}
    return repr(world.state())


class Mortal:
    """Dies at a point of its work: the ``n``-th request or transaction, before or after it had its effect."""

    def __init__(self, point: int) -> None:
        self.left = point
        self.points = 0

    def _point(self) -> None:
        self.points += 1
        self.left -= 1
        if self.left == 0:
            raise Death

    def around(self, work: Callable[..., Any]) -> Callable[..., Any]:
        """Return work that may be the last."""

        def done(*args: Any, **more: Any) -> Any:
            self._point()
            result = work(*args, **more)
            self._point()
            return result

        return done


def processor(world: Hooked, mortal: Mortal, patch: pytest.MonkeyPatch) -> Processor:
    """Return a processor whose every request and transaction may be its last."""
    transport = world.sandbox.http_client()
    patch.setattr(transport, "request", mortal.around(transport.request))
    store = world.ent.ledger.store
    patch.setattr(store, "alongside", mortal.around(store.alongside))
    source = Source(Gateway(Connection(KEY, transport=transport, rates=UNLIMITED)), Owner("acme", {}))
    return Processor(world.ent, source, world.inbox)


def test_a_death_at_any_point_changes_nothing_of_the_end(world: Hooked) -> None:
    """Killed before or after any request and any transaction, the next process comes to the same state."""
    busy(world)
    events, saved, then = world.fresh(), world.sandbox.state.save(), world.market.clock.now

    def killed(mortal: Mortal) -> str:
        world.ent.close()
        world.sandbox.state.load(saved)
        world.market.clock.now = then
        world.start()
        for event in events:
            world.receive(event)
        with pytest.MonkeyPatch.context() as patch, contextlib.suppress(Death):
            processor(world, mortal, patch).round()
        return recovered(world)

    unhurt = Mortal(0)
    wanted = killed(unhurt)
    assert unhurt.points > 50
    for point in range(1, unhurt.points + 1):
        assert killed(Mortal(point)) == wanted, point


@pytest.mark.parametrize("step", STEPS[1:])
def test_a_worker_that_stalls_keeps_nothing_stale(world: Hooked, step: str) -> None:
    """While one stands still at a step another works off the same, and the account goes on: what was read is old."""
    session = world.buy(pack="starter")
    world.deliver()
    stalled: list[str] = []

    def stall(name: str) -> None:
        if name == step and not stalled:
            stalled.append(name)
            world.market.clock.now += 2 * HOLD // SECOND
            assert world.another().round().done == 1
            assert world.credits() == 110
            world.stripe.v1.refunds.create({"payment_intent": session.payment_intent})
            world.deliver()
            world.another().round()
            assert world.credits() == 0

    world.another(stall).round()
    assert stalled
    assert world.credits() == 0
    assert {hook.state for hook in world.inbox.listed()} == {"done", "ignored"}


def test_two_customers_of_a_tenant_are_worked_on_by_one(world: Hooked) -> None:
    """Who read what one customer has before another of the same tenant changed keeps nothing of it, claimed or not."""
    pages = [
        world.market.desk.checkout("self", Choice(plan=plan), success_url="https://shop.example/ok", key=plan)
        for plan in ("pay", "flat")
    ]
    for page in pages:
        world.person.visit(page.url)
        world.person.pay()
        world.pass_days(0.1)
    one, two = (world.market.session(page.id).customer for page in pages)
    world.settle()
    (older,) = world.stripe.v1.subscriptions.list({"customer": one}).data
    (newer,) = world.stripe.v1.subscriptions.list({"customer": two}).data
    world.stripe.v1.subscriptions.update(older.id, {"metadata": {"note": "x"}})
    world.deliver()
    stalled: list[str] = []

    def stall(name: str) -> None:
        if name == "keep" and not stalled:
            stalled.append(name)
            world.market.clock.now += TERM // SECOND + 1
            world.stripe.v1.subscriptions.cancel(newer.id)
            world.deliver()
            assert world.another().round().done > 0
            assert world.ent.subscription("self").plan == "pay"  # type: ignore[union-attr]

    first = world.another(stall).round(1)
    assert (first.done, first.later, stalled) == (0, 1, ["keep"])
    assert world.ent.subscription("self").plan == "pay"  # type: ignore[union-attr]
    world.pass_days(0.1)
    world.another().round()
    assert world.ent.subscription("self").plan == "pay"  # type: ignore[union-attr]


def test_a_worker_that_dies_while_it_marks_leaves_one_customer(world: Hooked) -> None:
    """The customer that was chosen before the death is marked by whoever takes over, and no other."""
    world.buy(plan="flat")
    world.deliver()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reconciler.service.hooks.reading.mark_customer", lambda *_: (_ for _ in ()).throw(Death()))
        with pytest.raises(Death):
            world.processor.round()
    world.market.clock.now += 2 * HOLD // SECOND
    world.another().round()
    marked = [each for each in world.stripe.v1.customers.list({"limit": 100}).data if _is(each, "tenants.self")]
    assert len(marked) == 1


def _is(customer: Any, address: str) -> bool:
    return bool(customer.metadata and customer.metadata.to_dict().get("address") == address)


@pytest.mark.parametrize("kind", ["file", "postgres"])
def test_many_workers_at_once_grant_everything_once(kind: str, tmp_path: Any) -> None:
    """Four workers on one ledger share the events of three tenants: each purchase is granted once, each event done."""
    with database(kind, tmp_path) as url:
        world = Hooked(url)
        for tenant in ("self", "other", "third"):
            for _ in range(2):
                world.buy(tenant, pack="starter")
        world.buy("self", plan="flat")
        for event in world.fresh():
            world.receive(event)
            world.receive(event)

        def work() -> None:
            for _ in range(20):
                world.another().round()

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        world.market.clock.now += 2 * HOLD // SECOND
        world.another().round()
        assert [world.credits(tenant) for tenant in ("self", "other", "third")] == [220, 220, 220]
        assert {hook.state for hook in world.inbox.listed(limit=1000)} == {"done", "ignored"}
        world.close()


@contextlib.contextmanager
def worker(url: str, api: str) -> Iterator[subprocess.Popen[str]]:
    """Run a process that works an inbox off, and kill it in the end, as with ``kill -9``."""
    command = [sys.executable, "-m", "tests.service.hooks_worker", url, api]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["file", "postgres"])
def test_processes_that_are_killed_lose_nothing(kind: str, tmp_path: Any) -> None:
    """Two processes at a time are killed again and again while tenants buy and get money back: each unit is right."""
    draw = random.Random(7)
    with database(kind, tmp_path) as url:
        world = Hooked(url, ticking=True)
        wanted: dict[str, int] = {}
        with Server(world.sandbox, port=0) as server:
            for number in range(10):
                tenant, quantity = f"t{number % 5}", draw.randint(1, 3)
                session = world.buy(tenant, pack="starter", quantity=quantity)
                returned = draw.randint(0, quantity)
                if returned:
                    intent = {"payment_intent": session.payment_intent, "amount": 999 * returned}
                    world.stripe.v1.refunds.create(intent)
                wanted[tenant] = wanted.get(tenant, 0) + 110 * (quantity - returned)
                events = world.fresh()
                draw.shuffle(events)
                for event in [*events, *draw.sample(events, 2)]:
                    world.receive(event)
                with worker(url, server.url), worker(url, server.url):
                    time.sleep(draw.random() / 4)
            with worker(url, server.url):
                ends = time.monotonic() + 60
                while world.inbox.listed("pending") and time.monotonic() < ends:
                    time.sleep(0.1)
        assert {hook.state for hook in world.inbox.listed(limit=1000)} == {"done", "ignored"}
        assert {tenant: world.credits(tenant) for tenant in wanted} == wanted
        assert verify(world.ent.ledger.store) == []
        world.close()
