"""``reconciler import``: existing Stripe objects under management; or other files turned into ``billing.d``."""

import sys
from pathlib import Path

import click

from reconciler.cli.adopting import Adopting
from reconciler.cli.context import App, common_options, pass_app
from reconciler.cli.converting import FORMATS, convert
from reconciler.cli.exits import Exit
from reconciler.cli.files import check_empty, check_namespace, write_files
from reconciler.cli.options import AccountOptions, ConfigOptions, account_options, config_options
from reconciler.cli.output import is_terminal
from reconciler.diagnostics import UsageError

_SHOWN = ("text", "json")


@click.command("import")
@click.argument("address", required=False)
@click.argument("object_id", metavar="[ID]", required=False)
@click.option("--match", "matching", is_flag=True, help="Take over everything that the files find by key or imports.")
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Turn FILE into files in --out: a reserved.json, tier's pricing.json, fixtures of the Stripe CLI.",
)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="With --from: where to.")
@click.option("--namespace", metavar="NAME", help="With --from: owner of what is made from the files; default main.")
@config_options
@account_options
@click.option(
    "--format",
    "form",
    type=click.Choice([*_SHOWN, *FORMATS]),
    help="Form of stdout, text or json; with --from the format of FILE, detected unless given.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be written, and write nothing.")
@click.option("--auto-approve", is_flag=True, help="Write without asking.")
@common_options
@pass_app
def command(
    app: App,
    address: str | None,
    object_id: str | None,
    config: ConfigOptions,
    account: AccountOptions,
    *,
    matching: bool,
    source: Path | None,
    out: Path | None,
    namespace: str | None,
    form: str | None,
    dry_run: bool,
    auto_approve: bool,
) -> int:
    """Take the existing object ID under management for ADDRESS of the files; only its owner mark is written."""
    if source is not None:
        if address is not None or matching or out is None or form in _SHOWN:
            raise UsageError(
                "E1043",
                "--from takes --out DIR, and no ADDRESS, no --match, no form of stdout",
                remedy="reconciler import --from pricing.json --out billing.d",
            )
        return _convert(app, source, out, form, namespace, dry_run=dry_run)
    wrong = out is not None or namespace is not None or form in FORMATS
    if wrong or matching == (address is not None) or (address is None) != (object_id is None):
        raise UsageError(
            "E1043",
            "import takes an ADDRESS and an ID, or --match, or --from FILE --out DIR",
            remedy="reconciler import plans.pro prod_1EXAMPLE, or reconciler import --match",
        )
    pick = None if address is None or object_id is None else (address, object_id)
    return Adopting(app, config, account, None).run(pick, form=form or "text", dry_run=dry_run, ask=not auto_approve)


def _convert(app: App, source: Path, out: Path, form: str | None, namespace: str | None, *, dry_run: bool) -> int:
    check_empty(out)
    check_namespace(namespace)
    converted = convert(source, form, namespace or "main", lambda: _asked(app, source))
    if not dry_run:
        write_files(out, converted.files)
    app.out.data("".join(f"{out / name}\n" for name in converted.files))
    for note in converted.notes:
        app.out.problem(f"note: {note}")
    app.out.note(f"Next: reconciler validate --config {out}")
    return Exit.OK


def _asked(app: App, source: Path) -> str | None:
    """Ask for the format of a file that tells none, where somebody can be asked."""
    if app.no_input or not is_terminal(sys.stdin):
        return None
    return app.ask(f"What is {source}: {', '.join(FORMATS)}?", "--format")
