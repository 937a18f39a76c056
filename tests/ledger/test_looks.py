"""Books for looking at: kept for a moment, never beyond what this process itself has been told since."""

from unittest.mock import patch

import pytest

from reconciler.ledger.base import StoreUnavailableError
from reconciler.ledger.book import Book, Lot
from reconciler.ledger.jobs import Found, Job
from reconciler.ledger.ledger import Ledger, open_ledger


def granting(name: str) -> Job:
    """Return a job that brings in one credit."""

    def act(book: Book, now: int, _found: Found) -> None:
        book.grant(Lot(name, 1, 1, 50, None, now, ""))
        book.enter("grant", now, None, name)

    return Job("acme", act, name)


def opened() -> Ledger:
    """Open a ledger in memory whose books are kept for long."""
    return open_ledger("sqlite://", "direct", fresh_for=1000)


def test_a_book_is_kept_until_this_process_changes_it() -> None:
    """Looking twice reads once; after a job of this process the book is read anew."""
    with opened() as ledger:
        assert ledger.look("acme") is ledger.look("acme")
        ledger.submit(granting("a"))
        assert ledger.look("acme").book.credits == 1


def test_a_book_read_while_a_job_was_answered_is_not_kept() -> None:
    """A reader that is overtaken by a writer gets what it has read, and nobody else does."""
    with opened() as ledger:
        real = ledger.store.read

        def overtaken(tenant: str) -> Book:
            book = real(tenant)
            with patch.object(ledger.store, "read", real):
                ledger.submit(granting("a"))
            return book

        with patch.object(ledger.store, "read", overtaken):
            assert ledger.look("acme").book.credits == 0
        assert ledger.look("acme").book.credits == 1


def test_a_job_that_may_have_been_kept_ends_a_look() -> None:
    """After a transaction of which nobody knows the end the book is read anew."""
    with opened() as ledger:
        assert ledger.look("acme").book.credits == 0
        real = ledger.store.transact

        def lost(jobs: list[Job]) -> None:
            real(jobs)
            raise StoreUnavailableError("E1103", "the answer was lost")

        with patch.object(ledger.store, "transact", lost), pytest.raises(StoreUnavailableError):
            ledger.submit(granting("a"))
        assert ledger.look("acme").book.credits == 1
