"""Which Stripe customers tenants are: by the owner mark, or by a file."""

import json
from pathlib import Path

import click

from reconciler.cli.context import App
from reconciler.cli.files import read_bounded
from reconciler.config.models import Environment
from reconciler.diagnostics import UsageError
from reconciler.entitlements import Policy
from reconciler.provider.binding import check_account
from reconciler.provider.customers import Marked, customers_by_mark
from reconciler.provider.gateway import Connection, Gateway

_LARGEST_FILE = 64 * 1024 * 1024

customers_option = click.option(
    "--customers",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="JSON of tenant to Stripe customer; default the customers that carry our mark.",
)


def customers_of(
    app: App,
    policy: Policy,
    file: Path | None,
    connection: Connection,
    environment: tuple[str, Environment] | None,
) -> Marked:
    """Return the customers of tenants, from a file or from the account, which is the one the environment names."""
    gateway = Gateway(connection, read_only=True)
    check_account(gateway, environment)
    if file is None:
        marked = customers_by_mark(gateway, policy.namespace)
        for tenant, ids in marked.doubled.items():
            app.out.problem(f"{tenant} is marked on {' and '.join(ids)}; its usage waits until one of them is")
        return marked
    try:
        found = json.loads(read_bounded(file, _LARGEST_FILE))
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(each, str) for each in found.values()):
        raise UsageError("E1035", f"{file} is no JSON object of tenant to customer")
    return Marked(found, {})
