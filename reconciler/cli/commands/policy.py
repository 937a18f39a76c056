"""``reconciler policy``: the files as the runtime reads them: compiled, shown, compared; no ledger is touched."""

import json
from pathlib import Path

import click

from reconciler.cli.books import BookOptions, policy_of, policy_options
from reconciler.cli.context import App, common_options, pass_app
from reconciler.cli.exits import Exit
from reconciler.cli.files import write_private
from reconciler.cli.options import detailed_exitcode, format_option
from reconciler.cli.policies import policy_text
from reconciler.cli.revisions import policy_at
from reconciler.entitlements.changes import Changes, changes
from reconciler.planning.entitled import changes_text, total


@click.group("policy", no_args_is_help=True)
@common_options
def command() -> None:
    """Compile, show and compare what decides calls. Writes to no ledger."""


@command.command("compile", short_help="Compile the files into one JSON file for a service.")
@policy_options
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write it there.")
@common_options
@pass_app
def _compile(app: App, *, books: BookOptions, out: Path | None) -> None:
    """Compile the files into one JSON file, which a service reads without YAML."""
    policy, _ = policy_of(app, books)
    if out is None:
        app.out.data(policy.dump())
        return
    write_private(out, policy.dump())
    app.out.note(f"Wrote {out}, digest {policy.digest}.")


@command.command("show")
@policy_options
@format_option("text", "json")
@common_options
@pass_app
def _show(app: App, *, books: BookOptions, form: str) -> None:
    """Show what plans and tenants may call, and at what price."""
    policy, _ = policy_of(app, books)
    app.out.data(json.dumps(policy.content(), indent=2) + "\n" if form == "json" else policy_text(policy))


@command.command("diff", short_help="Show what changes between two states of the files.")
@click.argument("before")
@click.argument("after", required=False)
@policy_options
@format_option("text", "json")
@detailed_exitcode
@common_options
@pass_app
def _diff(app: App, before: str, after: str | None, *, books: BookOptions, form: str, detailed: bool) -> int:
    """Show what changes from BEFORE to AFTER, each a compiled policy, a directory or a git revision.

    AFTER is the files at hand where it is left out.
    Terms that differ come first, then the calls that become dearer, cheaper, refused or allowed, and for whom.
    """
    old = policy_at(app, before, books.config)
    new = policy_of(app, books)[0] if after is None else policy_at(app, after, books.config)
    found = changes(old, new)
    app.out.data(_changes_json(found) if form == "json" else _changes_text(app, found))
    return Exit.CHANGES if detailed and found else Exit.OK


def _changes_json(found: Changes) -> str:
    return json.dumps(found.as_json(), indent=2) + "\n"


def _changes_text(app: App, found: Changes) -> str:
    if not found:
        return "No changes: calls are decided as before.\n"
    plain = found.as_json()
    table = changes_text(plain["terms"], plain["calls"], unicode=app.out.unicode)
    return f"{table}\n{total(plain['terms'], plain['calls'])}\n"
