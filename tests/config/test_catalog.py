"""The catalogue: what files mean together, with positions, overlays, and a digest of the meaning alone."""

import itertools
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.config.catalog import Catalog, catalog_from_text, inspect, load_catalog
from reconciler.config.models import Environment
from reconciler.config.source import load_text
from reconciler.diagnostics import ConfigError, Diagnostic, Severity

VALID = sorted((Path(__file__).parents[1] / "valid").glob("*.yaml"))
LANGUAGE = next(path for path in VALID if path.stem == "language").read_text()
SETTINGS = "settings: {namespace: acme, currency: usd}\n"
PRO = "plans:\n  pro: {name: Pro, trial_days: 14, tools: [a, b], prices: {monthly: {amount: 49.90, interval: month}}}\n"


def write(root: Path, files: dict[str, str]) -> Path:
    """Write files below ``root/billing.d``."""
    directory = root / "billing.d"
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return directory


def load(text: str) -> Catalog:
    """Load a text that must be valid."""
    catalog, diagnostics = catalog_from_text(text)
    assert catalog is not None, diagnostics
    return catalog


def codes(diagnostics: tuple[Diagnostic, ...]) -> list[str]:
    """Return the codes in order."""
    return [each.code for each in diagnostics]


def plain(text: str) -> Any:
    """Read a text as plain data, decimals as text."""
    document, _ = load_text(text, "f.yaml")
    assert document is not None
    return json.loads(json.dumps(document.root, default=str))


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_a_valid_file_has_no_diagnostics(path: Path) -> None:
    """Positive control of every rule: the whole language passes without an error or a warning."""
    catalog, diagnostics = catalog_from_text(path.read_text(), path.name)
    assert diagnostics == ()
    assert catalog is not None


# --- reading ----------------------------------------------------------------------------------------------------------


def test_inspect_returns_the_catalogue_or_the_problems(tmp_path: Path) -> None:
    """A valid directory gives a catalogue and its warnings, an invalid one every problem and no catalogue."""
    directory = write(
        tmp_path, {"a.yaml": SETTINGS, "plans.yaml": PRO + "tiers: {x: {steps: [{up_to: inf, unit_amount: 1}]}}\n"}
    )
    catalog, sources, diagnostics = inspect(directory)
    assert catalog is not None
    assert codes(diagnostics) == ["W0404"]
    assert catalog.warnings == diagnostics
    assert sources.line("billing.d/a.yaml", 1) == SETTINGS.strip()
    (directory / "b.yaml").write_text("plans: {team: {}}\n")
    catalog, _, diagnostics = inspect(directory)
    assert catalog is None
    assert codes(diagnostics) == ["E0202"]


def test_load_catalog_raises_with_all_problems(tmp_path: Path) -> None:
    """At the boundary the problems are one exception with exit code 3; a valid directory raises nothing."""
    directory = write(tmp_path, {"a.yaml": SETTINGS + "plans: {a: {nme: A}, b: {name: B, default_price: x}}\n"})
    with pytest.raises(ConfigError) as caught:
        load_catalog(directory)
    assert caught.value.exit_code == 3
    assert codes(caught.value.diagnostics) == ["E0202", "E0201", "E0402"]
    (directory / "a.yaml").write_text(SETTINGS + PRO)
    assert load_catalog(directory).namespace == "acme"


def test_a_missing_directory_is_a_diagnostic(tmp_path: Path) -> None:
    """A directory that is not there is a problem, not an exception."""
    catalog, _, diagnostics = inspect(tmp_path / "billing.d")
    assert catalog is None
    assert codes(diagnostics) == ["E0168"]


def test_nothing_is_said_about_files_that_could_not_be_read(tmp_path: Path) -> None:
    """Where one file is unreadable, references to what it may define are not called undefined."""
    files = {"a.yaml": SETTINGS + "tenants: {acme: {name: Acme, plan: pro}}\n", "b.yaml": "plans: {pro: [\n"}
    assert codes(inspect(write(tmp_path, files))[2]) == ["E0103"]
    (tmp_path / "billing.d" / "b.yaml").write_text("plans: {prro: {name: Pro}}\n")
    assert codes(inspect(tmp_path / "billing.d")[2]) == ["E0401"]


def test_errors_of_every_stage_are_reported_together() -> None:
    """Text, form, references and terms are checked in one run, in the order of the file."""
    plans = "plans:\n  a: {name: A, trial_days: 010}\n  b: {nme: B}\n  c: {name: C, features: [x]}\n"
    assert codes(catalog_from_text(SETTINGS + plans)[1]) == ["E0131", "E0202", "E0201", "E0401"]


def test_warnings_about_unused_things_wait_for_sound_entries() -> None:
    """A feature is not called unused while an entry that may use it is broken."""
    features = "features: {x: {name: X}}\n"
    assert codes(catalog_from_text(SETTINGS + features + "plans: {a: {nme: A}}\n")[1]) == ["E0202", "E0201"]
    assert codes(catalog_from_text(SETTINGS + features + "plans: {a: {name: A}}\n")[1]) == ["W0402"]


def test_settings_are_read_and_have_defaults() -> None:
    """Calendar, plan of strangers and grace are read as written; unsaid they are UTC, nobody's, and seven days."""
    written = load(LANGUAGE).settings
    assert (written.timezone, written.default_plan, written.past_due_grace_days) == ("Europe/Berlin", "free", 10)
    unsaid = load(SETTINGS).settings
    assert (unsaid.timezone, unsaid.default_plan, unsaid.past_due_grace_days) == ("UTC", None, 7)


def test_time_zones_are_listed_only_where_one_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Listing the zones reads hundreds of files: who stays with UTC does not pay for it."""
    listed: list[str] = []
    zones = lambda: listed.append("") or {"Asia/Tokyo"}  # noqa: E731
    monkeypatch.setattr("reconciler.config.checks.references._zones", zones)
    load(SETTINGS)
    load("settings: {namespace: acme, timezone: UTC}")
    assert not listed
    load("settings: {namespace: acme, timezone: Asia/Tokyo}")
    assert listed


def test_time_zones_need_none_from_the_system() -> None:
    """A machine without a time zone database accepts the same zones as every other."""
    script = (
        "from zoneinfo import TZPATH; from reconciler.config.catalog import catalog_from_text as read; "
        "print(TZPATH, read('settings: {namespace: acme, timezone: Asia/Tokyo}')[1])"
    )
    bare = {**os.environ, "PYTHONTZPATH": ""}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=bare)
    assert done.stdout == "() ()\n"


# --- positions --------------------------------------------------------------------------------------------------------


def test_a_node_is_found_where_it_is_named(tmp_path: Path) -> None:
    """``at`` gives the key, the item of a list, or the nearest node above, in whatever file it stands."""
    directory = write(tmp_path, {"a.yaml": SETTINGS, "p/pro.yaml": PRO, "q.yaml": "plans:\n  free: {name: Free}\n"})
    catalog = load_catalog(directory)
    places = {
        ("plans", "pro"): "billing.d/p/pro.yaml:2:3",
        ("plans", "free", "name"): "billing.d/q.yaml:2:10",
        ("plans", "pro", "prices", "monthly", "amount"): "billing.d/p/pro.yaml:2:70",
        ("plans", "pro", "tools", 1): "billing.d/p/pro.yaml:2:47",
        ("plans", "pro", "spend"): "billing.d/p/pro.yaml:2:3",
        ("plans",): "billing.d/p/pro.yaml:1:1",
    }
    assert {path: str(catalog.at(*path)) for path in places} == places
    assert catalog.at("coupons", "x") is None
    assert str(catalog.positions["plans", "pro", "prices", "monthly", "amount"]) == "billing.d/p/pro.yaml:2:78"


def test_moved_entries_of_all_files_keep_their_places(tmp_path: Path) -> None:
    """``moved`` lists are joined in the order of the files, and each entry still points to its own line."""
    directory = write(
        tmp_path,
        {
            "a.yaml": SETTINGS + PRO + "moved:\n  - {from: plans.one, to: plans.pro}\n",
            "b.yaml": "moved:\n  - {from: plans.two, to: plans.one}\n  - {from: plans.x, to: plans.nowhere}\n",
        },
    )
    _, _, diagnostics = inspect(directory)
    assert [(each.code, str(each.range)) for each in diagnostics] == [("E0608", "billing.d/b.yaml:3:25")]


def test_moved_follows_chains_to_their_end() -> None:
    """An address that moved several times leads to where it is now."""
    catalog = load(SETTINGS + PRO + "moved: [{from: plans.b, to: plans.pro}, {from: plans.a, to: plans.b}]\n")
    assert catalog.moved == {"plans.b": "plans.pro", "plans.a": "plans.pro"}
    assert load(SETTINGS + PRO).moved == {}


# --- digest -----------------------------------------------------------------------------------------------------------


def test_the_digest_is_of_the_meaning(tmp_path: Path) -> None:
    """Files, order, comments, quotes and trailing zeros do not count."""
    one = load(SETTINGS + PRO + "meters: {b: {name: B}, a: {name: A}}\n")
    other = write(
        tmp_path,
        {
            "z.yaml": "settings:\n  currency: usd  # ours\n  namespace: 'acme'\n",
            "m/1.yaml": "meters: {a: {name: A}}\n",
            "m/2.yml": 'meters:\n  b:\n    name: "B"\n    aggregation: sum\n',
            "plans.yaml": PRO.replace("49.90", "'49.9'"),
        },
    )
    assert load_catalog(other).digest == one.digest
    assert len(one.digest) == 64


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data["plans"]["pro"].update(trial_days=15),
        lambda data: data["plans"]["pro"]["prices"]["monthly"].update(amount="50.00"),
        lambda data: data["plans"]["pro"]["tools"].append("x"),
        lambda data: data["coupons"]["launch"].update(redeem_by="2028-01-01"),
        lambda data: data["settings"].update(namespace="other"),
        lambda data: data["meters"].update(extra={"name": "Extra"}),
        lambda data: data["moved"].pop(),
    ],
    ids=["number", "amount", "list", "date", "namespace", "entry", "moved"],
)
def test_the_digest_changes_with_the_meaning(change: Any) -> None:
    """Any other value, item or entry is another digest; the same content, written anew, is not."""
    data = plain(LANGUAGE)
    original = load(json.dumps(data)).digest
    assert original == load(LANGUAGE).digest
    change(data)
    assert load(json.dumps(data)).digest != original


@settings(max_examples=25)
@given(st.randoms(use_true_random=False))
def test_the_digest_does_not_depend_on_the_order_of_keys(shuffle: random.Random) -> None:
    """Keys may stand in any order at every depth."""

    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            items = [(key, shuffled(item)) for key, item in value.items()]
            shuffle.shuffle(items)
            return dict(items)
        return [shuffled(item) for item in value] if isinstance(value, list) else value

    assert load(json.dumps(shuffled(plain(LANGUAGE)))).digest == load(LANGUAGE).digest


# --- overlays ---------------------------------------------------------------------------------------------------------


def overlaid(root: Path, patch: str, base: str = SETTINGS + PRO) -> Catalog:
    """Load a base with one overlay file over it."""
    return load_catalog(write(root, {"a.yaml": base, "env/prod/o.yaml": patch}), "prod")


def test_an_overlay_changes_by_key_and_keeps_the_rest(tmp_path: Path) -> None:
    """A value is replaced, its neighbours stay, and the base without the environment is as it was."""
    catalog = overlaid(tmp_path, "plans: {pro: {prices: {monthly: {amount: 59}}}}\n")
    price = catalog.file.plans["pro"].prices["monthly"]
    assert (str(price.amount), price.interval) == ("59", "month")
    assert catalog.file.plans["pro"].trial_days == 14
    assert str(load_catalog(tmp_path / "billing.d").file.plans["pro"].prices["monthly"].amount) == "49.90"
    assert str(catalog.positions["plans", "pro", "prices", "monthly", "amount"]).startswith(
        "billing.d/env/prod/o.yaml:1:"
    )
    assert str(catalog.at("plans", "pro")).startswith("billing.d/a.yaml:3:")


def test_null_removes_and_lists_replace(tmp_path: Path) -> None:
    """Null takes a key, an entry or a section away; a list stands in place of the other, with its positions."""
    base = SETTINGS + PRO + "coupons: {x: {percent_off: 5}}\nmeters: {m: {name: M}, k: {name: K}}\n"
    patch = "plans: {pro: {trial_days: null, tools: [c]}}\ncoupons: null\nmeters: {m: null}\n"
    catalog = overlaid(tmp_path, patch, base)
    assert catalog.file.plans["pro"].trial_days is None
    assert catalog.file.plans["pro"].tools == ("c",)
    assert catalog.file.coupons == {}
    assert set(catalog.file.meters) == {"k"}
    assert ("plans", "pro", "tools", 1) not in catalog.positions
    assert not [path for path in catalog.keys if path[0] == "coupons"]


def test_new_adds_an_entry_and_is_not_part_of_it(tmp_path: Path) -> None:
    """An id the base lacks is added where it says so; fields need not say so, and what is inside it neither."""
    patch = (
        "plans:\n  team: {new: true, name: Team, prices: {m: {amount: 5, interval: month}}}\n"
        "  pro:\n    description: For teams\n    metadata: {a: b}\n"
        "    prices: {annual: {new: true, amount: 500, interval: year}}\n"
    )
    catalog = overlaid(tmp_path, patch)
    assert set(catalog.file.plans) == {"pro", "team"}
    assert set(catalog.file.plans["pro"].prices) == {"monthly", "annual"}
    assert catalog.file.plans["pro"].metadata == {"a": "b"}
    assert ("plans", "team", "new") not in catalog.file.plans["team"].model_dump()


def test_an_entry_without_new_is_left_out_and_named(tmp_path: Path) -> None:
    """A misspelt id in an overlay is one problem, not also the missing keys of what it would become."""
    directory = write(tmp_path, {"a.yaml": SETTINGS + PRO, "env/prod/o.yaml": "plans: {prro: {trial_days: 1}}\n"})
    assert codes(inspect(directory, "prod")[2]) == ["E0604"]
    assert codes(inspect(directory)[2]) == []


def test_an_environment_is_bound_to_its_account(tmp_path: Path) -> None:
    """The environment of a catalogue is what ``environments`` says of it, test mode where it says nothing."""
    base = SETTINGS + "environments: {prod: {account: acct_1, mode: live}}\n"
    directory = write(tmp_path, {"a.yaml": base, "env/prod/o.yaml": "", "env/dev/o.yaml": ""})
    assert load_catalog(directory, "prod").environment == ("prod", Environment(account="acct_1", mode="live"))
    assert load_catalog(directory, "dev").environment == ("dev", Environment())
    assert load_catalog(directory).environment is None


def test_an_environment_needs_no_overlay(tmp_path: Path) -> None:
    """An environment that only binds an account has no directory; a name that is nowhere is an error."""
    directory = write(tmp_path, {"a.yaml": SETTINGS + "environments: {prod: {mode: live}}\n"})
    assert load_catalog(directory, "prod").environment == ("prod", Environment(mode="live"))
    assert codes(inspect(directory, "pord")[2]) == ["E0170"]


@pytest.mark.parametrize(
    ("environments", "has"),
    [("{prod: {mode: live}, dev: {mode: test}}", "dev, prod"), ("{}", "nothing"), ("5", "nothing")],
)
def test_an_unknown_environment_names_those_of_both_homes(tmp_path: Path, environments: str, has: str) -> None:
    """Directories and entries of ``environments`` are both listed: each makes an environment."""
    base = f"{SETTINGS}environments: {environments}\n"
    problems = inspect(write(tmp_path, {"a.yaml": base, "env/stage/o.yaml": ""}), "pord")[2]
    (problem,) = (each for each in problems if each.code == "E0170")
    assert problem.help == f"env/ has stage, `environments:` has {has}"


# --- anything ---------------------------------------------------------------------------------------------------------


@given(st.data())
def test_no_content_makes_the_checks_fail(data: st.DataObject) -> None:
    """Values of one place put into another are accepted or reported with a position and a help, and never raise."""
    tree = plain(LANGUAGE)
    places = list(_places(tree))
    for _ in range(data.draw(st.integers(1, 4))):
        holder, key = data.draw(st.sampled_from(places))
        donor, other = data.draw(st.sampled_from(places))
        try:
            holder[key] = json.loads(json.dumps(donor[other]))
        except (KeyError, IndexError, RecursionError, ValueError):
            continue
    _, diagnostics = catalog_from_text(json.dumps(tree))
    for each in diagnostics:
        assert each.help
        assert each.range is not None or each.code == "E0601"
        assert each.severity is (Severity.WARNING if each.code.startswith("W") else Severity.ERROR)


def _places(value: Any) -> Any:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return itertools.chain.from_iterable(itertools.chain([(value, key)], _places(item)) for key, item in list(items))
