"""The console script: commands loaded by name, errors turned into messages and exit codes."""

import importlib
import keyword
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from reconciler import __version__
from reconciler.cli.context import App, common_options, in_a_line
from reconciler.cli.exits import SIGNALLED, Exit, SignalledError
from reconciler.cli.github import refused, stopped
from reconciler.cli.output import prepare_streams
from reconciler.diagnostics import ConfigError, ReconcilerError
from reconciler.diagnostics.redact import redact
from reconciler.diagnostics.render import render_text

#: Every command with its line in the overview, so that neither the overview nor completion loads one.
COMMANDS = {
    "init": "Write a first billing.d with schemas and editor settings.",
    "validate": "Check the files and show every problem at its line.",
    "schema": "Print or write the JSON Schemas of the files.",
    "plan": "Show what would change at Stripe; writes nothing.",
    "show": "Show a saved plan.",
    "snapshot": "Record what planning needs of the account, for plans without a key.",
    "apply": "Make Stripe equal to the files.",
    "pull": "Write down as files what an account holds.",
    "import": "Take existing Stripe objects under management.",
    "drift": "Show what was changed at Stripe since the last apply.",
    "status": "Show what was last applied, and who holds the lock.",
    "unlock": "Free the lock of an apply that is dead.",
    "impact": "Show what a change means in money and refusals, tenant by tenant.",
    "policy": "Compile, show and compare what decides calls.",
    "check": "Tell whether a tenant may make a call now; writes nothing.",
    "consume": "Decide a call and book it.",
    "balance": "Show what a tenant has.",
    "grant": "Give a tenant credits or a credit pack.",
    "usage": "Report, export and send what was used.",
    "report": "Tell revenue, usage, customers and tools of some months.",
    "ledger": "Prove the books, and archive old calls.",
    "webhooks": "Show what came from Stripe, work it off again, look for what never came.",
    "notices": "Show what the service told a callback URL, and send it again.",
    "invoice": "Show what a tenant will be billed, beside what Stripe says.",
    "checkout": "Open a page on which a tenant buys a plan or a pack.",
    "link": "Give a tenant a payment link, or wait until one is paid.",
    "portal": "Open a page on which a tenant looks after its subscription.",
    "serve": "Serve the runtime over HTTP: calls, payments, health.",
    "key": "Make an API key for a tenant or an operator.",
    "sandbox": "Run a local Stripe-compatible server.",
    "doctor": "Check installation, files, key and permissions.",
    "explain": "Explain an error code.",
    "demo": "Show the loop and the runtime on the sandbox; needs no Stripe account.",
    "completion": "Print the completion script of a shell.",
}
_ENDING_SIGNALS = ("SIGTERM", "SIGHUP")


class Commands(click.Group):
    """A group whose commands are modules, imported when they are run."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  the signature is click's
        """Return the commands in the order a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  as above
        """Import a command's module and return the command; None for an unknown name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"reconciler.cli.commands.{_module(cmd_name)}").command
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Find the command to run, with a guess for a misspelt one."""
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib  # noqa: PLC0415  not needed to start

            close = difflib.get_close_matches(args[0], COMMANDS, n=1)
            guess = f" Did you mean {close[0]!r}?" if close else ""
            ctx.fail(f"No such command {args[0]!r}.{guess}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  as above
        """Write the overview without importing a command."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """Complete command names without importing a command."""
        names = [CompletionItem(name, help=text) for name, text in COMMANDS.items() if name.startswith(incomplete)]
        return [*names, *click.Command.shell_complete(self, ctx, incomplete)]


def _module(name: str) -> str:
    """Return the module of a command; one that is a word of Python has an underscore behind it."""
    return f"{name}_" if keyword.iskeyword(name) else name


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    no_args_is_help=True,
)
@click.version_option(__version__, prog_name="reconciler", message="%(prog)s %(version)s")
@common_options
def cli() -> None:
    """Billing as code: the plans, prices and packs in billing.d, made real at Stripe."""


def run() -> None:
    """Run the command line as a process and end it with its exit code."""
    prepare_streams()
    for name in _ENDING_SIGNALS:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _end)
    code = main(sys.argv[1:])
    if code > SIGNALLED:
        os._exit(code)  # without waiting for reads that nobody waits for any more
    sys.exit(code)


def _end(number: int, _frame: Any) -> None:
    raise SignalledError(number)


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; no exception leaves."""
    app = App()
    try:
        code = cli.main(list(arguments), prog_name="reconciler", standalone_mode=False, obj=app)
    except click.UsageError as error:
        code = _usage(app, error)
    except click.ClickException as error:
        app.out.error(ReconcilerError("E1001", error.format_message()))
        code = Exit.ERROR
    except (KeyboardInterrupt, click.Abort):
        app.out.problem("interrupted")
        code = SIGNALLED + signal.SIGINT
    except SignalledError as signalled:
        code = signalled.exit_code
    except Exception as error:  # noqa: BLE001  the last line of defence: no traceback reaches a user
        code = _failed(app, error)
    return int(code or Exit.OK)


def _usage(app: App, error: click.UsageError) -> int:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        app.out.problem(error.format_message())
        return Exit.USAGE
    path = error.ctx.command_path if error.ctx else "reconciler"
    app.out.error(ReconcilerError("E1000", error.format_message(), remedy=f"Try `{path} --help`."))
    return Exit.USAGE


def _failed(app: App, error: Exception) -> int:
    if isinstance(error, ReconcilerError):
        app.traceback(error)
        if isinstance(error, ConfigError):
            app.out.problem(render_text(error.diagnostics, lambda _file, _line: None, color=app.out.colors(sys.stderr)))
            refused(app.out, error.diagnostics, Path.cwd())
        else:
            app.out.error(error)
            stopped(app.out, error)
        return error.exit_code
    if isinstance(error, OSError):
        app.traceback(error)
        name = f"{error.filename}: " if error.filename else ""
        app.out.error(ReconcilerError("E1002", f"{name}{error.strerror or error}"))
        return Exit.ERROR
    return _bug(app, error)


def _bug(app: App, error: Exception) -> int:
    """Say in one line that this is a bug, and put what a report needs into a file."""
    import tempfile  # noqa: PLC0415  not needed to start
    import traceback  # noqa: PLC0415  not needed to start

    app.traceback(error)
    text = redact(f"reconciler {__version__}, Python {sys.version}\n\n{''.join(traceback.format_exception(error))}")
    handle, name = tempfile.mkstemp(prefix="reconciler-bug-", suffix=".txt")
    with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)
    app.out.problem(f"this is a bug: {in_a_line(error)} (please report it with the text in {Path(name)})")
    return Exit.ERROR
