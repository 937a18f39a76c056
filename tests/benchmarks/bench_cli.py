"""Whole-process times of the command line, beside a bare interpreter in the same run."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.table import Row, show

RUNS = 15


def installed(directory: str) -> dict[str, str]:
    """Return an environment in which code is compiled once, as an installation has it, whatever this one forbids."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPYCACHEPREFIX": directory}


def measure(commands: list[list[str]], directory: str) -> list[list[float]]:
    """Return the sorted wall times of each process in milliseconds.

    They take turns, so that a slow phase of the machine is one for all of them; their first turn is not counted.
    """
    environment = installed(f"{directory}/bytecode")
    times: list[list[float]] = [[] for _ in commands]
    for _ in range(RUNS + 1):
        for command, taken in zip(commands, times, strict=True):
            start = time.perf_counter()
            subprocess.run(command, cwd=directory, env=environment, check=True, capture_output=True)
            taken.append((time.perf_counter() - start) * 1000)
    return [sorted(taken[1:]) for taken in times]


def write_files(directory: Path, files: int) -> None:
    """Write a catalogue of one plan a file."""
    folder = directory / "billing.d"
    folder.mkdir()
    (folder / "settings.yaml").write_text("settings: {namespace: acme, currency: usd}\n")
    for number in range(files - 1):
        prices = {"monthly": {"amount": "9.99", "interval": "month"}, "annual": {"amount": "99.90", "interval": "year"}}
        plan = {"name": f"Plan {number}", "default_price": "monthly", "prices": prices}
        (folder / f"plan{number}.yaml").write_text(json.dumps({"plans": {f"p{number}": plan}}, indent=1))


def main() -> None:
    """Print every figure."""
    with tempfile.TemporaryDirectory() as directory:
        write_files(Path(directory), 50)
        run = [sys.executable, "-m", "reconciler"]
        figures = (
            ("bare interpreter", [sys.executable, "-c", "pass"], ""),
            ("reconciler --version", [*run, "--version"], "bar: 100 ms"),
            ("reconciler validate, 50 files", [*run, "validate"], "bar: 400 ms"),
        )
        times = measure([command for _, command, _ in figures], directory)
    floor = statistics.median(times[0])
    rows = []
    for (what, _, bar), taken in zip(figures, times, strict=True):
        median = statistics.median(taken)
        rows.append(Row(what, f"{median:.0f} ms, at best {taken[0]:.0f}", f"{median / floor:.1f}x", bar))
    show("The command line", rows)


if __name__ == "__main__":
    main()
