"""What every command is given: its output, how talkative it is, and whether it may ask."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import click

from reconciler.cli.output import Output, is_terminal
from reconciler.diagnostics import ReconcilerError

Command = Callable[..., Any]
TRACEBACK = 2


@dataclass
class App:
    """One run of the command line."""

    out: Output = field(default_factory=Output)
    verbosity: int = 0
    no_input: bool = False

    def ask(self, question: str, flag: str) -> str:
        """Ask on the terminal and return the answer; ReconcilerError naming the flag where nobody can be asked."""
        if self.no_input or not is_terminal(sys.stdin):
            raise ReconcilerError(
                "E1003",
                "nobody can be asked: this is not a terminal, or --no-input is set",
                remedy=f"Use {flag}.",
            )
        self.out.problem(question)
        return str(click.prompt("", prompt_suffix="> ", default="", show_default=False, err=True)).strip()

    def traceback(self, error: Exception) -> None:
        """Show where an exception came from, to whoever asked for it with ``-vv``."""
        if self.verbosity >= TRACEBACK:
            import traceback  # noqa: PLC0415  not needed to start

            self.out.problem("".join(traceback.format_exception(error)))


def in_a_line(error: Exception) -> str:
    """Name an unexpected exception in one line."""
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _set(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def store(context: click.Context, _parameter: click.Parameter, value: Any) -> None:
        if value:
            app = context.ensure_object(App)
            setattr(app.out if hasattr(app.out, name) else app, name, value)

    return store


_COMMON = (
    click.option(
        "--color",
        type=click.Choice(["auto", "always", "never"]),
        callback=_set("color"),
        expose_value=False,
        help="When to use colours; NO_COLOR and FORCE_COLOR count too.",
    ),
    click.option("-v", "--verbose", count=True, callback=_set("verbosity"), expose_value=False, help="Say more; -vv."),
    click.option(
        "-q", "--quiet", is_flag=True, callback=_set("quiet"), expose_value=False, help="Only data and errors."
    ),
    click.option(
        "--no-input", is_flag=True, callback=_set("no_input"), expose_value=False, help="Fail instead of asking."
    ),
)


def common_options(function: Command) -> Command:
    """Give a command the options every command has."""
    for option in reversed(_COMMON):
        function = option(function)
    return function


pass_app = click.make_pass_decorator(App, ensure=True)
