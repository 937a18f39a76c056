"""The lock on the command line: who is refused, who may free it, and what is said about it."""

import json
import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.planning.lock import TERM, Holder
from reconciler.planning.plan import content_digest, seal
from reconciler.provider.gateway import Connection
from reconciler.provider.limiter import UNLIMITED
from reconciler.provider.lock import Locks
from reconciler.provider.ports import Ports
from reconciler.resources.model import canonical_json
from reconciler.sandbox.server import Server

from .support import SIMPLE, STATE, Shell, dashboard, environment, process, write
from .test_apply import Terminal
from .test_signals import Gate, gate, start

__all__ = ["gate"]
LIMITED = SIMPLE + "    limits: [{of: '*', max: 10, per: minute, kind: rate}]\n"


def take(name: str = "alice") -> None:
    """Take the lock of the sandbox of the current directory, and keep it."""
    with dashboard() as sandbox:
        connection = Connection("sk_test_sandbox", transport=sandbox.http_client(), rates=UNLIMITED)
        locks = Locks(Ports.of(connection), "acme")
        locks.take(Holder(name, "build-7", 4121), "0" * 32, locks.look())


@pytest.fixture
def reached(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """Let commands of this process reach the gated sandbox."""
    monkeypatch.setenv("STRIPE_API_BASE", gate.url)
    monkeypatch.setenv("STRIPE_API_KEY", "sk_test_sandbox")
    return gate


def test_a_second_apply_is_refused_until_the_first_is_dead_and_its_term_over(reached: Gate, shell: Shell) -> None:
    """Scenario e with processes: 6 and the holder's name; after kill -9 and a term the next apply is complete."""
    write(SIMPLE)
    reached.path = "/v1/prices"
    first = start(reached, "apply", "--auto-approve")
    assert reached.entered.wait(30)
    second = shell("apply", "--auto-approve")
    assert second.code == 6
    assert f"process {first.pid}" in second.err
    assert "error[E0821] another apply holds the lock of namespace acme" in second.err
    first.kill()
    first.communicate()
    reached.opened.set()
    assert shell("apply", "--auto-approve").code == 6
    reached.clock.advance(TERM)
    third = shell("apply", "--auto-approve")
    assert (third.code, "Applied: " in third.out) == (0, True)
    assert shell("plan", "--detailed-exitcode").code == 0


def test_a_refusal_leaves_no_plan_behind(shell: Shell, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan made now is kept where there is something to resume; refused before its first write, it is removed."""
    kept = here / "temporary"
    kept.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(kept))
    write(SIMPLE)
    take()
    assert (shell.stored("apply", "--auto-approve").code, list(kept.iterdir())) == (6, [])


def test_the_refusal_names_the_command_that_frees_the_lock(shell: Shell) -> None:
    """The command in the help of a refusal, run as it stands, frees the lock for the next apply."""
    write(SIMPLE)
    take()
    refused = shell.stored("apply", "--auto-approve")
    assert refused.code == 6
    command = next(line for line in refused.err.splitlines() if "help:" in line).partition("free it: ")[2]
    assert command == f"reconciler unlock --sandbox={STATE} --generation=1"
    freed = shell(*shlex.split(command)[1:])
    assert (freed.code, "Generation 1 is free." in freed.out, "alice on build-7" in freed.out) == (0, True, True)
    assert shell.stored("apply", "--auto-approve").code == 0


@pytest.mark.parametrize(("typed", "code"), [("1", 0), ("yes", 1), ("", 1), ("2", 1)])
def test_unlocking_wants_the_number_typed(shell: Shell, monkeypatch: pytest.MonkeyPatch, typed: str, code: int) -> None:
    """Without the number on the command line the holder is shown and the number has to be typed."""
    write(SIMPLE)
    take()
    monkeypatch.setattr("sys.stdin", Terminal(f"{typed}\n"))
    assert shell.stored("unlock").code == code
    assert shell.stored("apply", "--auto-approve").code == (0 if code == 0 else 6)


def test_unlocking_hits_nobody_else(shell: Shell) -> None:
    """A number that does not hold the lock, no lock at all, and nobody to ask are refused with what to do."""
    write(SIMPLE)
    free = shell.stored("unlock", "--generation=1")
    assert (free.code, "E0825" in free.err) == (1, True)
    take()
    wrong = shell.stored("unlock", "--generation=2")
    assert (wrong.code, "E0826" in wrong.err) == (1, True)
    silent = shell.stored("unlock", "--no-input")
    assert (silent.code, "--generation=1" in silent.err) == (1, True)
    assert shell.stored("apply", "--auto-approve").code == 6


def test_status_tells_what_is_applied_and_who_applies(shell: Shell) -> None:
    """Nothing yet, then these files, then other files than those at hand; and the lock, free or held."""
    write(SIMPLE)
    assert "Last applied: nothing as a whole yet\nLock: free\n" in shell.stored("status").out
    shell.apply(SIMPLE)
    now = json.loads(shell.stored("status", "--format", "json").out)
    assert (now["current"], now["lock"], now["applied"]["config_digest"]) == (True, None, now["config_digest"])
    write(SIMPLE.replace("49.99", "59.99"))
    take("mallory\x1b[31m")
    text = shell.stored("status").out
    assert "not those at hand\n" in text
    assert "holder: mallory\\u{1b}[31m on build-7, process 4121" in text
    then = json.loads(shell.stored("status", "--format", "json").out)
    assert (then["current"], then["lock"]["generation"]) == (False, 2)


def test_doctor_finds_who_applies_and_who_died(shell: Shell) -> None:
    """The lock is free, then held, then left behind by an apply that died: each is told, none is a failure."""

    def found() -> list[str]:
        done = shell.stored("doctor", "--format", "json")
        assert done.code == 0, done.out
        return [
            each["verdict"] + " " + each["detail"] for each in json.loads(done.out)["checks"] if each["name"] == "lock"
        ]

    shell.apply(SIMPLE)
    assert found() == ["ok free"]
    take()
    assert [each.partition(" until ")[0] for each in found()] == ["warn held by alice on build-7, process 4121"]
    with dashboard() as sandbox:
        sandbox.client().v1.products.update("acme_lock_2", {"metadata": {"term": "0"}})
    assert [each.partition(" after ")[0] for each in found()] == [
        "warn the apply of alice on build-7, process 4121 died"
    ]


def test_files_that_change_nothing_at_stripe_are_written_down(shell: Shell) -> None:
    """They are asked about like any apply, written down once, and then nothing more is."""
    shell.apply(SIMPLE)
    write(LIMITED)
    assert "other files." in shell.stored("plan").err
    refused = shell.stored("apply")
    assert (refused.code, "--auto-approve" in refused.err) == (1, True)
    done = shell.stored("apply", "--auto-approve")
    assert (done.code, "Written down: these files are what is applied." in done.out) == (0, True)
    assert "these files." in shell.stored("plan").err
    again = shell.stored("apply")
    assert (again.code, "Written down" in again.out) == (0, False)


def test_a_saved_plan_without_changes_writes_down_once(shell: Shell) -> None:
    """The same holds for a plan file: applied a second time it writes nothing."""
    shell.apply(SIMPLE)
    write(LIMITED)
    shell.stored("plan", "--out", "plan.json")
    events = [json.loads(shell.stored("apply", "plan.json", "--format=jsonl").out.splitlines()[-1]) for _ in range(2)]
    assert [event["recorded"] for event in events] == [True, False]
    with dashboard() as sandbox:
        assert len(sandbox.client().v1.products.list({"active": False}).data) == 2


@pytest.mark.parametrize("key", ["", "a key of the pipeline"])
def test_without_the_files_only_a_sealed_plan_is_written_down(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    """A plan applied with --no-config says by itself which files it is of: believed only under a seal by key."""
    monkeypatch.setenv("RECONCILER_PLAN_KEY", key)
    write(SIMPLE)
    assert shell.stored("plan", "--out", "plan.json").code == 0
    if not key:
        content = json.loads(Path("plan.json").read_text())
        content |= {"actions": [], "bindings": {}, "changes": 0, "counts": {}}
        content["digest"] = content_digest(content)
        content["seal"] = seal(content, None)
        Path("plan.json").write_text(canonical_json(content) + "\n")
    assert shell.stored("apply", "plan.json", "--no-config").code == 0
    applied = json.loads(shell.stored("status", "--format", "json").out)["applied"]
    assert (applied is not None) is bool(key)
    assert shell.stored("apply", "--auto-approve").code == 0
    assert json.loads(shell.stored("status", "--format", "json").out)["current"] is True


def test_a_refused_apply_leaves_no_lock(shell: Shell) -> None:
    """A stale plan ends with 5, and the lock is free again."""
    shell.apply(SIMPLE)
    write(SIMPLE.replace("49.99", "59.99"))
    shell.stored("plan", "--out", "plan.json")
    with dashboard() as sandbox:
        sandbox.client().v1.products.update("acme_plan_pro", {"name": "Edited"})
    assert shell.stored("apply", "plan.json").code == 5
    assert shell.stored("status").out.endswith("Lock: free\n")


def test_a_broken_pipe_leaves_no_lock(shell: Shell) -> None:
    """A reader of stdout that goes away stops neither the apply nor the release."""
    write(SIMPLE)
    with Gate(STATE) as sandbox, Server(sandbox) as server:
        sandbox.opened.set()
        environ = environment(STRIPE_API_BASE=server.url, STRIPE_API_KEY="sk_test_sandbox")
        process("apply", "--auto-approve", "--format=jsonl", environ=environ, without="0<&- | true")
    assert shell.stored("status").out.endswith("Lock: free\n")
    assert Path(STATE).exists()
