"""Opening an inbox to work it off by hand: a ledger, its policy, and the account its events are of."""

from collections.abc import Iterator
from contextlib import contextmanager

from reconciler.cli.account import connect
from reconciler.cli.books import BookOptions, policy_of, writing
from reconciler.cli.config import load
from reconciler.cli.context import App
from reconciler.cli.options import AccountOptions
from reconciler.provider.binding import check_account, check_mode
from reconciler.provider.gateway import Gateway
from reconciler.service.hooks.room import Hooks


@contextmanager
def inbox_at_work(app: App, books: BookOptions, account: AccountOptions) -> Iterator[Hooks]:
    """Open the inbox of a ledger with the account its events are of."""
    connection = connect(account)
    policy, environment = policy_of(app, books)
    check_mode(connection.mode, environment)
    gateway = Gateway(connection)
    check_account(gateway, environment)
    moved = load(app, books.config)[0].moved if books.policy is None else {}
    with writing(app, policy, books) as runtime:
        yield Hooks(runtime, gateway, moved=moved)
