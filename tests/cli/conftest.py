"""An empty directory, an environment without keys, and a shell in it."""

import os
from pathlib import Path

import pytest

from .support import OTHERS, OURS, Shell


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty directory, with nothing of the caller's environment that would count."""
    for name in list(os.environ):
        if name.startswith(OURS) or name in OTHERS:
            monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("LANG", "C.UTF-8")
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str]) -> Shell:
    """Run commands in this process."""
    return Shell(capsys)
