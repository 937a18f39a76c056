"""``reconciler snapshot``: what planning needs of the account, recorded for plans without key or network."""

import os
from datetime import UTC, datetime
from pathlib import Path

import click

from reconciler.cli.account import connect
from reconciler.cli.config import load
from reconciler.cli.context import App, common_options, pass_app
from reconciler.cli.exits import Exit
from reconciler.cli.files import write_private
from reconciler.cli.options import AccountOptions, ConfigOptions, account_options, config_options
from reconciler.provider.binding import check_account, check_mode
from reconciler.provider.gateway import Gateway
from reconciler.provider.propose import take_snapshot


@click.command("snapshot")
@config_options
@account_options
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    required=True,
    help="Where to write it; `plan --snapshot FILE` reads it.",
)
@common_options
@pass_app
def command(app: App, config: ConfigOptions, account: AccountOptions, *, out: Path) -> int:
    """Record what planning needs of the account, for plans without a key: no customer, no secret."""
    catalog, _sources = load(app, config)
    connection = connect(account)
    check_mode(connection.mode, catalog.environment)
    gateway = Gateway(connection, read_only=True)
    check_account(gateway, catalog.environment)
    write_private(out, take_snapshot(catalog, gateway, datetime.now(UTC)))
    app.out.note(f"Wrote {os.fspath(out)}.")
    return Exit.OK
