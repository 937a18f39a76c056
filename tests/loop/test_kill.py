"""Scenario d with real processes: an apply that is killed at a write is finished by the next one."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.planning.plan import serialise
from reconciler.provider.executor import Ending
from reconciler.sandbox import Sandbox
from reconciler.sandbox.server import Server
from reconciler.sandbox.wire import Request, Response

from .samples import everything
from .test_crash import changed, settled
from .world import KEY, World

SCRIPT = """
import sys
from pathlib import Path
from reconciler.planning.planfile import parse_plan
from reconciler.provider.executor import Executor
from reconciler.provider.gateway import Connection, Gateway
from reconciler.provider.limiter import UNLIMITED
key, base, plan = sys.argv[1:]
print("ready", flush=True)
Executor(Gateway(Connection(key, base=base, rates=UNLIMITED))).apply(parse_plan(Path(plan).read_bytes()))
"""


class Deadly(Sandbox):
    """A sandbox whose n-th write kills the process that sent it, before or after carrying it out."""

    victim: subprocess.Popen[str] | None = None
    countdown = -1
    after = False

    def dispatch(self, request: Request) -> Response:
        """Carry a request out unless it is the deadly one."""
        if self.victim is None or request.method == "GET":
            return super().dispatch(request)
        self.countdown -= 1
        if self.countdown > 0:
            return super().dispatch(request)
        if self.countdown == 0:
            response = super().dispatch(request) if self.after else Response(500, {}, b"{}")
            os.kill(self.victim.pid, signal.SIGKILL)
            self.victim.wait()
            return response
        return Response(500, {}, b"{}")


def killed_at(at: int, path: Path, *, after: bool) -> bool:
    """Kill an apply at a write, finish it, and check the outcome; False where there are fewer writes."""
    world = World()
    world.sandbox = Deadly(clock=world.clock)
    world.dashboard._requestor._client = world.sandbox.http_client()
    world.apply(everything())
    plan = world.plan(changed())
    path.write_text(serialise(plan))
    with Server(world.sandbox) as server:
        command = [sys.executable, "-c", SCRIPT, KEY, server.url, str(path)]
        victim = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert victim.stdout is not None
        victim.stdout.readline()
        world.sandbox.countdown, world.sandbox.after, world.sandbox.victim = at, after, victim
        victim.communicate()
    world.sandbox.victim = None
    assert world.run(plan).ending is Ending.COMPLETE
    settled(world)
    return victim.returncode == -signal.SIGKILL


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", [1, 6, 11, 16, 21])
def test_a_killed_apply_is_finished(tmp_path: Path, at: int, after: bool) -> None:
    """A process killed with SIGKILL at a write leaves nothing that the same plan does not finish."""
    assert killed_at(at, tmp_path / "plan.json", after=after)


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_killed_apply_is_finished_at_every_write(tmp_path: Path, after: bool) -> None:
    """The same for every write of the plan."""
    at = 1
    while killed_at(at, tmp_path / "plan.json", after=after):
        at += 1
    assert at > 20
