"""``reconciler key``: API keys for ``reconciler serve``."""

import click

from reconciler.cli.context import App, common_options, pass_app
from reconciler.service.identity.keys import OPERATOR, TENANT, new_key, sha256_of

_ID = "new"


@click.group("key", no_args_is_help=True)
@common_options
def command() -> None:
    """Make API keys. They are known by their SHA-256 alone, and kept nowhere."""


@command.command("new", short_help="Make a key and print it, once.")
@click.option("--operator", is_flag=True, help="An operator's key, which may grant credits to any tenant.")
@click.option("--id", "name", default=_ID, show_default=True, metavar="ID", help="What the key is called in the files.")
@common_options
@pass_app
def _new(app: App, *, operator: bool, name: str) -> None:
    """Print a fresh key, this once, and the line that makes it known."""
    key = new_key(OPERATOR if operator else TENANT)
    app.out.secret(f"{key}\n")
    digest = sha256_of(key)
    if operator:
        app.out.note(f"Shown once. Let the service know it:\n  RECONCILER_OPERATOR_KEYS={name}:{digest}")
    else:
        line = f'api_keys: [{{id: {name}, sha256: "{digest}"}}]'
        app.out.note(f"Shown once. Let the files know it, at the tenant:\n  {line}")
