"""The examples of docs/ci.md: run where they are commands, parsed and held against what they refer to otherwise."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from reconciler.config.catalog import catalog_from_text
from reconciler.planning.plan_schema import plan_schema

from .conftest import FILES, files
from .hosts import ACTION, ROOT, Runner

DOC = (ROOT / "docs" / "ci.md").read_text()
BLOCKS = re.findall(r"(?:<!-- (file|run)(?:: (\S+))? -->\n)?```(\w+)\n(.*?)```\n", DOC, re.DOTALL)
NAMED: dict[str, str] = {name: text for _kind, name, _language, text in BLOCKS if name}
OURS = "your-org/reconciler@"


def workflow() -> dict[str, Any]:
    """Read the GitHub workflow."""
    found: dict[str, Any] = yaml.safe_load(NAMED[".github/workflows/billing.yml"])
    return found


def test_every_example_is_used_here() -> None:
    """No block of the document is left out: each is run, or named, or a piece of the configuration."""
    kinds = [(kind, language) for kind, _name, language, _text in BLOCKS]
    assert [pair for pair in kinds if not pair[0]] == [("", "yaml")]
    assert set(NAMED) == {
        *(".github/workflows/billing.yml", ".gitlab-ci.yml", ".pre-commit-config.yaml", "policy/billing.rego")
    }


def test_the_workflow_gives_the_action_what_it_takes() -> None:
    """Every use of the action names inputs it has and a command; outputs that are read exist; actions are pinned."""
    text = NAMED[".github/workflows/billing.yml"]
    commands = set()
    for job in workflow()["jobs"].values():
        for step in job["steps"]:
            if "uses" in step:
                assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", step["uses"])
            if step.get("uses", "").startswith(OURS):
                assert set(step["with"]) <= set(ACTION["inputs"])
                commands.add(step["with"]["command"])
            elif "run" in step:
                script = subprocess.run(["bash", "-ec", step["run"]], check=False)
                assert script.returncode == 1
    assert commands == {"validate", "plan", "apply", "drift"}
    assert set(re.findall(r"outputs\.([a-z-]+)", text)) <= set(ACTION["outputs"])


def test_the_workflow_grants_the_least() -> None:
    """Nothing may be written but comments, by the plan alone; the writing key is seen by the protected job alone."""
    found = workflow()
    assert found["permissions"] == {"contents": "read"}
    rights = {name: job.get("permissions", found["permissions"]) for name, job in found["jobs"].items()}
    writing = {name: [right for right, how in given.items() if how == "write"] for name, given in rights.items()}
    assert writing == {"validate": [], "plan": ["pull-requests"], "apply": [], "drift": []}
    keys = {name: set(re.findall(r"STRIPE_\w+_KEY", json.dumps(job["steps"]))) for name, job in found["jobs"].items()}
    assert [name for name, seen in keys.items() if "STRIPE_APPLY_KEY" in seen] == ["apply"]
    assert found["jobs"]["apply"]["environment"] == "production"
    assert "pull_request_target" not in found[True]  # YAML 1.1 reads the key `on` as true


def test_gitlab_and_pre_commit_name_what_is_there() -> None:
    """The template, its jobs and variables, and the hook exist under the names of the examples."""
    example = yaml.safe_load(NAMED[".gitlab-ci.yml"])
    (include,) = example.pop("include")
    template = yaml.safe_load((ROOT / include["file"]).read_text())
    for name, job in example.items():
        assert set(job["variables"]) <= set(template[template[name]["extends"]]["variables"])
    hooks = {each["id"] for each in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())}
    (repository,) = yaml.safe_load(NAMED[".pre-commit-config.yaml"])["repos"]
    assert {each["id"] for each in repository["hooks"]} <= hooks


def test_the_environments_of_the_example_are_valid() -> None:
    """The piece of configuration is one."""
    (text,) = [text for kind, _name, language, text in BLOCKS if not kind and language == "yaml"]
    catalog, problems = catalog_from_text(FILES + text)
    assert (problems, set(catalog.file.environments) if catalog else None) == ((), {"staging", "production"})


@pytest.mark.soak
def test_the_commands_run(runner: Runner) -> None:
    """Every command and program of the document runs as it stands, in its order, against the sandbox."""
    for kind, _name, language, text in BLOCKS:
        if kind == "run" and language == "console":
            lines = [line.removeprefix("$ ") for line in text.splitlines()]
            script = ["bash", "-eo", "pipefail", "-c", "\n".join(lines)]
            done = subprocess.run(script, cwd=runner.folder, env=runner.environ, capture_output=True, check=False)
            assert done.returncode == 0, done.stderr
        elif kind == "run":
            subprocess.run([sys.executable, "-c", text], cwd=runner.folder, check=True)
    plan = json.loads((runner.folder / "plan.json").read_text())
    jsonschema.Draft202012Validator(plan_schema()).validate(plan)
    assert (runner.folder / "plan.html").read_text().startswith("<!doctype html>")


def fields(text: str) -> set[str]:
    """Return the paths of the plan that a policy reads, with ``action`` for an element of ``actions``."""
    return set(re.findall(r"\b(?:input|action)(?:\.[a-z_]+)+", text))


def test_the_policy_reads_fields_that_are_there() -> None:
    """Every field the policy asks for is in the published schema, and every word it compares with is a possible one."""
    schema = plan_schema()
    text = NAMED["policy/billing.rego"]
    for path in fields(text):
        root, *parts = path.split(".")
        node: dict[str, Any] = schema["$defs"]["Change"] if root == "action" else schema
        for part in parts:
            kinds = [node, *(schema["$defs"][each["$ref"].rpartition("/")[2]] for each in node.get("anyOf", []))]
            node = next(kind["properties"][part] for kind in kinds if part in kind.get("properties", {}))
    change = schema["$defs"]["Change"]["properties"]
    for name in ("kind", "action", "category"):
        compared = re.findall(rf"action\.{name} (?:==|!=|in) (.+)", text)
        assert {word for part in compared for word in re.findall(r'"(.+?)"', part)} <= set(change[name]["enum"])


def test_the_policy_refuses_what_it_says(runner: Runner) -> None:
    """With a Rego interpreter at hand: what is irreversible is denied, unknown calls are warned of."""
    regopy = pytest.importorskip("regopy")
    files(runner.folder, FILES + "coupons: {five: {name: Five, percent_off: 5}}\n")
    for words in ("apply --auto-approve -q", "plan --format json"):
        done = subprocess.run(
            ["reconciler", *words.split()], cwd=runner.folder, env=runner.environ, capture_output=True, check=True
        )
        files(runner.folder, FILES)
    interpreter = regopy.Interpreter()
    interpreter.add_module("billing", NAMED["policy/billing.rego"])
    interpreter.set_input(json.loads(done.stdout))
    assert "coupons.five cannot be undone" in str(interpreter.query("data.main.deny"))
    assert "plan with --base" in str(interpreter.query("data.main.warn"))


def test_the_readme_leads_here() -> None:
    """Who looks for a pipeline in the README finds this document, and a step that the action takes."""
    text = (Path(ROOT) / "README.md").read_text()
    assert "docs/ci.md" in text
    (step,) = yaml.safe_load(re.findall(r"```yaml\n(- uses: your-org.*?)```", text, re.DOTALL)[0])
    assert set(step["with"]) <= set(ACTION["inputs"])
