"""Tables beside the books: made once, read, and changed together with them or not at all."""

import threading
from typing import Any

import pytest

from reconciler.ledger.annex import AnnexStore, LostClaimError, Statement
from reconciler.ledger.base import LedgerError, RefusedError
from reconciler.ledger.latest import latest
from reconciler.ledger.ledger import Ledger, open_ledger

from .deeds import Hand, fail, grant, spend

STEPS = ("CREATE TABLE note (id TEXT PRIMARY KEY, number BIGINT NOT NULL)", "CREATE INDEX note_number ON note (number)")
PUT = "INSERT INTO note VALUES (?, ?)"
shared = pytest.mark.parametrize("kind", ["file", "postgres"], indirect=True)


@pytest.fixture(params=["file", "memory", "postgres"])
def kind(request: pytest.FixtureRequest) -> str:
    """Name a kind of database; these tables are never split."""
    return str(request.param)


@pytest.fixture
def mode() -> str:
    """Name the way jobs reach the store, which these transactions go around."""
    return "group"


@pytest.fixture
def notes(store: AnnexStore) -> AnnexStore:
    """Lend a store with a table of notes."""
    store.annex("notes", STEPS)
    return store


def held(store: AnnexStore) -> list[Any]:
    """Return the notes that are there."""
    return store.ask("SELECT id, number FROM note ORDER BY id")


def test_tables_are_made_once(notes: AnnexStore) -> None:
    """A second opening finds the tables; a further step is added to what is there, which stays."""
    notes.alongside([Statement(PUT, ("a", 1))])
    notes.annex("notes", STEPS)
    notes.annex("notes", [*STEPS, "ALTER TABLE note ADD COLUMN more BIGINT NOT NULL DEFAULT 7"])
    assert notes.ask("SELECT id, number, more FROM note") == [("a", 1, 7)]


def test_tables_of_a_newer_version_are_refused(notes: AnnexStore) -> None:
    """Tables that have had more steps than are known are left alone; those of another name are another matter."""
    with pytest.raises(LedgerError, match="newer version") as caught:
        notes.annex("notes", STEPS[:1])
    assert caught.value.code == "E1102"
    notes.annex("others", ["CREATE TABLE other (id TEXT PRIMARY KEY)"])


@shared
def test_many_make_tables_at_once(url: str, clock: Hand) -> None:
    """Whoever comes second to make the same tables waits and finds them."""
    failures: list[BaseException] = []
    ledgers = [open_ledger(url, "direct", clock) for _ in range(4)]

    def make(ledger: Ledger) -> None:
        try:
            ledger.store.annex("notes", STEPS)
        except BaseException as error:  # noqa: BLE001  told below
            failures.append(error)

    threads = [threading.Thread(target=make, args=(ledger,)) for ledger in ledgers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    ledgers[0].alongside([Statement(PUT, ("a", 1))])
    assert held(ledgers[1].store) == [("a", 1)]
    for ledger in ledgers:
        ledger.close()


@shared
def test_who_only_reads_makes_no_tables(url: str, clock: Hand) -> None:
    """A ledger opened for looking reads tables that are there, and makes none."""
    with open_ledger(url, "direct", clock) as ledger:
        ledger.store.annex("notes", STEPS)
    with open_ledger(url, "read", clock) as reader:
        reader.store.annex("notes", STEPS)
        assert held(reader.store) == []
        with pytest.raises(LedgerError) as caught:
            reader.store.annex("others", STEPS)
        assert caught.value.code == "E1109"
        with pytest.raises(LedgerError):
            reader.alongside([Statement(PUT, ("a", 1))])


def test_statements_return_their_rows(notes: AnnexStore) -> None:
    """Each statement has the rows it returns, none where it returns none."""
    written = notes.alongside(
        [
            Statement(PUT, ("a", 2**53 + 1)),
            Statement("UPDATE note SET number = number + ? WHERE id = ? RETURNING number, id", (1, "a")),
            Statement("UPDATE note SET number = 0 WHERE id = ?", ("nobody",)),
        ]
    )
    assert written.rows == [[], [(2**53 + 2, "a")], []]
    assert written.outcomes == []


def test_names_compare_as_bytes(notes: AnnexStore) -> None:
    """Names are ordered by their bytes in every database."""
    notes.alongside([Statement(PUT, (name, 1)) for name in ("ä", "b", "Z", "_", "a-1", "a1")])
    assert [name for name, _ in held(notes)] == ["Z", "_", "a-1", "a1", "b", "ä"]


def test_books_and_tables_change_together(ledger: Ledger) -> None:
    """A job and a statement of one transaction are both there afterwards, also for who had looked before."""
    ledger.store.annex("notes", STEPS)
    ledger.submit(grant("acme", "g", 10))
    assert ledger.look("acme").book.credits == 10
    written = ledger.alongside([Statement(PUT, ("a", 1))], [spend("acme", 3, "k"), grant("birch", "g", 5)])
    assert [outcome.value for outcome in written.outcomes] == [7, 5]
    assert held(ledger.store) == [("a", 1)]
    assert (ledger.look("acme").book.credits, ledger.look("birch").book.credits) == (7, 5)
    again = ledger.alongside([Statement("DELETE FROM note WHERE id = ?", ("a",), must=True)], [spend("acme", 3, "k")])
    assert again.outcomes[0].entry is not None
    assert (ledger.look("acme").book.credits, held(ledger.store)) == (7, [])


def test_a_lost_claim_undoes_all(ledger: Ledger) -> None:
    """Where a statement misses the row it must touch, nothing is kept of statements and jobs; else all of it is."""
    ledger.store.annex("notes", STEPS)
    ledger.alongside([Statement(PUT, ("a", 1))])
    taken = "UPDATE note SET number = 2 WHERE id = ? AND number = ?"
    for number in (9, 1):
        statements = [Statement(PUT, ("b", 1)), Statement(taken, ("a", number), must=True)]
        if number == 9:
            with pytest.raises(LostClaimError):
                ledger.alongside(statements, [grant("acme", "g", 10)])
            assert (held(ledger.store), ledger.look("acme").book.credits) == ([("a", 1)], 0)
        else:
            ledger.alongside(statements, [grant("acme", "g", 10)])
            assert (held(ledger.store), ledger.look("acme").book.credits) == ([("a", 2), ("b", 1)], 10)


def test_a_job_that_fails_undoes_all(ledger: Ledger) -> None:
    """The error of one job is raised, and neither statements nor the other jobs are kept."""
    ledger.store.annex("notes", STEPS)
    with pytest.raises(ZeroDivisionError):
        ledger.alongside([Statement(PUT, ("a", 1))], [grant("acme", "g", 10), fail("birch")])
    assert (held(ledger.store), ledger.look("acme").book.credits) == ([], 0)
    ledger.alongside([Statement(PUT, ("a", 1))], [grant("acme", "g", 10)])
    assert (held(ledger.store), ledger.look("acme").book.credits) == ([("a", 1)], 10)


def test_what_the_database_refuses_undoes_all(ledger: Ledger) -> None:
    """A row that is there already is refused, with everything beside it."""
    ledger.store.annex("notes", STEPS)
    ledger.alongside([Statement(PUT, ("a", 1))])
    with pytest.raises(RefusedError):
        ledger.alongside([Statement(PUT, ("b", 1)), Statement(PUT, ("a", 2))], [grant("acme", "g", 10)])
    assert (held(ledger.store), ledger.look("acme").book.credits) == ([("a", 1)], 0)


def test_the_latest_entries_come_first(store: AnnexStore) -> None:
    """Looking back from any entry gives those below it, newest first, as they are read from the beginning."""
    for number in range(6):
        store.transact([grant(tenant, f"lot{number}", 5) for tenant in ("acme", "other")])
    entries = store.entries("acme")
    assert latest(store, "acme", 5, 3) == entries[3:0:-1]
    assert latest(store, "acme", 99, 99) == entries[::-1]
    assert latest(store, "acme", 1, 9) == []
