"""No command writes the key it was given anywhere: not to a stream, a plan, a report or the sandbox's file."""

import os
import secrets
import subprocess
import sys

import pytest

from reconciler.planning.plan import serialise
from reconciler.planning.render import render_json, render_text
from reconciler.sandbox import Sandbox
from reconciler.sandbox.server import Server

from .samples import simple
from .world import World, actions

CANARY = "sk_test_" + "Canary" + secrets.token_hex(12)
UNREACHABLE = "http://127.0.0.1:9"
COMMANDS = [
    ("validate",),
    ("plan", "--out", "plan.json"),
    ("show", "plan.json"),
    ("show", "plan.json", "--format", "json"),
    ("show", "plan.json", "--format", "markdown"),
    ("apply", "plan.json", "--format", "jsonl"),
    ("drift", "--format", "json"),
    ("doctor",),
    ("doctor", "--format", "json"),
    ("plan", "-vv"),
    ("plan", "-vv", "--api-base", UNREACHABLE),
    ("apply", "plan.json", "-vv", "--api-base", UNREACHABLE),
    ("apply", "--auto-approve", "-vv"),
    ("schema", "--check"),
    ("plan", CANARY),
    ("explain", CANARY),
    ("plan", "--api-base", f"http://{CANARY}@127.0.0.1:9"),
]


def hidden_in(*places: bytes) -> bool:
    """Tell whether the secret part of the key stands in any of these."""
    return any(CANARY.removeprefix("sk_test_").encode() in place for place in places)


@pytest.fixture(scope="module")
def everything_written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[bytes]]:
    """Run every command with the key set and return what each wrote to its streams, and every file there is after."""
    home = tmp_path_factory.mktemp("canary")
    database = home / "sandbox.db"
    environment = {
        **os.environ,
        "STRIPE_API_KEY": CANARY,
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
        "TMPDIR": str(home),
        "NO_COLOR": "1",
    }
    run = [sys.executable, "-m", "reconciler"]
    subprocess.run([*run, "init", "."], cwd=home, env=environment, check=True, capture_output=True)
    written: dict[str, list[bytes]] = {}
    with Sandbox(str(database)) as sandbox, Server(sandbox) as server:
        environment["STRIPE_API_BASE"] = server.url
        for command in COMMANDS:
            result = subprocess.run([*run, *command], cwd=home, env=environment, check=False, capture_output=True)
            written[" ".join(command)] = [result.stdout, result.stderr]
    written["files"] = [path.read_bytes() for path in home.rglob("*") if path.is_file()]
    return written


def test_no_command_writes_its_key(everything_written: dict[str, list[bytes]]) -> None:
    """The key stands in no output of any command, and in no file after all of them."""
    found = [name for name, places in everything_written.items() if hidden_in(*places)]
    assert found == []
    assert len(everything_written["files"]) > 10


def test_the_commands_did_their_work(everything_written: dict[str, list[bytes]]) -> None:
    """The control: the commands above reached the account and wrote a plan and an account's state."""
    assert b"11 to create" in everything_written["show plan.json"][0]
    assert b"change_summary" in everything_written["apply plan.json --format jsonl"][0]
    assert any(b"acme.plans.pro.prices.monthly" in content for content in everything_written["files"])


def test_a_planted_key_is_found() -> None:
    """The control of the search: a key in the open is found."""
    assert hidden_in(b"x", f"leak: {CANARY}".encode())


def test_a_key_that_stands_in_an_object_reaches_no_plan() -> None:
    """A key that somebody wrote into a name or metadata is seen as an edit and healed, and no plan repeats it."""
    sections = simple()
    sections["plans"]["pro"]["metadata"] = {"line": "core"}
    world = World()
    world.apply(sections)
    world.dashboard.v1.products.update("acme_plan_pro", {"name": CANARY, "metadata": {"line": f"see {CANARY}"}})
    plan = world.plan(sections)
    texts = [serialise(plan), render_text(plan), render_json(plan)]
    assert not hidden_in(*(text.encode() for text in texts))
    assert all("sk_test_***" in text for text in texts)
    world.run(plan)
    assert actions(world.plan(sections)) == {}
    assert world.dashboard.v1.products.retrieve("acme_plan_pro").name == "Pro"
