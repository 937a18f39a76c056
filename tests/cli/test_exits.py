"""Exit codes: each has one meaning, and every meaning is reached by the command that can mean it."""

from pathlib import Path

import click
import pytest

from reconciler.cli import main as entry
from reconciler.config.catalog import Catalog
from reconciler.diagnostics import LockedError
from reconciler.provider.gateway import Gateway

from .support import SIMPLE, STATE, Shell, dashboard, process, write

USAGE = [
    (),
    ("plna",),
    ("--bogus",),
    ("plan", "--bogus"),
    ("plan", "extra"),
    ("plan", "--format", "xml"),
    ("show",),
    ("completion",),
    ("completion", "tcsh"),
    ("apply", "--expect-changes", "many"),
    ("apply", "--no-config", "--sandbox"),
    ("apply", "plan.json", "--out", "other.json"),
    ("plan",),
    ("plan", "--sandbox", "--api-base", "http://127.0.0.1:1"),
    ("schema", "bogus"),
    ("schema", "plan", "--check"),
    ("explain", "E9999"),
    ("sandbox", "--set", "bogus=true"),
    ("sandbox", "--set", "bogus"),
    ("sandbox", "--fault", "nth=third"),
    ("sandbox", "--port", "70000"),
    ("init", "--template", "bogus"),
]


@pytest.mark.parametrize("arguments", USAGE, ids=lambda arguments: " ".join(arguments) or "nothing")
def test_a_wrong_command_line_exits_64(shell: Shell, arguments: tuple[str, ...]) -> None:
    """Whatever is wrong with a command line ends with 64, says so on stderr, and writes no data."""
    write(SIMPLE)
    done = shell(*arguments)
    assert done.code == 64
    assert done.err
    assert done.out == ""


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("plan", "--help"), ("explain", "E0121")])
def test_a_right_command_line_exits_0(shell: Shell, arguments: tuple[str, ...]) -> None:
    """The control of the refusals above: help, version and explanations go to stdout with 0."""
    done = shell(*arguments)
    assert done.code == 0
    assert done.out
    assert done.err == ""


@pytest.mark.parametrize("command", ["validate", "plan", "apply", "drift"])
def test_invalid_files_exit_3(shell: Shell, command: str) -> None:
    """Every command that reads the files ends with 3 where they are wrong, naming file, line and code."""
    write(SIMPLE.replace("name:", "nmae:"))
    done = shell(command) if command == "validate" else shell.stored(command)
    assert done.code == 3
    assert "billing.d/all.yaml:4:5: error[E02" in done.out + done.err


def test_no_files_exit_3(shell: Shell) -> None:
    """Where there is no configuration the message names the command that writes one."""
    done = shell("validate")
    assert done.code == 3
    assert "reconciler init" in done.err


def test_what_only_the_account_knows_exits_3(shell: Shell) -> None:
    """A key that another object holds is shown like any other problem of the files."""
    shell.apply(SIMPLE)
    write(
        SIMPLE.replace("namespace: acme", "namespace: other").replace(
            "name: Pro", "name: Pro\n    stripe_id: acme_plan_pro"
        )
    )
    done = shell.stored("plan")
    assert done.code == 3
    assert "billing.d/all.yaml:3:3: error[E0701]" in done.err
    assert done.out == ""


def test_a_guard_exits_4_until_it_is_allowed(shell: Shell) -> None:
    """A guarded change is shown by plan, refused by apply with the word that allows it, and applied with that word."""
    guarded = SIMPLE + "guards: {protected: [plans.pro]}\n"
    shell.apply(guarded)
    write(guarded.replace("49.99", "59.99"))
    planned = shell.stored("plan")
    assert planned.code == 0
    assert "(--allow=protected:plans.pro.prices.monthly)" in planned.out
    refused = shell.stored("apply", "--auto-approve")
    assert refused.code == 4
    assert "--allow=protected:plans.pro.prices.monthly" in refused.err
    assert shell.stored("apply", "--auto-approve", "--allow", "protected:plans.pro.prices.monthly").code == 0


def test_an_address_lifts_one_guard_only(shell: Shell) -> None:
    """Where two guards speak for an address, the address alone allows nothing, and the message names both words."""
    guarded = SIMPLE + "guards: {protected: [plans.pro], max_price_rise_percent: 5}\n"
    shell.apply(guarded)
    write(guarded.replace("49.99", "59.99"))
    price = "plans.pro.prices.monthly"
    refused = shell.stored("apply", "--auto-approve", f"--allow={price}")
    assert refused.code == 4
    words = [f"protected:{price}", f"max_price_rise_percent:{price}"]
    assert all(f"--allow={word}" in refused.err for word in words)
    assert shell.stored("apply", "--auto-approve", *(f"--allow={word}" for word in words)).code == 0


def test_another_number_of_changes_exits_4(shell: Shell) -> None:
    """--expect-changes refuses a plan of another size and lets one of that size through."""
    write(SIMPLE)
    assert shell.stored("apply", "--auto-approve", "--expect-changes", "3").code == 4
    assert shell.stored("apply", "--auto-approve", "--expect-changes", "2").code == 0


def test_a_stale_plan_exits_5(shell: Shell) -> None:
    """A plan whose object was changed meanwhile is refused by name; an untouched one is applied."""
    shell.apply(SIMPLE)
    write(SIMPLE.replace("49.99", "59.99"))
    shell.stored("plan", "--out", "plan.json")
    with dashboard() as sandbox:
        sandbox.client().v1.products.update("acme_plan_pro", {"name": "Edited"})
    stale = shell.stored("apply", "plan.json")
    assert (stale.code, "plans.pro" in stale.err) == (5, True)
    with dashboard() as sandbox:
        sandbox.client().v1.products.update("acme_plan_pro", {"name": "Pro"})
    assert shell.stored("apply", "plan.json").code == 0


def test_an_altered_plan_exits_5(shell: Shell) -> None:
    """A plan file with one changed digit is neither shown nor applied; as it was written it is both."""
    write(SIMPLE)
    shell.stored("plan", "--out", "plan.json")
    whole = Path("plan.json").read_text()
    Path("plan.json").write_text(whole.replace("4999", "1999"))
    assert shell("show", "plan.json").code == 5
    assert shell.stored("apply", "plan.json").code == 5
    Path("plan.json").write_text(whole)
    assert shell("show", "plan.json").code == 0
    assert shell.stored("apply", "plan.json").code == 0


def test_a_plan_from_other_files_exits_5(shell: Shell) -> None:
    """A plan is refused where the files have moved on, unless the comparison is left out by name."""
    write(SIMPLE)
    shell.stored("plan", "--out", "plan.json")
    write(SIMPLE.replace("49.99", "59.99"))
    assert shell.stored("apply", "plan.json").code == 5
    assert shell.stored("apply", "plan.json", "--no-config").code == 0


def test_a_sealed_plan_needs_its_key(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan sealed with RECONCILER_PLAN_KEY is refused with another key or none, and taken with that key."""
    write(SIMPLE)
    monkeypatch.setenv("RECONCILER_PLAN_KEY", "one")
    shell.stored("plan", "--out", "plan.json")
    monkeypatch.setenv("RECONCILER_PLAN_KEY", "two")
    assert shell("show", "plan.json").code == 5
    monkeypatch.delenv("RECONCILER_PLAN_KEY")
    assert shell("show", "plan.json").code == 5
    monkeypatch.setenv("RECONCILER_PLAN_KEY", "one")
    assert shell("show", "plan.json").code == 0


@pytest.mark.parametrize("command", ["plan", "drift"])
def test_what_only_reads_is_given_what_cannot_write(
    shell: Shell, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A planner gone wrong that writes is stopped by the transport it is given, and nothing is at Stripe."""

    def writes(_catalog: Catalog, gateway: Gateway, **_more: object) -> None:
        gateway.post("/v1/products", {"name": "x"}, "key")

    write(SIMPLE)
    assert shell.stored(command).code == 0
    monkeypatch.setattr("reconciler.cli.planner.propose", writes)
    stopped = shell.stored(command)
    assert (stopped.code, "E0901" in stopped.err) == (1, True)
    with dashboard() as sandbox:
        assert sandbox.client().v1.products.list().data == []


@pytest.mark.parametrize("command", ["plan", "drift"])
def test_detailed_exit_codes(shell: Shell, command: str) -> None:
    """With --detailed-exitcode 2 means changes and 0 means none; without it both are 0."""
    write(SIMPLE)
    assert shell.stored(command, "--detailed-exitcode").code == 2
    assert shell.stored(command).code == 0
    shell.apply(SIMPLE)
    assert shell.stored(command, "--detailed-exitcode").code == 0


def fail_with(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make ``explain`` raise."""

    @click.command("explain")
    def command() -> None:
        raise error

    monkeypatch.setattr("reconciler.cli.commands.explain.command", command)


def test_a_held_lock_exits_6(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error about the lock ends with 6 and names the holder."""
    fail_with(LockedError("E0811", "the lock is held by ci-7"), monkeypatch)
    done = shell("explain")
    assert (done.code, "ci-7" in done.err) == (6, True)


def test_a_bug_is_one_line(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unexpected exception is one line with the path of a report; neither holds a secret."""
    secret = "sk_" + "live_" + "abcdefgh12345678"
    fail_with(RuntimeError(f"unexpected {secret}"), monkeypatch)
    done = shell("explain")
    assert done.code == 1
    assert done.err.startswith("this is a bug: RuntimeError: unexpected sk_live_***")
    assert done.err.count("\n") == 1
    report = Path(done.err.rsplit(" ", 1)[1].rstrip(")\n"))
    text = report.read_text()
    report.unlink()
    assert "Traceback" in text
    assert secret not in text


def test_a_traceback_is_shown_when_asked_for(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """-vv shows the whole traceback; fewer do not."""
    fail_with(RuntimeError("unexpected"), monkeypatch)
    assert "Traceback" in shell("-vv", "explain").err
    assert "Traceback" not in shell("-v", "explain").err


def test_an_interrupt_exits_130(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while nothing was written ends with 130."""
    fail_with(KeyboardInterrupt(), monkeypatch)
    assert shell("explain").code == 130


def test_every_command_of_the_overview_loads() -> None:
    """The overview is written without loading commands, so each name in it must be one that loads and helps."""
    for name in entry.COMMANDS:
        command = entry.cli.get_command(click.Context(entry.cli), name)
        assert command is not None
        assert command.name == name
        assert command.get_short_help_str(200)


def test_the_state_is_untouched_by_a_refused_apply(shell: Shell) -> None:
    """An apply nobody can confirm writes nothing and names the ways out."""
    write(SIMPLE)
    done = shell.stored("apply")
    assert done.code == 1
    assert "--auto-approve" in done.err
    with dashboard() as sandbox:
        assert sandbox.client().v1.products.list().data == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("validate",),
        ("schema",),
        ("plan", f"--sandbox={STATE}"),
        ("show", "plan.json"),
        ("apply", "plan.json", f"--sandbox={STATE}"),
        ("drift", f"--sandbox={STATE}"),
        ("doctor", f"--sandbox={STATE}"),
        ("explain",),
        ("completion", "bash"),
        ("init", "elsewhere"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_commands_work_with_stdin_closed(shell: Shell, arguments: tuple[str, ...]) -> None:
    """No command that needs no answer minds that stdin is closed."""
    write(SIMPLE)
    shell.stored("plan", "--out", "plan.json")
    done = process("-q", *arguments)
    assert done.code == 0, done.err
    assert done.out
    assert done.err == ""
