"""The plan file: bound to every byte it was written with, to its target, to the files, and deterministic."""

import json
import os
import random
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from reconciler.config.catalog import Catalog
from reconciler.diagnostics import PlanRefusedError
from reconciler.entitlements.compile import compile_catalog
from reconciler.planning.plan import Target, content_digest, seal, serialise
from reconciler.planning.planfile import parse_plan
from reconciler.planning.verify import check_config, check_target
from reconciler.resources import desire
from reconciler.resources.model import canonical_json

from .deaths import changed
from .samples import everything, simple
from .world import NOW, World, catalog_of

KEY = b"a key that only the pipeline knows"
PLAN = World().propose(simple()).plan
TEXT = serialise(PLAN)


def policy(catalog: Catalog) -> str:
    """Return the digest of what a catalogue compiles to."""
    return compile_catalog(catalog).digest


def resealed(content: dict[str, Any], key: bytes | None = None) -> bytes:
    """Write an edited plan the way an editor with the tool at hand would."""
    content["digest"] = content_digest(content)
    content["seal"] = seal(content, key)
    return (canonical_json(content) + "\n").encode()


def test_a_plan_reads_back_as_it_was() -> None:
    """The control of every refusal below: the untouched file is the plan."""
    plan = parse_plan(TEXT.encode())
    assert plan.digest == PLAN.digest
    assert serialise(plan) == TEXT


@profile(max_examples=300)
@given(st.integers(0, len(TEXT) - 1), st.integers(0, 255))
def test_no_byte_can_be_changed(position: int, byte: int) -> None:
    """Any other byte at any place is refused."""
    data = bytearray(TEXT.encode())
    if data[position] == byte:
        return
    data[position] = byte
    with pytest.raises(PlanRefusedError):
        parse_plan(bytes(data))


@profile(max_examples=100)
@given(st.binary(max_size=200))
def test_no_bytes_are_a_plan(data: bytes) -> None:
    """Arbitrary bytes are refused, never a traceback."""
    with pytest.raises(PlanRefusedError):
        parse_plan(data)


@pytest.mark.parametrize(
    "data", [b"[" * 100_000, b'{"a":' * 50_000, b"null", b"1", TEXT.encode()[:-1], TEXT.encode() * 2]
)
def test_strange_files_are_refused(data: bytes) -> None:
    """Deep nesting, other JSON, a cut and a doubled file are refused."""
    with pytest.raises(PlanRefusedError):
        parse_plan(data)


def test_a_key_makes_resealing_useless() -> None:
    """With a key, a plan edited and sealed again without it is refused; sealed with it, it is read."""
    content = json.loads(TEXT)
    content["actions"][0]["after"]["values"]["name"] = "Edited"
    with pytest.raises(PlanRefusedError):
        parse_plan(resealed(content), KEY)
    assert parse_plan(serialise(PLAN, KEY).encode(), KEY).id == PLAN.id


def test_a_keyed_plan_needs_its_key() -> None:
    """A plan sealed with a key is not read without one."""
    with pytest.raises(PlanRefusedError) as caught:
        parse_plan(serialise(PLAN, KEY).encode())
    assert caught.value.code == "E0805"


def edits() -> list[tuple[str, Any]]:
    """Return edits that keep the plan well-formed."""

    def amount(content: dict[str, Any]) -> None:
        content["actions"][1]["after"]["values"]["unit_amount_decimal"] = "1"

    def metadata(content: dict[str, Any]) -> None:
        content["actions"][0]["after"]["metadata"]["x"] = "y"

    def extra(content: dict[str, Any]) -> None:
        twin = json.loads(json.dumps(content["actions"][0]))
        twin["address"] = "plans.zzz"
        content["actions"].append(twin)
        content["changes"] += 1
        content["counts"]["create"] += 1

    def key(content: dict[str, Any]) -> None:
        content["actions"][0]["after"]["values"]["id"] = "another"

    return [("amount", amount), ("metadata", metadata), ("extra", extra), ("key", key)]


@pytest.mark.parametrize("edit", [edit for _, edit in edits()], ids=[name for name, _ in edits()])
def test_a_resealed_plan_is_held_against_the_files(edit: Any) -> None:
    """A plan rewritten and sealed again is read, and refused for what the files at hand do not say."""
    content = json.loads(TEXT)
    edit(content)
    catalog = catalog_of(simple())
    plan = parse_plan(resealed(content))
    with pytest.raises(PlanRefusedError) as caught:
        check_config(plan, desire(catalog), catalog.digest, policy(catalog))
    assert caught.value.code == "E0809"
    check_config(PLAN, desire(catalog), catalog.digest, policy(catalog))


def test_a_plan_of_other_files_is_refused() -> None:
    """The digest of the files is part of the plan."""
    other = catalog_of(simple("20"))
    with pytest.raises(PlanRefusedError) as caught:
        check_config(PLAN, desire(other), other.digest, policy(other))
    assert caught.value.code == "E0808"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("account", "acct_other"),
        ("mode", "live"),
        ("api_version", "x"),
        ("namespace", "x"),
        ("environment", "x"),
        ("tool", "x"),
    ],
)
def test_a_plan_for_another_target_is_refused(name: str, value: str) -> None:
    """Account, mode, version, namespace and environment are each part of the plan."""
    target = PLAN.target
    check_target(PLAN, target, NOW)
    elsewhere = Target(**{**{field: getattr(target, field) for field in target.__dataclass_fields__}, name: value})
    with pytest.raises(PlanRefusedError) as caught:
        check_target(PLAN, elsewhere, NOW)
    assert value in str(caught.value)


def test_an_old_plan_is_refused() -> None:
    """At its expiry a plan is refused; a second before it is not."""
    check_target(PLAN, PLAN.target, PLAN.expires - timedelta(seconds=1))
    with pytest.raises(PlanRefusedError):
        check_target(PLAN, PLAN.target, PLAN.expires)


def test_a_plan_without_changes_says_so() -> None:
    """Scenario q: the number of changes stands in one field."""
    world = World()
    world.apply(simple())
    assert json.loads(serialise(world.plan(simple())))["changes"] == 0


SCRIPT = """
import json, sys
from datetime import UTC, datetime
from pathlib import Path
from reconciler.config.catalog import load_catalog
from reconciler.provider.gateway import Connection, Gateway
from reconciler.provider.limiter import UNLIMITED
from reconciler.provider.propose import propose
from reconciler.sandbox import Sandbox
sandbox = Sandbox(sys.argv[2], clock=lambda: 1800000000)
gateway = Gateway(Connection("sk_test_sandbox", transport=sandbox.http_client(), rates=UNLIMITED))
now = datetime.now(UTC)
plan = propose(load_catalog(Path(sys.argv[1])), gateway, plan_id="0" * 32, now=now).plan
print(plan.digest, *sorted({str(change.action) for change in plan.changes}))
"""


def write_files(directory: Path, seed: int) -> None:
    """Write the changed sample catalogue as one file a section, the files made in random order."""
    sections = {"settings": {"namespace": "acme", "currency": "usd"}, **changed()}
    directory.mkdir()
    for name in random.Random(seed).sample(sorted(sections), len(sections)):
        (directory / f"{name}.yaml").write_text(json.dumps({name: sections[name]}))


def moved_account(path: Path) -> None:
    """Make an account that holds the sample catalogue, edits of it in the dashboard, and objects of somebody else."""
    world = World(path=str(path))
    world.apply(everything())
    client = world.dashboard.v1
    client.products.update("acme_plan_pro", {"name": "Edited"})
    client.products.create({"name": "Theirs"})
    mark = {"managed_by": "reconciler/acme", "address": "plans.payg"}
    client.products.create({"name": "Twin", "metadata": mark})
    client.coupons.delete("acme_coupon_five")
    world.sandbox.close()


def test_a_plan_is_the_same_everywhere(tmp_path: Path) -> None:
    """Order of files on disk, hash seed, time zone, locale and clock do not reach the digest, whatever is planned."""
    account = tmp_path / "account.db"
    moved_account(account)
    answers = set()
    for seed, zone, locale in ((1, "UTC", "C"), (2, "Pacific/Kiritimati", "C.UTF-8"), (3, "America/St_Johns", "tr_TR")):
        target = tmp_path / "billing.d"
        write_files(target, seed)
        environment = {**os.environ, "PYTHONHASHSEED": str(seed), "TZ": zone, "LC_ALL": locale}
        command = [sys.executable, "-c", SCRIPT, str(target), str(account)]
        result = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
        answers.add(result.stdout.strip())
        target.rename(tmp_path / f"done{seed}.d")
    (answer,) = answers
    assert answer.split()[1:] == ["create", "replace", "retire", "update"]


def test_another_amount_is_another_plan() -> None:
    """The control of the test above: the digest does see what the plan would do."""
    assert World().plan(simple("19")).digest != World().plan(simple("20")).digest
