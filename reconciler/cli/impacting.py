"""From options to an impact: the two catalogues, the month, and what was used in it by a ledger, a file, or nothing."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from reconciler.cli.books import BookOptions, entries_of, ledger_of, ledger_option, month_of, names_of, open_reading
from reconciler.cli.config import show
from reconciler.cli.context import App
from reconciler.cli.exits import Exit
from reconciler.cli.files import read_bounded
from reconciler.cli.options import ConfigOptions, config_options
from reconciler.config.catalog import Catalog
from reconciler.config.source import Sources
from reconciler.config.words import count
from reconciler.diagnostics import ConfigError, Diagnostic, SourceRange
from reconciler.entitlements.periods import Calendar, instant, zone_of
from reconciler.entitlements.standing import subscription_of
from reconciler.entitlements.terms import Terms
from reconciler.impact.compare import Question, compare
from reconciler.impact.history import recorded
from reconciler.impact.reading import read_usage
from reconciler.impact.result import Impact, Note
from reconciler.impact.rows import gathered
from reconciler.impact.side import Side
from reconciler.impact.used import Recorded
from reconciler.ledger.annex import AnnexStore
from reconciler.ledger.base import Store, system_clock
from reconciler.ledger.ledger import FILE

Command = Callable[..., Any]
_LARGEST_FILE = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class UsageOptions:
    """Where usage comes from: a file, else the ledger that is named or stands beside the files; which month."""

    config: ConfigOptions
    file: Path | None = None
    ledger: str | None = None
    month: str | None = None


#: What the files at hand are called: a path of the machine says nothing to whoever reads a pipeline's comment.
AT_HAND = "these files"


@dataclass(frozen=True, slots=True)
class Named:
    """A catalogue with what it is called."""

    name: str
    catalog: Catalog


def usage_options(function: Command) -> Command:
    """Add ``--usage``, ``--ledger``, ``--month``; the command takes ``usage: UsageOptions`` beside its ``config``."""

    @functools.wraps(function)
    def bundled(
        *args: Any, config: ConfigOptions, usage: Path | None, ledger: str | None, month: str | None, **kwargs: Any
    ) -> Any:
        chosen = UsageOptions(config, usage, ledger, month)
        return function(*args, config=config, usage=chosen, **kwargs)

    file = click.option(
        "--usage",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="What was used: CSV or JSON, your own or that of usage export; default the ledger.",
    )
    month = click.option("--month", metavar="YYYY-MM", help="Month of the usage; default the last one there is.")
    return config_options(file(ledger_option(month(bundled))))


def impact_of(app: App, base: Named, head: Named, options: UsageOptions) -> Impact:
    """Return what the change means; problems of a usage file are shown and end the command with exit 3."""
    sides = (Side(base.catalog), Side(head.catalog))
    if options.file is not None:
        return _by_file(app, base, head, sides, options.file, options.month)
    books = BookOptions(options.config, None, options.ledger)
    if _has_ledger(books):
        with open_reading(app, books) as ledger:
            return _by_ledger(base, head, sides, ledger.store, options.month)
    start, end = _month(sides[0], options.month, None)
    return compare(*sides, {}, Recorded(start, end), Question(base.name, head.name, _label(sides[0], start)))


def _has_ledger(books: BookOptions) -> bool:
    """Tell whether a ledger was named, or stands beside the files at hand, if there are any."""
    try:
        url, named = ledger_of(books)
    except ConfigError:
        return False
    return named or Path(url.removeprefix(FILE)).exists()


def _by_file(app: App, base: Named, head: Named, sides: tuple[Side, Side], file: Path, month: str | None) -> Impact:
    zone = zone_of(sides[0].policy.zone)
    meters = {meter for side in sides for meter in side.file.meters}
    text = _text(app, file)
    found = read_usage(text, str(file), meters, zone)
    if found.problems:
        raise _refused(app, found.problems, text)
    start, end = _month(sides[0], month, max((row.at for row in found.rows if row.at is not None), default=None))
    usage = gathered(found.rows, Recorded(start, end), sides)
    notes = (Note(f"{count(usage.elsewhere, 'row')} of other months left out"),) if usage.elsewhere else ()
    question = Question(base.name, head.name, _label(sides[0], start), str(file), notes)
    return compare(*sides, usage.tenants, Recorded(start, end), question)


def _text(app: App, file: Path) -> str:
    content = read_bounded(file, _LARGEST_FILE)
    try:
        if len(content) <= _LARGEST_FILE:
            return content.decode("utf-8-sig")
    except ValueError:
        problem, remedy = "the file is no text in UTF-8", "write it in UTF-8"
    else:
        problem, remedy = f"the file is larger than {_LARGEST_FILE >> 20} MiB", "give it month by month"
    raise _refused(app, [Diagnostic("E1301", problem, SourceRange(str(file)), help=remedy)], "")


def _refused(app: App, problems: Sequence[Diagnostic], text: str) -> click.exceptions.Exit:
    """Show what is wrong with a usage file, and return what ends the command with exit 3."""
    file = problems[0].range.file if problems[0].range else ""
    show(app, problems, Sources(Path(), (), (), (), {file: tuple(text.splitlines())}))
    return click.exceptions.Exit(Exit.CONFIG)


def _by_ledger(base: Named, head: Named, sides: tuple[Side, Side], store: AnnexStore, month: str | None) -> Impact:
    chosen = None if month is None else month_of(month, sides[0].policy.zone)
    now = store.now()
    usage = {}
    for tenant in names_of(store):
        period = _period(sides[0], store, tenant, chosen, now)
        usage[tenant] = recorded(sides[0], entries_of(store, tenant, period[0]), period)
    start, end = chosen or _month(sides[0], None, None)
    label = month or "the last billing month of each tenant"
    return compare(*sides, usage, Recorded(start, end), Question(base.name, head.name, label, "the ledger"))


def _period(side: Side, store: Store, tenant: str, month: tuple[int, int] | None, now: int) -> tuple[int, int]:
    """Return a tenant's billing month: the one that begins in a month of the calendar, or the last that is over."""
    months = Terms(side.policy, tenant, subscription_of(store.read(tenant).facts)).recurring()
    return months.at(month[1] - 1) if month is not None else months.at(months.at(now)[0] - 1)


def _month(side: Side, month: str | None, latest: int | None) -> tuple[int, int]:
    """Return a month of the calendar: the one that is named, that of an instant, or the last one that is over."""
    zone = side.policy.zone
    if month is not None:
        return month_of(month, zone)
    calendar = Calendar("month", zone_of(zone))
    return calendar.at(latest) if latest is not None else calendar.at(calendar.at(system_clock())[0] - 1)


def _label(side: Side, start: int) -> str:
    return instant(start).astimezone(zone_of(side.policy.zone)).strftime("%Y-%m")
