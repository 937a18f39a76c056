"""``reconciler init``: a first ``billing.d`` that is valid, explained by comments and known to editors."""

import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import click

from reconciler.cli.config import NAME
from reconciler.cli.context import App, common_options, pass_app
from reconciler.cli.schemas import all_schemas
from reconciler.diagnostics import ReconcilerError

TEMPLATES = ("subscription", "per-call", "credits", "freemium", "usage-based", "reserved")
EDITOR = Path(".vscode/settings.json")
EDITOR_SETTINGS = {
    "yaml.schemas": {
        "./schemas/billing.schema.json": [f"{NAME}/**/*.yaml", f"!{NAME}/env/**/*.yaml"],
        "./schemas/overlay.schema.json": [f"{NAME}/env/**/*.yaml"],
    }
}


@click.command("init")
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False), default=Path())
@click.option(
    "--template",
    type=click.Choice(TEMPLATES),
    default=TEMPLATES[0],
    show_default=True,
    help="How the first plans are sold.",
)
@common_options
@pass_app
def command(app: App, directory: Path, template: str) -> None:
    """Write a first billing.d into DIRECTORY, with schemas and editor settings; overwrites nothing."""
    wanted = dict(_files(template))
    present = [directory / path for path, text in wanted.items() if _differs(directory / path, text)]
    if (directory / NAME).exists():
        present.insert(0, directory / NAME)
    if present:
        raise ReconcilerError(
            "E1007",
            f"{present[0]} is there already, and nothing is overwritten",
            remedy="Choose another directory, or remove it first.",
        )
    for path, text in wanted.items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_text(text, encoding="utf-8")
    app.out.data("".join(f"{directory / path}\n" for path in wanted if path.parent.name != "schemas"))
    app.out.data(f"{directory / 'schemas'} ({len(all_schemas())} schemas)\n")
    _editor(app, directory)
    app.out.note("Next: reconciler validate, then reconciler plan --sandbox")


def _files(template: str) -> Iterator[tuple[Path, str]]:
    for file in sorted((files("reconciler.cli") / "templates" / template).iterdir(), key=lambda file: file.name):
        yield Path(NAME) / file.name, file.read_text(encoding="utf-8")
    for name, text in all_schemas().items():
        yield Path("schemas") / name, text


def _differs(path: Path, text: str) -> bool:
    return path.exists() and (not path.is_file() or path.read_text(encoding="utf-8", errors="replace") != text)


def _editor(app: App, directory: Path) -> None:
    """Write editor settings, or say what belongs there where the file is somebody's already."""
    text = json.dumps(EDITOR_SETTINGS, indent=2) + "\n"
    path = directory / EDITOR
    if path.exists():
        app.out.note(f"{path} is there already; for hover texts and completion it needs:\n{text}")
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    app.out.data(f"{path}\n")
