"""The corpus of invalid files: each case is a file and the exact diagnostics it must produce.

``pytest tests/test_invalid.py --update-expected`` writes the ``.expected`` files anew; read the diff before keeping it.
"""

import runpy
from pathlib import Path

import pytest

from reconciler.config.source import load_text
from reconciler.diagnostics.render import render_text

HERE = Path(__file__).parent / "invalid"
TEXT = HERE / "text"
GENERATED = runpy.run_path(str(HERE / "generated.py"))["CASES"]
CASES = {path.stem: path.read_bytes for path in sorted(TEXT.glob("*.yaml"))} | GENERATED


def rendered(name: str, content: bytes) -> str:
    """Return the concise output for one file, as the command line writes it."""
    _, diagnostics = load_text(content, f"billing.d/{name}.yaml")
    return render_text(diagnostics, lambda _file, _number: None, full=False)


@pytest.mark.parametrize("name", CASES)
def test_an_invalid_file_produces_exactly_the_expected_diagnostics(name: str, request: pytest.FixtureRequest) -> None:
    """An invalid file gives its codes, positions, words and remedies, no more and no less."""
    actual = rendered(name, CASES[name]())
    expected = TEXT / f"{name}.expected"
    if request.config.getoption("--update-expected"):
        expected.write_text(actual, encoding="utf-8")
    assert actual == expected.read_text(encoding="utf-8")
    assert ": error[E01" in actual


def test_every_expected_file_belongs_to_a_case() -> None:
    """No expectation is left behind by a case that was renamed or removed."""
    assert {path.stem for path in TEXT.glob("*.expected")} == set(CASES)


def test_no_name_stands_for_two_cases() -> None:
    """A generated case does not replace a case that is a file."""
    assert not set(GENERATED) & {path.stem for path in TEXT.glob("*.yaml")}


@pytest.mark.parametrize(
    "content", [b"", b"# only a comment\n", b"---\n", b"plans: {}\n", b"\xef\xbb\xbfplans: {}\r\n"]
)
def test_a_valid_file_produces_no_output(content: bytes) -> None:
    """Positive control: the runner reports nothing for files that are fine."""
    assert rendered("fine", content) == ""
