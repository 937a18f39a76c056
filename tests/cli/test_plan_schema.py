"""The published schema of plans: plan files and the JSON of plans keep it, and little else does."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from reconciler.planning.plan_schema import plan_schema

from .support import Shell, write
from .test_render import AFTER, BEFORE

JUDGE = jsonschema.Draft202012Validator(plan_schema())


@pytest.fixture
def plans(shell: Shell) -> dict[str, Any]:
    """Make plans with every kind of change: one without a base, one with it and refusals, and their files."""
    shell.apply(BEFORE)
    Path("billing.d").rename("before")
    guards = "guards: {protected: ['**'], max_retired_percent: 1}\n"
    write(AFTER + guards.replace("**", "plans.*"))
    first = shell.stored("plan", "--format", "json", "--out", "plan.json")
    second = shell.stored("plan", "--format", "json", "--out", "based.json", "--base", "before")
    weighed = shell.stored("plan", "--format", "json", "--base", "before", "--impact")
    assert (first.code, second.code, weighed.code) == (0, 0, 0), first.err + second.err + weighed.err
    files = {name: json.loads(Path(f"{name}.json").read_text()) for name in ("plan", "based")}
    shown = {"shown": first, "shown-based": second, "shown-weighed": weighed}
    return {**files, **{name: json.loads(done.out) for name, done in shown.items()}}


def test_every_plan_keeps_the_schema(plans: dict[str, Any], shell: Shell) -> None:
    """Plan files, the JSON of ``plan`` and that of ``show`` are valid, with a base or without one."""
    documents = {**plans, "show": json.loads(shell("show", "plan.json", "--format", "json").out)}
    for document in documents.values():
        JUDGE.validate(document)
    assert {each["action"] for each in plans["plan"]["actions"]} >= {"create", "update", "replace", "retire"}
    assert [each["entitlements"]["known"] for each in (plans["shown"], plans["shown-based"])] == [False, True]
    assert plans["shown"]["refusals"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda plan: plan.pop("digest"),
        lambda plan: plan.update(format="reconciler.plan/2"),
        lambda plan: plan.update(more=1),
        lambda plan: plan.update(mode="real"),
        lambda plan: plan["actions"][0].update(action="destroy"),
        lambda plan: plan["actions"][0].update(kind="charge"),
        lambda plan: plan["actions"][0].update(category="harmless"),
        lambda plan: plan["actions"][0].pop("after"),
        lambda plan: plan["refusals"][0].pop("allow"),
        lambda plan: plan["entitlements"].update(known="perhaps"),
    ],
)
def test_what_is_no_plan_does_not_keep_it(plans: dict[str, Any], spoil: Callable[[dict[str, Any]], object]) -> None:
    """A plan that lacks, adds or renames anything is invalid."""
    spoil(plans["shown"])
    assert not JUDGE.is_valid(plans["shown"])


def test_the_schema_explains_itself() -> None:
    """It is a schema, and every property of a plan and of a change says what it is."""
    schema = plan_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    for each in (schema, schema["$defs"]["Change"], schema["$defs"]["Refusal"]):
        assert [name for name, inner in each["properties"].items() if not inner.get("description")] == []
