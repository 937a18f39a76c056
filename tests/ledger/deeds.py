"""Acts on books for the tests of the ledger, as the rooms above would write them but smaller, and a clock by hand."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from reconciler.ledger.book import PRIORITY, Book, Lot
from reconciler.ledger.group import GroupCommit
from reconciler.ledger.jobs import Act, Job, Outcome
from reconciler.ledger.ledger import Ledger

#: The instant tests begin at, in microseconds.
START = 1_800_000_000_000_000
HOUR = 3_600_000_000


class Hand:
    """A clock that shows what it was set to."""

    def __init__(self, now: int = START) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


def grant(
    tenant: str, lot: str, amount: int, *, expires: int | None = None, key: str | None = None, priority: int = PRIORITY
) -> Job:
    """Bring in a lot; the answer is the balance."""

    def act(book: Book, now: int, _found: object) -> int:
        book.grant(Lot(lot, amount, amount, priority, expires, now, "test"))
        book.enter("grant", now, book.credits, key, f"grant {amount}")
        return book.credits

    return Job(tenant, act, key, f"grant {amount}")


def spend(tenant: str, amount: int, key: str | None = None) -> Job:
    """Spend credits and count as many ``calls``; the answer is the balance. ValueError where they are short."""

    def act(book: Book, now: int, _found: object) -> int:
        parts = book.spend(amount)
        book.use("calls", now // HOUR * 3600, amount)
        book.enter("consume", now, [book.credits, [], parts], key, f"spend {amount}")
        return book.credits

    return Job(tenant, act, key, f"spend {amount}")


def use(tenant: str, meter: str, window: int, units: int) -> Job:
    """Count units of a meter in a window."""

    def act(book: Book, now: int, _found: object) -> int:
        book.use(meter, window, units)
        book.enter("consume", now, units)
        return units

    return Job(tenant, act)


def hand_over(tenant: str) -> Job:
    """Hand everything that was counted to the export."""

    def act(book: Book, now: int, _found: object) -> int:
        ready = [(meter, window) for meter, windows in book.used.items() for window in windows]
        for meter, window in ready:
            book.export(meter, window)
        book.enter("export", now, ready)
        return len(ready)

    return Job(tenant, act)


def fail(tenant: str, key: str | None = None) -> Job:
    """Change the book in every way, enter it, and raise."""

    def act(book: Book, now: int, _found: object) -> int:
        book.grant(Lot("never", 1, 1, PRIORITY, now + 1, now, "test"))
        book.facts["never"] = True
        book.counters["never"] = [0, 1]
        book.use("never", 0, 1)
        book.enter("never", now, None, key, "never")
        raise ZeroDivisionError("an act that fails")

    return Job(tenant, act, key, "never")


def look(tenant: str, act: Act, *keys: str) -> Job:
    """Run an act that may see the entries of some keys."""
    return Job(tenant, act, refers=keys)


def together(ledger: Ledger, jobs: Sequence[Job]) -> list[Outcome]:
    """Run jobs the way of a ledger's mode, at once where it can, and return what came of each."""
    if ledger.group is None:
        return [ledger.store.transact((job,))[0] for job in jobs]
    return asyncio.run(_awaited(ledger.group, jobs))


async def _awaited(group: GroupCommit, jobs: Sequence[Job]) -> list[Outcome]:
    waiting = [asyncio.get_running_loop().create_future() for _ in jobs]
    for job, future in zip(jobs, waiting, strict=True):
        group.put(job, future)
    return await asyncio.gather(*waiting)


def state(book: Book) -> Mapping[str, Any]:
    """Return everything a book says, for comparing."""
    return {"tenant": book.tenant, "seq": book.seq, "head": book.head, "content": book.dump()}
