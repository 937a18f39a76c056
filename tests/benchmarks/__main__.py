"""``python -m tests.benchmarks`` runs every benchmark in a process of its own and prints its table."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main() -> int:
    """Run every ``bench_*.py``; return the number of those that failed."""
    failed = 0
    for path in sorted(HERE.glob("bench_*.py")):
        failed += (
            subprocess.run(
                [sys.executable, "-m", f"tests.benchmarks.{path.stem}"], cwd=HERE.parents[1], check=False
            ).returncode
            != 0
        )
    return failed


if __name__ == "__main__":
    sys.exit(main())
