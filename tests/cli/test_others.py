"""init, schema, explain, completion, doctor, sandbox, demo."""

import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import stripe

from reconciler.cli.commands.init import TEMPLATES
from reconciler.cli.main import COMMANDS
from reconciler.cli.schemas import all_schemas
from reconciler.diagnostics.codes import EXPLANATIONS, command
from reconciler.provider.gateway import Connection
from reconciler.provider.health import Verdict, examine
from reconciler.provider.limiter import UNLIMITED
from reconciler.sandbox import Fault, Sandbox

from .support import ROOT, SIMPLE, STATE, Shell, environment, process, write


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_is_valid_and_applies(shell: Shell, template: str) -> None:
    """Every template validates without a warning, applies to the sandbox, and leaves nothing to do.

    The one with a contract is refused until contracts are allowed.
    """
    assert shell("init", "--template", template).code == 0
    validated = shell("validate")
    assert (validated.code, validated.out[:4], validated.out.count("\n")) == (0, "OK: ", 1)
    if template == "reserved":
        assert shell.stored("apply", "--auto-approve").code == 4
    assert shell.stored("apply", "--auto-approve", "--allow=contracts").code == 0
    assert shell.stored("plan", "--detailed-exitcode").code == 0
    assert shell("schema", "--check").code == 0


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_is_readable(shell: Shell, template: str) -> None:
    """Every file of a template names its schema by a path that is right, explains itself, and is short."""
    shell("init", "--template", template)
    files = list(Path("billing.d").iterdir())
    assert len(files) >= 3
    for file in files:
        first, *rest = file.read_text().splitlines()
        schema = first.removeprefix("# yaml-language-server: $schema=")
        assert (file.parent / schema).is_file()
        assert max(map(len, [first, *rest])) <= 120
    assert any("\n  #" in file.read_text() or "\n# " in file.read_text() for file in files)


def test_init_writes_elsewhere_and_for_the_editor(shell: Shell) -> None:
    """A directory can be named; schemas and editor settings refer to each other by relative paths."""
    done = shell("init", "new/shop")
    assert done.code == 0
    assert "new/shop/billing.d/plans.yaml" in done.out
    settings = json.loads(Path("new/shop/.vscode/settings.json").read_text())
    for schema in settings["yaml.schemas"]:
        assert (Path("new/shop") / schema).is_file()


@pytest.mark.parametrize("present", ["billing.d/plans.yaml", "billing.d/other.txt", "schemas/plan.schema.json"])
def test_init_overwrites_nothing(shell: Shell, present: str) -> None:
    """One file in the way, and nothing at all is written."""
    path = Path(present)
    path.parent.mkdir()
    path.write_text("mine")
    before = sorted(Path().rglob("*"))
    done = shell("init")
    assert (done.code, "E1007" in done.err) == (1, True)
    assert sorted(Path().rglob("*")) == before
    assert path.read_text() == "mine"


def test_init_leaves_editor_settings_alone(shell: Shell) -> None:
    """Editor settings that are there already are kept, and what they need is shown."""
    Path(".vscode").mkdir()
    Path(".vscode/settings.json").write_text("{}")
    done = shell("init")
    assert (done.code, "yaml.schemas" in done.err) == (0, True)
    assert Path(".vscode/settings.json").read_text() == "{}"


def test_one_schema_is_printed(shell: Shell) -> None:
    """The whole file's schema unless a name says another, with or without its ending."""
    files = all_schemas()
    assert shell("schema").out == files["billing.schema.json"]
    assert shell("schema", "plan").out == shell("schema", "plan.schema.json").out == files["plan.schema.json"]


def test_schemas_are_written_and_checked(shell: Shell) -> None:
    """--check is content with what --dir wrote, and names each file that was edited, removed or added."""
    assert shell("schema", "--check").code == 1
    assert shell("schema", "--dir", "schemas").code == 0
    assert shell("schema", "--check").code == 0
    Path("schemas/plan.schema.json").write_text("{}")
    Path("schemas/tier.schema.json").unlink()
    done = shell("schema", "--check")
    assert done.code == 1
    assert "plan.schema.json" in done.err
    assert "tier.schema.json" in done.err
    assert "tenant.schema.json" not in done.err


@pytest.mark.parametrize("code", EXPLANATIONS)
def test_every_code_is_explained(shell: Shell, code: str) -> None:
    """A code, in either case, gives its title, cause, example and correction, all of it visible."""
    done = shell("explain", code.lower())
    assert done.code == 0
    assert done.out.startswith(f"{code}: {EXPLANATIONS[code].title}\n")
    assert "Example:" in done.out
    assert "Corrected:" in done.out
    assert not set(done.out) & set("\u2028\u202e\u200b\x07")


def test_an_unknown_code_gets_a_guess(shell: Shell) -> None:
    """A misspelt code names the closest one."""
    done = shell("explain", "E-0121")
    assert (done.code, "did you mean 'E0121'" in done.err) == (64, True)


def test_codes_are_listed(shell: Shell) -> None:
    """Without a code all are listed, one a line."""
    assert [line.split()[0] for line in shell("explain").out.splitlines()] == list(EXPLANATIONS)


def test_every_code_of_the_command_line_is_in_its_table() -> None:
    """The codes the command line raises are those its table explains."""
    names = ("provider/binding.py", "config/revisions.py", "config/convert/given.py", "planning/handover.py")
    sources = [*(ROOT / "reconciler" / "cli").rglob("*.py"), *(ROOT / "reconciler" / name for name in names)]
    raised = {code for path in sources for code in re.findall(r'"(E10\d\d)"', path.read_text())}
    assert raised == set(command.CODES)


@pytest.mark.parametrize("shell_name", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: Shell, shell_name: str) -> None:
    """Each script is for its shell and calls back by the variable the program listens to."""
    done = shell("completion", shell_name)
    assert (done.code, "_RECONCILER_COMPLETE" in done.out) == (0, True)


def complete(words: str, number: int) -> list[str]:
    """Ask the program for completions as bash would."""
    environ = environment(_RECONCILER_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(number))
    return [line.partition(",")[2] for line in process(environ=environ).out.splitlines()]


def test_completion_answers() -> None:
    """Commands, options and choices are completed."""
    assert complete("reconciler ", 1)[: len(COMMANDS)] == list(COMMANDS)
    assert complete("reconciler pl", 1) == ["plan"]
    assert "--detailed-exitcode" in complete("reconciler plan --d", 2)
    assert complete("reconciler plan --format m", 3) == ["markdown"]


def test_doctor_finds_nothing_wrong(shell: Shell) -> None:
    """With files, schemas and an account in order every check is ok, and the code is 0."""
    shell("init")
    shell.stored("apply", "--auto-approve")
    done = shell.stored("doctor")
    assert done.code == 0, done.out
    verdicts = {line[6:].split("  ")[0]: line.split()[0] for line in done.out.splitlines()}
    assert verdicts.pop("clock") in ("ok", "skip")
    assert set(verdicts.values()) == {"ok"}
    document = json.loads(shell.stored("doctor", "--format", "json").out)
    assert document["ok"] is True
    assert {"account", "clock", "configuration", "key", "schemas"} <= {check["name"] for check in document["checks"]}


@pytest.mark.parametrize(
    ("break_it", "name"),
    [
        ("files", "configuration"),
        ("no files", "configuration"),
        ("schemas", "schemas"),
        ("key", "key"),
        ("no key", "key"),
        ("mode", "key"),
        ("server", "account"),
    ],
)
def test_doctor_finds_what_is_wrong(shell: Shell, break_it: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each thing that can be out of order fails its own check, with a remedy, and the code is 1."""
    if break_it != "no files":
        shell("init")
    arguments = ["doctor", "--format", "json", f"--sandbox={STATE}"]
    if break_it == "files":
        write("plans: {x: 1}\n", "broken.yaml")
    elif break_it == "schemas":
        Path("schemas/plan.schema.json").write_text("{}")
    elif break_it == "mode":
        write("environments: {production: {mode: live}}\n", "environments.yaml")
        arguments += ["--env", "production"]
    elif break_it in ("key", "no key", "server"):
        arguments.pop()
        monkeypatch.setenv("STRIPE_API_KEY", {"key": "pk_test_x", "no key": "", "server": "sk_test_x"}[break_it])
        monkeypatch.setenv("STRIPE_API_BASE", "http://127.0.0.1:9")
    done = shell(*arguments)
    assert done.code == 1
    failed = [check for check in json.loads(done.out)["checks"] if check["verdict"] == "fail"]
    assert [check["name"] for check in failed] == [name]
    if break_it != "key":
        assert failed[0]["remedy"]
    if break_it == "files":
        assert failed[0]["detail"] == "1 problem"


NOW = datetime(2027, 1, 1, tzinfo=UTC)


class Dated(stripe.HTTPClient):
    """A transport whose answers carry a date, or none."""

    name = "dated"

    def __init__(self, inner: stripe.HTTPClient, date: dict[str, str]) -> None:
        super().__init__()
        self.inner, self.date = inner, date

    def request(self, *args: Any, **kwargs: Any) -> Any:
        """Answer, with the date."""
        body, status, headers = self.inner.request(*args, **kwargs)
        return body, status, {**{k: v for k, v in headers.items() if k.lower() != "date"}, **self.date}


def clock_check(date: dict[str, str], ahead: int) -> Verdict:
    """Return how the clock is judged when this machine is so many seconds ahead of what the server says."""
    with Sandbox() as sandbox:
        transport = Dated(sandbox.http_client(), date)
        connection = Connection("sk_test_sandbox", transport=transport, rates=UNLIMITED)
        findings = {each.name: each for each in examine(connection, lambda: NOW + timedelta(seconds=ahead))}
    return findings["clock"].verdict


@pytest.mark.parametrize(
    ("ahead", "expected"), [(0, Verdict.OK), (60, Verdict.OK), (61, Verdict.FAIL), (-3600, Verdict.FAIL)]
)
def test_a_clock_out_of_step_is_found(ahead: int, expected: Verdict) -> None:
    """More than a minute between this machine and the server is a failure."""
    assert clock_check({"Date": "Fri, 01 Jan 2027 00:00:00 GMT"}, ahead) is expected


@pytest.mark.parametrize("date", [{}, {"date": ""}, {"date": "yesterday"}])
def test_a_server_without_a_date_is_no_failure(date: dict[str, str]) -> None:
    """Where the answer says no time, the clock is not judged."""
    assert clock_check(date, 0) is Verdict.SKIP


def test_a_missing_permission_is_found() -> None:
    """A kind that may not be listed fails alone, and the remedy names its path."""
    with Sandbox() as sandbox:
        sandbox.faults.add(Fault(path="/v1/coupons", status=403, error_type="invalid_request_error"))
        connection = Connection("sk_test_sandbox", transport=sandbox.http_client(), rates=UNLIMITED)
        findings = list(examine(connection))
    failed = [each for each in findings if each.verdict is Verdict.FAIL]
    assert [each.name for each in failed] == ["read coupon"]
    assert "/v1/coupons" in (failed[0].remedy or "")


def test_the_demo_keeps_its_promise() -> None:
    """The demo runs from nothing, in a directory it leaves as it was, and every step ends as promised."""
    before = sorted(Path().rglob("*"))
    done = subprocess.run(
        [sys.executable, "-m", "reconciler", "demo"], capture_output=True, env=environment(), text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("Everything happened as promised")
    assert done.stdout.count("No changes. Stripe is as the files say.") == 2
    assert '"Edited in the dashboard" →' in done.stdout
    refused, first, again = (line for line in done.stdout.splitlines() if line.startswith("zoe may"))
    assert refused.startswith("zoe may not call translate: its credits do not suffice")
    assert "Buy Starter (starter, 10 credits for 5.00 usd)." in refused
    assert again == f"{first} The first answer again."
    assert re.findall(r"total +(\d+\.\d+ usd) +(\d+\.\d+ usd)", done.stdout) == [
        ("20.00 usd", "20.00 usd"),
        ("20.75 usd", "20.75 usd"),
    ]
    assert sorted(Path().rglob("*")) == before


def test_the_demo_fails_where_a_step_does() -> None:
    """With a billing.d of one's own that is invalid the demo stops there and says so with its exit code."""
    write(SIMPLE.replace("name:", "nmae:"))
    done = process("demo")
    assert (done.code, "`validate` ended with exit code 3, not 0" in done.err) == (1, True)
