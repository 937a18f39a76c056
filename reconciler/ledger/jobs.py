"""Jobs: what a store runs on a tenant's book in one transaction, once for a key."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from reconciler.ledger.book import Book
from reconciler.ledger.entry import Entry

#: So many batches look their keys up first after one that met a key again.
CAREFUL = 64
#: A tenant's entries by key, those the jobs of a batch name.
Found = Mapping[str, Entry]
#: Changes a book at an instant and returns what the caller is told. It changes all or nothing, then enters it.
Act = Callable[[Book, int, Found], Any]
#: Loads a tenant's book as it was before the transaction.
Again = Callable[[str], Book]


class Job(NamedTuple):
    """An act on one tenant's book. With a ``key`` it happens once; ``digest`` says what was asked under the key.

    ``refers`` are keys of other entries the act wants to see.
    """

    tenant: str
    act: Act
    key: str | None = None
    digest: str = ""
    refers: tuple[str, ...] = ()


class Outcome(NamedTuple):
    """What came of a job: the ``value`` of its act, or the ``entry`` that is there under its key already.

    ``conflict``: that entry was written for another request. ``error``: the act failed, and nothing of it was kept.
    """

    value: Any = None
    entry: Entry | None = None
    conflict: bool = False
    error: Exception | None = None


class RepeatedError(Exception):
    """A job that entered nothing has a key the ledger knows already."""


class Trust:
    """Trust that keys are new: to look each of them up costs as much as to decide.

    A job that enters something under an old key violates the index on keys, one that enters nothing is looked up
    afterwards. In both cases all run again, knowing what is there, and so do the next batches: repeats come together.
    """

    def __init__(self) -> None:
        self._careful = 0

    def given(self) -> bool:
        """Tell whether a batch that begins now may trust."""
        if not self._careful:
            return True
        self._careful -= 1
        return False

    def broken(self) -> None:
        """Look keys up for a while."""
        self._careful = CAREFUL


def keys_of(jobs: Iterable[Job], *, trusting: bool) -> set[tuple[str, str]]:
    """Return tenant and key of every entry the jobs need to see; who trusts, of those other entries are about."""
    named = set()
    for tenant, _, key, _, refers in jobs:
        if key is not None and (refers or not trusting):
            named.add((tenant, key))
        for other in refers:
            named.add((tenant, other))
    return named


def doubtful(jobs: Iterable[Job], found: Mapping[str, Mapping[str, Entry]]) -> list[tuple[str, str]]:
    """Return tenant and key of jobs that ran on trust and entered nothing: nobody knows yet whether the key is new."""
    return [
        (tenant, key)
        for tenant, _, key, _, refers in jobs
        if key is not None and not refers and key not in found[tenant]
    ]


def run(
    jobs: Sequence[Job], books: dict[str, Book], found: Mapping[str, dict[str, Entry]], now: int, again: Again
) -> list[Outcome]:
    """Run jobs on loaded books, those of a tenant in their order; one sees what those before it entered.

    ``found`` has for each tenant of the jobs the entries that are there, by key; what the jobs enter is added. Where an
    act raises, its tenant's book is loaded once more and the tenant's other jobs run on that, as if the act had never
    been there.
    """
    outcomes: list[Any] = [None] * len(jobs)
    waiting: dict[str, list[int]] = {}
    for place, job in enumerate(jobs):
        waiting.setdefault(job.tenant, []).append(place)
    for tenant, places in waiting.items():
        while (failed := _run(jobs, places, books[tenant], found[tenant], now, outcomes)) is not None:
            places.remove(failed)
            books[tenant] = again(tenant)
    return outcomes


def _run(
    jobs: Sequence[Job], places: Sequence[int], book: Book, found: dict[str, Entry], now: int, outcomes: list[Any]
) -> int | None:
    """Run jobs of one tenant and write down what came of them; return the place of one that raised."""
    fresh = book.fresh
    for place in places:
        _, act, key, digest, _ = jobs[place]
        before = found.get(key) if key is not None else None
        if before is not None:
            outcomes[place] = Outcome(None, before, before.digest != digest)
            continue
        entered = len(fresh)
        try:
            value = act(book, now, found)
        except Exception as error:  # noqa: BLE001  its caller is told, the others' jobs go on
            outcomes[place] = Outcome(error=error)
            for entry in fresh[:entered]:
                found.pop(entry.key or "", None)
            return place
        outcomes[place] = tuple.__new__(Outcome, (value, None, False, None))
        for entry in fresh[entered:]:
            if entry.key is not None:
                found[entry.key] = entry
    return None
