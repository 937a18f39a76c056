"""Where output goes and what it may look like: data on stdout, everything else on stderr, secrets nowhere."""

import contextlib
import os
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TextIO

from reconciler.diagnostics import ReconcilerError
from reconciler.diagnostics.redact import redact
from reconciler.diagnostics.visible import visible

_DEFAULT_WIDTH, _MIN_WIDTH = 80, 40
#: A line that GitHub's runner takes for a command, also on stderr.
_COMMAND = re.compile(r"^([^\S\n]*)::", re.MULTILINE)
_RED, _CYAN, _RESET = "\x1b[1;31m", "\x1b[1;36m", "\x1b[0m"


def in_github(environ: Mapping[str, str]) -> bool:
    """Tell whether the command runs in a job of GitHub Actions."""
    return environ.get("GITHUB_ACTIONS") == "true"


def wants_color(choice: str, environ: Mapping[str, str], *, terminal: bool) -> bool:
    """Decide about ANSI colours: ``--color``, then NO_COLOR, FORCE_COLOR or CLICOLOR_FORCE, TERM=dumb, the terminal."""
    if choice != "auto":
        return choice == "always"
    if environ.get("NO_COLOR"):
        return False
    if any(environ.get(name, "0") not in ("", "0") for name in ("FORCE_COLOR", "CLICOLOR_FORCE")):
        return True
    return terminal and environ.get("TERM") != "dumb"


def wants_unicode(encoding: str | None, environ: Mapping[str, str]) -> bool:
    """Decide about symbols beyond ASCII: a UTF-8 stream, and a locale that is not said to be C."""
    locale = next((environ[name] for name in ("LC_ALL", "LC_CTYPE", "LANG") if environ.get(name)), "")
    return (encoding or "").lower().replace("-", "") == "utf8" and locale not in ("C", "POSIX")


@dataclass
class Output:
    """The two streams of a command; a reader that goes away never stops the command."""

    color: str = "auto"
    quiet: bool = False
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    def data(self, text: str, *, commands: bool = False) -> None:
        """Write what the command was asked for to stdout, as it is but for secrets.

        In a job of GitHub a line that begins like one of its commands is escaped, unless it is meant (``commands``): a
        name out of a file, wrapped there, would annotate the pull request or silence what follows.
        """
        _write(sys.stdout, self._told(text, commands=commands))

    def secret(self, text: str) -> None:
        """Write to stdout what is a secret and was asked for: it is shown this once."""
        _write(sys.stdout, text)

    def note(self, text: str) -> None:
        """Write a remark to stderr, unless ``--quiet``."""
        if not self.quiet:
            self.problem(text)

    def problem(self, text: str, *, commands: bool = False) -> None:
        """Write a line to stderr that must be seen; where stderr takes nothing, the exit code has to say it.

        Commands of GitHub are as in :meth:`data`.
        """
        with contextlib.suppress(OSError):
            _write(sys.stderr, self._told(text, commands=commands).rstrip("\n") + "\n")

    def error(self, error: ReconcilerError) -> None:
        """Write an error: code and message, details, remedy."""
        self.problem(f"{self.paint(_RED, f'error[{error.code}]')} {visible(error.message)}")
        for line in error.details:
            self.problem(f"  - {visible(line)}")
        if error.remedy:
            self.problem(f"  = {self.paint(_CYAN, 'help:')} {visible(error.remedy)}")

    def _told(self, text: str, *, commands: bool) -> str:
        shown = redact(text)
        return shown if commands or not in_github(self.environ) else _COMMAND.sub(r"\1\\::", shown)

    def paint(self, style: str, text: str) -> str:
        """Return text for stderr in a style."""
        return f"{style}{text}{_RESET}" if self.colors(sys.stderr) else text

    def colors(self, stream: TextIO | None) -> bool:
        """Tell whether a stream gets colours."""
        return wants_color(self.color, self.environ, terminal=is_terminal(stream))

    @property
    def unicode(self) -> bool:
        """Tell whether stdout shows symbols beyond ASCII."""
        return wants_unicode(getattr(sys.stdout, "encoding", None), self.environ)

    @property
    def width(self) -> int:
        """Return the columns of the terminal, 80 where there is none; a terminal that claims fewer than 40 wraps."""
        return max(shutil.get_terminal_size((_DEFAULT_WIDTH, 24)).columns, _MIN_WIDTH)


def is_terminal(stream: TextIO | None) -> bool:
    """Tell whether a stream is a terminal; a closed one is not."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        return False


def prepare_streams() -> None:
    """Make the standard streams write any text: what an encoding lacks is shown as an escape."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _write(stream: TextIO | None, text: str) -> None:
    if stream is None or stream.closed:
        return
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        _forget(stream)


def _forget(stream: TextIO) -> None:
    """Send the rest of a stream nowhere, so that neither later writes nor the interpreter's exit fail."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
