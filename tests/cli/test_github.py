"""What a GitHub job is told: step summary, step outputs, annotations; and that nothing in them can act."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.cli.github import _assignment
from reconciler.planning.markdown import LIMIT

from .support import SIMPLE, STATE, Done, Shell, dashboard, write

HOSTILE = "\x1b[2J\n::error::x\r\n::set-output name=a::b \u202e@team #1 </details><script>` | <!-- reconciler-plan -->"


@pytest.fixture
def job(here: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], tuple[str, dict[str, str]]]:
    """Run as a step of a GitHub job; return what its summary and its outputs hold, and begin the next step."""
    summary, output = here / "summary.md", here / "output.txt"
    for name, value in {"ACTIONS": "true", "STEP_SUMMARY": summary, "OUTPUT": output, "WORKSPACE": here}.items():
        monkeypatch.setenv(f"GITHUB_{name}", str(value))

    def told() -> tuple[str, dict[str, str]]:
        texts = [path.read_text() if path.exists() else "" for path in (summary, output)]
        summary.unlink(missing_ok=True)
        output.unlink(missing_ok=True)
        return texts[0], outputs(texts[1])

    return told


def ends(text: str) -> list[str]:
    """Split at the line ends the runner knows."""
    return re.split(r"\r\n|\r|\n", text)


def outputs(text: str) -> dict[str, str]:
    """Read a file of outputs as GitHub's runner does."""
    found, lines = {}, iter(ends(text)[:-1])
    for line in lines:
        name, mark = line.split("<<", 1)
        assert re.fullmatch(r"[a-z-]+", name)
        value: list[str] = []
        while (each := next(lines)) != mark:
            value.append(each)
        found[name] = "\n".join(value)
    return found


def annotations(done: Done) -> list[str]:
    """Return the workflow commands a command has written."""
    return [line for line in (done.out + done.err).splitlines() if line.lstrip().startswith("::")]


Job = Callable[[], tuple[str, dict[str, str]]]


def test_a_plan_is_told(shell: Shell, job: Job) -> None:
    """The summary is the comment's Markdown; the outputs count what the plan file holds, and name it."""
    shell.apply(SIMPLE)
    job()
    done = shell.stored("plan", "--format", "markdown", "--out", "plan.json")
    summary, told = job()
    assert (summary.strip(), told["changes"]) == (done.out.strip(), "false")
    write(SIMPLE.replace("49.99", "59.99"))
    done = shell.stored("plan", "--format", "markdown", "--out", "plan.json")
    summary, told = job()
    saved = json.loads(Path("plan.json").read_text())
    assert summary.strip() == done.out.strip()
    names = {"creates": "create", "updates": "update", "replaces": "replace", "retires": "retire", "adopts": "adopt"}
    assert {name: told[name] for name in names} == {
        name: str(saved["counts"].get(action, 0)) for name, action in names.items()
    }
    assert (told["changes"], told["refusals"], told["mode"]) == ("true", "0", "test")
    assert (told["plan-digest"], told["plan-id"], told["account"]) == (saved["digest"], saved["id"], saved["account"])
    assert annotations(done) == []


def test_drift_is_told(shell: Shell, job: Job) -> None:
    """Drift has the same output ``changes``, its three counts, and a list in the summary."""
    shell.apply(SIMPLE)
    job()
    shell.stored("drift")
    summary, told = job()
    assert (told["changes"], summary.splitlines()[0]) == ("false", "### No drift.")
    with dashboard() as sandbox:
        sandbox.client().v1.products.update("acme_plan_pro", {"name": "Edited", "description": HOSTILE})
    shell.stored("drift")
    summary, told = job()
    assert (told["changes"], told["edited"], told["missing"], told["strays"]) == ("true", "1", "0", "0")
    assert "- `plans.pro`: `name`, `description`" in summary


def test_an_apply_is_told(shell: Shell, job: Job) -> None:
    """Complete, with nothing to do, and refused: each is told, with how far it came or why it stopped."""
    write(SIMPLE)
    shell.stored("apply", "--auto-approve")
    summary, told = job()
    assert (told["changes"], told["ending"], told["failed"], told["total"]) == (
        "true",
        "complete",
        "0",
        told["applied"],
    )
    assert "writes done" in summary
    shell.stored("apply", "--auto-approve", "--format", "jsonl")
    told = job()[1]
    assert (told["changes"], told["ending"], told["failed"], told["total"]) == ("false", "complete", "0", "0")


def test_a_refused_apply_is_told(shell: Shell, job: Job) -> None:
    """A stale plan ends with 5, an annotation and a summary that names the object; no output says otherwise."""
    shell.apply(SIMPLE)
    write(SIMPLE.replace("49.99", "59.99"))
    shell.stored("plan", "--out", "plan.json")
    with dashboard() as sandbox:
        sandbox.client().v1.products.update("acme_plan_pro", {"name": HOSTILE})
    job()
    done = shell.stored("apply", "plan.json")
    summary, told = job()
    assert (done.code, told) == (5, {})
    assert [line.split("::")[1] for line in annotations(done)] == ["error title=E0810"]
    assert summary.startswith("### Stopped: E0810\n")
    assert "plans.pro" in summary
    assert "\nHelp: `` Make a new plan" in summary


def test_validation_is_told(shell: Shell, job: Job) -> None:
    """Valid files are counted; wrong ones are listed with their places, and ``valid`` is what later steps read."""
    write(SIMPLE)
    shell("validate", "--format", "json")
    summary, told = job()
    assert (told["valid"], told["errors"], summary.strip()) == ("true", "0", "### OK: 1 plan.")
    write(SIMPLE.replace("name:", "nmae:"))
    assert shell("validate", "--format", "json").code == 3
    summary, told = job()
    assert (told["valid"], told["errors"]) == ("false", "2")
    assert "- error **E0201** `billing.d/all.yaml:4:5`" in summary


@pytest.mark.parametrize("command", ["plan", "apply", "drift"])
def test_wrong_files_are_annotated_by_every_command(shell: Shell, job: Job, command: str) -> None:
    """A command that needs the files annotates the same lines that validate does, and stdout stays empty."""
    write(SIMPLE.replace("name:", "nmae:"))
    expected = annotations(shell("validate", "--format", "github"))
    job()
    done = shell.stored(command)
    assert (done.code, done.out, annotations(done)) == (3, "", expected)
    assert job()[0].startswith("### The files cannot be used\n")


def test_refusals_of_guards_are_annotated_where_the_files_say_it(shell: Shell, job: Job) -> None:
    """A guard of one address annotates its line; one of the plan its own line; what left the files has none."""
    guards = "guards: {protected: [plans.pro, plans.old], max_price_rise_percent: 5, max_retired_percent: 1}\n"
    old = "".join(f"  old{number}: {{name: Old}}\n" for number in range(5)).replace("old0", "old")
    plans = SIMPLE.replace("49.99", "59.99")
    shell.apply(SIMPLE + old + guards)
    write(plans + guards)
    job()
    done = shell.stored("plan", "--format", "json")
    found = annotations(done)
    assert done.code == 0
    assert json.loads(done.out)["refusals"]
    assert job()[1]["refusals"] == str(len(found))
    places = {(re.search(r"line=(\d+)", line) or [None, None])[1] for line in found}
    price = [line for line in found if "max_price_rise_percent" in line]
    assert price[0].startswith("::error file=billing.d/all.yaml,line=7,col=7,")
    mass = [line for line in found if "max_retired_percent" in line]
    assert "file=billing.d/all.yaml,line=8," in mass[0]
    gone = [line for line in found if "plans.old is protected" in line]
    assert gone[0].startswith("::error title=E1030::")
    assert places == {"7", "8", None}


@pytest.mark.usefixtures("job")
@pytest.mark.parametrize("name", ["GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"])
@pytest.mark.parametrize(
    "arguments",
    [("validate",), ("plan", "--detailed-exitcode"), ("drift", "--detailed-exitcode"), ("apply", "--auto-approve")],
    ids=lambda arguments: arguments[0],
)
def test_what_cannot_be_told_is_an_error(
    shell: Shell, name: str, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where summary or outputs cannot be written the command ends with 1, whatever it found; else as ever."""
    write(SIMPLE)
    where = () if arguments == ("validate",) else (f"--sandbox={STATE}",)
    monkeypatch.setenv(name, "no/such/directory/file")
    done = shell(*arguments, *where)
    assert (done.code, "E1036" in done.err) == (1, True)
    monkeypatch.delenv(name)
    assert shell(*arguments, *where).code == (2 if "--detailed-exitcode" in arguments else 0)


@pytest.mark.usefixtures("job")
def test_what_cannot_be_told_hides_no_worse_code(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that ends with 3 or 5 anyway keeps that code."""
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "no/such/directory/file")
    write(SIMPLE.replace("name:", "nmae:"))
    assert [shell("validate").code, shell.stored("plan").code] == [3, 3]
    write(SIMPLE)
    Path("plan.json").write_text("{}\n")
    assert shell.stored("apply", "plan.json").code == 5


def test_nothing_is_told_elsewhere(shell: Shell, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside a GitHub job the files are not touched, even where their names are set."""
    monkeypatch.setenv("GITHUB_ACTIONS", "false")
    write(SIMPLE)
    shell.stored("plan")
    assert job() == ("", {})


@given(st.text())
def test_an_output_cannot_begin_another(value: str) -> None:
    """Whatever a value holds, a runner reads one output with that value, line ends apart.

    The line feed that is written after a value makes one line end with a carriage return at its end.
    """
    written = _assignment("name", value)
    assert outputs(written) == {"name": "\n".join(ends(f"{value}\n")[:-1])}
    assert written.split("\n")[0] != _assignment("name", value).split("\n")[0]


WRAPPED = f"Pro ##[stop-commands]x {'a' * 60} ::error::Approved by security {'b' * 60} ::add-mask::refused"


@pytest.mark.parametrize("command", ["plan", "plan -v", "apply --auto-approve", "validate", "policy show"])
def test_a_wrapped_text_cannot_command_the_job(shell: Shell, job: Job, command: str) -> None:
    """A name that is wrapped so that a line begins like a command of the runner is escaped; annotations are not."""
    write(SIMPLE.replace("name: Pro", f"name: {json.dumps(WRAPPED)}"))
    name, *words = command.split()
    done = shell(name, *words) if name in ("validate", "policy") else shell.stored(name, *words)
    assert done.code == 0
    lines = ends(done.out + done.err)
    assert [line for line in lines if line.lstrip().startswith("::") or "##[" in line] == []
    assert ("Approved by security" in done.out) is (name != "validate")
    job()
    write(SIMPLE.replace("name:", "nmae:"))
    wrong = shell("validate")
    assert any(line.startswith("::error file=") for line in ends(wrong.out + wrong.err))


@pytest.mark.parametrize("form", ["text", "json", "markdown"])
def test_hostile_text_of_stripe_acts_nowhere(shell: Shell, job: Job, form: str) -> None:
    """What an object at Stripe holds is shown in every form, in summary and outputs, without acting as anything."""
    shell.apply(SIMPLE)
    with dashboard() as sandbox:
        client = sandbox.client()
        client.v1.products.update("acme_plan_pro", {"description": HOSTILE})
        metadata = {"managed_by": "reconciler/acme", "address": f"plans.{HOSTILE}"}
        client.v1.products.create({"name": HOSTILE, "metadata": metadata})
    job()
    done = shell.stored("plan", "--format", form)
    summary, told = job()
    for text in (done.out, done.err, summary, *told.values()):
        assert not set(text) & {"\x1b", "\r", "\u202e"}
        assert not [line for line in text.splitlines() if line.lstrip().startswith("::")]
    outside = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", summary, flags=re.DOTALL)  # code spans and fences
    assert not re.search(r"script|@team|set-output|#1 ", outside)
    assert outside.count("<!--") == 1


def many(count: int, pad: int, price: str) -> dict[str, object]:
    """Return plans whose ids are padded to some length, each with a price."""
    return {
        f"plan-{number:03}-{'x' * pad}": {
            "name": f"Plan {number}",
            "prices": {f"monthly-{'y' * pad}": {"amount": price, "interval": "month"}},
        }
        for number in range(count)
    }


@pytest.mark.parametrize("pad", [0, 54])
def test_a_comment_shows_every_retirement_whatever_the_size(shell: Shell, job: Job, pad: int) -> None:
    """Of 500 changes with 100 retirements, also with long addresses, every retirement stands outside the fold."""
    head = {"settings": {"namespace": "acme"}, "guards": {"protected": ["plans.*"], "max_price_rise_percent": 1}}
    write(json.dumps({**head, "plans": many(250, pad, "5")}))
    assert shell.stored("apply", "--auto-approve").code == 0
    plans = dict(list(many(250, pad, "6").items())[:200])
    plans |= {f"new-{number}": {"name": "New"} for number in range(200)}
    write(json.dumps({**head, "plans": plans}))
    job()
    out = shell.stored("plan", "--format", "markdown").out
    shown = out.split("<details>", maxsplit=1)[0]
    told = job()[1]
    assert (told["retires"], told["creates"], told["replaces"]) == ("100", "200", "200")
    assert len(out) < LIMIT
    for name in list(many(250, pad, "5"))[200:]:
        assert f"`plans.{name}`" in shown
        assert f"`plans.{name}.prices.monthly-{'y' * pad}`" in shown
    assert out.endswith("</details>\n")
