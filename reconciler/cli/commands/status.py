"""``reconciler status``: what was last applied to the account as a whole, by the lock's record, and who applies now."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import click

from reconciler.cli.account import connect
from reconciler.cli.config import load
from reconciler.cli.context import App, common_options, pass_app
from reconciler.cli.exits import Exit
from reconciler.cli.options import AccountOptions, ConfigOptions, account_options, config_options, format_option
from reconciler.config.catalog import Catalog
from reconciler.diagnostics.table import wrapped
from reconciler.diagnostics.visible import visible
from reconciler.planning.applied import Applied
from reconciler.provider.binding import check_account, check_mode
from reconciler.provider.gateway import Connection, Gateway
from reconciler.provider.lock import Locks, Seen, moment
from reconciler.provider.ports import Ports
from reconciler.provider.reads import Reader


@dataclass(frozen=True)
class _Status:
    """What was found about one account and the files at hand."""

    account: str
    connection: Connection
    catalog: Catalog
    seen: Seen

    @property
    def applied(self) -> Applied | None:
        return self.seen.latest.applied if self.seen.latest else None

    @property
    def current(self) -> bool:
        return self.applied is not None and self.applied.config_digest == self.catalog.digest

    def data(self) -> dict[str, Any]:
        """Return it for programs."""
        held, applied = self.seen.holding, self.applied
        environment = self.catalog.environment
        lock = held and {
            "generation": held.generation,
            "holder": held.holder,
            "plan": held.plan,
            "since": moment(held.started),
            "until": moment(held.ends),
        }
        return {
            "account": self.account,
            "mode": self.connection.mode,
            "namespace": self.catalog.namespace,
            "environment": environment[0] if environment else None,
            "config_digest": self.catalog.digest,
            "current": self.current,
            "applied": applied and asdict(applied) | {"instant": applied.instant.isoformat()},
            "lock": lock,
        }

    def lines(self) -> Iterator[str]:
        """Yield it for people."""
        environment = f", environment {self.catalog.environment[0]}" if self.catalog.environment else ""
        yield f"Account {self.account} ({self.connection.mode}), namespace {self.catalog.namespace}{environment}"
        if self.applied is None:
            yield "Last applied: nothing as a whole yet"
        else:
            yield f"Last applied: {moment(self.applied.instant.timestamp())}"
            yield f"  files:  {self.applied.config_digest[:16]}, {'those' if self.current else 'not those'} at hand"
            yield f"  policy: {self.applied.policy_digest[:16]}"
            yield f"  plan:   {self.applied.plan[:16]}"
        held = self.seen.holding
        if held is None:
            yield "Lock: free"
            return
        yield f"Lock: held, generation {held.generation}"
        yield f"  holder: {held.holder}"
        yield f"  since:  {moment(held.started)}"
        yield f"  until:  {moment(held.ends)} unless it is renewed"


@click.command("status")
@config_options
@account_options
@format_option("text", "json")
@common_options
@pass_app
def command(app: App, config: ConfigOptions, account: AccountOptions, *, form: str) -> int:
    """Show what was last applied, whether the files at hand are that, and who holds the lock; writes nothing."""
    connection = connect(account)
    catalog, _sources = load(app, config)
    check_mode(connection.mode, catalog.environment)
    gateway = Gateway(connection, read_only=True)
    check_account(gateway, catalog.environment)
    seen = Locks(Ports(gateway, gateway, gateway), catalog.namespace).look()
    status = _Status(Reader(gateway).account(), connection, catalog, seen)
    if form == "json":
        app.out.data(json.dumps(status.data(), indent=2) + "\n")
    else:
        app.out.data(wrapped(map(visible, status.lines()), app.out.width))
    return Exit.OK
