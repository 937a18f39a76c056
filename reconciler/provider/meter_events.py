"""Exports as meter events: what each says, which of them Stripe cannot take, and what an answer means.

An identifier is a hash of what the event tells, so that sending it again is harmless as long as Stripe remembers it.
Source: https://docs.stripe.com/billing/subscriptions/usage-based/recording-usage-api.
"""

import hashlib
from collections.abc import Iterator
from enum import StrEnum
from http import HTTPStatus
from typing import NamedTuple

from reconciler.entitlements.policy import Meter
from reconciler.ledger.base import Export
from reconciler.provider.retry import Failure
from reconciler.resources.model import Values

#: Largest value of one event: fifteen digits.
MOST = 10**15 - 1
#: A meter that counts takes one event per unit; beyond this that is a mistake, not a way.
MOST_COUNTED = 10_000


class Event(NamedTuple):
    """One meter event: its identifier, and its parameters with it."""

    identifier: str
    params: Values


class Meaning(StrEnum):
    """What a failed request says about the event."""

    THERE = "there"
    LATER = "later"
    REFUSED = "refused"
    STOP = "stop"


def unsendable(export: Export, meter: Meter | None) -> str | None:
    """Return why an export can never be sent as it is; ``None`` where it can."""
    if meter is None:
        return f"the policy has no meter {export.meter!r}"
    if meter.aggregation == "last":
        return "the ledger adds units up, and this meter keeps the last value; give it aggregation sum"
    if meter.aggregation == "count" and meter.window:
        return "this meter counts one event of a window; give it aggregation sum"
    if meter.aggregation == "count" and not 0 < export.units <= MOST_COUNTED:
        return "this meter counts events, so units cannot be taken back nor be many; give it aggregation sum"
    return None


def events(export: Export, meter: Meter, customer: str, namespace: str, before: int = 0) -> Iterator[Event]:
    """Yield the events of an export: one, or several where one cannot hold its units.

    A meter that keeps the newest event of a window is told the window's total; ``before`` is what it had until now.
    """
    if meter.window:
        total = str(before + export.units)
        yield _event(export, meter, customer, total, _identifier(namespace, export, "total", export.attempts))
    elif meter.aggregation == "count":
        for number in range(export.units):
            yield _event(export, meter, customer, None, _identifier(namespace, export, number))
    else:
        for number, value in enumerate(_parts(export.units)):
            yield _event(export, meter, customer, str(value), _identifier(namespace, export, number))


def identifiers(export: Export, meter: Meter, namespace: str) -> Iterator[str]:
    """Yield the identifiers the events of an export have, or had in an earlier attempt."""
    if meter.window:
        yield from (_identifier(namespace, export, "total", attempt + 1) for attempt in range(export.attempts))
    else:
        number = abs(export.units) if meter.aggregation == "count" else sum(1 for _ in _parts(export.units))
        yield from (_identifier(namespace, export, each) for each in range(min(number, MOST_COUNTED)))


def _parts(units: int) -> Iterator[int]:
    sign, left = (1 if units > 0 else -1), abs(units)
    while left:
        part = min(left, MOST)
        yield sign * part
        left -= part


def _identifier(namespace: str, export: Export, *more: int | str) -> str:
    """Return 75 characters that are the same for the same units of the same entry, until they are refused for good."""
    told = (namespace, export.tenant, export.meter, export.window, export.seq, export.units, *more)
    told += ("refused", export.refused) if export.refused else ()
    return "reconciler-" + hashlib.sha256("\n".join(map(str, told)).encode()).hexdigest()


def _event(export: Export, meter: Meter, customer: str, value: str | None, identifier: str) -> Event:
    payload = {meter.customer_key: customer} | ({} if value is None else {meter.value_key: value})
    return Event(
        identifier,
        {
            "event_name": meter.event_name,
            "identifier": identifier,
            "payload": payload,
            "timestamp": export.window,
        },
    )


def meaning(failure: Failure, identifier: str) -> Meaning:
    """Tell what a failure means for an event.

    A known identifier is refused with 400 and no code (langfuse/langfuse#16292); the code is that of /v2. What names
    neither the event nor its parts, or cannot be read, is nothing about the event: it is tried again later.
    """
    if failure.unanswered:
        return Meaning.LATER
    if failure.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return Meaning.STOP
    if failure.status == HTTPStatus.BAD_REQUEST:
        told = identifier in failure.message and "already exists" in failure.message
        if told or failure.code == "duplicate_meter_event":
            return Meaning.THERE
        return Meaning.LATER if failure.code == "idempotency_error" else Meaning.REFUSED
    if failure.status == HTTPStatus.NOT_FOUND:
        return Meaning.REFUSED if failure.code == "resource_missing" else Meaning.STOP
    return Meaning.LATER
