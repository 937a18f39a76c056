"""What ``explain`` says about the codes of validation is true: the example is refused, the correction is not."""

import re
from pathlib import Path

import pytest

from reconciler.config.catalog import catalog_from_text
from reconciler.diagnostics import Diagnostic, Severity
from reconciler.diagnostics.codes import EXPLANATIONS

CODES = sorted(code for code in EXPLANATIONS if re.fullmatch(r"[EW]0[2-6]\d\d", code))
LOADABLE = [code for code in CODES if EXPLANATIONS[code].loadable]
CONFIG = Path(__file__).parents[2] / "reconciler" / "config"


def diagnostics(snippet: str) -> tuple[Diagnostic, ...]:
    """Check a snippet, with settings where it has none."""
    settings = "" if "settings:" in snippet else "settings: {namespace: acme}\n"
    return catalog_from_text(settings + snippet)[1]


@pytest.mark.parametrize("code", LOADABLE)
def test_an_example_produces_its_code(code: str) -> None:
    """The example is refused with the code it explains, as an error or a warning by the code's letter, and no other."""
    found = diagnostics(EXPLANATIONS[code].example)
    assert {each.code for each in found} == {code}
    assert {each.severity for each in found} == {Severity.ERROR if code.startswith("E") else Severity.WARNING}


@pytest.mark.parametrize("code", LOADABLE)
def test_a_fix_is_fine(code: str) -> None:
    """The corrected example has no problem at all."""
    assert diagnostics(EXPLANATIONS[code].fix) == ()


def test_every_code_of_the_source_is_explained() -> None:
    """Each code that validation can produce has an explanation, and none is explained that it cannot produce."""
    source = "\n".join(path.read_text() for path in CONFIG.rglob("*.py"))
    used = set(re.findall(r'"([EW]0[1-6]\d\d)"', source))
    assert used == {code for code in EXPLANATIONS if re.fullmatch(r"[EW]0[1-6]\d\d", code)}
