"""The GitLab template and the pre-commit hook, their scripts run as shell."""

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml

from reconciler.sandbox import Sandbox

from .conftest import FILES, files
from .hosts import ROOT, Runner

GITLAB: dict[str, Any] = yaml.safe_load((ROOT / "ci" / "gitlab" / "reconciler.gitlab-ci.yml").read_text())
HOOKS: list[dict[str, Any]] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
JOBS = [name for name in GITLAB if not name.startswith(".")]
DEARER = FILES.replace("49.99", "59.99")
#: Stands for the Python of the image: an environment whose ``reconciler`` is the one on the PATH.
PYTHON = """\
#!/bin/sh
[ "$1 $3 $4" = "-I venv --clear" ] || exit 1
mkdir -p "$5/bin"
printf '#!/bin/sh\\necho "python $*"\\n' > "$5/bin/python"
chmod +x "$5/bin/python"
"""


@pytest.fixture
def runner(runner: Runner) -> Runner:
    """Return a runner of GitLab's kind."""
    shim = runner.folder / "bin" / "python3"
    shim.write_text(PYTHON)
    shim.chmod(0o755)
    kept = {name: value for name, value in runner.environ.items() if not name.startswith(("GITHUB_", "RUNNER_"))}
    runner.environ = {**kept, "CI_PROJECT_DIR": str(runner.folder)}
    return runner


def job(runner: Runner, name: str) -> subprocess.CompletedProcess[str]:
    """Run a job's scripts in one shell, as GitLab does, in a directory that holds its artifacts."""
    base = GITLAB[GITLAB[name]["extends"]]
    script = "\n".join(["set -eo pipefail", *base["before_script"], *GITLAB[name]["script"]])
    environ = {**base["variables"], **runner.environ}
    return subprocess.run(
        ["bash", "-c", script], cwd=runner.folder, env=environ, capture_output=True, text=True, timeout=120, check=False
    )


def read(runner: Runner, name: str) -> str:
    """Read an artifact."""
    return (runner.folder / name).read_text()


def test_every_job_is_shell_and_waits_where_it_must() -> None:
    """Scripts parse; apply alone waits for a person, one at a time, for the plan of its own pipeline."""
    for name in JOBS:
        base = GITLAB[GITLAB[name]["extends"]]
        script = "\n".join([*base["before_script"], *GITLAB[name]["script"]])
        assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0
    assert JOBS == ["reconciler-validate", "reconciler-plan", "reconciler-apply"]
    apply = GITLAB["reconciler-apply"]
    assert [rule.get("when") for rule in apply["rules"]] == ["manual"]
    assert (apply["needs"], bool(apply["resource_group"])) == (["reconciler-plan"], True)
    assert GITLAB["reconciler-plan"]["artifacts"]["paths"] == ["reconciler-plan.json"]


def test_gitlab_validates(runner: Runner) -> None:
    """Both reports are written whether or not the files are valid, and the job ends with what validate says."""
    for text, code in ((FILES, 0), (FILES.replace("name:", "nmae:"), 3)):
        files(runner.folder, text)
        done = job(runner, "reconciler-validate")
        assert done.returncode == code, done.stderr
        found = json.loads(read(runner, "gl-code-quality-report.json"))
        assert bool(found) == bool(code)
        assert len(list(ET.fromstring(read(runner, "reconciler-junit.xml")).iter("failure"))) == len(found)
    assert "python -I -m pip install --quiet --disable-pip-version-check reconciler\n" in done.stdout


@pytest.mark.soak
def test_gitlab_plans_and_applies_that_plan(runner: Runner, account: Sandbox) -> None:
    """The plan is an artifact and a report; apply takes it, and ends with 5 and advice where the account moved on."""
    assert job(runner, "reconciler-plan").returncode == 0
    assert json.loads(read(runner, "reconciler-report.json")) == {"create": 2, "update": 0, "delete": 0}
    assert job(runner, "reconciler-apply").returncode == 0
    files(runner.folder, DEARER)
    committed = job(runner, "reconciler-plan")
    assert (committed.returncode, "is part of the repository" in committed.stdout) == (1, True)
    (runner.folder / "reconciler-plan.json").unlink()
    assert job(runner, "reconciler-plan").returncode == 0
    account.client().v1.products.update("acme_plan_pro", {"name": "Edited"})
    stale = job(runner, "reconciler-apply")
    assert (stale.returncode, "run reconciler-plan again" in stale.stdout) == (5, True)


@pytest.mark.soak
def test_gitlab_plans_a_fork_from_the_snapshot(runner: Runner) -> None:
    """Where the protected key is missing the plan is made from the snapshot, for reading only."""
    for words in ("apply --auto-approve -q", "snapshot --out stripe.snapshot.json -q"):
        subprocess.run(["reconciler", *words.split()], cwd=runner.folder, env=runner.environ, check=True)
    files(runner.folder, DEARER)
    runner.environ.update(STRIPE_API_KEY="", STRIPE_API_BASE="http://127.0.0.1:9")
    done = job(runner, "reconciler-plan")
    assert (done.returncode, "Planned from a snapshot" in done.stdout) == (0, True), done.stderr
    assert json.loads(read(runner, "reconciler-report.json")) == {"create": 1, "update": 1, "delete": 1}
    assert not (runner.folder / "reconciler-plan.json").exists()


def test_the_hook_validates(bench: Runner) -> None:
    """The hook runs on files of billing.d alone, is given no names, and ends with what validate says."""
    hook = {each["id"]: each for each in HOOKS}["reconciler-validate"]
    assert (hook["language"], hook["pass_filenames"]) == ("python", False)
    names = (
        "billing.d/plans.yaml",
        "billing.d/env/production/plans.yml",
        "billing.d/notes.md",
        "docs/billing.d/x.yaml",
    )
    assert [bool(re.search(hook["files"], name)) for name in names] == [True, True, False, False]
    for text, code in ((FILES, 0), (FILES.replace("name:", "nmae:"), 3)):
        files(bench.folder, text)
        done = subprocess.run(shlex.split(hook["entry"]), cwd=bench.folder, env=bench.environ, check=False)
        assert done.returncode == code


def test_what_is_shipped_is_in_the_source_distribution() -> None:
    """The files that pipelines use are part of what is published, beside the tests that run them."""
    text = (ROOT / "pyproject.toml").read_text()
    for name in ("/ci", "/action.yml", "/.pre-commit-hooks.yaml", "/docs"):
        assert f'"{name}"' in text
        assert (ROOT / name.lstrip("/")).exists()
    assert Path(ROOT / "ci" / "github").is_dir()
