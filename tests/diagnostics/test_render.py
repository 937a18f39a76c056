"""What people and programs see of diagnostics."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.diagnostics import Diagnostic, Related, Severity, SourceRange
from reconciler.diagnostics.render import render_json, render_text

FILE = "billing.d/plans/pro.yaml"
SOURCE = [
    "plans:",
    "  pro:",
    "    credit: 5",
    "\tname: x",
    "    日本: [\u202eyes]",
    "  " + "k: v, " * 60 + "bad: 1, " + "k: v, " * 60,
]


def line_of(file: str, number: int) -> str | None:
    """Return a line of the one file there is."""
    return SOURCE[number - 1] if file == FILE and number <= len(SOURCE) else None


def problem(line: int, column: int, end_column: int, **more: object) -> Diagnostic:
    """Make a diagnostic on one line."""
    values = {"code": "E0123", "summary": "unknown key 'credit' (did you mean 'credits'?)", "help": "write credits"}
    return Diagnostic(range=SourceRange(FILE, line, column, line, end_column), **(values | more))  # type: ignore[arg-type]


def full(*diagnostics: Diagnostic, **options: object) -> str:
    """Render in full."""
    return render_text(diagnostics, line_of, **options)  # type: ignore[arg-type]


def test_a_problem_is_shown_with_its_line_and_remedy() -> None:
    """Headline, source line, underline, help and count, to the character."""
    assert full(problem(3, 5, 11)) == (
        "billing.d/plans/pro.yaml:3:5: error[E0123] unknown key 'credit' (did you mean 'credits'?)\n"
        "  |\n"
        "3 |     credit: 5\n"
        "  |     ^^^^^^\n"
        "  = help: write credits\n"
        "\n"
        "1 error\n"
    )


def test_a_related_place_is_shown_with_its_own_line() -> None:
    """The second place follows with its note and a quieter underline."""
    related = Related(SourceRange(FILE, 2, 3, 2, 6), "first written here")
    assert full(problem(3, 5, 11, related=(related,), help=None, summary="twice")) == (
        "billing.d/plans/pro.yaml:3:5: error[E0123] twice\n"
        "  |\n"
        "3 |     credit: 5\n"
        "  |     ^^^^^^\n"
        "  |\n"
        "  ::: billing.d/plans/pro.yaml:2:3: first written here\n"
        "2 |   pro:\n"
        "  |   ---\n"
        "\n"
        "1 error\n"
    )


def test_the_short_form_is_a_line_and_its_help() -> None:
    """Without source lines each problem is one line and its help, in file order, repetitions once."""
    warning = Diagnostic("W0001", "odd", severity=Severity.WARNING)
    assert full(problem(3, 5, 11), problem(1, 1, 2, help=None, summary="s"), warning, warning, full=False) == (
        "warning[W0001] odd\n"
        "billing.d/plans/pro.yaml:1:1: error[E0123] s\n"
        "billing.d/plans/pro.yaml:3:5: error[E0123] unknown key 'credit' (did you mean 'credits'?)\n"
        "  help: write credits\n"
        "2 errors, 1 warning\n"
    )


def test_nothing_is_shown_of_no_problems() -> None:
    """No diagnostics give no text, not a count of nothing."""
    assert full() == ""


def lines(*diagnostics: Diagnostic, **options: object) -> tuple[str, str]:
    """Return the source line and the underline as shown."""
    _, _, source, underline, *_ = full(*diagnostics, **options).split("\n")
    return source, underline


def test_a_tab_is_four_columns() -> None:
    """The underline stands under what it means behind a tab."""
    assert lines(problem(4, 2, 6)) == ("4 |     name: x", "  |     ^^^^")


def test_wide_characters_are_two_columns_and_hidden_ones_are_written_out() -> None:
    """The underline stands under what it means behind wide and escaped characters."""
    assert lines(problem(5, 11, 14)) == (r"5 |     日本: [\u{202e}yes]", "  |                    ^^^")
    assert lines(problem(5, 10, 11)) == (r"5 |     日本: [\u{202e}yes]", "  |            ^^^^^^^^")


def test_combining_marks_take_no_column() -> None:
    """An accent written as a character of its own moves nothing."""
    shown = render_text([problem(1, 5, 6)], lambda _file, _number: "e\u0301: x")
    assert shown.split("\n")[2:4] == ["1 | e\u0301: x", "  |    ^"]


@pytest.mark.parametrize("width", [40, 60, 100])
def test_a_long_line_is_cut_around_the_place(width: int) -> None:
    """A long line is cut on both sides to the width, and the place is in what is left."""
    column = SOURCE[5].index("bad") + 1
    source, underline = lines(problem(6, column, column + 3), width=width)
    assert len(source) <= width
    assert source.count("…") == 2
    assert source[underline.index("^") : underline.rindex("^") + 1] == "bad"


def test_a_long_range_is_underlined_as_far_as_it_is_shown() -> None:
    """The underline of a range longer than the page ends with the page."""
    source, underline = lines(problem(6, 3, len(SOURCE[5])), width=60)
    assert len(underline) < len(source) <= 60


def test_a_range_over_several_lines_is_underlined_to_the_end_of_its_first() -> None:
    """Of a block the first line is shown."""
    block = Diagnostic("E0001", "s", SourceRange(FILE, 2, 3, 3, 14))
    assert lines(block) == ("2 |   pro:", "  |   ^^^^")


@pytest.mark.parametrize(("column", "end"), [(1, 1), (7, 7), (99, 120)])
def test_an_empty_or_outlying_range_is_one_caret(column: int, end: int) -> None:
    """A range without width, or behind the end of its line, is still pointed at."""
    assert lines(problem(1, column, end))[1] == "  | " + " " * (min(column, 7) - 1) + "^"


def test_an_unknown_line_is_left_out() -> None:
    """Where the source cannot be had, headline and help remain."""
    expected = f"{FILE}:99:1: error[E0123] s\n   = help: write credits\n\n1 error\n"
    assert full(problem(99, 1, 2, summary="s")) == expected


def test_colour_is_added_and_nothing_else() -> None:
    """Without its escapes the coloured text is the plain text; plain text has no escapes."""
    plain, colored = full(problem(3, 5, 11)), full(problem(3, 5, 11), color=True)
    assert "\x1b[1;31merror[E0123]\x1b[0m" in colored
    for code in ("0", "1", "34", "1;31", "1;33", "1;36"):
        colored = colored.replace(f"\x1b[{code}m", "")
    assert colored == plain
    assert "\x1b" not in plain


@given(st.text(max_size=30), st.text(max_size=60), st.integers(1, 70), st.integers(1, 70), st.booleans())
def test_hostile_text_never_acts(message: str, source: str, column: int, end: int, whole: bool) -> None:
    """Whatever stands in messages and sources, no control character but the line feed of our own lines comes out.

    A space of another width acts on nothing, though Python does not call it printable.
    """
    where = SourceRange(message, 1, column, 1, end)
    each = Diagnostic("E0001", message, where, help=message, related=(Related(where, message),))
    shown = render_text([each], lambda _file, _number: source, full=whole)
    plain = "".join(" " if unicodedata.category(char) == "Zs" else char for char in shown)
    assert all(line == "" or line.isprintable() for line in plain.split("\n"))
    shown.encode()


def test_json_has_the_shape_of_terraform() -> None:
    """The document holds counts, positions, the snippet with byte offsets, and our code, path and help."""
    each = problem(5, 11, 14, path="/plans/pro")
    document = json.loads(render_json([each], line_of))
    assert document == {
        "format_version": "1.0",
        "valid": False,
        "error_count": 1,
        "warning_count": 0,
        "diagnostics": [
            {
                "severity": "error",
                "code": "E0123",
                "summary": each.summary,
                "detail": "write credits",
                "help": "write credits",
                "path": "/plans/pro",
                "related": [],
                "range": {
                    "filename": FILE,
                    "start": {"line": 5, "column": 11},
                    "end": {"line": 5, "column": 14},
                },
                "snippet": {
                    "context": None,
                    "code": SOURCE[4],
                    "start_line": 5,
                    "highlight_start_offset": 16,
                    "highlight_end_offset": 19,
                    "values": [],
                },
            }
        ],
    }


def test_warnings_alone_are_valid() -> None:
    """A document with warnings only is valid and counts them; a problem without place has no range."""
    document = json.loads(render_json([Diagnostic("W0001", "odd", severity=Severity.WARNING)], line_of))
    assert (document["valid"], document["error_count"], document["warning_count"]) == (True, 0, 1)
    assert "range" not in document["diagnostics"][0]


@given(st.permutations([problem(3, 5, 11), problem(1, 1, 2), problem(5, 10, 13), problem(5, 9, 10)]))
def test_output_does_not_depend_on_the_order_of_discovery(diagnostics: list[Diagnostic]) -> None:
    """Any order of the same diagnostics gives the same bytes, in both forms."""
    assert render_text(diagnostics, line_of) == render_text(sorted(diagnostics, key=str), line_of)
    assert render_json(diagnostics, line_of) == render_json(sorted(diagnostics, key=str), line_of)
