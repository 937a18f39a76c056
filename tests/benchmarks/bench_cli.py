"""Whole-process times of the command line, beside a bare interpreter in the same run."""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.table import Row, show

RUNS = 11


def median(command: list[str], directory: str) -> float:
    """Return the median wall time of a process in milliseconds, after one run that is not counted."""
    times = []
    for _ in range(RUNS + 1):
        start = time.perf_counter()
        subprocess.run(command, cwd=directory, check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:]) * 1000


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
        floor = median([sys.executable, "-c", "pass"], directory)
        run = [sys.executable, "-m", "reconciler"]
        rows = [Row("bare interpreter", f"{floor:.0f} ms", "1.0x", "")]
        for what, arguments, bar in (
            ("reconciler --version", ["--version"], "bar: 100 ms"),
            ("reconciler validate, 50 files", ["validate"], "bar: 400 ms"),
        ):
            taken = median([*run, *arguments], directory)
            rows.append(Row(what, f"{taken:.0f} ms", f"{taken / floor:.1f}x", bar))
        show("The command line", rows)


if __name__ == "__main__":
    main()
