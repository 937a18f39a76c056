"""The contract of every store in every mode: keys, failures, order, what is read, amounts, what is refused."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from reconciler.ledger.base import LedgerError, RefusedError, Store, StoreUnavailableError
from reconciler.ledger.book import Book
from reconciler.ledger.entry import GENESIS, MAX_AMOUNT, seal
from reconciler.ledger.jobs import Job
from reconciler.ledger.ledger import Ledger, Mode, open_ledger

from .conftest import SHARED
from .databases import PARTITIONS, plain
from .deeds import HOUR, START, Hand, fail, grant, hand_over, look, spend, state, together, use

shared = pytest.mark.parametrize("kind", SHARED, indirect=True)


@contextmanager
def raw(url: str) -> Iterator[Any]:
    """Lend a connection past the ledger, which takes the SQL of both databases."""
    if url.startswith("sqlite:///"):
        with closing(sqlite3.connect(url[len("sqlite:///") :], isolation_level=None)) as db:
            yield db
    else:
        with psycopg.connect(plain(url), autocommit=True) as db:
            yield db


def test_a_key_happens_once(ledger: Ledger) -> None:
    """A request under a key gets the first entry again, in the same batch and later; another one is a conflict."""
    ledger.submit(grant("acme", "g", 100))
    first, again, other, plain_one = together(
        ledger, [spend("acme", 10, "k"), spend("acme", 10, "k"), spend("acme", 11, "k"), spend("acme", 1)]
    )
    later, conflict = together(ledger, [spend("acme", 10, "k"), spend("acme", 11, "k")])
    assert (first.value, first.entry, plain_one.value) == (90, None, 89)
    for outcome in (again, later):
        assert outcome.entry is not None
        assert (outcome.value, outcome.conflict, outcome.entry.answer[0]) == (None, False, 90)
    for outcome in (other, conflict):
        assert outcome.conflict
    assert ledger.store.read("acme").credits == 89
    assert ledger.store.entry("acme", "k") == later.entry


def test_a_key_belongs_to_its_tenant(ledger: Ledger) -> None:
    """The same key of another tenant is another key, in one batch and across."""
    together(ledger, [grant("acme", "g", 10), grant("birch", "g", 10)])
    outcomes = together(ledger, [spend("acme", 1, "k"), spend("birch", 2, "k")])
    assert [outcome.value for outcome in outcomes] == [9, 8]
    assert ledger.store.entry("chaos", "k") is None


def test_an_act_that_raises_undoes_itself_alone(ledger: Ledger) -> None:
    """The other jobs of a batch are kept, of its tenant and of others; its book and its key are as if it never was."""
    ledger.submit(grant("acme", "g", 100))
    outcomes = together(
        ledger, [spend("acme", 1, "a"), fail("acme", "k"), spend("acme", 2, "b"), fail("birch"), spend("acme", 3, "c")]
    )
    assert [outcome.value for outcome in outcomes] == [99, None, 97, None, 94]
    assert [type(outcome.error) for outcome in outcomes] == [type(None), ZeroDivisionError] * 2 + [type(None)]
    assert [outcome.entry for outcome in outcomes] == [None] * 5
    book = ledger.store.read("acme")
    assert (book.credits, book.seq, book.facts, book.counters, list(book.used)) == (94, 4, {}, {}, ["calls"])
    assert ledger.store.entry("acme", "k") is None
    assert [balance.tenant for balance in ledger.store.balances()] == ["acme"]
    assert ledger.submit(spend("acme", 4, "k")).value == 90


def test_every_act_of_a_batch_may_raise(store: Store) -> None:
    """A batch in which nothing goes well leaves nothing, and the next one finds the books as they were."""
    store.transact([grant("acme", "g", 5)])
    before = state(store.read("acme"))
    outcomes = store.transact([spend("acme", 6), fail("acme"), fail("birch")])
    assert [type(outcome.error) for outcome in outcomes] == [ValueError, ZeroDivisionError, ZeroDivisionError]
    assert state(store.read("acme")) == before
    assert store.transact([spend("acme", 5)])[0].value == 0


def test_a_book_the_database_refuses_undoes_itself_alone(store: Store) -> None:
    """An entry under a key that is taken, or a number beyond 64 bits, is refused, and the rest of its batch is kept."""
    store.transact([grant("acme", "g", 100), spend("acme", 1, "k")])

    def taken(book: Book, now: int, _found: object) -> None:
        book.enter("late", now, None, "k")

    def huge(book: Book, now: int, _found: object) -> None:
        book.exports.append(("calls", 0, book.seq + 1, MAX_AMOUNT + 1))
        book.enter("huge", now, None)

    outcomes = store.transact([spend("acme", 2), Job("acme", taken), Job("birch", huge), grant("chaos", "g", 1)])
    assert [outcome.value for outcome in outcomes] == [97, None, None, 1]
    assert [type(outcome.error) for outcome in outcomes] == [type(None), RefusedError, RefusedError, type(None)]
    assert [(book.tenant, book.seq) for book in store.balances()] == [("acme", 3), ("chaos", 1)]


def test_acts_of_a_tenant_run_in_order(ledger: Ledger) -> None:
    """Each job sees what those before it in the batch left, and entries are numbered in that order from 1 on."""
    outcomes = together(ledger, [grant("acme", "g", 3), *(spend("acme", 1, f"k{n}") for n in range(4))])
    assert [outcome.value for outcome in outcomes] == [3, 2, 1, 0, None]
    assert [(entry.seq, entry.key) for entry in ledger.store.entries("acme")] == [
        (1, None), (2, "k0"), (3, "k1"), (4, "k2")
    ]  # fmt: skip


def test_an_act_sees_the_entries_it_refers_to(store: Store) -> None:
    """Its tenant's entries are found by keys named beforehand, of earlier batches and of earlier jobs of this one."""
    store.transact(
        [grant("acme", "g", 10), spend("acme", 1, "old"), grant("birch", "g", 10), spend("birch", 1, "none")]
    )
    seen: list[set[str]] = []
    store.transact(
        [
            spend("acme", 1, "new"),
            look("acme", lambda _book, _now, found: seen.append(set(found)), "old", "new", "none"),
        ]
    )
    assert seen == [{"old", "new"}]


def test_nothing_entered_is_nothing_kept(store: Store) -> None:
    """A tenant nobody wrote about has an empty book, and looking at it in a transaction leaves no row."""
    assert store.transact([look("nobody", lambda book, _now, _found: book.seq)])[0].value == 0
    assert state(store.read("nobody")) == state(Book("nobody"))
    assert store.balances() == []
    assert store.entries("nobody") == []


def test_entries_are_chained(store: Store) -> None:
    """Every entry's hash covers it and the one before; the book ends with the last."""
    store.transact([grant("acme", "g", 10), spend("acme", 1, "k"), spend("acme", 2)])
    head = GENESIS
    for entry in store.entries("acme"):
        head = seal(head, *entry[:7])
        assert entry.hash == head
    assert store.read("acme").head == head


def test_a_book_is_read_as_it_was_saved(store: Store) -> None:
    """Lots, holds, counters, cells, units and facts come back as they were, for the next reader and the next writer."""

    def fill(book: Book, now: int, _found: object) -> str:
        book.counters["quota"] = [now, 7]
        book.cells["rate"] = MAX_AMOUNT
        book.facts["subscription"] = ["pro", None, 1.5, "ünï"]
        book.hold("h", 4, now + HOUR, {"ask": [1, [["calls", 2]]]})
        book.remind(now + 2 * HOUR)
        book.use("calls", 3600, 5)
        book.enter("fill", now, None)
        return book.dump()

    jobs = [grant("acme", "g", 10, expires=START + 3 * HOUR), grant("acme", "h", 5), Job("acme", fill)]
    written = store.transact(jobs)[-1].value
    assert store.read("acme").dump() == written
    assert store.transact([look("acme", lambda book, _now, _found: book.dump())])[0].value == written
    assert store.balances()[0][2:] == (11, 4, START + HOUR, 3600)


@shared
def test_reads_see_the_last_commit(url: str, mode: Mode) -> None:
    """What one ledger has committed every other one reads, and writes on from, whatever it had in memory."""
    with closing(open_ledger(url, mode)) as one, closing(open_ledger(url, mode)) as other:
        one.submit(grant("acme", "g", 10))
        for left in (9, 8, 7, 6):
            writer, reader = (one, other) if left % 2 else (other, one)
            assert writer.submit(spend("acme", 1)).value == left
            assert reader.store.read("acme").credits == left


def test_names_are_ordered_as_bytes(store: Store) -> None:
    """Tenants are listed by the bytes of their names, page by page, in every database alike."""
    names = ["Zoo", "acme", "acme-2", "acme corp", "Émile", "zoo", "日本", "😀"]
    store.transact([grant(name, "g", 1) for name in names])
    found: list[str] = []
    while page := store.balances(found[-1] if found else "", 3):
        assert len(page) <= 3
        found += [balance.tenant for balance in page]
    assert found == sorted(names)
    assert store.names() == found
    assert store.names("acme", 2) == ["acme corp", "acme-2"]
    assert store.balance("acme") == next(each for each in store.balances() if each.tenant == "acme")
    assert store.balance("nobody") is None


def test_entries_are_paged(store: Store) -> None:
    """Entries come oldest first, above a number, and so many at most; another tenant's never."""
    store.transact([grant("acme", "g", 100), grant("birch", "g", 100), *(spend("acme", 1) for _ in range(6))])
    assert [entry.seq for entry in store.entries("acme", 2, 3)] == [3, 4, 5]
    assert [entry.seq for entry in store.entries("acme", 5)] == [6, 7]
    assert {entry.tenant for entry in store.entries("acme")} == {"acme"}


def test_tenants_are_due_by_an_instant(store: Store) -> None:
    """Whoever has something to expire by an instant is named, the earliest first; that instant is included."""
    for tenant, hours in (("late", 3), ("soon", 1), ("next", 2), ("never", None)):
        expires = None if hours is None else START + hours * HOUR
        store.transact([grant(tenant, "g", 1, expires=expires)])
    assert store.due(START + 2 * HOUR) == ["soon", "next"]
    assert store.due(START + 2 * HOUR - 1) == ["soon"]
    assert store.due(START + 9 * HOUR, 2) == ["soon", "next"]


def test_units_wait_for_their_export(store: Store) -> None:
    """Whoever has units in windows begun before a second is named, oldest window first, until they are handed over."""
    store.transact([use("late", "calls", 7200, 1), use("old", "calls", 0, 1), use("next", "calls", 3600, 1)])
    assert store.unsent(7200) == ["old", "next"]
    assert store.unsent(9000, 1) == ["old"]
    store.transact([hand_over("old")])
    assert store.unsent(9000) == ["next", "late"]


def test_exports_are_claimed_oldest_first(store: Store) -> None:
    """Pending exports are taken oldest window first, so many at most; what is settled is what is read back."""
    store.transact([use("acme", meter, window, 5) for meter, window in (("a", 7200), ("b", 0), ("c", 3600))])
    store.transact([use("birch", "b", 1800, -2), hand_over("acme"), hand_over("birch")])
    first = store.claim(START, START + HOUR, 3)
    assert [(export.tenant, export.window, export.units, export.attempts) for export in first] == [
        ("acme", 0, 5, 1), ("birch", 1800, -2, 1), ("acme", 3600, 5, 1)
    ]  # fmt: skip
    assert [export.window for export in store.claim(START, START + HOUR)] == [7200]
    assert store.claim(START + HOUR - 1, START + HOUR) == []
    sent, dead, again = first
    store.settle(
        [sent._replace(state="sent"), dead._replace(state="dead", error="no customer"), again._replace(due=START + 1)]
    )
    assert [export.window for export in store.claim(START + 1, START + HOUR)] == [3600]
    assert [export.window for export in store.exports("acme")] == [7200, 0, 3600]
    assert [export.window for export in store.exports("acme", "pending")] == [7200, 3600]
    assert [(export.tenant, export.error) for export in store.exports(state="dead")] == [("birch", "no customer")]


def test_a_window_without_units_is_not_exported(store: Store) -> None:
    """Units that were taken back before they were handed over leave no export."""
    store.transact([use("acme", "calls", 0, 5), use("acme", "calls", 0, -5), hand_over("acme")])
    assert list(store.exports()) == []
    assert store.unsent(9000) == []


def test_amounts_have_64_bits(store: Store) -> None:
    """The largest amount there is can be granted, held, spent and exported, to the last unit; one more is refused."""
    one, *more = store.transact([grant("acme", "g", MAX_AMOUNT), grant("acme", "h", 1), spend("birch", 1)])
    assert (one.value, [type(outcome.error) for outcome in more]) == (MAX_AMOUNT, [ValueError, ValueError])
    assert store.balances()[0].credits == MAX_AMOUNT
    store.transact([spend("acme", MAX_AMOUNT), use("birch", "calls", 0, -MAX_AMOUNT)])
    assert store.read("acme").credits == 0
    store.transact([hand_over("acme"), hand_over("birch")])
    assert [export.units for export in store.exports()] == [MAX_AMOUNT, -MAX_AMOUNT]
    assert [export.units for export in store.claim(START, START + HOUR)] == [-MAX_AMOUNT, MAX_AMOUNT]
    assert store.read("acme").credits == 0


def _parts_with_rows(url: str) -> list[str]:
    with raw(url) as db:
        return [f"entry_p{n}" for n in range(PARTITIONS) if db.execute(f"SELECT 1 FROM entry_p{n}").fetchall()]


@shared
def test_entries_are_append_only(url: str, store: Store, kind: str) -> None:
    """The database itself refuses to change or delete an entry, and balances below zero; other changes go through."""
    store.transact([grant("acme", "g", 10)])
    refused = ["UPDATE entry SET body = 'x'", "DELETE FROM entry", "UPDATE tenant SET credits = -1"]
    if kind != "file":
        refused += ["TRUNCATE entry", "TRUNCATE entry CASCADE", "UPDATE tenant SET held = -1"]
    if kind == "partitions":
        refused += ["TRUNCATE entry_p1", *(f"DELETE FROM {part}" for part in _parts_with_rows(url))]
    with raw(url) as db:
        for statement in refused:
            with pytest.raises((sqlite3.DatabaseError, psycopg.DatabaseError), match=r"append-only|check|CHECK"):
                db.execute(statement)
        db.execute("UPDATE tenant SET credits = 9")
    assert store.balances()[0].credits == 9


@shared
def test_a_newer_schema_is_refused(url: str, kind: str) -> None:
    """A ledger that a newer version migrated is not opened; one of this version is, however often."""
    open_ledger(url).close()
    open_ledger(url).close()
    with raw(url) as db:
        db.execute("PRAGMA user_version = 99" if kind == "file" else "UPDATE ledger_schema SET version = 99")
    with pytest.raises(LedgerError, match="newer version") as caught:
        open_ledger(url)
    assert caught.value.code == "E1102"


def test_a_closed_ledger_refuses(url: str, mode: Mode) -> None:
    """After closing, which may be done twice, every call is refused as such."""
    ledger = open_ledger(url, mode)
    ledger.submit(grant("acme", "g", 1))
    ledger.close()
    ledger.close()
    store = ledger.store
    calls = [
        lambda: ledger.submit(spend("acme", 1)),
        lambda: store.transact([spend("acme", 1)]),
        lambda: store.read("acme"),
        lambda: store.entries("acme"),
        lambda: store.claim(0, 1),
        lambda: store.settle([]),
    ]
    for call in calls:
        with pytest.raises(LedgerError) as caught:
            call()
        assert caught.value.code == "E1104"


@shared
def test_a_reader_only_reads(url: str) -> None:
    """A ledger opened for reading shows what is there, makes no tables, and refuses whatever writes."""
    with pytest.raises(LedgerError):
        open_ledger(url, "read")
    with open_ledger(url, "direct") as writer, open_ledger(url, "read") as reader:
        writer.submit(grant("acme", "g", 5))
        assert reader.store.read("acme").credits == 5
        store = reader.store
        calls = (
            lambda: reader.submit(spend("acme", 1)),
            lambda: store.claim(0, 1),
            lambda: store.settle([]),
            store.revive,
        )
        for call in calls:
            with pytest.raises(LedgerError) as caught:
                call()
            assert caught.value.code == "E1109"


@pytest.mark.parametrize("address", ["sqlite:////no/such/directory/usage.db", "postgresql://127.0.0.1:1/none"])
def test_a_database_that_is_not_there(address: str, mode: Mode) -> None:
    """Opening a ledger whose database cannot be reached says so in one line."""
    with pytest.raises(StoreUnavailableError) as caught:
        open_ledger(address, mode)
    assert caught.value.code == "E1101"
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("address", ["usage.db", "sqlite:usage.db", "sqlite:///", "mysql://h/d", ""])
def test_an_address_that_is_none(address: str) -> None:
    """What is no address of a ledger is refused with the ones that are."""
    with pytest.raises(LedgerError) as caught:
        open_ledger(address)
    assert (caught.value.code, "postgresql://" in str(caught.value.remedy)) == ("E1106", True)


def test_the_injected_clock_judges(url: str, clock: Hand) -> None:
    """A clock that was given is what acts and the store's own ``now`` go by."""
    with closing(open_ledger(url, "direct", clock)) as ledger:
        clock.now = 42
        assert ledger.store.now() == 42
        ledger.submit(grant("acme", "g", 1))
        assert ledger.store.entries("acme")[0].at == 42


def test_without_a_clock_time_is_real(url: str) -> None:
    """The instant is that of the machine or its database, in microseconds; it does not go back between two entries."""
    with closing(open_ledger(url, "direct")) as ledger:
        for number in range(3):
            ledger.submit(grant("acme", f"g{number}", 1))
        first, second, third = (entry.at for entry in ledger.store.entries("acme"))
        assert 1_700_000_000_000_000 < first <= second <= third
        assert abs(ledger.store.now() - third) < 60_000_000


def test_a_directory_is_no_ledger(tmp_path: Path) -> None:
    """A path that cannot be opened as a file is reported, and nothing is left open."""
    with pytest.raises(StoreUnavailableError):
        open_ledger(f"sqlite:///{tmp_path}")
