"""``reconciler completion``: the script that makes a shell complete commands and options."""

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from reconciler.cli.context import App, common_options, pass_app

VARIABLE = "_RECONCILER_COMPLETE"
SHELLS: dict[str, type[ShellComplete]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@click.command("completion")
@click.argument("shell", type=click.Choice(list(SHELLS)))
@common_options
@pass_app
def command(app: App, shell: str) -> None:
    """Print a completion script, to be loaded by the shell: eval "$(reconciler completion bash)"."""
    root = click.get_current_context().find_root().command
    completion = SHELLS[shell](root, {}, "reconciler", VARIABLE)
    app.out.data(completion.source_template % completion.source_vars() + "\n")
