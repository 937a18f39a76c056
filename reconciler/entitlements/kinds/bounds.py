"""What weighing a call finds: a bound with what is left of it, a refusal, or a payment with its effects.

Where every call makes one it is made by ``tuple.__new__``: half the time of a named tuple's own constructor.
"""

from typing import Any, NamedTuple, Protocol

from reconciler.entitlements.decision import Reason
from reconciler.entitlements.periods import Period
from reconciler.ledger.book import Book


class Ask(NamedTuple):
    """One call, or ``times`` equal ones at once: ``blocks`` one is multiplied by, and the units of all by meter."""

    times: int
    blocks: int
    units: tuple[tuple[str, int], ...]

    def of(self, meter: str | None) -> int:
        """Return the units on a meter, or the calls for ``None``."""
        if meter is None:
            return self.times
        for name, number in self.units:
            if name == meter:
                return number
        return 0

    def many(self, times: int) -> "Ask":
        """Return so many equal calls, of one."""
        return Ask(times, self.blocks, tuple((meter, number * times) for meter, number in self.units))

    def counted(self, what: str) -> int:
        """Return the number a counter of this grows by."""
        return self.times if what == CALLS else self.of(what)


class Refusal(NamedTuple):
    """Why a kind says no. ``short`` is what is missing, in the bound's own unit; ``upgrade`` a plan to offer."""

    reason: Reason
    source: str
    bound: str = ""
    remaining: int | None = None
    limit: int | None = None
    resets_at: int | None = None
    retry_after: int | None = None
    short: int = 0
    upgrade: str | None = None


class Bound(NamedTuple):
    """What would be left: ``calls`` more such calls, ``remaining`` of ``limit`` until ``resets_at``."""

    calls: int
    remaining: int
    limit: int | None
    name: str
    resets_at: int | None
    source: str


#: What a counter counts where it is no meter; no id of a meter can hold the sign.
CALLS = "#calls"


class Count(NamedTuple):
    """A counter that would grow: its period's start, by how much, and what it counts: ``CALLS`` or a meter."""

    id: str
    start: int
    number: int
    what: str


class Payment(NamedTuple):
    """How a call would be paid: credits, and charges through spend meters.

    ``apart`` are meters whose units are paid for this way and not by the export; ``None`` is all of them. ``payer``
    is what pays: it is asked for its snapshot where the price has to be kept.
    """

    by: str
    cost: int | None
    unit: str
    credits: int
    counts: tuple[Count, ...]
    spends: tuple[tuple[str, int], ...]
    apart: frozenset[str] | None
    bound: Bound | None
    source: str
    payer: "Payer"


class Payer(Protocol):
    """Something a call can be paid from; its counters begin anew with ``periods``."""

    @property
    def periods(self) -> tuple[Period, ...]:
        """The periods, none where nothing begins anew."""

    def weigh(self, book: Book, now: int, ask: Ask, /, *, forced: bool = False) -> Payment | Refusal:
        """Return how it would pay the whole call, or why it cannot; a ``forced`` one was made and is not refused."""

    def snapshot(self, book: Book, now: int, /) -> list[Any]:
        """Return the price of this moment as JSON values: a reservation is committed at the price it was made at."""
