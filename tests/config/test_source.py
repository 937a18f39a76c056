"""Reading one file: values, positions, limits, hostile content and secrets."""

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reconciler.config import files
from reconciler.config.source import SourceDocument, load_directory, load_text
from reconciler.diagnostics import SourceRange

EXAMPLE = """\
plans:                      # a comment
  pro:
    name: "Pro\\tplan"
    description: |
      two
      lines

    prices: {monthly: {amount: 49.99, interval: month}}
    tools: ["*", read]
    trial_days:
"""
KEY = "a1B2c3D4e5F6"


def load(text: str | bytes) -> SourceDocument:
    """Load a text that must be fine."""
    document, diagnostics = load_text(text, "f.yaml")
    assert diagnostics == []
    assert document is not None
    return document


def codes(text: str | bytes) -> list[str]:
    """Return the codes of a text's problems, in order."""
    return [each.code for each in load_text(text, "f.yaml")[1]]


def span(where: SourceRange) -> tuple[int, int, int, int]:
    """Return a range as numbers."""
    return where.line, where.column, where.end_line, where.end_column


# --- values and positions ---------------------------------------------------------------------------------------------


def test_values_are_plain_and_exact() -> None:
    """A document is plain dicts, lists and scalars; a decimal is exact and an empty value is null."""
    pro = load(EXAMPLE).root["plans"]["pro"]
    assert pro == {
        "name": "Pro\tplan",
        "description": "two\nlines\n",
        "prices": {"monthly": {"amount": Decimal("49.99"), "interval": "month"}},
        "tools": ["*", "read"],
        "trial_days": None,
    }


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ((), (1, 1, 10, 16)),
        (("plans",), (2, 3, 10, 16)),
        (("plans", "pro", "name"), (3, 11, 3, 22)),
        (("plans", "pro", "description"), (4, 18, 6, 12)),
        (("plans", "pro", "prices"), (8, 13, 8, 56)),
        (("plans", "pro", "prices", "monthly", "amount"), (8, 32, 8, 37)),
        (("plans", "pro", "tools"), (9, 12, 9, 23)),
        (("plans", "pro", "tools", 0), (9, 13, 9, 16)),
        (("plans", "pro", "tools", 1), (9, 18, 9, 22)),
        (("plans", "pro", "trial_days"), (10, 16, 10, 16)),
    ],
)
def test_a_value_has_its_position(path: tuple[str | int, ...], expected: tuple[int, int, int, int]) -> None:
    """Every value knows its start and its exclusive end, blocks and block texts without what follows them."""
    assert span(load(EXAMPLE).values[path]) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (("plans",), (1, 1, 1, 6)),
        (("plans", "pro"), (2, 3, 2, 6)),
        (("plans", "pro", "prices", "monthly", "amount"), (8, 24, 8, 30)),
        (("plans", "pro", "trial_days"), (10, 5, 10, 15)),
    ],
)
def test_a_key_has_its_position(path: tuple[str | int, ...], expected: tuple[int, int, int, int]) -> None:
    """Every key knows where it stands itself."""
    assert span(load(EXAMPLE).keys[path]) == expected


def test_every_node_has_a_position_and_no_other_path_has_one() -> None:
    """The position maps hold exactly the paths of the tree."""
    document = load(EXAMPLE)
    paths: set[tuple[str | int, ...]] = set()

    def walk(value: object, path: tuple[str | int, ...]) -> None:
        paths.add(path)
        children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, child in children:
            walk(child, (*path, key))

    walk(document.root, ())
    assert set(document.values) == paths
    assert set(document.keys) == {path for path in paths if path and isinstance(path[-1], str)}


def test_positions_count_characters_not_bytes() -> None:
    """A column counts characters, also behind wide and astral ones, and a byte order mark is none."""
    document = load("\ufeff日本: {\U0001f680: 1}\r\nb: 2\r\n".encode())
    assert span(document.values["日本", "\U0001f680"]) == (1, 9, 1, 10)
    assert span(document.values[("b",)]) == (2, 4, 2, 5)


def test_bytes_and_text_read_alike() -> None:
    """The same content as bytes and as text gives the same document."""
    assert load(EXAMPLE.encode()) == load(EXAMPLE)


@pytest.mark.parametrize("text", ["", "\n\n", "# comment", "---\n", "---\n...\n", "\ufeff"])
def test_an_empty_file_is_an_empty_document(text: str) -> None:
    """A file without content is a mapping without sections."""
    assert load(text).root == {}


# --- problems ---------------------------------------------------------------------------------------------------------


def test_all_problems_of_a_file_are_reported_at_once() -> None:
    """One run names every problem, in the order of the file, and the tree is still there for later checks."""
    document, found = load_text("a: yes\nb: 010\na: 3\n1: x\nc: *d\ne: !f g\nh: 1\n", "f.yaml")
    places = [(each.code, each.range.line) for each in found if each.range]
    assert places == [("E0130", 1), ("E0131", 2), ("E0121", 3), ("E0122", 4), ("E0117", 5), ("E0119", 6)]
    assert document is not None
    assert document.root["h"] == 1


def test_a_duplicate_key_names_both_places_and_the_first_stays() -> None:
    """The second of two equal keys is refused with the place of the first; its value has no place in the tree."""
    document, (problem,) = load_text("a: {b: 1}\nc: 2\na: {b: 9}\n", "f.yaml")
    assert problem.range
    assert span(problem.range) == (3, 1, 3, 2)
    assert [span(each.range) for each in problem.related] == [(1, 1, 1, 2)]
    assert document is not None
    assert document.root == {"a": {"b": 1}, "c": 2}
    assert span(document.values["a", "b"]) == (1, 8, 1, 9)


def test_equal_keys_in_different_mappings_are_fine() -> None:
    """Decoy: the same key in two mappings is no duplicate."""
    assert load("a: {b: 1}\nc: {b: 1, a: 2}\n").root == {"a": {"b": 1}, "c": {"b": 1, "a": 2}}


def test_nesting_is_allowed_up_to_its_limit() -> None:
    """Sixty-four containers inside each other are read and the sixty-fifth is refused where it begins."""
    load("a: " + "[" * 63 + "]" * 63)
    (problem,) = load_text("a: " + "[" * 64 + "]" * 64, "f.yaml")[1]
    assert problem.range
    assert (problem.code, span(problem.range)[:2]) == ("E0104", (1, 67))


def test_a_file_is_allowed_up_to_its_size() -> None:
    """A file of exactly one mebibyte is read, one byte more is refused."""
    full = "a: " + "x" * (files.MAX_FILE_BYTES - 3)
    load(full)
    assert codes(full + "x") == ["E0105"]
    assert codes((full + "x").encode()) == ["E0105"]


def test_hidden_characters_are_allowed_where_languages_need_them() -> None:
    """Joiners, right-to-left letters and non-breaking spaces may stand in values, not in keys."""
    assert load("a: \u05d0\u200f \u0646\u200c \u00a0x\n").root["a"] == "\u05d0\u200f \u0646\u200c \u00a0x"
    assert codes("a\u200c: 1\n") == ["E0113"]


def test_a_syntax_error_caused_by_a_forbidden_character_is_not_reported_beside_it() -> None:
    """A hidden line break is one problem, although what remains is no YAML; without it the syntax error is reported."""
    assert codes("a: 1\u2028b: 2\n") == ["E0111"]
    assert codes("a: 1 b: 2\n") == ["E0103"]


@pytest.mark.parametrize("text", ["a: \ud800", "\udfff: 1"])
def test_a_lone_surrogate_in_text_is_refused(text: str) -> None:
    """Text that cannot be encoded is refused, not crashed on."""
    assert codes(text) == ["E0102"]


@given(st.binary(max_size=300))
@example(b"a: [" * 200)
@example(b"\xff\xfe\x00")
def test_arbitrary_bytes_never_raise(data: bytes) -> None:
    """Whatever the bytes, the result is a document or a problem with a place inside the file."""
    check_never_raises(data)


@given(st.text(st.sampled_from("ab:-?[]{},#&*!|>'\"%@`\\ \t\n\r~<=0.é\u2028\u202e\ufeff\x00\ud800"), max_size=60))
@example("? ? a\n: - : b")
@example("? 0")
@example("%TAG ! x\n---\n!y z")
@example("- |2\n a\n")
@example("a: |\n\n  \n\n")
def test_arbitrary_yaml_never_raises(text: str) -> None:
    """Whatever the punctuation, the result is a document or a problem with a place inside the file."""
    check_never_raises(text)


def check_never_raises(content: str | bytes) -> None:
    """Load and check that there is a result, and that every position is inside the file."""
    document, found = load_text(content, "f.yaml")
    assert document is not None or found
    text = content if isinstance(content, str) else content.decode("utf-8", "replace")
    lines = text.removeprefix("\ufeff").split("\n")
    ranges = [each.range for each in found] + ([*document.values.values(), *document.keys.values()] if document else [])
    for where in ranges:
        assert where is not None
        assert (where.line, where.column) <= (where.end_line, where.end_column)
        assert 1 <= where.line <= len(lines)
        assert 1 <= where.column <= len(lines[where.line - 1]) + 1


# --- secrets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "a: sk_live_{key}\n",
        "a: 1  # rk_test_{key}\n",
        "whsec_{key}: 1\n",
        "a: 's\n",
        'a: "sk\\x5flive_{key}"\n',
        'a: "sk_live_\\\n  {key}"\n',
        "a: sk_live_{key}\na: sk_live_{key}\nb: [\n",
        "a: sk_live_{key} \u2028b: 1\n",
        b"a: sk_live_{key}\n\xff",
    ],
)
def test_a_secret_is_refused_and_shown_nowhere(text: str | bytes, tmp_path: Path) -> None:
    """No part of a result holds a secret: neither tree, positions, problems nor lines, also if the file is broken."""
    raw = text.encode() if isinstance(text, str) else text
    holds_secret = b"{key}" in raw
    directory = tmp_path / "billing.d"
    directory.mkdir()
    (directory / "a.yaml").write_bytes(raw.replace(b"{key}", KEY.encode()))
    sources = load_directory(directory)
    assert ("E0150" in {each.code for each in sources.diagnostics}) is holds_secret
    assert KEY not in repr(sources)
    assert sources.line("billing.d/a.yaml", 1)


def test_a_masked_line_keeps_its_columns() -> None:
    """A secret is replaced by its prefix and asterisks, so that the caret still stands under it."""
    document, _ = load_text(f"a: {{b: sk_live_{KEY}, c: yes}}\n", "f.yaml")
    assert document is not None
    assert document.lines[0] == "a: {b: sk_live_************, c: yes}"


@pytest.mark.parametrize("text", ["pk_generator", "sk_test_sandbox", "task_live_event1", "risk_test_12345678", "ek_1"])
def test_an_id_that_resembles_a_key_is_fine(text: str) -> None:
    """Decoy: ids with a key's first letters are no secrets."""
    assert load(f"a: {text}\n").root["a"] == text
