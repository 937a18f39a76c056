"""Which policy and which ledger a command works with, and opening them for looking or for writing."""

import functools
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from reconciler.cli.config import load, locate
from reconciler.cli.context import App
from reconciler.cli.options import ConfigOptions, config_options
from reconciler.config.models import Environment
from reconciler.diagnostics import UsageError
from reconciler.entitlements import Entitlements, Policy
from reconciler.entitlements.compile import compile_catalog
from reconciler.entitlements.periods import Calendar, micros, zone_of
from reconciler.entitlements.policy import read_policy
from reconciler.ledger.annex import AnnexStore
from reconciler.ledger.base import Store
from reconciler.ledger.compaction import whole
from reconciler.ledger.entry import Entry
from reconciler.ledger.ledger import FILE, Ledger, open_ledger

VARIABLE = "RECONCILER_LEDGER"
DEFAULT = "usage.db"
_PAGE = 1000
Command = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class BookOptions:
    """The files or a compiled policy in their place, and the ledger's address; None for the defaults."""

    config: ConfigOptions
    policy: Path | None = None
    ledger: str | None = None


def policy_options(function: Command) -> Command:
    """Add ``--policy``, ``--config`` and ``--env``; the command takes ``books: BookOptions``."""

    @functools.wraps(function)
    def bundled(*args: Any, config: ConfigOptions, policy: Path | None, **kwargs: Any) -> Any:
        return function(*args, books=BookOptions(config, policy), **kwargs)

    return click.option(
        "--policy",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="A compiled policy in place of the files.",
    )(config_options(bundled))


def book_options(function: Command) -> Command:
    """Add the options of :func:`policy_options` and ``--ledger``; the command takes ``books: BookOptions``."""

    @functools.wraps(function)
    def bundled(*args: Any, books: BookOptions, ledger: str | None, **kwargs: Any) -> Any:
        return function(*args, books=BookOptions(books.config, books.policy, ledger), **kwargs)

    return ledger_option(policy_options(bundled))


def ledger_option(function: Command) -> Command:
    """Add ``--ledger``; the command takes ``ledger: str | None``."""
    return click.option(
        "--ledger",
        metavar="URL",
        help=f"sqlite:///FILE or postgresql://…; default {VARIABLE}, then {DEFAULT} beside billing.d.",
    )(function)


def policy_of(app: App, books: BookOptions) -> tuple[Policy, tuple[str, Environment] | None]:
    """Return the policy, and the environment where the files name one; problems of the files end the command."""
    if books.policy is not None:
        return read_policy(books.policy), None
    catalog, _ = load(app, books.config)
    return compile_catalog(catalog), catalog.environment


def ledger_of(books: BookOptions, environ: Mapping[str, str] | None = None) -> tuple[str, bool]:
    """Return the ledger's address, and whether somebody named it; the default stands beside the files."""
    environ = os.environ if environ is None else environ
    named = books.ledger or environ.get(VARIABLE)
    if named:
        return named, True
    folder = Path.cwd() if books.policy is not None else (Path.cwd() / locate(books.config)).parent
    return f"{FILE}{folder / DEFAULT}", False


def open_reading(app: App, books: BookOptions) -> Ledger:
    """Open the ledger so that nothing can be written; a default ledger that is not there is an empty one."""
    url, named = ledger_of(books)
    if not named and not Path(url.removeprefix(FILE)).exists():
        app.out.note(f"There is no ledger at {url.removeprefix(FILE)} yet: nothing was granted or used.")
        url = "sqlite://"
    return open_ledger(url, "read")


@contextmanager
def reading(app: App, books: BookOptions) -> Iterator[Entitlements]:
    """Open policy and ledger for looking at only."""
    policy, _ = policy_of(app, books)
    with open_reading(app, books) as ledger:
        yield Entitlements(policy, ledger)


@contextmanager
def writing(app: App, policy: Policy, books: BookOptions) -> Iterator[Entitlements]:
    """Open a policy with a ledger to write to; a file that is not there is made, and said to be."""
    url, _ = ledger_of(books)
    file = Path(url.removeprefix(FILE)) if url.startswith(FILE) else None
    if file is not None and not file.exists():
        app.out.note(f"New ledger: {file}.")
    with Entitlements(policy, open_ledger(url, "direct")) as runtime:
        yield runtime


@contextmanager
def understood() -> Iterator[None]:
    """Turn what the runtime says of a request it cannot take into an error of the command line."""
    try:
        yield
    except (ValueError, LookupError) as error:
        raise UsageError("E1034", str(error.args[0] if error.args else error)) from error


def numbers(given: tuple[str, ...]) -> dict[str, int] | None:
    """Return ``METER=NUMBER`` words as a mapping; None for none."""
    found: dict[str, int] = {}
    for word in given:
        name, _, number = word.partition("=")
        if not name or not number.isascii() or not number.isdigit():
            raise UsageError("E1034", f"{word!r} is not of the form METER=NUMBER")
        found[name] = int(number)
    return found or None


def instant_of(text: str, zone: str) -> datetime:
    """Return a date or an instant as ISO 8601 has it, in the policy's zone where it names none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError("E1034", f"{text!r} is not a date such as 2027-01-31, nor an instant") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=zone_of(zone))


def month_of(text: str, zone: str) -> tuple[int, int]:
    """Return start and end of a month of the calendar, written as 2027-01, in microseconds."""
    try:
        day = datetime.strptime(text, "%Y-%m").replace(day=15, tzinfo=zone_of(zone))
    except ValueError:
        raise UsageError("E1034", f"{text!r} is not a month such as 2027-01") from None
    return Calendar("month", zone_of(zone)).at(micros(day))


def names_of(store: Store) -> Iterator[str]:
    """Yield every tenant that has entries, by name."""
    after = ""
    while page := store.names(after, _PAGE):
        yield from page
        after = page[-1]


def entries_of(store: AnnexStore, tenant: str, since: int | None) -> Iterator[Entry]:
    """Yield a tenant's entries, oldest first; ArchivedError where some from an instant on, or any, are archived."""
    whole(store, tenant, since)
    after = 0
    while page := store.entries(tenant, after, _PAGE):
        yield from page
        after = page[-1].seq
