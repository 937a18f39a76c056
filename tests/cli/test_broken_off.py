"""Whatever ends an apply in its middle: what was done is told, with the way to go on, and nobody sees a traceback."""

import errno
import json
import shlex
from collections.abc import Callable
from typing import Any

import pytest

from reconciler.cli.output import Output
from reconciler.provider.writes import Writer

from .support import SIMPLE, Done, Shell, process, write

CAUSES = [RuntimeError("a bug\nin two lines"), MemoryError(), OSError(errno.ENOSPC, "No space left on device")]


def breaking(error: Exception, at: int, then: Callable[..., Any]) -> Callable[..., Any]:
    """Do the same as another function, but raise at the n-th call."""
    calls = 0

    def broken(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == at:
            raise error
        return then(*arguments, **options)

    return broken


def resumes(shell: Shell, done: Done) -> bool:
    """Run the command that the message ends with; tell whether nothing is left to do after it."""
    command = next(line for line in done.err.splitlines() if line.startswith("Resume with: reconciler "))
    return shell(*shlex.split(command)[3:]).code == 0 and shell.stored("plan", "--detailed-exitcode").code == 0


@pytest.mark.parametrize("error", CAUSES, ids=lambda error: type(error).__name__)
def test_a_write_that_breaks_is_told(shell: Shell, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """An unexpected exception in a write ends with 7, its name in one line, what was done, and how to go on."""
    write(SIMPLE)
    with monkeypatch.context() as patched:
        patched.setattr(Writer, "_send", breaking(error, 2, Writer._send))
        done = shell.stored("apply", "--auto-approve")
    assert done.code == 7
    assert "Partly applied: 1/3 writes are done." in done.out
    assert f"error[E1042] the apply was broken off by {type(error).__name__}" in done.err
    assert "uncertain: create plans.pro.prices.monthly" in done.err
    assert "Traceback" not in done.err
    assert resumes(shell, done)


def test_a_broken_first_write_is_uncertain(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception after the first request may have left something, so the code is 7, not 1."""
    write(SIMPLE)
    with monkeypatch.context() as patched:
        patched.setattr(Writer, "_ended", breaking(RuntimeError("x"), 1, Writer._ended))
        done = shell.stored("apply", "--auto-approve")
    assert (done.code, "0/3 writes are done" in done.out) == (7, True)
    assert resumes(shell, done)


def test_where_a_bug_is_can_be_seen(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """-vv shows where the exception came from."""
    write(SIMPLE)
    monkeypatch.setattr(Writer, "_send", breaking(RuntimeError("x"), 2, Writer._send))
    assert "Traceback" in shell.stored("apply", "--auto-approve", "-vv").err


@pytest.mark.parametrize("at", [5, 6])
def test_events_that_cannot_be_written_stop_the_apply(shell: Shell, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """Where stdout takes no more events nothing else is begun; what was done is kept and told on stderr."""
    write(SIMPLE)
    full = OSError(errno.ENOSPC, "No space left on device")
    with monkeypatch.context() as patched:
        patched.setattr(Output, "data", breaking(full, at, Output.data))
        done = shell.stored("apply", "--auto-approve", "--format", "jsonl")
    assert (done.code, "No space left on device" in done.err) == (7, True)
    summary = json.loads(done.out.splitlines()[-1])
    assert (summary["applied"], summary["exit_code"]) == (at - 4, 7)
    assert resumes(shell, done)


def test_a_summary_that_cannot_be_written_is_an_error(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where only the last line is lost everything is applied, and the code is 1: what was asked for did not come."""
    write(SIMPLE)
    full = OSError(errno.ENOSPC, "No space left on device")
    with monkeypatch.context() as patched:
        patched.setattr(Output, "data", breaking(full, 8, Output.data))
        done = shell.stored("apply", "--auto-approve", "--format", "jsonl")
    assert (done.code, "E1042" in done.err, "Resume" in done.err) == (1, True, False)
    assert shell.stored("plan", "--detailed-exitcode").code == 0


def test_a_full_disk_before_the_first_write(shell: Shell) -> None:
    """Where stdout takes nothing at all, nothing is written at Stripe."""
    write(SIMPLE)
    done = process("apply", "--auto-approve", "--sandbox=sandbox.db", "--format", "jsonl", without=">/dev/full")
    assert (done.code, "No space left" in done.err) == (1, True)
    assert shell.stored("plan", "--detailed-exitcode").code == 2


def test_a_full_disk_under_stderr_loses_no_apply() -> None:
    """Where stderr takes nothing the apply goes on, and the exit code tells."""
    write(json.dumps({"settings": {"namespace": "acme"}, "plans": {f"p{n}": {"name": "P"} for n in range(101)}}))
    done = process("apply", "--auto-approve", "--sandbox=sandbox.db", without="2>/dev/full")
    assert (done.code, "Applied: 101/101" in done.out) == (0, True)


def test_a_terminal_that_goes_away_loses_no_report(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """A progress bar that cannot be ended leaves the report as it is."""
    write(SIMPLE)

    class Leaving:
        def __enter__(self) -> Callable[[], None]:
            return lambda: None

        def __exit__(self, *_args: object) -> None:
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("reconciler.cli.applying.progress", lambda *_args: Leaving())
    done = shell.stored("apply", "--auto-approve")
    assert (done.code, "Applied: 3/3" in done.out, "Input/output error" in done.err) == (1, True, True)


def test_nothing_to_do_is_an_event(shell: Shell) -> None:
    """In the form jsonl an apply without changes writes its summary, from the files and from a saved plan alike."""
    shell.apply(SIMPLE)
    shell.stored("plan", "--out", "plan.json")
    for arguments in ((), ("plan.json",)):
        done = shell.stored("apply", *arguments, "--format", "jsonl")
        last = json.loads(done.out.splitlines()[-1])
        assert (done.code, last["type"], last["ending"], last["total"]) == (0, "change_summary", "complete", 0)
