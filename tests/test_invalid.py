"""The corpus of invalid files: each case is a file and the exact diagnostics it must produce.

``pytest tests/test_invalid.py --update-expected`` writes the ``.expected`` files anew; read the diff before keeping it.
"""

import re
import runpy
from pathlib import Path

import pytest

from reconciler.config.catalog import catalog_from_text, inspect
from reconciler.config.source import load_text
from reconciler.diagnostics.codes import EXPLANATIONS
from reconciler.diagnostics.render import render_text

HERE = Path(__file__).parent / "invalid"
TEXT = HERE / "text"
CATALOG = HERE / "catalog"
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


CATALOGS = sorted(path for path in CATALOG.iterdir() if path.suffix != ".expected")


def checked(case: Path) -> str:
    """Return the concise output for a case of the catalogue: one file, or a directory with at most one overlay."""
    if case.is_dir():
        directory = case / "billing.d"
        overlays = sorted(directory.glob("env/*"))
        diagnostics = inspect(directory, overlays[0].name if overlays else None)[2]
    else:
        diagnostics = catalog_from_text(case.read_text(encoding="utf-8"), f"billing.d/{case.name}")[1]
    return render_text(diagnostics, lambda _file, _number: None, full=False)


@pytest.mark.parametrize("case", CATALOGS, ids=lambda case: case.stem)
def test_an_invalid_catalogue_produces_exactly_the_expected_diagnostics(
    case: Path, request: pytest.FixtureRequest
) -> None:
    """A catalogue with a problem gives its codes, positions, words and remedies, no more and no less."""
    actual = checked(case)
    expected = CATALOG / f"{case.stem}.expected"
    if request.config.getoption("--update-expected"):
        expected.write_text(actual, encoding="utf-8")
    assert actual == expected.read_text(encoding="utf-8")
    assert re.search(r"\[[EW]0[1-6]\d\d\] ", actual)


def test_every_code_of_validation_has_a_case() -> None:
    """Each code from E02 to E06, warnings included, is produced by some case of the corpus."""
    produced = {
        code for path in CATALOG.glob("*.expected") for code in re.findall(r"\[([EW]0[2-6]\d\d)\]", path.read_text())
    }
    assert produced == {code for code in EXPLANATIONS if re.fullmatch(r"[EW]0[2-6]\d\d", code)}


def test_every_expected_file_belongs_to_a_case() -> None:
    """No expectation is left behind by a case that was renamed or removed."""
    assert {path.stem for path in TEXT.glob("*.expected")} == set(CASES)
    assert {path.stem for path in CATALOG.glob("*.expected")} == {case.stem for case in CATALOGS}


def test_no_name_stands_for_two_cases() -> None:
    """A generated case does not replace a case that is a file."""
    assert not set(GENERATED) & {path.stem for path in TEXT.glob("*.yaml")}


@pytest.mark.parametrize(
    "content", [b"", b"# only a comment\n", b"---\n", b"plans: {}\n", b"\xef\xbb\xbfplans: {}\r\n"]
)
def test_a_valid_file_produces_no_output(content: bytes) -> None:
    """Positive control: the runner reports nothing for files that are fine."""
    assert rendered("fine", content) == ""
