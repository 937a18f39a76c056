"""Proof of a ledger: everything its entries say is added up anew and compared with the books, columns and exports.

Nothing here uses what changes a book: an error there would be seen. What nobody can see from the inside is that the
last entries are gone together with a book, columns and exports put back to the same moment: keep a tenant's number and
hash elsewhere for that. Counters, cells and facts are not in the transfers and so not compared.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from heapq import merge
from itertools import groupby
from typing import Any, NamedTuple

from reconciler.ledger.annex import AnnexStore
from reconciler.ledger.base import Balance, Export, Store
from reconciler.ledger.book import Book
from reconciler.ledger.checkpoint import START, Checkpoint, checkpoint_key, exported, last_checkpoint, wrong
from reconciler.ledger.entry import Entry, seal
from reconciler.ledger.fold import Fold

PAGE = 1000
#: How often a tenant is looked at anew that is being written to.
LOOKS = 1000


class Problem(NamedTuple):
    """What does not add up for a tenant, and at which entry; ``None`` where it is the book, a column or an export."""

    tenant: str
    seq: int | None
    what: str


def verify(store: AnnexStore) -> list[Problem]:
    """Return what does not add up in a ledger, which may be written to meanwhile; nothing for an honest one."""
    return [problem for tenant in _tenants(store) for problem in _look(store, tenant)]


def audit(
    book: Book,
    entries: Iterable[Entry],
    exports: Iterable[Export],
    columns: Balance | None = None,
    checkpoint: Checkpoint = START,
) -> list[Problem]:
    """Return what does not add up between one tenant's book, entries, exports and columns of the same moment.

    Where entries were archived, those behind the ``checkpoint`` are read, and what it says goes before them.
    """
    fold, tenant, exports = checkpoint.fold(), book.tenant, list(exports)
    problems = [Problem(tenant, seq, what) for seq, what in _read(tenant, entries, fold)]
    later = [export for export in exports if export.seq > checkpoint.seq]
    found = [*_ends(book, fold), *_lots(book, fold), *_units(book, fold), *_exports(fold, later)]
    if exported(exports, checkpoint.seq) != checkpoint.handed():
        found.append(f"the exports up to entry {checkpoint.seq} are not those that were archived")
    if columns is not None:
        found += _columns(book, columns)
    return problems + [Problem(tenant, None, what) for what in found]


def _tenants(store: Store) -> Iterator[str]:
    """Yield every tenant who has a row or an entry, by name."""
    rows = _paged(lambda after: [row.tenant for row in store.balances(after, PAGE)])
    names = _paged(lambda after: store.names(after, PAGE))
    for tenant, _ in groupby(merge(rows, names)):
        yield tenant


def _paged(page: Callable[[str], list[str]]) -> Iterator[str]:
    after = ""
    while found := page(after):
        yield from found
        after = found[-1]


def _look(store: AnnexStore, tenant: str) -> list[Problem]:
    """Audit a tenant; once more where entries of it were archived meanwhile."""
    for _ in range(LOOKS):
        checkpoint = last_checkpoint(store, tenant)
        problems = _audited(store, tenant, checkpoint)
        if last_checkpoint(store, tenant) == checkpoint:
            return problems
    return [Problem(tenant, None, "it is archived all the time")]


def _audited(store: AnnexStore, tenant: str, checkpoint: Checkpoint | None) -> list[Problem]:
    """Audit a tenant as of the moment of its book, and its columns where they are of the same moment."""
    try:
        book, columns = _moment(store, tenant)
    except (ValueError, TypeError, LookupError) as error:
        return [Problem(tenant, None, f"its book cannot be read: {error!r}")]
    begun = checkpoint or START
    entries = _entries(store, tenant, book.seq, begun.seq)
    exports = [export for export in store.exports(tenant) if columns is None or export.seq <= book.seq]
    problems = audit(book, entries, exports, columns, begun)
    if checkpoint is not None:
        kept, said = _entries(store, tenant, checkpoint.seq), store.entry(tenant, checkpoint_key(checkpoint.seq))
        problems += [Problem(tenant, checkpoint.seq, f"checkpoint: {what}") for what in wrong(checkpoint, kept, said)]
    if columns is None:
        problems.insert(0, Problem(tenant, None, "has entries and no book"))
    elif store.entries(tenant, book.seq, 1) and store.balance(tenant) == columns:
        problems.append(Problem(tenant, book.seq + 1, "stands behind the end of the book"))
    return problems


def _moment(store: Store, tenant: str) -> tuple[Book, Balance | None]:
    """Return book and columns of one moment, for which a tenant that is being written to is looked at again."""
    for _ in range(LOOKS):
        book, columns = store.read(tenant), store.balance(tenant)
        if columns is None or columns.seq == book.seq:
            return book, columns
    raise LookupError("it is written to all the time")


def _entries(store: Store, tenant: str, last: int, after: int = 0) -> Iterator[Entry]:
    """Yield a tenant's entries behind a number, up to another; without a book, all of them."""
    while page := store.entries(tenant, after, PAGE):
        for entry in page:
            if last and entry.seq > last:
                return
            yield entry
        after = page[-1].seq


def _read(tenant: str, entries: Iterable[Entry], fold: Fold) -> Iterator[tuple[int, str]]:
    """Fold entries and yield what is wrong with the chain and with their transfers."""
    seq, head, keys = fold.seq, fold.head, set[str]()
    for entry in entries:
        if entry.seq != seq + 1:
            yield entry.seq, f"follows entry {seq}"
        if entry.hash != seal(head, tenant, *entry[1:7]):
            yield entry.seq, "its hash covers something else"
        if entry.key is not None and entry.key in keys:
            yield entry.seq, f"its key {entry.key!r} stands twice"
        keys |= {entry.key} if entry.key is not None else set()
        seq, head = entry.seq, entry.hash
        for what in fold.enter(entry):
            yield entry.seq, what
    fold.seq, fold.head = seq, head


def _ends(book: Book, fold: Fold) -> Iterator[str]:
    if book.seq != fold.seq:
        yield f"the book ends at entry {book.seq}, the entries at {fold.seq}"
    elif book.head != fold.head:
        yield "the book's hash is not the last entry's"


def _lots(book: Book, fold: Fold) -> Iterator[str]:
    """Compare lots and holds; of every lot, granted = spent + held + expired + voided + remaining."""
    yield from _differ(
        "lot {}: {} in the book, {} by the entries",
        {lot.id: lot.remaining for lot in book.order if lot.remaining},
        {id: lot.remaining for id, lot in fold.lots.items() if lot.remaining},  # noqa: A001
    )
    for lot in book.order:
        if lot.id in fold.lots and lot.granted != fold.lots[lot.id].granted:
            yield f"lot {lot.id} was granted with {fold.lots[lot.id].granted}, not {lot.granted}"
    for id, folded in fold.lots.items():  # noqa: A001
        held = sum(parts.get(id, 0) for parts in fold.holds.values())
        if folded.granted != folded.spent + held + folded.expired + folded.voided + folded.remaining:
            yield f"lot {id} does not add up: {folded}, held {held}"
    yield from _differ(
        "hold and lot {}: {} in the book, {} by the entries",
        {(hold.id, part[0]): part[1] for hold in book.holds.values() for part in hold.parts if part[1]},
        {(hold, lot): left for hold, parts in fold.holds.items() for lot, left in parts.items() if left},
    )


def _units(book: Book, fold: Fold) -> Iterator[str]:
    waiting = {(meter, start): units for meter, found in book.used.items() for start, units in found.items() if units}
    counted = {window: units for window, units in fold.used.items() if units}
    yield from _differ("meter and window {}: {} in the book, {} by the entries", waiting, counted)


def _exports(fold: Fold, exports: Iterable[Export]) -> Iterator[str]:
    found = {(export.meter, export.window, export.seq): export.units for export in exports}
    yield from _differ("meter, window and entry {}: {} exported, {} by the entries", found, fold.sent)


def _columns(book: Book, columns: Balance) -> Iterator[str]:
    """Compare what can be asked for across tenants with the book it was taken from."""
    instants = [lot.expires for lot in book.order if lot.expires is not None]
    instants += [hold.expires for hold in book.holds.values()]
    instants += [] if book.resets_at is None else [book.resets_at]
    right = Balance(
        book.tenant,
        book.seq,
        sum(lot.remaining for lot in book.order),
        sum(part[1] for hold in book.holds.values() for part in hold.parts),
        min(instants, default=None),
        min((start for windows in book.used.values() for start in windows), default=None),
    )
    for name, column, own in zip(Balance._fields, columns, right, strict=True):
        if column != own:
            yield f"the column {name} says {column}, the book {own}"


def _differ(text: str, book: Mapping[Any, int], entries: Mapping[Any, int]) -> Iterator[str]:
    for name in {**book, **entries}:
        if (own := book.get(name, 0)) != (other := entries.get(name, 0)):
            yield text.format(name, own, other)
