"""Signals, in a real process: what is in flight is finished, what was done is said, the second signal ends at once."""

import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from reconciler.sandbox import Response, Sandbox
from reconciler.sandbox.server import Server

from .support import SIMPLE, STATE, Shell, environment, process, write

LIMITED = b'{"error": {"type": "invalid_request_error", "code": "rate_limit", "message": "Slow down."}}'
SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]


class Gate(Sandbox):
    """A sandbox that holds requests of one method until the test lets them go, or asks for a pause instead."""

    method, path = "POST", "/v1/"
    pause: int | None = None
    _entered: threading.Event
    _open: threading.Event

    def __init__(self, state: str) -> None:
        super().__init__(state)
        self.entered, self.opened = threading.Event(), threading.Event()

    def dispatch(self, request: Any) -> Any:
        """Answer a request, a held one when the gate is opened."""
        if request.method == self.method and request.path.startswith(self.path):
            self.entered.set()
            assert self.opened.wait(30)
            if self.pause is not None:
                return Response(429, {"content-type": "application/json", "retry-after": str(self.pause)}, LIMITED)
        return super().dispatch(request)


@pytest.fixture
def gate() -> Iterator[Gate]:
    """Serve a sandbox with a gate."""
    with Gate(STATE) as sandbox, Server(sandbox) as server:
        sandbox.url = server.url
        yield sandbox
        sandbox.opened.set()


@pytest.fixture(autouse=True)
def _interrupts_are_heard() -> Iterator[None]:
    """Let children hear SIGINT: what runs in the background of a shell ignores it, and its children inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def start(gate: Gate, *arguments: str) -> "subprocess.Popen[str]":
    """Start a command against the gate."""
    environ = environment(STRIPE_API_BASE=gate.url, STRIPE_API_KEY="sk_test_sandbox")
    return subprocess.Popen(
        [sys.executable, "-m", "reconciler", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environ,
        text=True,
    )


def say_until(running: "subprocess.Popen[str]", words: str) -> str:
    """Read stderr up to a line with these words."""
    seen = ""
    while words not in seen:
        line = running.stderr.readline()
        assert line, seen
        seen += line
    return seen


@pytest.mark.parametrize(("number", "code"), SIGNALS[:2])
def test_the_first_signal_finishes_what_is_in_flight(gate: Gate, shell: Shell, number: int, code: int) -> None:
    """A signal lets a running write end, stops before the next, exits with its own code, and says how to go on."""
    write(SIMPLE)
    gate.path = "/v1/prices"
    running = start(gate, "apply", "--auto-approve")
    assert gate.entered.wait(30)
    running.send_signal(number)
    said = say_until(running, "Stopping")
    gate.opened.set()
    out, err = running.communicate(timeout=30)
    assert running.returncode == code
    assert "Partly applied: 2/3 writes are done." in out
    command = next(line for line in (said + err).splitlines() if line.startswith("Resume with: reconciler "))
    resumed = shell.stored(*shlex.split(command)[3:])
    assert (resumed.code, "3/3" in resumed.out) == (0, True)


def test_the_second_signal_ends_at_once(gate: Gate) -> None:
    """A second Ctrl-C does not wait for what is in flight, says that it may have been done, and exits with 130."""
    write(SIMPLE)
    running = start(gate, "apply", "--auto-approve")
    assert gate.entered.wait(30)
    running.send_signal(signal.SIGINT)
    say_until(running, "Stopping")
    running.send_signal(signal.SIGINT)
    _out, err = running.communicate(timeout=30)
    assert running.returncode == 130
    assert "Stopped at once" in err
    assert "Resume with: reconciler apply" in err


@pytest.mark.parametrize(("number", "code"), SIGNALS)
@pytest.mark.parametrize("arguments", [("plan",), ("apply", "plan.json")], ids=["plan", "apply"])
def test_a_signal_before_the_first_write(
    gate: Gate, shell: Shell, arguments: tuple[str, ...], number: int, code: int
) -> None:
    """A signal while the account is read ends with its own code; nothing was made, and no lock is left behind."""
    write(SIMPLE)
    assert shell.stored("plan", "--out", "plan.json").code == 0
    gate.method, gate.path = "GET", "/v1/prices"
    running = start(gate, *arguments)
    assert gate.entered.wait(30)
    running.send_signal(number)
    threading.Timer(0.5, gate.opened.set).start()
    running.communicate(timeout=30)
    assert running.returncode == code
    assert gate.client().v1.products.list({"active": True}).data == []
    assert all(lock.metadata["state"] == "released" for lock in gate.client().v1.products.list().data)


@pytest.mark.parametrize(
    ("method", "path", "arguments", "number", "code"),
    [
        ("POST", "/v1/prices", ("apply", "--auto-approve"), *SIGNALS[0]),
        ("POST", "/v1/prices", ("apply", "--auto-approve"), *SIGNALS[1]),
        ("GET", "/v1/prices", ("plan",), *SIGNALS[0]),
        ("GET", "/v1/", ("plan",), *SIGNALS[1]),
    ],
    ids=["write-int", "write-term", "read-int", "first-read-term"],
)
def test_a_signal_ends_a_wait(
    gate: Gate, method: str, path: str, arguments: tuple[str, ...], number: int, code: int
) -> None:
    """A signal while Stripe has asked for a pause of 100 seconds does not wait for its end."""
    write(SIMPLE)
    gate.opened.set()
    gate.method, gate.path, gate.pause = method, path, 100
    running = start(gate, *arguments)
    assert gate.entered.wait(30)
    time.sleep(0.3)
    running.send_signal(number)
    out, err = running.communicate(timeout=30)
    assert running.returncode == code
    assert "Traceback" not in err
    if arguments[0] == "apply":
        assert "Partly applied: 1/3 writes are done." in out
        assert "Resume with: reconciler apply" in err


def test_a_signal_while_an_apply_is_checked(gate: Gate, shell: Shell) -> None:
    """A signal in a pause before the first write ends with its code; nothing was written, and that is said."""
    write(SIMPLE)
    shell.stored("plan", "--out", "plan.json")
    gate.opened.set()
    gate.method, gate.path, gate.pause = "GET", "/v1/prices", 100
    running = start(gate, "apply", "plan.json")
    assert gate.entered.wait(30)
    time.sleep(0.3)
    running.send_signal(signal.SIGTERM)
    out, err = running.communicate(timeout=30)
    assert running.returncode == 143
    assert "Nothing was written: 0/3 writes are done." in out
    assert "Resume with: reconciler apply plan.json" in err


@pytest.mark.parametrize(("number", "code"), SIGNALS[:2])
def test_the_server_ends_by_signal(number: int, code: int) -> None:
    """The sandbox server says where it is, in lines for a shell, and ends quietly with the signal's code."""
    running = subprocess.Popen(
        [sys.executable, "-m", "reconciler", "sandbox", "-q"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        text=True,
    )
    lines = [running.stdout.readline() for _ in range(2)]
    assert lines[0].startswith("export STRIPE_API_BASE=http://127.0.0.1:")
    assert lines[1] == "export STRIPE_API_KEY=sk_test_sandbox\n"
    environ = environment(STRIPE_API_BASE=lines[0].strip().partition("=")[2], STRIPE_API_KEY="sk_test_sandbox")
    write(SIMPLE)
    assert process("apply", "--auto-approve", environ=environ).code == 0
    running.send_signal(number)
    _out, err = running.communicate(timeout=30)
    assert running.returncode == code
    assert "Traceback" not in err
