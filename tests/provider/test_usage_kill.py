"""Workers that are killed with SIGKILL between a request and its record, and two at once: every unit counts once."""

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.sandbox import Sandbox
from reconciler.sandbox.server import Server
from reconciler.sandbox.wire import Request, Response

from .usage_world import EVENTS, HOUR, KEY, UsageWorld, file_ledger

#: A worker of its own process; it shares nothing with us but the files and the address.
SCRIPT = """
import json, sys
from pathlib import Path
from reconciler.entitlements.policy import read_policy
from reconciler.ledger.ledger import open_ledger
from reconciler.provider.gateway import Connection, Gateway
from reconciler.provider.limiter import UNLIMITED
from reconciler.provider.retry import Backoff
from reconciler.provider.usage import UsageSender
base, key, ledger, policy, customers, now = sys.argv[1:]
books = open_ledger(ledger, "direct", lambda: int(now))
gateway = Gateway(Connection(key, base=base, rates=UNLIMITED), backoff=Backoff(tries=2, sleep=lambda seconds: None))
known = json.loads(Path(customers).read_text())
UsageSender(gateway, books.store, read_policy(Path(policy)), known.get, patient=False).flush()
books.close()
"""


class Deadly(Sandbox):
    """A sandbox whose n-th meter event kills the worker that sent it, before or after it is counted."""

    victim: subprocess.Popen[str] | None = None
    countdown = -1
    after = False
    deadly = EVENTS

    def dispatch(self, request: Request) -> Response:
        """Carry a request out unless it is the deadly one."""
        if self.victim is None or request.path != self.deadly:
            return super().dispatch(request)
        self.countdown -= 1
        if self.countdown > 0:
            return super().dispatch(request)
        if self.countdown < 0:
            return Response(500, {}, b"{}")
        response = super().dispatch(request) if self.after else Response(500, {}, b"{}")
        os.kill(self.victim.pid, signal.SIGKILL)
        self.victim.wait()
        return response


def worker(world: UsageWorld, base: str, folder: Path) -> subprocess.Popen[str]:
    """Start a worker."""
    policy, customers = folder / "policy.json", folder / "customers.json"
    policy.write_text(world.policy.dump())
    customers.write_text(json.dumps(world.customers))
    given = [base, KEY, world.url, str(policy), str(customers), str(world.clock.now)]
    return subprocess.Popen([sys.executable, "-c", SCRIPT, *given], stderr=subprocess.PIPE, text=True)


def used(world: UsageWorld, hours: int) -> int:
    """Let tenants use units for some hours, and hand them over; return how many exports that is."""
    for _ in range(hours):
        for number, tenant in enumerate("abc"):
            world.use(tenant, 5 + number)
            world.use(tenant, 70 + number, "tokens")
        world.clock.pass_by(HOUR)
    world.seal()
    return hours * 6


def dies(world: UsageWorld, folder: Path, at: int, *, after: bool) -> None:
    """Let a worker begin and be killed at an event."""
    assert isinstance(world.sandbox, Deadly)
    with Server(world.sandbox) as server:
        victim = worker(world, server.url, folder)
        world.sandbox.countdown, world.sandbox.after, world.sandbox.victim = at, after, victim
        _, complaint = victim.communicate()
        world.sandbox.victim = None
    assert victim.returncode == -signal.SIGKILL, complaint


def heals(world: UsageWorld, total: int, pause: int) -> None:
    """Send what is left, as often as it takes, once the dead worker's time is over, and compare both sides."""
    for _ in range(8):
        world.clock.pass_by(pause)
        world.flush(tries=2)
    assert world.states() == {"sent": total}
    world.agree()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("pause", [16 * 60, 26 * HOUR], ids=["soon", "after-a-day"])
def test_a_killed_worker_loses_and_doubles_nothing(tmp_path: Path, pause: int, *, after: bool) -> None:
    """Whatever a worker had sent when it was killed, the next one finds out, by identifier or by the summaries."""
    with UsageWorld(ledger=file_ledger(tmp_path), kind=Deadly) as world:
        total = used(world, 2)
        dies(world, tmp_path, random.Random(pause).randrange(1, total), after=after)
        assert any(export.doubt for export in world.exports())
        heals(world, total, pause)


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(60))
def test_workers_killed_one_after_the_other(tmp_path: Path, seed: int) -> None:
    """Five workers die at random events, minutes or days apart, while tenants go on using."""
    draw = random.Random(seed)
    with UsageWorld(ledger=file_ledger(tmp_path), kind=Deadly) as world:
        total = 0
        for _ in range(5):
            total += used(world, 1)
            dies(world, tmp_path, draw.randrange(1, 6), after=draw.random() < 0.5)
            world.clock.pass_by(draw.choice((16 * 60, HOUR, 26 * HOUR)))
        heals(world, total, 2 * HOUR)


def test_two_processes_at_once(tmp_path: Path) -> None:
    """Two workers of their own processes share one outbox: each export is sent by one of them, once."""
    with UsageWorld(ledger=file_ledger(tmp_path)) as world:
        total = used(world, 4)
        with Server(world.sandbox) as server:
            workers = [worker(world, server.url, tmp_path) for _ in range(2)]
            complaints = [each.communicate()[1] for each in workers]
        assert ([each.returncode for each in workers], complaints) == ([0, 0], ["", ""])
        assert world.states() == {"sent": total}
        assert world.posts() == [200] * total
        world.agree()
