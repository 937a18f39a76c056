"""The events of ``apply --format jsonl``: valid JSON line by line, under Terraform's names, whatever happens."""

import json
from pathlib import Path
from typing import Any

import pytest

from .support import SIMPLE, Done, Shell, dashboard, write
from .test_github import HOSTILE

#: The types of ``terraform apply -json`` (https://developer.hashicorp.com/terraform/internals/machine-readable-ui).
TERRAFORM = {
    *("version", "log", "diagnostic", "resource_drift", "planned_change", "change_summary", "outputs"),
    *("apply_start", "apply_progress", "apply_complete", "apply_errored"),
}
GUARDED = SIMPLE + "guards: {protected: [plans.pro]}\n"


def events(done: Done) -> list[dict[str, Any]]:
    """Read the events of a command; every line must be one object in ASCII without controls."""
    lines = done.out.split("\n")
    assert lines.pop() == ""
    found = [json.loads(line) for line in lines]
    assert done.out.isascii()
    assert not set(done.out) & {"\x1b", "\r"}
    assert {each["type"] for each in found} <= TERRAFORM
    assert found[0]["type"] == "version"
    return found


def test_an_apply_without_changes_says_so(shell: Shell) -> None:
    """From the files and from a saved plan, nothing to do is a version and a summary, never silence."""
    shell.apply(SIMPLE)
    shell.stored("plan", "--out", "plan.json")
    for arguments in (("apply",), ("apply", "plan.json")):
        done = shell.stored(*arguments, "--format", "jsonl")
        last = events(done)[-1]
        assert (done.code, last["type"], last["total"], last["exit_code"]) == (0, "change_summary", 0, 0)


@pytest.mark.parametrize("how", ["guard", "stale", "altered", "expected"])
def test_a_refusal_is_an_event(shell: Shell, how: str) -> None:
    """Why an apply was refused stands in the events as on stderr: code, words, help, and the exit code."""
    shell.apply(GUARDED)
    write(GUARDED.replace("49.99", "59.99"))
    shell.stored("plan", "--out", "plan.json")
    arguments, code = ["--allow=protected:plans.pro.prices.monthly"], "E0810"
    if how == "guard":
        arguments, code = [], "E1030"
    elif how == "stale":
        with dashboard() as sandbox:
            sandbox.client().v1.products.update("acme_plan_pro", {"name": HOSTILE})
    elif how == "altered":
        Path("plan.json").write_text(Path("plan.json").read_text().replace("5999", "1"))
        code = "E0804"
    else:
        arguments, code = [*arguments, "--expect-changes=9"], "E1031"
    done = shell.stored("apply", "plan.json", "--format", "jsonl", *arguments)
    last = events(done)[-1]
    assert (last["type"], last["severity"], last["code"], last["exit_code"]) == ("diagnostic", "error", code, done.code)
    assert done.code in (4, 5)
    assert f"error[{code}]" in done.err


def test_hostile_names_stay_in_their_line(shell: Shell) -> None:
    """Addresses and messages that hold line breaks, escapes or workflow commands end no line and begin none."""
    shell.apply(SIMPLE)
    with dashboard() as sandbox:
        metadata = {"managed_by": "reconciler/acme", "address": f"plans.{HOSTILE}"}
        sandbox.client().v1.products.create({"name": HOSTILE, "metadata": metadata})
    done = shell.stored("apply", "--auto-approve", "--format", "jsonl", "--allow=max_retired_percent")
    found = events(done)
    assert done.code == 0, done.err
    assert any("set-output" in each.get("address", "") for each in found)
    assert not [line for line in done.out.splitlines() if line.lstrip().startswith("::")]
