"""Applying: confirmation, events, what is said when only a part happened, and how it is resumed."""

import io
import json
import os
import shlex
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.cli.applying import exit_code
from reconciler.cli.commands.apply import _check_read, _Request
from reconciler.cli.context import App
from reconciler.cli.options import AccountOptions, ConfigOptions
from reconciler.cli.planner import read
from reconciler.diagnostics import GuardRefusedError
from reconciler.planning.change import steps
from reconciler.provider.executor import Report
from reconciler.provider.gateway import Connection
from reconciler.provider.writes import Result, Status
from reconciler.sandbox import Fault, Sandbox
from reconciler.sandbox.server import Server

from .support import SIMPLE, STATE, Shell, dashboard, write


class Terminal(io.StringIO):
    """A stdin that is a terminal with somebody at it."""

    def isatty(self) -> bool:
        """Say that somebody can be asked."""
        return True


Typing = Callable[[str], None]


@pytest.fixture
def typing(monkeypatch: pytest.MonkeyPatch) -> Typing:
    """Make somebody type a line."""

    def answer(line: str) -> None:
        monkeypatch.setattr("sys.stdin", Terminal(line))

    return answer


def products() -> list[str]:
    """Return the names of the account's products that are sold, which locks are not."""
    with dashboard() as sandbox:
        return [product.name for product in sandbox.client().v1.products.list({"active": True}).data]


def test_yes_applies(shell: Shell, typing: Typing) -> None:
    """The plan is shown first, the question names account and mode, and yes applies it."""
    write(SIMPLE)
    typing("yes\n")
    done = shell.stored("apply")
    assert done.code == 0
    assert "+ plans.pro" in done.out
    assert "(test)" in done.out
    assert "in test mode? Type yes" in done.err
    assert done.out.endswith("Applied: 3/3 writes are done.\n")
    assert products() == ["Pro"]


@pytest.mark.parametrize("answer", ["no\n", "\n", "y\n", "YES\n", "yes please\n"])
def test_anything_else_does_not(shell: Shell, typing: Typing, answer: str) -> None:
    """Only the word itself applies."""
    write(SIMPLE)
    typing(answer)
    done = shell.stored("apply")
    assert (done.code, "Nothing was applied." in done.err) == (1, True)
    assert products() == []


def test_the_end_of_input_is_an_interrupt(shell: Shell, typing: Typing) -> None:
    """Ctrl-D at the question ends like Ctrl-C."""
    write(SIMPLE)
    typing("")
    assert shell.stored("apply").code == 130
    assert products() == []


def test_no_input_does_not_ask(shell: Shell, typing: Typing) -> None:
    """--no-input fails although somebody could be asked, and names the flag."""
    write(SIMPLE)
    typing("yes\n")
    done = shell.stored("apply", "--no-input")
    assert (done.code, "--auto-approve" in done.err) == (1, True)
    assert products() == []


@pytest.mark.parametrize(("answer", "expected"), [("acct_mine", True), ("yes", False), ("acct_mine2", False)])
def test_live_mode_wants_the_account_typed(shell: Shell, typing: Typing, answer: str, expected: bool) -> None:
    """In live mode the word to type is the account's id."""
    write(SIMPLE)
    shell.stored("plan", "--out", "plan.json")
    plan = read(Path("plan.json"))
    live = replace(plan, target=replace(plan.target, mode="live", account="acct_mine"))
    typing(f"{answer}\n")
    request = _Request(App(), ConfigOptions(), AccountOptions(), Connection("sk_test_x"), "text", None, None, ())
    assert request._confirmed(live) is expected


def test_live_mode_charges_nobody_unread(shell: Shell) -> None:
    """A live plan that charges somebody is typed in or was reviewed as a file; one that charges nobody is not."""
    tenants = "tenants: {acme: {name: Acme, plan: pro, subscription: {}}}\n"
    for more, refused in (("", False), (tenants.replace(", subscription: {}", ""), False), (tenants, True)):
        write(SIMPLE + more)
        shell.stored("plan", "--out", "plan.json")
        plan = read(Path("plan.json"))
        _check_read(plan)
        live = replace(plan, target=replace(plan.target, mode="live"))
        if refused:
            with pytest.raises(GuardRefusedError, match="nobody has read it"):
                _check_read(live)
        else:
            _check_read(live)


def test_nothing_to_do_asks_nothing(shell: Shell) -> None:
    """Where Stripe is as the files say, apply ends without a question."""
    shell.apply(SIMPLE)
    done = shell.stored("apply")
    assert (done.code, "No changes." in done.out) == (0, True)


def test_events_are_one_json_object_a_line(shell: Shell) -> None:
    """The form jsonl names what is planned, each write as it ends, and a summary with the exit code."""
    write(SIMPLE)
    done = shell.stored("apply", "--auto-approve", "--format", "jsonl")
    first, *events = [json.loads(line) for line in done.out.splitlines()]
    assert (first["type"], first["format"]) == ("version", "1.0")
    assert [event["type"] for event in events] == [
        *["planned_change"] * 2,
        "apply_start",
        *["apply_complete"] * 3,
        "change_summary",
    ]
    assert events[2]["writes"] == 3
    assert events[-1] == {
        "type": "change_summary",
        "ending": "complete",
        "total": 3,
        "applied": 3,
        "already": 0,
        "failed": 0,
        "skipped": 0,
        "recorded": True,
        "exit_code": 0,
    }


def test_a_plan_made_now_is_kept_only_while_it_is_needed(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A complete apply leaves no plan file behind but the one that --out names."""
    (tmp_path / "temp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temp"))
    shell.apply(SIMPLE)
    assert list((tmp_path / "temp").iterdir()) == []
    write(SIMPLE.replace("49.99", "59.99"))
    assert shell.stored("apply", "--auto-approve", "--out", "plan.json").code == 0
    assert Path("plan.json").stat().st_mode & 0o777 == 0o600


def test_a_plan_file_is_private_and_whole(shell: Shell) -> None:
    """A plan file is readable by its owner only, replaces an older one, and leaves no other file behind."""
    write(SIMPLE)
    Path("plan.json").write_text("older")
    shell.stored("plan", "--out", "plan.json")
    assert Path("plan.json").stat().st_mode & 0o777 == 0o600
    assert shell("show", "plan.json").code == 0
    assert {path.name for path in Path().iterdir() if "plan" in path.name} == {"plan.json"}


def test_a_plan_that_cannot_be_kept_is_not_applied(shell: Shell) -> None:
    """Where the plan file cannot be written nothing is written at Stripe either."""
    write(SIMPLE)
    done = shell.stored("apply", "--auto-approve", "--out", "missing/plan.json")
    assert (done.code, "E1004" in done.err) == (1, True)
    assert products() == []


@pytest.mark.parametrize("name", ["missing.json", "billing.d", "fifo"])
def test_a_plan_that_cannot_be_read_is_an_error(shell: Shell, name: str) -> None:
    """A missing file, a directory and a pipe are refused without waiting."""
    write(SIMPLE)
    os.mkfifo("fifo")
    assert shell("show", name).code == 1
    assert shell.stored("apply", name).code == 1


REFUSED = Fault(method="POST", path="/v1/prices", status=400, error_type="invalid_request_error", message="no\n::price")


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """Serve a sandbox that commands reach by STRIPE_API_BASE."""
    with Sandbox(STATE) as sandbox, Server(sandbox) as server:
        monkeypatch.setenv("STRIPE_API_BASE", server.url)
        monkeypatch.setenv("STRIPE_API_KEY", "sk_test_sandbox")
        yield sandbox


def test_a_partial_apply_is_told_and_resumed(shell: Shell, served: Sandbox) -> None:
    """A refused write ends with 7, names the write and what to run, and that command finishes the rest."""
    write(SIMPLE)
    served.faults.add(REFUSED)
    done = shell("apply", "--auto-approve")
    assert done.code == 7
    assert "failed: create plans.pro.prices.monthly: no\\n::price (request req_" in done.err
    assert "Partly applied: 1/3 writes are done." in done.out
    command = next(line for line in done.err.splitlines() if line.startswith("Resume with: reconciler "))
    served.faults.clear()
    resumed = shell(*shlex.split(command)[3:])
    assert (resumed.code, "Applied: 3/3 writes are done, 1 of them before." in resumed.out) == (0, True)
    assert shell("plan", "--detailed-exitcode").code == 0


def test_a_partial_apply_without_files_is_resumed_without(shell: Shell, served: Sandbox) -> None:
    """The command that finishes leaves the files out if they were left out, and allows what was allowed."""
    write(SIMPLE)
    assert shell("plan", "--out", "plan.json").code == 0
    Path("billing.d/all.yaml").unlink()
    served.faults.add(REFUSED)
    done = shell("apply", "plan.json", "--no-config", "--allow", "max_retired_percent")
    served.faults.clear()
    command = next(line for line in done.err.splitlines() if line.startswith("Resume with: reconciler "))
    assert command.endswith("apply plan.json --no-config --allow=max_retired_percent")
    assert shell(*shlex.split(command)[3:]).code == 0


def test_a_partial_apply_in_events(shell: Shell, served: Sandbox) -> None:
    """The form jsonl reports the refused write with Stripe's code and request id, and 7 in the summary."""
    write(SIMPLE)
    served.faults.add(REFUSED)
    done = shell("apply", "--auto-approve", "--format", "jsonl")
    events = [json.loads(line) for line in done.out.splitlines()]
    (errored,) = [event for event in events if event["type"] == "apply_errored"]
    assert (errored["address"], errored["status"]) == ("plans.pro.prices.monthly", "failed")
    assert errored["request_id"].startswith("req_")
    assert (events[-1]["ending"], events[-1]["exit_code"]) == ("partly applied", 7)


def test_an_apply_that_wrote_nothing_exits_1(shell: Shell, served: Sandbox) -> None:
    """Where the first write is refused nothing is written, and the exit code says error, not partly."""
    write(SIMPLE)
    served.faults.add(replace(REFUSED, path="*", nth=2))  # the first takes the lock
    done = shell("apply", "--auto-approve")
    assert (done.code, "Nothing was written: 0/3" in done.out) == (1, True)


def test_reading_that_fails_after_writes_is_partial(shell: Shell, served: Sandbox) -> None:
    """An account that cannot be read any more after the first writes ends with 7 and the way to go on."""
    shell("apply", "--auto-approve", "--config", str(write(SIMPLE).parent))
    write(SIMPLE.replace("49.99", "59.99"))
    served.faults.add(Fault(method="GET", path="/v1/products/*", status=403, error_type="invalid_request_error"))
    done = shell("apply", "--auto-approve")
    assert (done.code, "reconciler apply" in done.err) == (7, True)


def result(status: Status) -> Result:
    """Make a result of some write."""
    return Result(None, status)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("statuses", "total", "signalled", "expected"),
    [
        ([Status.APPLIED, Status.ALREADY], 2, None, 0),
        ([Status.APPLIED, Status.ALREADY], 2, 130, 0),
        ([Status.APPLIED], 2, None, 7),
        ([Status.APPLIED], 2, 130, 130),
        ([Status.UNCERTAIN], 2, 143, 143),
        ([Status.UNCERTAIN], 2, None, 7),
        ([Status.DIFFERS], 1, None, 7),
        ([], 2, 130, 130),
        ([], 2, 143, 143),
        ([Status.STALE], 2, None, 5),
        ([Status.FAILED], 2, None, 1),
        ([], 0, None, 0),
    ],
)
def test_the_exit_code_of_a_report(statuses: list[Status], total: int, signalled: int | None, expected: int) -> None:
    """A signal counts more than what it left undone; complete is complete whatever came in meanwhile."""
    assert exit_code(Report(total, [result(status) for status in statuses]), signalled) == expected


def test_progress_off_a_terminal_is_a_line_now_and_then(shell: Shell) -> None:
    """Without a terminal there is a line every hundred writes, and none with --quiet."""
    plans = {f"p{number}": {"name": f"Plan {number}"} for number in range(250)}
    write(json.dumps({"settings": {"namespace": "acme"}, "plans": plans}))
    done = shell("apply", "--auto-approve", "--sandbox")
    assert [line for line in done.err.splitlines() if line.endswith("writes")] == ["100/250 writes", "200/250 writes"]
    assert shell("apply", "--auto-approve", "--sandbox", "-q").err == ""


def test_the_number_of_writes_is_known_before(shell: Shell) -> None:
    """A plan's writes follow from its changes alone: one plan file, one number."""
    write(SIMPLE)
    shell.stored("plan", "--out", "plan.json")
    assert sum(len(steps(change)) for change in read(Path("plan.json")).changes) == 3


def test_an_apply_is_remembered(shell: Shell, here: Path) -> None:
    """With a history every apply that ends appends a line to it; one that cannot be appended to stops it before."""
    write(SIMPLE)
    assert shell.stored("apply", "--auto-approve", "--history", "no/such/folder.jsonl").code == 1
    assert not (here / "no").exists()
    assert "create" in shell.stored("plan").out
    for _ in range(2):
        assert shell.stored("apply", "--auto-approve", "--history", "history.jsonl").code == 0
    first, *rest = map(json.loads, Path("history.jsonl").read_text().splitlines())
    assert (first["ending"], first["changes"], first["mode"]) == ("complete", {"create": 2}, "test")
    assert [each["changes"] for each in rest] in ([], [{}])
