"""How the process starts: what is loaded for what, and that nothing else depends on it."""

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from reconciler import __version__
from reconciler.__main__ import _PLUGINS, _NoPlugins

FILES = "settings: {namespace: acme}\nplans: {pro: {name: Pro, prices: {monthly: {amount: 49.99, interval: month}}}}\n"


def start(*arguments: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a process that names on stderr every module it imports."""
    kept = {name: value for name, value in os.environ.items() if name != "PYDANTIC_DISABLE_PLUGINS"}
    command = [sys.executable, "-X", "importtime", "-m", "reconciler", *arguments]
    return subprocess.run(command, cwd=cwd, env=kept | environ, capture_output=True, text=True, check=False)


def loaded(process: subprocess.CompletedProcess[str]) -> set[str]:
    """Return the modules a process has imported."""
    lines = (line for line in process.stderr.splitlines() if line.startswith("import time:"))
    return {line.rpartition("|")[2].strip() for line in lines}


def test_the_version_loads_no_command_line(tmp_path: Path) -> None:
    """``--version`` is answered before click is loaded; with anything beside it the command line answers, the same."""
    alone, beside = start("--version", cwd=tmp_path), start("-q", "--version", cwd=tmp_path)
    assert alone.stdout == beside.stdout == f"reconciler {__version__}\n"
    assert alone.returncode == beside.returncode == 0
    assert "click" not in loaded(alone)
    assert "click" in loaded(beside)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_named(tmp_path: Path) -> None:
    """Where stdout does not take the version, the error is the command line's."""
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "reconciler", "--version"]
        process = subprocess.run(command, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert process.returncode == 1
    assert process.stderr.startswith("error[E1002]")


def test_a_validation_looks_for_no_plugins(tmp_path: Path) -> None:
    """Validating imports what it uses: neither the search for plugins, nor Stripe, nor the explanation of refusals."""
    (tmp_path / "billing.d").mkdir()
    (tmp_path / "billing.d" / "all.yaml").write_text(FILES)
    process = start("validate", cwd=tmp_path)
    assert process.stdout.endswith("OK: 1 plan.\n")
    assert not loaded(process) & {"importlib.metadata", "stripe", "jsonschema", "rich", "deepdiff"}
    assert "pydantic" in loaded(process)
    chosen = start("validate", cwd=tmp_path, PYDANTIC_DISABLE_PLUGINS="some-plugin")
    assert chosen.stdout == process.stdout
    assert "importlib.metadata" in loaded(chosen)


def test_the_rest_of_the_module_stays_pydantics(monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands in for the search finds no plugins, and passes on whatever else is asked of the module."""
    real = ModuleType(_PLUGINS)
    real.__dict__["entry_points"] = "pydantic's own"
    stand_in = _NoPlugins(_PLUGINS)
    monkeypatch.setattr("importlib.import_module", lambda name: real if name == _PLUGINS else None)
    monkeypatch.setitem(sys.modules, _PLUGINS, stand_in)
    assert list(stand_in.get_plugins()) == []
    assert stand_in.entry_points == "pydantic's own"
    with pytest.raises(AttributeError):
        _ = stand_in.__path__
