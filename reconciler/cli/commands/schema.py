"""``reconciler schema``: the JSON Schemas of the files, for editors and other programs."""

from pathlib import Path

import click

from reconciler.cli.context import App, common_options, pass_app
from reconciler.cli.exits import Exit
from reconciler.cli.schemas import all_schemas
from reconciler.config.schemas import check_schemas
from reconciler.config.words import did_you_mean
from reconciler.diagnostics import ReconcilerError, UsageError

DEFAULT = "billing.schema.json"


@click.command("schema")
@click.argument("name", required=False)
@click.option("--dir", "directory", type=click.Path(path_type=Path), metavar="DIR", help="Write every schema there.")
@click.option("--check", is_flag=True, help="Compare DIR (default ./schemas) with the schemas of this version.")
@common_options
@pass_app
def command(app: App, name: str | None, directory: Path | None, *, check: bool) -> int:
    """Print one JSON Schema (billing.schema.json unless NAME says another), write all, or check a directory."""
    if name is not None and (check or directory is not None):
        raise UsageError("E1028", "a NAME is for printing one schema; --dir and --check are for all of them")
    if check:
        return _check(app, directory or Path("schemas"))
    if directory is not None:
        write(directory)
        app.out.note(f"Wrote {len(all_schemas())} schemas to {directory}.")
    else:
        app.out.data(_one(name or DEFAULT))
    return Exit.OK


def write(directory: Path) -> None:
    """Write every schema into a directory, which is made where it is missing."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in all_schemas().items():
        (directory / name).write_text(text, encoding="utf-8")


def _check(app: App, directory: Path) -> int:
    differing = check_schemas(directory, all_schemas())
    if differing:
        raise ReconcilerError(
            "E1006",
            f"{directory} is not as this version writes it",
            remedy=f"Run `reconciler schema --dir {directory}`.",
            details=differing,
        )
    app.out.data(f"OK: {directory} is as this version writes it.\n")
    return Exit.OK


def _one(name: str) -> str:
    files = all_schemas()
    full = name if name.endswith(".json") else f"{name}.schema.json"
    if full not in files:
        known = ", ".join(each.removesuffix(".schema.json") for each in files)
        raise UsageError(
            "E1029", f"there is no schema {name!r}{did_you_mean(full, files)}", remedy=f"There are: {known}."
        )
    return files[full]
