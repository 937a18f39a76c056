"""The GitHub action, its steps run as shell against the sandbox over HTTP and a GitHub on the loopback."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.planning.lock import Holder
from reconciler.provider.gateway import Connection
from reconciler.provider.limiter import UNLIMITED
from reconciler.provider.lock import Locks
from reconciler.provider.ports import Ports
from reconciler.sandbox import Fault, Sandbox

from .conftest import FILES, HEAD, MERGED, PULL_REQUEST, event, files
from .hosts import ACTION, REPOSITORY, ROOT, TOKEN, GitHub, Ran, Runner

SCRIPTS = sorted((ROOT / "ci").rglob("*.sh"))
DEARER = FILES.replace("49.99", "59.99")
NAME = f"reconciler-plan-base-{HEAD}"


def use(runner: Runner, command: str, **inputs: str) -> Ran:
    """Use the action with the reconciler that is on the PATH."""
    return runner.use(command=command, install="none", **inputs)


def applied(runner: Runner, text: str = FILES) -> None:
    """Bring the account to these files."""
    files(runner.folder, text)
    done = subprocess.run(
        ["reconciler", "apply", "--auto-approve", "-q"], cwd=runner.folder, env=runner.environ, check=False
    )
    assert done.returncode == 0


def merge(runner: Runner, hub: GitHub) -> None:
    """Merge the pull request: its plan is kept, the checkout is fresh, and the push to main sets the next job off."""
    plan = runner.folder / "reconciler-plan.json"
    hub.keep(runner.kept[-1][0], HEAD, {"reconciler-plan.json": plan.read_bytes()})
    plan.unlink()
    hub.pulls.append({"merged_at": "2026-01-02T00:00:00Z", "head": {"sha": HEAD}})
    event(runner, {}, "push")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_shell(script: Path) -> None:
    """Every script parses, stops at errors and unset names, and may be executed."""
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0
    text = script.read_text()
    assert text.startswith("#!/usr/bin/env bash\n")
    assert "\nset -euo pipefail\n" in text
    assert os.access(script, os.X_OK)


def test_the_action_is_closed_to_injection() -> None:
    """No expression stands in a script, other actions are pinned by commit, and every input and output is explained."""
    for step in ACTION["runs"]["steps"]:
        assert "${{" not in step.get("run", "")
        assert step.get("shell") == ("bash" if "run" in step else None)
        if "uses" in step:
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step["uses"])
    text = (ROOT / "action.yml").read_text()
    assert len(re.findall(r"uses: \S+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", text, re.MULTILINE)) == text.count("uses:")
    assert all(entry["description"] for part in ("inputs", "outputs") for entry in ACTION[part].values())
    used = set(re.findall(r"inputs\.([a-z-]+)", text))
    assert used == set(ACTION["inputs"])


def test_a_plan_is_commented_kept_and_applied(runner: Runner, hub: GitHub, account: Sandbox) -> None:
    """The whole way: plan on the pull request, comment, merge, and apply of the very plan that was reviewed."""
    planned = use(runner, "plan")
    assert (planned.code, planned.outputs["exit-code"], planned.outputs["changes"]) == (0, "2", "true")
    assert planned.outputs["creates"] == "2"
    assert [(name, path.name) for name, path in runner.kept] == [(NAME, "reconciler-plan.json")]
    saved = json.loads((runner.folder / "reconciler-plan.json").read_text())
    assert planned.outputs["plan-digest"] == saved["digest"]
    assert len(hub.comments) == 1
    assert hub.comments[0]["body"].split("\n", 1)[1].strip() == planned.summary.strip()
    assert all(token in (None, f"Bearer {TOKEN}") for _method, _path, token in hub.asked)

    merge(runner, hub)
    done = use(runner, "apply")
    assert (done.code, done.outputs["exit-code"], done.outputs["ending"]) == (0, "0", "complete")
    assert done.outputs["plan-id"] == saved["id"]
    assert [each.name for each in account.client().v1.products.list({"active": True}).data] == ["Pro"]
    assert [token for _method, path, token in hub.asked if path.startswith("/blob/")] == [None]

    event(runner, PULL_REQUEST)
    again = use(runner, "plan")
    assert (again.code, again.outputs["exit-code"], again.outputs["changes"]) == (0, "0", "false")
    assert len(hub.comments) == 1
    assert "No changes. Stripe is as the files say." in hub.comments[0]["body"]


@pytest.mark.soak
def test_only_the_own_comment_is_changed(runner: Runner, hub: GitHub) -> None:
    """Comments of others stay, also one that begins alike; another environment has a comment of its own."""
    files(runner.folder, FILES + "environments: {staging: {}}\n")
    assert use(runner, "plan").code == 0
    first = hub.comments[0]["body"]
    hub.comments.insert(0, {"id": 50, "user": {"login": "somebody"}, "body": first})
    others = [{"id": 100 + number, "user": {"login": "talker"}, "body": "hm"} for number in range(150)]
    hub.comments[0:0] = others
    hub.comments[-1]["body"] = first.replace("to create", "before")
    assert use(runner, "plan").code == 0
    assert use(runner, "plan", env="staging").code == 0
    assert len(hub.comments) == 153
    assert [each["body"] for each in hub.comments if each["id"] == 50] == [first]
    mine = [each["body"] for each in hub.comments if each["user"]["login"] == "github-actions[bot]"]
    assert ["environment `staging`" in body for body in mine] == [False, True]
    assert mine[0] == first
    assert len({body.split("\n")[0] for body in mine}) == 2


def test_a_comment_that_cannot_be_written_fails_the_step(runner: Runner, hub: GitHub) -> None:
    """Where GitHub refuses the comment the plan stands, and the step fails; without a comment it does not."""
    hub.failing["/comments"] = 403
    refused = use(runner, "plan")
    assert (refused.code, refused.outputs["exit-code"]) == (1, "2")
    assert "::error title=reconciler::The comment could not be written." in refused.log
    assert use(runner, "plan", comment="false").code == 0


def test_a_slow_run_does_not_hide_the_plan_of_a_later_commit(bench: Runner, hub: GitHub) -> None:
    """A run whose commit is no longer the head leaves the comment as the later run wrote it; the head's own writes."""
    (bench.folder / "bin" / "reconciler").write_text('#!/bin/sh\necho harmless >> "$GITHUB_STEP_SUMMARY"\n')
    hub.head = MERGED
    done = use(bench, "plan")
    assert (done.code, hub.comments) == (0, [])
    assert "::notice title=reconciler::No comment: a later commit was pushed" in done.log
    hub.head = HEAD
    assert use(bench, "plan").code == 0
    assert ["harmless" in each["body"] for each in hub.comments] == [True]


@pytest.mark.parametrize("snapshot", [True, False])
def test_a_fork_has_no_key(runner: Runner, hub: GitHub, snapshot: bool) -> None:
    """A fork's pull request is planned from the snapshot, in the summary alone; without one it says what is missing."""
    applied(runner)
    inputs = {"snapshot": "stripe.snapshot.json"} if snapshot else {}
    if snapshot:
        assert use(runner, "snapshot", **inputs).code == 0
    files(runner.folder, DEARER)
    runner.environ.update(STRIPE_API_KEY="", STRIPE_API_BASE="http://127.0.0.1:9")
    fork = {"pull_request": {"number": 12, "head": {"sha": HEAD, "repo": {"full_name": "somebody/shop"}}}}
    event(runner, fork)
    assert use(runner, "validate").code == 0
    done = use(runner, "plan", **inputs)
    assert hub.comments == []
    assert runner.kept == []
    if snapshot:
        assert (done.code, done.outputs["exit-code"], done.outputs["offline"]) == (0, "2", "true")
        assert "Planned from a snapshot" in done.summary
        assert "::notice title=reconciler::No comment: a fork" in done.log
    else:
        assert (done.code, done.outputs["exit-code"], "E1021" in done.log) == (64, "64", True)


@pytest.mark.soak
def test_a_stale_plan_is_not_applied(runner: Runner, hub: GitHub, account: Sandbox) -> None:
    """What moved between review and merge ends the job with 5: the account, or the files; nothing is written."""
    applied(runner)
    files(runner.folder, DEARER)
    assert use(runner, "plan").outputs["replaces"] == "1"
    merge(runner, hub)
    account.client().v1.products.update("acme_plan_pro", {"name": "Edited"})
    before = [each.to_dict() for each in account.client().v1.prices.list().data]
    stale = use(runner, "apply")
    assert (stale.code, stale.outputs["exit-code"], "E0810" in stale.summary) == (5, "5", True)
    account.client().v1.products.update("acme_plan_pro", {"name": "Pro"})
    (runner.folder / "reconciler-plan.json").unlink()
    files(runner.folder, DEARER.replace("59.99", "69.99"))
    moved = use(runner, "apply")
    assert (moved.code, moved.outputs["exit-code"], "E0808" in moved.summary) == (5, "5", True)
    assert [each.to_dict() for each in account.client().v1.prices.list().data] == before
    (runner.folder / "reconciler-plan.json").unlink()
    files(runner.folder, DEARER)
    assert use(runner, "apply").code == 0


def reviewed(bench: Runner, hub: GitHub) -> None:
    """Have some plan reviewed and merged, with a ``reconciler`` that must not be reached."""
    (bench.folder / "bin" / "reconciler").write_text("#!/bin/sh\nexit 99\n")
    (bench.folder / "reconciler-plan.json").write_text("{}")
    bench.kept.append((NAME, Path()))
    merge(bench, hub)


def spoilt(hub: GitHub, how: str) -> None:
    """Make the kept plan one that was not reviewed here."""
    kept = hub.artifacts[0]
    if how == "expired":
        kept["expired"] = True
    elif how == "of a fork":
        kept["workflow_run"]["head_repository_id"] = 99
    elif how == "of another commit":
        kept["workflow_run"]["head_sha"] = MERGED
    elif how == "not merged":
        hub.pulls[0]["merged_at"] = None
    elif how == "no pull request":
        hub.pulls.clear()


@pytest.mark.parametrize("how", ["expired", "of a fork", "of another commit", "not merged", "no pull request"])
def test_only_the_reviewed_plan_is_applied(bench: Runner, hub: GitHub, how: str) -> None:
    """Without a plan that this repository kept for the merged head the job ends with 5, before any key is used."""
    reviewed(bench, hub)
    spoilt(hub, how)
    done = use(bench, "apply")
    assert (done.code, done.outputs["exit-code"]) == (5, "5")
    assert "Plan again" in done.log or "lan again and have it reviewed" in done.log
    assert "Run" not in done.steps


@pytest.mark.parametrize("how", ["file", "link", "in a linked directory"])
def test_a_plan_that_came_with_the_commit_is_refused(bench: Runner, hub: GitHub, how: str) -> None:
    """A plan file in the repository never stands in for the reviewed one; one that an earlier step fetched does."""
    reviewed(bench, hub)
    shim = bench.folder / "bin" / "reconciler"
    shim.write_text('#!/bin/sh\ncat "$2"\nexit 99\n')
    (bench.folder / ".git").rmdir()
    kept = bench.folder / "kept"
    kept.mkdir()
    (kept / "plan.json").write_text("committed")
    (bench.folder / "there").symlink_to("kept")
    (bench.folder / "link.json").symlink_to("kept/plan.json")
    for words in (["init", "-q"], ["add", "kept", "there", "link.json"]):
        subprocess.run(["git", *words], cwd=bench.folder, check=True)
    name = {"file": "kept/plan.json", "link": "link.json", "in a linked directory": "there/plan.json"}[how]
    done = use(bench, "apply", plan_file=name)
    assert (done.code, done.outputs["exit-code"], "Run" in done.steps) == (1, "1", False)
    assert "::error title=reconciler::The plan file is part of the repository." in done.log
    (kept / "fetched.json").write_text("fetched")
    done = use(bench, "apply", plan_file="kept/fetched.json")
    assert (done.code, "fetched" in done.log) == (99, True)


@pytest.mark.parametrize("base", ["origin/main", "main"])
def test_no_path_takes_the_place_of_a_base_that_was_not_fetched(bench: Runner, base: str) -> None:
    """In a clone without the base's revision, a path that a change added under its name ends the step with 64."""
    (bench.folder / "bin" / "reconciler").write_text('#!/bin/sh\necho "$@"\nexit 0\n')
    (bench.folder / base).mkdir(parents=True)
    refused = use(bench, "plan", base=base)
    assert (refused.code, refused.outputs["exit-code"], "--base" in refused.log) == (64, "64", False)
    assert use(bench, "plan", base=f"./{base}", comment="false").code == 0


@pytest.mark.parametrize("how", ["no zip", "two files", "GitHub is away"])
def test_a_plan_that_cannot_be_fetched_is_an_error(bench: Runner, hub: GitHub, how: str) -> None:
    """A broken artifact or a GitHub that refuses ends the job with 1; nothing is applied."""
    reviewed(bench, hub)
    if how == "no zip":
        hub.files[1] = b"not a zip"
    elif how == "two files":
        hub.keep(NAME, HEAD, {"one": b"1", "two": b"2"})
    else:
        hub.failing["/actions/artifacts"] = 503
    done = use(bench, "apply")
    assert (done.code, done.outputs["exit-code"], "Run" in done.steps) == (1, "1", False)


@pytest.mark.soak
def test_a_forged_plan_is_refused(runner: Runner, hub: GitHub, account: Sandbox) -> None:
    """A plan that was edited on its way, or replaced by another file, ends with 5 and writes nothing."""
    assert use(runner, "plan").code == 0
    plan = runner.folder / "reconciler-plan.json"
    plan.write_text(plan.read_text().replace("4999", "1"))
    merge(runner, hub)
    done = use(runner, "apply")
    assert (done.code, done.outputs["exit-code"]) == (5, "5")
    assert account.client().v1.products.list({"active": True}).data == []


@pytest.mark.soak
def test_guards_stop_the_pipeline_until_they_are_allowed(runner: Runner, hub: GitHub) -> None:
    """A plan annotates what guards refuse, apply ends with 4, and the words of the input allow it."""
    guards = "guards: {protected: [plans.pro]}\n"
    applied(runner, FILES + guards)
    files(runner.folder, DEARER + guards)
    planned = use(runner, "plan")
    assert (planned.code, planned.outputs["refusals"]) == (0, "1")
    assert "::error file=billing.d/all.yaml,line=7," in planned.log
    merge(runner, hub)
    refused = use(runner, "apply")
    assert (refused.code, refused.outputs["exit-code"]) == (4, "4")
    words = "\nprotected:plans.pro.prices.monthly\r\nmax_updated_percent\n"
    assert use(runner, "apply", allow=words).code == 0


def test_invalid_files_stop_the_pipeline(runner: Runner, hub: GitHub) -> None:
    """Both validate and plan end with 3, annotate the line, and the comment no longer shows an older plan."""
    assert use(runner, "plan").code == 0
    files(runner.folder, FILES.replace("name:", "nmae:"))
    for command in ("validate", "plan"):
        done = use(runner, command)
        assert (done.code, done.outputs["exit-code"]) == (3, "3")
        assert "::error file=billing.d/all.yaml,line=4," in done.log
        assert "E0201" in done.summary
    assert len(hub.comments) == 1
    assert "The files cannot be used" in hub.comments[0]["body"]
    assert "to create" not in hub.comments[0]["body"]


@pytest.mark.soak
def test_a_partial_apply_is_told_and_resumed(runner: Runner, hub: GitHub, account: Sandbox) -> None:
    """A write that Stripe refuses ends with 7; the same plan applied again completes it."""
    assert use(runner, "plan").code == 0
    merge(runner, hub)
    account.faults.add(Fault(path="/v1/prices", method="POST", status=400, error_type="invalid_request_error"))
    partly = use(runner, "apply")
    assert (partly.code, partly.outputs["exit-code"], partly.outputs["ending"]) == (7, "7", "partly applied")
    account.faults.clear()
    assert use(runner, "apply").outputs["ending"] == "complete"


@pytest.mark.soak
def test_a_comment_says_what_it_means_in_money(runner: Runner, hub: GitHub) -> None:
    """With a base and impact the comment says what becomes of calls and what the change means; apply needs neither."""
    (runner.folder / ".git").rmdir()
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for words in (["init", "-q"], ["add", "billing.d"], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *words], cwd=runner.folder, env=runner.environ, check=True)
    files(runner.folder, DEARER.replace("name: Pro", "name: Pro\n    tools: [search]"))
    done = use(runner, "plan", base="HEAD", impact="true")
    assert (done.code, done.outputs["exit-code"]) == (0, "2"), done.log
    assert "**Impact**" in hub.comments[0]["body"]
    assert "compared with `HEAD`" in hub.comments[0]["body"]
    merge(runner, hub)
    assert use(runner, "apply").outputs["ending"] == "complete"


@pytest.mark.soak
def test_another_apply_is_waited_for_by_people(runner: Runner, hub: GitHub, account: Sandbox) -> None:
    """Where another apply holds the lock the job ends with 6 and names it; once it is free the same plan goes on."""
    assert use(runner, "plan").code == 0
    merge(runner, hub)
    connection = Connection("sk_test_sandbox", transport=account.http_client(), rates=UNLIMITED)
    locks = Locks(Ports.of(connection), "acme")
    locks.take(Holder("alice", "build-7", 4121), "0" * 32, locks.look())
    locked = use(runner, "apply")
    assert (locked.code, locked.outputs["exit-code"], "alice" in locked.summary) == (6, "6", True)
    subprocess.run(["reconciler", "unlock", "--generation=1"], cwd=runner.folder, env=runner.environ, check=True)
    assert use(runner, "apply").outputs["ending"] == "complete"


@pytest.mark.soak
def test_drift_is_an_output(runner: Runner, account: Sandbox) -> None:
    """A nightly job branches on ``changes``: what somebody edited at Stripe is 2 and no failure."""
    applied(runner)
    event(runner, {}, "schedule")
    assert use(runner, "drift").outputs["exit-code"] == "0"
    account.client().v1.products.update("acme_plan_pro", {"name": "Edited"})
    done = use(runner, "drift")
    assert (done.code, done.outputs["exit-code"], done.outputs["changes"]) == (0, "2", "true")


@pytest.mark.parametrize("command", ["validate", "plan", "apply", "drift", "snapshot"])
def test_every_exit_code_reaches_the_pipeline(bench: Runner, command: str) -> None:
    """Whatever the command ends with is the output and the step's own code, but for changes, with which it succeeds."""
    shim = bench.folder / "bin" / "reconciler"
    for code in (0, 1, 2, 3, 4, 5, 6, 7, 64, 130, 143):
        shim.write_text(f"#!/bin/sh\nexit {code}\n")
        (bench.folder / "reconciler-plan.json").write_text("{}")
        done = use(bench, command, comment="false")
        changes = code == 2 and command in ("plan", "drift")
        assert (done.code, done.outputs["exit-code"]) == (0 if changes else code, str(code))


def test_the_inputs_reach_the_command(bench: Runner) -> None:
    """Every input becomes the option it is for, and no word of one becomes another."""
    shim = bench.folder / "bin" / "reconciler"
    shim.write_text('#!/bin/sh\nfor each in "$@"; do echo "<$each>"; done\n')
    (bench.folder / "shop").mkdir()
    odd = "a b; $(id) --auto-approve"
    inputs: dict[str, Any] = {"config": odd, "env": odd, "base": odd, "api_base": odd, "plan_file": f"{odd}.json"}
    done = use(bench, "plan", **inputs, impact="true", allow=f"{odd}\n{odd}", comment="false", working_directory="shop")
    words = re.findall(r"<(.*)>", done.log)
    options = ["--config", "--env", "--api-base", "--allow", "--allow", "--base"]
    assert words == [
        "plan",
        *(f"{option}={odd}" for option in options),
        "--impact",
        "--detailed-exitcode",
        f"--out={odd}.json",
    ]
    wrong = use(bench, "destroy")
    assert (wrong.code, wrong.outputs["exit-code"]) == (64, "64")


def test_installing_needs_a_python_that_is_new_enough(bench: Runner) -> None:
    """An environment is made, what is named installed there and put on the PATH; an old Python is refused."""
    fake = bench.folder / "bin" / "fake-python"
    fake.write_text(
        "#!/bin/sh\n"
        'echo "python: $@"\n'
        '[ "$3" = venv ] || exit 0\n'
        'mkdir -p "$4/bin"\n'
        'printf \'#!/bin/sh\\necho "inner: $@"\\n\' > "$4/bin/python"\n'
        'printf \'#!/bin/sh\\necho "installed: $@"\\n\' > "$4/bin/reconciler"\n'
        'chmod +x "$4/bin/python" "$4/bin/reconciler"\n'
    )
    fake.chmod(0o755)
    done = bench.use(command="validate", python="fake-python", install="reconciler==1.2.3")
    assert "inner: -I -m pip install --quiet --disable-pip-version-check reconciler==1.2.3\n" in done.log
    assert {line.split()[1] for line in done.log.splitlines() if line.startswith(("python:", "inner:"))} == {"-I"}
    assert done.log.endswith("installed: validate\n")
    assert f"-check {ROOT}\n" in bench.use(command="validate", python="fake-python").log
    fake.write_text("#!/bin/sh\nexit 1\n")
    old = bench.use(command="validate", python="fake-python")
    assert (old.code, old.steps, "Python 3.11" in old.log) == (1, ("Install",), True)


@pytest.mark.soak
def test_the_action_installs_itself(bench: Runner) -> None:
    """With no input but the command, the action installs the version it is and validates with it."""
    bench.environ.pop("GITHUB_ACTIONS")
    done = bench.use(command="validate")
    assert (done.code, "OK: 1 plan." in done.log) == (0, True), done.log


def test_the_action_of_a_fork_never_sees_a_secret() -> None:
    """No workflow or template of the repository uses the event that gives secrets to the code of forks."""
    for path in [ROOT / "action.yml", *(ROOT / "ci").rglob("*"), *(ROOT / "docs").glob("*.md")]:
        if path.is_file() and path.suffix in (".yml", ".yaml", ".sh", ".md"):
            uses = re.findall(r"(\S+\s+\S+)\s+`?pull_request_target", path.read_text())
            assert all(words.lower().split() == ["never", "use"] for words in uses), path
    assert yaml.safe_load((ROOT / "action.yml").read_text())["runs"]["using"] == "composite"
    assert REPOSITORY
