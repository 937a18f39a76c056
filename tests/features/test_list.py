"""The list of features in ``docs`` is made of the tests themselves."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
LIST = HERE.parents[1] / "docs" / "features.md"
NAMED = re.compile(r"test_(row|mistake|number)_((?:\d+_\d+)|(?:b\d+)|[a-z0-9]+)_?.*")
INTRODUCTION = """\
# What it does, and the test of it

Every capability asked for by the projects that this one succeeds, by its id there (`project.row`), with the test that
fails where it goes away; then every mistake found in them that could be made here, with the test that fails where it
comes back; then the numbers they promised. This page is made of the names and docstrings of the tests in
`tests/features`; `tests/features` also checks that it is current, and all of these tests pass in every run.

What is not listed is not there yet.
"""
HEADINGS = {"row": "Capabilities", "mistake": "Mistakes that are not made again", "number": "Numbers that are kept"}


def _tests() -> Iterator[tuple[str, tuple[int, ...], str, str, str]]:
    """Yield kind, order, id, docstring and place of every test named after a row, a mistake or a number."""
    for path in sorted(HERE.glob("test_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and (found := NAMED.fullmatch(node.name)):
                kind, name = found[1], found[2]
                order = tuple(int(part) for part in re.findall(r"\d+", name))
                shown = name.replace("_", ".") if kind == "row" else name.upper() if kind == "mistake" else name
                yield kind, order, shown, ast.get_docstring(node) or "", f"{path.name}::{node.name}"


def listed() -> str:
    """Return the list as it has to stand in the documentation."""
    text, last = INTRODUCTION, ""
    for kind, _, name, said, place in sorted(_tests(), key=lambda each: (list(HEADINGS).index(each[0]), *each[1:])):
        if kind != last:
            text += f"\n## {HEADINGS[kind]}\n\n| id | what | test |\n|---|---|---|\n"
            last = kind
        text += f"| {name} | {' '.join(said.split())} | `{place}` |\n"
    return text


def test_the_list_is_that_of_the_tests(request: pytest.FixtureRequest) -> None:
    """The page in docs has exactly the tests there are, in the words of their docstrings."""
    if request.config.getoption("--update-expected"):
        LIST.write_text(listed(), encoding="utf-8")
    assert LIST.read_text(encoding="utf-8") == listed()


def test_every_test_here_has_an_id() -> None:
    """No test of a feature goes by without an id, and none has no words for the list."""
    found = [(name, said) for _, _, name, said, _ in _tests()]
    functions = [
        node.name
        for path in HERE.glob("test_*.py")
        if path.name != Path(__file__).name
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    assert len(found) == len(functions)
    assert all(said for _, said in found)
