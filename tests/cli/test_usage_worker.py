"""``usage worker`` in real processes: it sends until a signal, and says what it did and what it leaves behind."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from reconciler.entitlements import Entitlements
from reconciler.ledger import ledger as opening
from reconciler.provider.worker import UsageWorker
from reconciler.sandbox import Sandbox
from reconciler.sandbox.server import Server

from .support import Shell, dashboard, environment, write

FILES = """\
settings: {namespace: acme, currency: usd, default_meter: calls, default_plan: pro}
meters: {calls: {name: Calls}}
plans:
  pro:
    name: Pro
    usage: {calls: {included: 3, overage: {unit_amount: 0.25}}}
tenants:
  acme: {name: Acme, plan: pro}
"""
LEDGER = "sqlite:///usage.db"
EVENTS = ("POST", "/v1/billing/meter_events", 200)


@pytest.fixture
def used(shell: Shell) -> Shell:
    """Apply the files, and let a tenant use seven units two hours ago."""
    shell.apply(FILES)
    two_hours_ago = (int(time.time()) - 7200) * 10**6
    with Entitlements.open("billing.d", LEDGER, mode="direct", clock=lambda: two_hours_ago) as runtime:
        assert runtime.consume("acme", meter="calls", units={"calls": 7})
    return shell


@pytest.fixture
def served(used: Shell) -> Iterator[Server]:
    """Serve the account."""
    assert used
    with dashboard() as sandbox, Server(sandbox) as server:
        server.sandbox = sandbox  # type: ignore[attr-defined]
        yield server


def customer(sandbox: Sandbox, tenant: str) -> None:
    """Make the customer of a tenant that is not in the files."""
    mark = {"managed_by": "reconciler/acme", "address": f"tenants.{tenant}"}
    sandbox.client().v1.customers.create({"metadata": mark})


def start(server: Server, *more: str) -> "subprocess.Popen[str]":
    """Start a worker that comes every second."""
    environ = environment(STRIPE_API_BASE=server.url, STRIPE_API_KEY="sk_test_sandbox")
    command = [sys.executable, "-m", "reconciler", "usage", "worker", "--interval", "1", *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environ, text=True)


def test_a_worker_sends_until_a_signal_and_ends_well(served: Server) -> None:
    """What was used is sent within a round, each unit once; a signal ends it with 0, for nothing is left behind."""
    running = start(served, "--format", "jsonl")
    line = running.stdout.readline()
    assert (json.loads(line)["sent"], json.loads(line)["dead"]) == (1, [])
    running.send_signal(signal.SIGTERM)
    out, err = running.communicate(timeout=30)
    assert (running.returncode, "Stopping" in err, "Traceback" in err) == (0, True, False)
    assert all(json.loads(each)["sent"] == 0 for each in out.splitlines())
    assert list(served.sandbox.requests).count(EVENTS) == 1


@pytest.mark.soak
def test_workers_that_are_killed_leave_everything_to_the_next(served: Server) -> None:
    """SIGKILL after the units were sent loses nothing, and none of the workers that follow sends anything again."""
    for _ in range(3):
        running = start(served)
        end = time.monotonic() + 30
        while list(served.sandbox.requests).count(EVENTS) < 1:
            assert time.monotonic() < end
            time.sleep(0.02)
        running.kill()
        running.communicate(timeout=30)
    running = start(served)
    time.sleep(3)
    running.terminate()
    running.communicate(timeout=30)
    assert list(served.sandbox.requests).count(EVENTS) == 1


def test_a_worker_that_leaves_something_says_so(used: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Usage of a tenant without a customer waits, is told, and makes the exit code 7; once it is refused that is 1."""
    monkeypatch.setattr(UsageWorker, "run", lambda worker: worker._tell(worker.round()))
    two_hours_ago = (int(time.time()) - 7200) * 10**6
    with Entitlements.open("billing.d", LEDGER, mode="direct", clock=lambda: two_hours_ago) as runtime:
        assert runtime.consume("guest", meter="calls", units={"calls": 7})
    waits = used.stored("usage", "worker")
    assert waits.code == 7
    assert "1 export waiting for another try:\n  guest  calls" in waits.out
    assert "no Stripe customer of the tenant is known" in waits.out
    assert (used.stored("usage", "worker").out, used.stored("usage", "worker").code) == ("", 7)
    flushed = used.stored("usage", "flush")
    assert (flushed.code, "1 export waiting for a later try: see" in flushed.err) == (7, True)
    with dashboard() as sandbox:
        customer(sandbox, "guest")
        meters = sandbox.client().v1.billing.meters
        meters.deactivate(meters.list().data[0].id)
    monkeypatch.setattr(opening, "system_clock", lambda: int(time.time() + 7200) * 10**6)
    dead = used.stored("usage", "worker")
    assert (dead.code, "1 dead letter, kept until --again" in dead.out) == (1, True)
    silent = used.stored("usage", "worker")
    assert (silent.code, silent.out) == (1, "")
    flushed = used.stored("usage", "flush")
    assert (flushed.code, "1 dead letter from before" in flushed.err) == (1, True)


def test_an_interval_longer_than_half_the_draft_is_refused(shell: Shell) -> None:
    """An interval that could miss an invoice is refused before anything is read; a longer draft allows it."""
    write(FILES)
    done = shell("usage", "worker", "--interval", "1801", "--sandbox")
    assert (done.code, "E1034" in done.err, "too long" in done.err) == (64, True, True)
