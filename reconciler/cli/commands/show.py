"""``reconciler show``: a saved plan, as it was made."""

from pathlib import Path

import click

from reconciler.cli.context import App, common_options, pass_app
from reconciler.cli.options import format_option
from reconciler.cli.planner import FORMS, read, shown


@click.command("show")
@click.argument("planfile", type=click.Path(path_type=Path))
@format_option(*FORMS)
@common_options
@pass_app
def command(app: App, planfile: Path, form: str) -> None:
    """Show a saved plan; one that was altered is refused."""
    app.out.data(shown(app, read(planfile), (), form))
