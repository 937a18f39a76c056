"""Where a demo plays: a directory of its own, and real commands run in it, their output shown in brief."""

import os
import subprocess
import sys
from pathlib import Path

import reconciler
from reconciler.cli.context import App
from reconciler.cli.exits import Exit
from reconciler.diagnostics import ReconcilerError

_PRIVATE = ("STRIPE_", "RECONCILER_")
#: Lines of a long output that are shown at its beginning and at its end.
_HEAD, _TAIL = 12, 6


class Stage:
    """A folder with commands run in it as a user would, but for keys and settings of the user's own."""

    def __init__(self, app: App, folder: Path) -> None:
        self.folder = folder
        #: Set for commands beside what a user has.
        self.environ: dict[str, str] = {}
        self._out = app.out

    def say(self, text: str) -> None:
        """Tell what comes next."""
        self._out.data(f"\n# {text}\n")

    def show(self, text: str) -> None:
        """Show something that no command prints."""
        self._out.data(text)

    def secret(self, text: str) -> None:
        """Show something with a key in it, as the only place where it is shown."""
        self._out.secret(text)

    def call(self, *arguments: str, expect: Exit = Exit.OK, head: int = _HEAD) -> None:
        """Run a command; ReconcilerError, after its whole output, where it ends otherwise than promised.

        Of a long output so many lines of its ``head`` are shown, and its end.
        """
        self._out.data(f"$ reconciler {' '.join(arguments)}\n")
        done = subprocess.run(  # noqa: S603  our own command
            [sys.executable, "-m", "reconciler", *arguments],
            cwd=self.folder,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
        )
        promised = done.returncode == expect
        self._out.data(_brief(done.stdout, head) if promised else done.stdout)
        if not promised:
            raise ReconcilerError("E1040", f"`{arguments[0]}` ended with exit code {done.returncode}, not {expect:d}")

    def environment(self) -> dict[str, str]:
        """Return the environment of a command."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith(_PRIVATE)}
        packages = [str(Path(reconciler.__file__).parents[1]), environ.get("PYTHONPATH", "")]
        environ |= {"PYTHONPATH": os.pathsep.join(filter(None, packages)), "COLUMNS": str(self._out.width)}
        # The output goes through a pipe, and is to look as it would without.
        environ |= {"PYTHONIOENCODING": "utf-8:backslashreplace"}
        return environ | self.environ | ({"FORCE_COLOR": "1"} if self._out.colors(sys.stdout) else {})


def _brief(text: str, head: int) -> str:
    """Return a long output without its middle."""
    lines = text.splitlines(keepends=True)
    left = len(lines) - head - _TAIL
    return text if left <= 1 else "".join((*lines[:head], f"    … {left} more lines …\n", *lines[-_TAIL:]))
