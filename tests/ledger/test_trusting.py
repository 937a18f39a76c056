"""Keys are trusted to be new at first; a repeat is found all the same, whatever its act would do now."""

from reconciler.ledger.base import Store
from reconciler.ledger.book import Book, Lot
from reconciler.ledger.jobs import CAREFUL, Found, Job


def spending(key: str, amount: int = 1) -> Job:
    """Return a job that spends credits, or enters nothing where they do not suffice."""

    def act(book: Book, now: int, _found: Found) -> str:
        if book.credits < amount:
            return "refused"
        book.spend(amount)
        book.enter("spend", now, "paid", key, "same")
        return "paid"

    return Job("acme", act, key, "same")


def granting(amount: int) -> Job:
    """Return a job that brings credits in."""

    def act(book: Book, now: int, _found: Found) -> None:
        book.grant(Lot("g", amount, amount, 50, None, now, ""))
        book.enter("grant", now, None, "g", "grant")

    return Job("acme", act, "g", "grant")


def test_a_repeat_that_would_enter_something_is_found(store: Store) -> None:
    """The index on keys notices it; the batch runs again and tells the first answer, the others' are kept."""
    store.transact([granting(10)])
    store.transact([spending("k")])
    new, old = store.transact([spending("l"), spending("k")])
    assert new.value == "paid"
    assert old.entry is not None
    assert store.read("acme").credits == 8


def test_a_repeat_that_would_be_refused_is_found(store: Store) -> None:
    """A call that took the last credits is told as paid when it is repeated, though there are none now."""
    store.transact([granting(1)])
    store.transact([spending("k")])
    (again,) = store.transact([spending("k")])
    assert again.entry is not None
    assert again.entry.answer == "paid"
    (other,) = store.transact([spending("l")])
    assert other.value == "refused"


def test_repeats_are_found_before_and_after_the_trust_is_back(store: Store) -> None:
    """Batches after a repeat look their keys up first; when none comes for a while they are trusted again."""
    store.transact([granting(1000)])
    store.transact([spending("k")])
    for number in range(2 * CAREFUL):
        assert store.transact([spending(f"n{number}")])[0].value == "paid"
        if number in {0, 1, CAREFUL, 2 * CAREFUL - 1}:
            assert store.transact([spending("k")])[0].entry is not None
    assert store.read("acme").credits == 1000 - 1 - 2 * CAREFUL
