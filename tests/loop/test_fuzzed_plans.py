"""Plan files that somebody or something has changed: whatever it was, not one write happens.

Resealed plans are written the way an editor with the tool at hand would write them, digest and seal right; they are
held against the files and the account. What a plan only tells is left alone there: when it was made, how many foreign
objects there were, how many subscribers (they are counted anew), whether the files were applied before. With a seal by
key it is bound like everything else.
"""

import json
import random
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from typing import Any

import pytest

from reconciler.diagnostics import PlanRefusedError
from reconciler.entitlements.compile import compile_catalog
from reconciler.planning.plan import Plan, Target, content_digest, seal, serialise
from reconciler.planning.planfile import parse_plan
from reconciler.planning.verify import check_config, check_target
from reconciler.provider.executor import Ending, Executor
from reconciler.resources import desire
from reconciler.resources.model import canonical_json

from .deaths import changed
from .samples import everything
from .world import NOW, World, catalog_of

KEY = b"a key that only the pipeline knows"
#: Told, and bound by the seal alone.
TOLD = ("id", "created", "expires", "digest", "seal", "live_digest", "foreign", "subscribers", "in_force")
BITES = ("bit", "byte", "cut", "doubled", "line", "format", "nothing")


@cache
def prepared() -> tuple[World, Plan, Target]:
    """Make an account with the sample catalogue, and a plan with every kind of change in it."""
    world = World()
    world.apply(everything())
    plan = world.propose(changed()).plan
    return world, plan, plan.target


def attempt(data: bytes, key: bytes | None) -> None:
    """Do what ``apply PLAN`` does, with the files at hand."""
    world, _plan, target = prepared()
    catalog = catalog_of(changed())
    plan = parse_plan(data, key)
    check_target(plan, target, NOW + timedelta(hours=1))
    check_config(plan, desire(catalog), catalog.digest, compile_catalog(catalog).digest)
    Executor(world.gateway(), keeper=world.secrets).apply(plan, catalog)


def resealed(content: dict[str, Any], key: bytes | None) -> bytes:
    """Write an edited plan with a digest and a seal that hold."""
    content["digest"] = content_digest(content)
    content["seal"] = seal(content, key)
    return (canonical_json(content) + "\n").encode()


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of everything below a value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        if (path and path != ("entitlements",)) or name not in TOLD:
            yield (*path, name)
            yield from leaves(item, (*path, name))


def other(value: Any, rng: random.Random) -> Any:
    """Return another value of the same type, or of another."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + rng.choice((-1, 1, 1000))
    if isinstance(value, str):
        changed = rng.choice(["", value + "0", value[::-1], "acct_1Other", "live", "9" + value])
        return changed if changed != value else value + "x"
    if value is None:
        return rng.choice(("", 1, {}))
    return rng.choice((None, [], {})) or None


def edit(content: dict[str, Any], rng: random.Random) -> str:
    """Change one thing of a plan, as an editor would; say what."""
    what = rng.choice(("value", "value", "value", "removed", "doubled", "swapped", "added"))
    actions = content["actions"]
    if what == "value":
        path = rng.choice(list(leaves(content)))
        *above, last = path
        parent = content
        for step in above:
            parent = parent[step]
        parent[last] = other(parent[last], rng)
        return f"{'.'.join(map(str, path))} is {parent[last]!r}"
    if what == "removed":
        actions.pop(rng.randrange(len(actions)))
    elif what == "doubled":
        actions.insert(rng.randrange(len(actions)), dict(rng.choice(actions)))
    elif what == "swapped":
        first, second = rng.sample(range(len(actions)), 2)
        actions[first], actions[second] = actions[second], actions[first]
    else:
        twin = json.loads(json.dumps(rng.choice(actions)))
        twin["address"] += "x"
        actions.append(twin)
        actions.sort(key=lambda each: (each["address"], each["id"] or ""))
    counts: dict[str, int] = {}
    for each in actions:
        counts[each["action"]] = counts.get(each["action"], 0) + 1
    content |= {"changes": len(actions), "counts": dict(sorted(counts.items()))}
    return what


def bitten(text: bytes, rng: random.Random) -> bytes:
    """Return a file whose bytes were changed without a seal that holds."""
    data, place = bytearray(text), rng.randrange(len(text))
    match rng.choice(BITES):
        case "bit":
            data[place] ^= 1 << rng.randrange(8)
        case "byte":
            data[place] = (data[place] + rng.randrange(1, 256)) % 256
        case "cut":
            del data[place:]
        case "doubled":
            data += text
        case "line":
            data[place:place] = b"\n"
        case "format":
            data = bytearray(
                text.replace(b"reconciler.plan/1", rng.choice((b"reconciler.plan/0", b"reconciler.plan/2")))
            )
        case _:
            data = bytearray()
    return bytes(data)


def fuzzed(seed: int) -> tuple[str, bytes, bytes | None]:
    """Return what was done, the file, and the key of whoever applies it."""
    rng = random.Random(seed)
    _world, plan, _target = prepared()
    kind = rng.choice(("bitten", "resealed", "resealed", "keyed"))
    if kind == "bitten":
        return kind, bitten(serialise(plan).encode(), rng), None
    content = json.loads(serialise(plan))
    what = edit(content, rng)
    if kind == "resealed":
        return what, resealed(content, None), None
    forged = rng.choice((None, b"another key"))
    return f"{what}, sealed with {forged!r}", resealed(content, forged), KEY


def refuse(seed: int) -> None:
    """Apply one changed plan: it is refused, and nothing is written."""
    what, data, key = fuzzed(seed)
    world, _plan, _target = prepared()
    world.sandbox.requests.clear()
    with pytest.raises(PlanRefusedError) as refused:
        attempt(data, key)
    assert refused.value.exit_code == 5, what
    assert world.writes() == [], what


@pytest.mark.parametrize("seed", range(150))
def test_a_changed_plan_writes_nothing(seed: int) -> None:
    """Bits; values, changes removed, doubled, swapped, added, in whole JSON sealed again; with and without a key."""
    refuse(seed)


@pytest.mark.soak
@pytest.mark.parametrize("hundred", range(2, 12))
def test_a_thousand_changed_plans_write_nothing(hundred: int) -> None:
    """The same for a thousand more."""
    for seed in range(100 * hundred, 100 * hundred + 100):
        refuse(seed)


@pytest.mark.parametrize("key", [None, KEY])
def test_the_untouched_plan_does_apply(key: bytes | None) -> None:
    """The control: the same plan as it was written, and as an editor who changes nothing writes it, is complete."""
    for again in (False, True):
        world = World()
        world.apply(everything())
        plan = world.propose(changed()).plan
        text = serialise(plan, key).encode()
        data = resealed(json.loads(text), key) if again else text
        assert data == text
        report = Executor(world.gateway(), keeper=world.secrets).apply(parse_plan(data, key), catalog_of(changed()))
        assert report.ending is Ending.COMPLETE
        assert world.writes()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("account", "acct_1Other"),
        ("mode", "live"),
        ("api_version", "2025-01-01.other"),
        ("namespace", "other"),
        ("environment", "production"),
        ("tool", "99.0.0"),
        ("expires", NOW.isoformat()),
        ("config_digest", "0" * 64),
        ("unchanged", 10_000),
        ("currencies", ["eur"]),
        ("bindings", {}),
    ],
)
def test_each_bond_is_held(field: str, value: Any) -> None:
    """A plan for another target, too old, of other files, or with other counts is refused though its seal holds."""
    world, plan, _target = prepared()
    content = json.loads(serialise(plan))
    assert content[field] != value
    content[field] = value
    world.sandbox.requests.clear()
    with pytest.raises(PlanRefusedError):
        attempt(resealed(content, None), None)
    assert world.writes() == []
