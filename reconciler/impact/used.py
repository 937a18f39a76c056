"""What a tenant used in a month, in the order it happened, whatever it was read from."""

from typing import Any, NamedTuple

from reconciler.entitlements.standing import Subscription


class Used(NamedTuple):
    """So many calls of a tool, each of a ``quantity``, or units of a meter directly where ``tool`` is empty.

    ``units`` are those of all the calls together, by meter, as far as they are known. ``at`` is an instant in
    microseconds, ``None`` somewhere in the month; ``single`` says that it is the very instant of one call, so that
    rates and short quotas can be weighed, else what is here is a sum.
    """

    tool: str
    calls: int = 1
    quantity: int = 1
    units: tuple[tuple[str, int], ...] = ()
    at: int | None = None
    single: bool = False


#: The values of a lot as the ledger keeps them: id, granted, remaining, priority, expiry, creation, reason.
LotValues = tuple[Any, ...]


class Granted(NamedTuple):
    """Credits that came in by hand, by payment or by a refund, as a lot."""

    at: int
    lot: LotValues


class Voided(NamedTuple):
    """Grants of which the rest was taken away, by the ids of their lots."""

    at: int
    lots: tuple[str, ...]


class Reversed(NamedTuple):
    """Grants of which a share was taken back, by the ids of their lots, or below zero was given back."""

    at: int
    lots: tuple[tuple[str, int], ...]


class Subscribed(NamedTuple):
    """What was known of the tenant's subscription from an instant on."""

    at: int
    subscription: Subscription


Event = Used | Granted | Voided | Reversed | Subscribed


class Opening(NamedTuple):
    """A tenant's book at the start of the month: what lots held, and which credits of months and files were given.

    ``before`` is what happened in the year up to then, for counters of periods that began earlier.
    """

    lots: tuple[LotValues, ...] = ()
    month: tuple[int, int] | None = None
    granted: tuple[str, ...] = ()
    before: tuple[Event, ...] = ()


class Recorded(NamedTuple):
    """What one tenant used in ``start <= instant < end``, microseconds, and what else changed its book in it.

    ``assumed`` counts calls whose quantity is not recorded, taken as one.
    """

    start: int
    end: int
    events: tuple[Event, ...] = ()
    subscription: Subscription | None = None
    opening: Opening | None = None
    assumed: int = 0
