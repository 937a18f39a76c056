"""Jobs: what a store runs on a tenant's book in one transaction, once for a key."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from reconciler.ledger.book import Book
from reconciler.ledger.entry import Entry

#: Entries by tenant and key, those the jobs of a batch name.
Found = Mapping[tuple[str, str], Entry]
#: Changes a book at an instant and returns what the caller is told. It changes all or nothing, then enters it.
Act = Callable[[Book, int, Found], Any]


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


class JobFailedError(Exception):
    """An act raised; the transaction it ran in is to be undone and run again without it."""

    def __init__(self, place: int, cause: Exception) -> None:
        super().__init__(place, cause)
        self.place = place
        self.cause = cause


def keys_of(jobs: Iterable[Job]) -> set[tuple[str, str]]:
    """Return tenant and key of every entry the jobs need to see."""
    named = set()
    for job in jobs:
        if job.key is not None:
            named.add((job.tenant, job.key))
        for key in job.refers:
            named.add((job.tenant, key))
    return named


def run(jobs: Sequence[Job], books: Mapping[str, Book], found: dict[tuple[str, str], Entry], now: int) -> list[Outcome]:
    """Run jobs in order on loaded books; one sees what those before it entered. JobFailedError where an act raises."""
    outcomes = []
    for place, job in enumerate(jobs):
        tenant, act, key, digest, _ = job
        before = found.get((tenant, key)) if key is not None else None
        if before is not None:
            outcomes.append(Outcome(None, before, before.digest != digest))
            continue
        book = books[tenant]
        entered = len(book.fresh)
        try:
            outcomes.append(Outcome(act(book, now, found)))
        except Exception as error:
            raise JobFailedError(place, error) from error
        for entry in book.fresh[entered:]:
            if entry.key is not None:
                found[tenant, entry.key] = entry
    return outcomes


def run_apart(transact: Callable[[Sequence[Job]], list[Outcome]], jobs: Sequence[Job]) -> list[Outcome]:
    """Run jobs in one transaction; where an act raises, all of them again without it, which gets its error."""
    failed: dict[int, Exception] = {}
    while True:
        places = [place for place in range(len(jobs)) if place not in failed]
        try:
            outcomes = dict(zip(places, transact([jobs[place] for place in places]), strict=True)) if places else {}
        except JobFailedError as failure:
            failed[places[failure.place]] = failure.cause
            continue
        return [outcomes[place] if place in outcomes else Outcome(error=failed[place]) for place in range(len(jobs))]
