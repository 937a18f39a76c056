"""``reconciler unlock``: free the lock of an apply that died, by the number of its generation."""

import os
from collections.abc import Iterator

import click

from reconciler.cli.account import connect
from reconciler.cli.config import load
from reconciler.cli.context import App, common_options, pass_app
from reconciler.cli.exits import Exit
from reconciler.cli.options import AccountOptions, ConfigOptions, account_options, config_options
from reconciler.diagnostics import ReconcilerError
from reconciler.diagnostics.table import wrapped
from reconciler.diagnostics.visible import visible
from reconciler.planning.lock import Lock
from reconciler.provider.binding import check_account, check_mode
from reconciler.provider.holder import this_run
from reconciler.provider.lease import RENEWAL_SECONDS
from reconciler.provider.lock import Locks, moment
from reconciler.provider.ports import Ports


@click.command("unlock")
@config_options
@account_options
@click.option("--generation", type=click.IntRange(1), metavar="N", help="Free this generation without asking.")
@common_options
@pass_app
def command(app: App, config: ConfigOptions, account: AccountOptions, *, generation: int | None) -> int:
    """Free the lock of an apply that died; shows whose it is and asks first."""
    connection = connect(account)
    catalog, _sources = load(app, config)
    check_mode(connection.mode, catalog.environment)
    ports = Ports.of(connection)
    check_account(ports.work, catalog.environment)
    locks = Locks(ports, catalog.namespace)
    lock = _held(locks, catalog.namespace)
    app.out.data(wrapped(_shown(lock), app.out.width))
    if generation is None:
        question = f"Type the number of the generation, {lock.generation}, to free it."
        typed = app.ask(question, f"--generation={lock.generation}")
        if typed != str(lock.generation):
            app.out.problem("Nothing was freed.")
            return Exit.ERROR
    elif generation != lock.generation:
        raise ReconcilerError(
            "E0826",
            f"generation {generation} does not hold the lock, {lock.generation} does",
            remedy="Look at who holds it; if that one is dead, name its number.",
        )
    locks.unlock(lock, str(this_run(os.environ)))
    app.out.data(f"Generation {lock.generation} is free.\n")
    app.out.note(f"If its apply does live, it stops within {RENEWAL_SECONDS:.0f} seconds: wait that long.")
    return Exit.OK


def _held(locks: Locks, namespace: str) -> Lock:
    seen = locks.look()
    lock = seen.holding
    if lock is None:
        raise ReconcilerError("E0825", f"nobody holds the lock of namespace {namespace}", remedy="Apply can go on.")
    return lock


def _shown(lock: Lock) -> Iterator[str]:
    yield visible(f"Generation {lock.generation}: {lock.holder}")
    yield f"  since {moment(lock.started)}"
    yield f"  until {moment(lock.ends)} unless it is renewed"
