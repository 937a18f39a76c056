"""Scenario d with real processes: an apply that is killed at a write is finished by the next one."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.planning.plan import serialise
from reconciler.sandbox import Sandbox, Settings
from reconciler.sandbox.server import Server
from reconciler.sandbox.wire import Request, Response

from .conftest import label, variants
from .deaths import Death, Prepared
from .world import KEY

SCRIPT = """
import sys
from pathlib import Path
from reconciler.planning.planfile import parse_plan
from reconciler.provider.executor import Executor
from reconciler.provider.gateway import Connection, Gateway
from reconciler.provider.limiter import UNLIMITED
class Kept:
    def expect(self, address):
        pass
    def keep(self, address, secret):
        pass
key, base, plan = sys.argv[1:]
print("ready", flush=True)
gateway = Gateway(Connection(key, base=base, rates=UNLIMITED))
Executor(gateway, keeper=Kept()).apply(parse_plan(Path(plan).read_bytes()))
"""
#: Settings that a process dies under in every run; all of them in the long one.
SOME = random.Random("kill").sample(variants()[1:], 3)


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


def survives(prepared: Prepared, death: Death, path: Path) -> None:
    """Kill an apply to a copy of the account at a write, and check that it is healed."""
    path.write_text(serialise(prepared.plan))
    with prepared.world(Deadly) as world:
        assert isinstance(world.sandbox, Deadly)
        with Server(world.sandbox) as server:
            command = [sys.executable, "-c", SCRIPT, KEY, server.url, str(path)]
            victim = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            assert victim.stdout is not None
            victim.stdout.readline()
            world.sandbox.countdown, world.sandbox.after, world.sandbox.victim = death.at, death.after, victim
            _, complaint = victim.communicate()
        world.sandbox.victim = None
        assert victim.returncode == -signal.SIGKILL, (death, complaint)
        prepared.heal(world, death)


def test_a_killed_apply_is_finished(tmp_path: Path) -> None:
    """A process killed with SIGKILL at a write leaves nothing that the same plan or a new one does not finish."""
    prepared = Prepared(tmp_path, Settings())
    for death in prepared.some_deaths(5):
        survives(prepared, death, tmp_path / "plan.json")


@pytest.mark.parametrize("settings", SOME, ids=label)
def test_a_killed_apply_is_finished_under_some_settings(tmp_path: Path, settings: Settings) -> None:
    """The same holds however the open points of Stripe turn out."""
    prepared = Prepared(tmp_path, settings)
    for death in prepared.some_deaths(1):
        survives(prepared, death, tmp_path / "plan.json")


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_killed_apply_is_finished_at_every_write(tmp_path: Path) -> None:
    """The same for every write of the plan, on one side of it or the other, healed by either plan."""
    prepared = Prepared(tmp_path, Settings())
    for death in prepared.one_death_a_write():
        survives(prepared, death, tmp_path / "plan.json")


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("settings", variants(), ids=label)
def test_a_killed_apply_is_finished_under_every_setting(tmp_path: Path, settings: Settings) -> None:
    """The same for some writes under each setting."""
    prepared = Prepared(tmp_path, settings)
    for death in prepared.some_deaths(4):
        survives(prepared, death, tmp_path / "plan.json")
