"""What the tests of the command line share: files, accounts, and two ways to run a command."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from reconciler.cli.main import main
from reconciler.sandbox import Sandbox

ROOT = Path(__file__).parents[2]
STATE = "sandbox.db"
OURS = ("STRIPE_", "RECONCILER_", "GITHUB_", "CI_")
OTHERS = ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "LC_ALL", "LC_CTYPE")

SIMPLE = """\
settings: {namespace: acme, currency: usd}
plans:
  pro:
    name: Pro
    default_price: monthly
    prices:
      monthly: {amount: 49.99, interval: month}
"""


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str


def write(text: str, name: str = "all.yaml") -> Path:
    """Write a file into ``billing.d`` of the current directory."""
    path = Path("billing.d") / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def dashboard() -> Sandbox:
    """Open the sandbox of the current directory, to change it behind the files' back."""
    return Sandbox(STATE)


class Shell:
    """Runs commands in this process, as ``reconciler`` would."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str) -> Done:
        """Run one command line."""
        self._capsys.readouterr()
        code = main(arguments)
        captured = self._capsys.readouterr()
        return Done(code, captured.out, captured.err)

    def stored(self, *arguments: str) -> Done:
        """Run one command line on the sandbox of the current directory."""
        return self(*arguments, f"--sandbox={STATE}")

    def apply(self, text: str) -> None:
        """Make the sandbox equal to these files."""
        write(text)
        done = self.stored("apply", "--auto-approve")
        assert done.code == 0, done.err


def environment(**more: str) -> dict[str, str]:
    """Return the environment of a process without anything of the caller's that would count."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS) and name not in OTHERS}
    return kept | {"PYTHONPATH": str(ROOT), "COLUMNS": "100", "LANG": "C.UTF-8"} | more


def process(*arguments: str, environ: Mapping[str, str] | None = None, without: str = "0<&-") -> Done:
    """Run one command line in a process of its own, with streams closed as a shell closes them; stdin by default."""
    done = subprocess.run(
        ["sh", "-c", f'exec "$0" "$@" {without}', sys.executable, "-m", "reconciler", *arguments],
        capture_output=True,
        env=environment() if environ is None else environ,
        timeout=60,
        check=False,
    )
    return Done(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode())
