"""Every code is explained, and the explanations are true."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

from reconciler.config.source import load_text
from reconciler.diagnostics.codes import EXPLANATIONS, _merge, text
from reconciler.diagnostics.codes.model import Explanation

CONFIG = Path(__file__).parents[2] / "reconciler" / "config"
TEXT_LEVEL = ["characters", "files", "report", "scalars", "source", "syntax", "tree"]
LOADABLE = [code for code, each in text.CODES.items() if each.loadable]


def codes_in(module: str) -> set[str]:
    """Return the codes that stand as strings, or as names of a pattern's groups, in a module of the configuration."""
    tree = ast.parse((CONFIG / f"{module}.py").read_text(encoding="utf-8"))
    strings = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return {code for string in strings for code in re.findall(r"\bE\d{4}\b", string)}


def test_exactly_the_codes_that_can_occur_are_explained() -> None:
    """Each code of the text level stands in the code that reports it, and each that is reported is explained."""
    assert set().union(*map(codes_in, TEXT_LEVEL)) == set(text.CODES)


@pytest.mark.parametrize("code", EXPLANATIONS)
def test_an_explanation_is_complete(code: str) -> None:
    """A code has four digits, a short title without full stop, a cause in sentences, an example and a fix."""
    each = EXPLANATIONS[code]
    assert re.fullmatch(r"[EW]\d{4}", code)
    assert each.title
    assert not each.title.endswith(".")
    assert each.cause.endswith(".")
    assert each.example
    assert each.fix
    assert each.example != each.fix


@pytest.mark.parametrize("code", LOADABLE)
def test_an_example_produces_its_code_and_the_fix_does_not(code: str) -> None:
    """The wrong snippet really gives the code, and the corrected one gives nothing at all."""
    each = EXPLANATIONS[code]
    assert code in [problem.code for problem in load_text(each.example, "example.yaml")[1]]
    assert load_text(each.fix, "fix.yaml")[1] == []


def test_explanations_are_sorted() -> None:
    """The index lists codes in order, so that a generated page is stable."""
    assert list(EXPLANATIONS) == sorted(EXPLANATIONS)


def test_no_table_explains_a_code_twice() -> None:
    """Inside a module too: of two equal keys the second would win in silence."""
    tables = Path(text.__file__).parent.glob("*.py")
    rows = "\n".join(path.read_text() for path in tables)
    written = Counter(re.findall(r'^    "([EW]\d{4})":', rows, re.MULTILINE))
    assert len(written) == len(EXPLANATIONS)
    assert [code for code, count in written.items() if count > 1] == []


def test_a_code_is_explained_once() -> None:
    """Two tables with the same code stop the import; two with different codes do not."""
    each = Explanation("t", "c.", "e", "f")
    assert list(_merge(({"E0002": each}, {"E0001": each}))) == ["E0001", "E0002"]
    with pytest.raises(AssertionError, match="same code"):
        _merge(({"E0001": each}, {"E0001": each}))
