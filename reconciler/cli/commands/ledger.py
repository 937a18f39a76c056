"""``reconciler ledger``: the books themselves: proving them, and archiving what is old."""

import json
from pathlib import Path

import click

from reconciler.cli.books import (
    BookOptions,
    book_options,
    ledger_option,
    names_of,
    open_reading,
    policy_of,
    writing,
)
from reconciler.cli.context import App, common_options, pass_app
from reconciler.cli.exits import Exit
from reconciler.cli.options import ConfigOptions, config_options, format_option
from reconciler.config.words import count
from reconciler.diagnostics.visible import visible
from reconciler.entitlements.retention import LEAST, archive_old
from reconciler.ledger.archive import Archive
from reconciler.ledger.compaction import proved
from reconciler.ledger.verify import Problem, verify
from reconciler.service.figures.rollup import roll_up
from reconciler.service.figures.tables import prepared

_DIRECTORY = click.Path(path_type=Path, file_okay=False)


@click.group("ledger", no_args_is_help=True)
@common_options
def command() -> None:
    """Prove the books, and archive old calls."""


@command.command("verify", short_help="Add up every entry anew; writes nothing.")
@click.option("--archive", type=_DIRECTORY, metavar="DIR", help="Prove the archive of old calls as well.")
@config_options
@ledger_option
@format_option("text", "json")
@common_options
@pass_app
def _verify(app: App, *, archive: Path | None, config: ConfigOptions, ledger: str | None, form: str) -> int:
    """Add up every entry anew and compare it with the books; any difference is told and ends with exit 1."""
    with open_reading(app, BookOptions(config, None, ledger)) as books:
        problems = verify(books.store)
        if archive is not None:
            kept = Archive(archive)
            names = list(names_of(books.store))
            problems += [Problem(name, None, what) for name in names for what in proved(books.store, name, kept)]
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


@command.command("compact", short_help="Archive old calls.")
@click.argument("tenants", nargs=-1, metavar="[TENANT]…")
@click.option(
    "--older-than",
    "days",
    type=click.IntRange(LEAST),
    required=True,
    metavar="DAYS",
    help=f"Calls older than so many days, {LEAST} at least.",
)
@click.option(
    "--archive", type=_DIRECTORY, required=True, metavar="DIR", help="Directory of the archive, always the same."
)
@book_options
@common_options
@pass_app
def _compact(app: App, tenants: tuple[str, ...], *, days: int, archive: Path, books: BookOptions) -> None:
    """Move old calls of tenants, all by default, out of the ledger into an archive that proves itself.

    What they add up to stays, and so does everything else. A call leaves only with the whole of every period it was
    counted in. Figures of days are added up first.
    """
    policy, _ = policy_of(app, books)
    kept, archived = Archive(archive), 0
    with writing(app, policy, books) as runtime:
        store = runtime.ledger.store
        roll_up(prepared(store))
        for name in tenants or tuple(names_of(store)):
            archived += sum(part.archived for part in archive_old(store, policy, name, days, kept))
    what = "entry" if archived == 1 else "entries"
    app.out.data(f"{archived:,} {what} archived.\n")
