"""Structural validation: the models and the schema agree, and nothing that a file can hold makes it fail."""

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.config.merge import Merged, merge
from reconciler.config.models import File
from reconciler.config.source import Path_, load_text
from reconciler.config.structure import check_structure, schema_errors
from reconciler.diagnostics import SourceRange

#: How many examples the profile asks for.
EXAMPLES = settings().max_examples
LANGUAGE = Path(__file__).parents[1] / "valid" / "language.yaml"
DOCUMENT, _ = load_text(LANGUAGE.read_text(), "language.yaml")
assert DOCUMENT is not None
ROOT = DOCUMENT.root

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 10**16),
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**6), max_value=10**16, places=3),
    st.sampled_from(
        ["", "usd", "inf", "deny", "once", "5", "-5", "1e3", "5\n", "0.5", "2027-02-30", "2027-01-01", "*", "new"]
    ),
    st.text(st.characters(codec="utf-8"), max_size=40),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "amount", "eur", "calls", "up_to", "from", "x y", "source"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


def paths(value: Any, path: Path_ = ()) -> Iterator[Path_]:
    """Yield the path of every node."""
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in children:
        yield from paths(item, (*path, key))


PATHS = [path for path in paths(ROOT) if len(path) > 1]


def changed(value: Any, path: Path_, replacement: Any, *, remove: bool) -> Any:
    """Return a copy of a tree with one node replaced or removed."""
    if not path:
        return replacement
    key, *rest = path
    if isinstance(value, list):
        kept = [
            changed(item, tuple(rest), replacement, remove=remove) if at == key else item
            for at, item in enumerate(value)
        ]
        return [item for at, item in enumerate(kept) if not (remove and not rest and at == key)]
    if remove and not rest:
        return {name: item for name, item in value.items() if name != key}
    return {**value, key: changed(value[key], tuple(rest), replacement, remove=remove)}


def frozen(value: Any) -> Any:
    """Return a tree with tuples for lists."""
    if isinstance(value, dict):
        return {key: frozen(item) for key, item in value.items()}
    return tuple(frozen(item) for item in value) if isinstance(value, list) else value


def has_null(value: Any) -> bool:
    """Tell whether nothing stands anywhere in a tree."""
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return value is None or any(map(has_null, children))


def located(root: dict[str, Any]) -> Merged:
    """Give every node of a tree a position."""
    where = SourceRange("f.yaml")
    everything = list(paths(root))
    return Merged(root, dict.fromkeys(everything, where), {path: where for path in everything if path})


def at(tree: Any, path: Path_) -> Any:
    """Return the node at a path."""
    for key in path:
        tree = tree[key]
    return tree


def respelled(value: Any) -> list[Any]:
    """Return other spellings of a value, which a lenient reader would take for the same."""
    if isinstance(value, dict):
        return [[], list(value.items()), None]
    if isinstance(value, list):
        return [{f"item-{index}": item for index, item in enumerate(value)}, *value, None]
    return [str(value), str(value).lower(), str(value).upper(), f"{value}\n", f" {value}", [value], value is True, None]


@st.composite
def mutants(draw: st.DrawFn) -> dict[str, Any]:
    """Draw the full-language tree with one to three nodes spelled otherwise, replaced or removed."""
    tree: Any = ROOT
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3]))):
        path = draw(st.sampled_from(PATHS))
        try:
            spellings = respelled(at(tree, path))
            value = draw(st.one_of(st.sampled_from(spellings), VALUES))
            tree = changed(tree, path, value, remove=draw(st.sampled_from([False, False, True])))
        except (KeyError, TypeError, IndexError):
            continue
    return tree


def test_the_language_is_accepted_by_models_and_schema() -> None:
    """Positive control: the unchanged tree has no problem in either view."""
    assert list(schema_errors(frozen(ROOT))) == []
    assert check_structure(located(ROOT)).problems == ()


@settings(max_examples=2 * EXAMPLES)
@given(mutants())
def test_models_and_schema_accept_the_same(tree: dict[str, Any]) -> None:
    """What one view accepts the other accepts: files pay for the schema only where they are refused."""
    structure = check_structure(located(tree))
    valid = not list(schema_errors(frozen(tree)))
    assert (structure.problems == ()) is (valid and not has_null(tree))
    assert not [each for each in structure.problems if "form that is not accepted here" in each.summary]


@given(mutants())
def test_every_problem_is_placed_and_remediable(tree: dict[str, Any]) -> None:
    """Whatever stands in a file, each problem has a position, a help and plain words, and sound entries are kept."""
    structure = check_structure(located(tree))
    for each in structure.problems:
        assert each.range is not None
        assert each.help
        assert each.path.startswith("/")
        assert not re.search(r"\b(NoneType|tuple|dict|str|int|Decimal|pydantic|Input should)\b", each.summary)
    broken = {path for path in structure.broken if len(path) == 2}
    for section in ("plans", "tenants"):
        kept = set(getattr(structure.file, section))
        assert kept == {name for name in tree.get(section) or {} if (section, name) not in broken}


@given(
    st.recursive(
        SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    )
)
def test_any_section_is_typed_or_refused(content: Any) -> None:
    """A section of any content is typed or refused with a diagnostic, and never raises."""
    for section in File.model_fields:
        if isinstance(content, dict) or section in {"settings", "portal", "guards", "moved", "imports"}:
            check_structure(located({section: content}))


@pytest.mark.parametrize(
    ("value", "accepted"),
    [
        ("5", True),
        ("0.5", True),
        ("5.", False),
        (".5", False),
        ("+5", False),
        ("5e1", False),
        (" 5", False),
        ("\N{ARABIC-INDIC DIGIT FIVE}", False),
    ],
)
def test_a_quoted_amount_is_plain_digits(value: str, accepted: bool) -> None:
    """Quotes do not widen what an amount may look like."""
    tree = {"coupons": {"five": {"amount_off": value}}}
    assert (check_structure(located(tree)).problems == ()) is accepted


@pytest.mark.parametrize("text", ["49.99", "'49.99'", "0.000000000001", "999999.9", "5"])
def test_amounts_stay_exact(text: str) -> None:
    """An amount reaches the model digit by digit, plain or quoted."""
    structure = check_structure(located({"plans": {"p": {"name": "P", "prices": {"m": price(text)}}}}))
    assert structure.file.plans["p"].prices["m"].amount == Decimal(text.strip("'"))


def price(amount: str) -> dict[str, Any]:
    """Read an amount as a file has it."""
    document, problems = load_text(f"amount: {amount}\ninterval: month\n", "f.yaml")
    assert document is not None
    assert problems == []
    return document.root


def test_a_broken_entry_leaves_the_others_typed() -> None:
    """One wrong entry does not take its neighbours with it."""
    document, _ = load_text("plans: {a: {name: 1}, b: {name: B}}\nmeters: {m: {name: M}}\n", "f.yaml")
    assert document is not None
    merged, _ = merge([document])
    structure = check_structure(merged)
    assert structure.broken == {("plans", "a")}
    assert set(structure.file.plans) == {"b"}
    assert set(structure.file.meters) == {"m"}


def test_sections_typed_apart_are_the_file() -> None:
    """Typing each section on its own gives what typing the whole file gives, the fields that are written included."""
    merged, _ = merge([DOCUMENT])
    apart = check_structure(merged).file
    whole = File.model_validate(frozen(ROOT), strict=True, by_alias=True, by_name=False)
    assert apart == whole
    assert apart.model_fields_set == whole.model_fields_set
    assert set(apart.model_fields_set) == set(ROOT)
