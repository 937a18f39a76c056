"""What a tenant is told of: bounds it has come near to or crossed, by its book and terms. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from reconciler.entitlements.kinds.quota import Quota, counted
from reconciler.entitlements.periods import Period
from reconciler.entitlements.standing import Subscription
from reconciler.entitlements.terms import Terms
from reconciler.ledger.book import Book
from reconciler.service.api.answers import decimal
from reconciler.service.work.words import stamp

CREDITS_LOW, LIMIT_NEAR = "credits_low", "limit_near"
PAYMENT_FAILED, SUBSCRIPTION_CANCELLED = "payment_failed", "subscription_cancelled"
RECHARGE_FAILED, CREDITS_RECHARGED = "recharge_failed", "credits_recharged"
TYPES = (CREDITS_LOW, LIMIT_NEAR, PAYMENT_FAILED, SUBSCRIPTION_CANCELLED, RECHARGE_FAILED, CREDITS_RECHARGED)
#: Percent of an included amount or a quota that is told, the higher first.
LEVELS = (100, 80)
#: Statuses that say that a payment failed (https://docs.stripe.com/billing/subscriptions/overview#statuses).
_UNPAID = frozenset({"past_due", "unpaid"})


class Condition(NamedTuple):
    """A bound by its name, whether it is crossed now, and what there is to say; ``period`` is when the count began.

    ``silent`` ones are crossed together with a higher one, which is told instead. Without ``first`` nothing is told
    where nobody has noted it before: a tenant who never had credits has not run low. ``noted`` ones are noted as soon
    as somebody looks, crossed or not.
    """

    what: str
    type: str
    period: int
    holds: bool
    silent: bool
    data: Mapping[str, Any]
    first: bool = True
    noted: bool = False


class Armed(NamedTuple):
    """Whether a bound's crossing was told, in which period, and how often that changed."""

    fired: bool
    period: int
    turn: int


#: A bound nobody has looked at yet.
NEW = Armed(fired=False, period=0, turn=0)


class Change(NamedTuple):
    """What becomes of a bound: it is told (with a ``condition`` that is not silent), or may be told again."""

    what: str
    before: Armed
    after: Armed
    condition: Condition | None


def conditions(book: Book, terms: Terms, now: int, low: int) -> Iterator[Condition]:
    """Yield every bound of a tenant by a settled book.

    ``low`` is the number of credits, in millionths, below which a tenant whose plan names no other is told.
    """
    credits = terms.credit_terms  # noqa: A001  named for what they are
    if credits is not None:
        below = credits.recharge[0] if credits.recharge is not None else low
        data = {"credits": decimal(book.credits), "below": decimal(below)}
        had = bool(book.order or book.holds)
        yield Condition(
            CREDITS_LOW, CREDITS_LOW, 0, book.credits < below, silent=False, data=data, first=had, noted=had
        )
    for line, name, period in terms.usage_lines(terms.lines):
        yield from _levels(book, now, name, period, line.included, {"of": line.meter, "kind": "included"})
    for bound in terms.bounds():
        if isinstance(bound, Quota):
            yield from _levels(
                book, now, bound.id, bound.period, bound.limit.max, {"of": bound.limit.of, "kind": "quota"}
            )


def _levels(
    book: Book, now: int, name: str, period: Period, limit: int, said: Mapping[str, Any]
) -> Iterator[Condition]:
    if limit <= 0:
        return
    start, end, used = counted(book, name, period, now)
    higher = False
    for level in LEVELS:
        holds = used * 100 >= limit * level
        data = {**said, "percent": level, "used": used, "limit": limit, "resets_at": stamp(end)}
        yield Condition(f"{LIMIT_NEAR}/{name}/{level}", LIMIT_NEAR, start, holds, higher, data)
        higher = higher or holds


def changes(found: Iterable[Condition], armed: Mapping[str, Armed]) -> Iterator[Change]:
    """Yield what becomes of bounds: each crossing is told once, and again after it was undone or its count began anew.

    A bound the tenant has no more may be told again.
    """
    present = set()
    for condition in found:
        present.add(condition.what)
        before = armed.get(condition.what, NEW)
        known = before.fired and before.period >= condition.period
        if condition.holds and not known:
            after = Armed(fired=True, period=condition.period, turn=before.turn + 1)
            told = condition if condition.first or before.turn else condition._replace(silent=True)
            yield Change(condition.what, before, after, told)
        elif not condition.holds and (before.fired or (condition.noted and not before.turn)):
            yield Change(condition.what, before, Armed(False, before.period, before.turn + 1), None)
    for what, before in armed.items():
        if what not in present and before.fired:
            yield Change(what, before, Armed(False, before.period, before.turn + 1), None)


class Turned(NamedTuple):
    """A subscription that came to another status: the ledger's entry that says so, and what there is to say."""

    seq: int
    at: int
    type: str
    data: Mapping[str, Any]


class Turn(NamedTuple):
    """An entry of the ledger that says what became of a subscription, and when it was written."""

    seq: int
    at: int
    subscription: Subscription


def turns(entries: Iterable[Turn], status: str, fresh_from: int = 0) -> tuple[list[Turned], str]:
    """Return what a tenant's subscription entries say that is told, from a status on, and the status they end in.

    What was entered before an instant is told to nobody.
    """
    found = []
    for seq, at, now in entries:
        if now.status != status and at >= fresh_from and (type_ := _type(now.status)) is not None:
            found.append(Turned(seq, at, type_, {"plan": now.plan, "status": now.status, "since": stamp(now.since)}))
        status = now.status
    return found, status


def _type(status: str) -> str | None:
    if status in _UNPAID:
        return PAYMENT_FAILED
    return SUBSCRIPTION_CANCELLED if status == "canceled" else None
