"""Property tests draw the same examples in every run, unless somebody explores."""

import importlib.util
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.internal.detection import is_hypothesis_test

same = pytest.mark.skipif(settings.get_current_profile_name() != "same", reason="somebody explores")


@same
def test_every_property_test_takes_the_profile(request: pytest.FixtureRequest) -> None:
    """No test draws at random or from what earlier runs kept, whatever else its own settings say."""
    for item in request.session.items:
        test, machine = getattr(item, "obj", None), getattr(getattr(item, "cls", None), "settings", None)
        chosen = getattr(test, "_hypothesis_internal_use_settings", None) or machine
        if chosen is not None or is_hypothesis_test(test):
            assert chosen.derandomize, item.nodeid
            assert chosen.database is None, item.nodeid


def drawn(**own: bool) -> list[int]:
    """Return what a test with settings of its own draws."""
    found = []

    @settings(max_examples=200, **own)
    @given(st.integers())
    def draws(number: int) -> None:
        found.append(number)

    draws()
    return found


@same
def test_examples_do_not_depend_on_what_is_loaded(tmp_path: Path) -> None:
    """Two runs draw the same, also where a module with constants was loaded in between; at random they do not."""
    first = drawn()
    path = tmp_path / "ours.py"
    path.write_text(f"NUMBERS = {[10**9 + 7 * number for number in range(999)]}\n")
    spec = importlib.util.spec_from_file_location("ours", path)
    assert spec is not None
    sys.modules["ours"] = importlib.util.module_from_spec(spec)
    try:
        assert drawn() == first
    finally:
        del sys.modules["ours"]
    assert drawn(derandomize=False) != first
