"""``reconciler ledger``: the books themselves; nothing is written."""

import json

import click

from reconciler.cli.books import BookOptions, ledger_option, open_reading
from reconciler.cli.context import App, common_options, pass_app
from reconciler.cli.exits import Exit
from reconciler.cli.options import ConfigOptions, config_options, format_option
from reconciler.config.words import count
from reconciler.diagnostics.visible import visible
from reconciler.ledger.verify import verify


@click.group("ledger", no_args_is_help=True)
@common_options
def command() -> None:
    """Prove the books. Writes nothing."""


@command.command("verify", short_help="Add up every entry anew; writes nothing.")
@config_options
@ledger_option
@format_option("text", "json")
@common_options
@pass_app
def _verify(app: App, *, config: ConfigOptions, ledger: str | None, form: str) -> int:
    """Add up every entry anew and compare it with the books; any difference is told and ends with exit 1."""
    with open_reading(app, BookOptions(config, None, ledger)) as books:
        problems = verify(books.store)
    if form == "json":
        found = [problem._asdict() for problem in problems]
        app.out.data(json.dumps({"ok": not problems, "problems": found}, indent=2) + "\n")
    elif problems:
        for problem in problems:
            at = f" entry {problem.seq}" if problem.seq is not None else ""
            app.out.data(f"{visible(problem.tenant)}{at}: {visible(problem.what)}\n")
        app.out.data(f"{count(len(problems), 'problem')}.\n")
    else:
        app.out.data("OK: every entry, book and export adds up.\n")
    return Exit.ERROR if problems else Exit.OK
