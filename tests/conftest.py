"""Options and profiles of the whole suite."""

import os

import hypothesis
import pytest

hypothesis.settings.register_profile("default", deadline=None)
hypothesis.settings.register_profile("soak", deadline=None, max_examples=5000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--update-expected``, which writes the expected outputs of golden cases anew instead of comparing them."""
    parser.addoption("--update-expected", action="store_true", help="write golden files instead of comparing")
