"""Meter events on their way in: what is wrong with one, and how the sender learns of it.

Source: https://docs.stripe.com/billing/subscriptions/usage-based/recording-usage-api. ``/v1`` and ``/v2`` answer some
faults at once; all others, and those of the stream, are told of later by thin events.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from reconciler.sandbox import v2
from reconciler.sandbox.billing import usage
from reconciler.sandbox.errors import invalid
from reconciler.sandbox.form import Tree
from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.settings import Settings
from reconciler.sandbox.store import Claim, Row, Tx
from reconciler.sandbox.wire import Obj

DAY = 86_400
#: How long an identifier is taken, and an event can be cancelled (https://docs.stripe.com/api/billing/meter-event).
ROLLING_SECONDS = DAY
PAST_SECONDS, FUTURE_SECONDS = 35 * DAY, 300
#: Significant digits of a value (``meter_event_value_too_many_digits``; szTheory/lattice_stripe, guides/metering.md).
MAX_DIGITS = 15
MAX_VALUE_LENGTH = 100
METER_NAMES = "billing.meter.event_name"
_SAMPLES = 10
_REPORT_SECONDS = 10
_VALUE = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")


class RejectedError(Exception):
    """An event that does not count: why, in the codes of error reports, and for which meter and parameter."""

    def __init__(self, code: str, message: str, param: str, identifier: str, meter: Obj | None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param
        self.identifier = identifier
        self.meter = meter


class DuplicateError(RejectedError):
    """An event whose identifier is taken; it is no error of the stream, which ignores it."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A meter event as sent: ``at`` is its timestamp in Unix seconds with ``micros`` past them, ``None`` now."""

    event_name: str
    payload: Mapping[str, str]
    identifier: str | None
    at: int | None
    micros: int = 0


def accept(call: Call, sent: Sent) -> Obj:
    """Store an event and return it, or raise :class:`RejectedError`."""
    identifier = sent.identifier or _generated(call)
    meter = _meter(call, sent, identifier)
    customer = _customer(call, sent, identifier, meter)
    value = _value(call, sent, identifier, meter)
    now = call.on_clock_of(customer).now
    at = now if sent.at is None else sent.at
    if at > now + FUTURE_SECONDS:
        message = "The timestamp is more than 5 minutes in the future."
        raise RejectedError("timestamp_in_future", message, "timestamp", identifier, meter)
    if at < now - PAST_SECONDS:
        message = "The timestamp is more than 35 calendar days in the past."
        raise RejectedError("timestamp_too_far_in_past", message, "timestamp", identifier, meter)
    _take_identifier(call, sent, identifier, meter)
    event = {
        "object": usage.EVENTS,
        "created": now,
        "event_name": sent.event_name,
        "id": call.new_id("mtrevt_", 24),
        "identifier": identifier,
        "livemode": False,
        "payload": dict(sent.payload),
        "timestamp": at,
        "_cancelled": None,
        "_customer": customer["id"],
        "_meter": meter["id"],
        "_micros": sent.micros,
        "_received": call.own_now,
        "_value": value,
    }
    return call.at(at).create(call.families[usage.EVENTS], event)


def _generated(call: Call) -> str:
    digits = call.new_id("", 32, "0123456789abcdef")
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _meter(call: Call, sent: Sent, identifier: str) -> Obj:
    holder = call.tx.holder((METER_NAMES, sent.event_name))
    row = call.tx.find("billing.meter", holder) if holder else None
    if row is None:
        message = f"No meter was found matching event_name {sent.event_name}."
        raise RejectedError("no_meter", message, "event_name", identifier, None)
    if row.body["status"] != "active":
        message = f"The meter of event_name {sent.event_name} is not active."
        raise RejectedError("archived_meter", message, "event_name", identifier, row.body)
    return row.body


def _customer(call: Call, sent: Sent, identifier: str, meter: Obj) -> Obj:
    key = meter["customer_mapping"]["event_payload_key"]
    customer_id = sent.payload.get(key)
    if not customer_id:
        message = f"Customer mapping key {key} not found in payload."
        raise RejectedError("meter_event_no_customer_defined", message, f"payload[{key}]", identifier, meter)
    row = call.tx.find("customer", customer_id)
    if row is None:
        message = f"No such customer: '{customer_id}'"
        raise RejectedError("meter_event_customer_not_found", message, f"payload[{key}]", identifier, meter)
    return row.body


def _value(call: Call, sent: Sent, identifier: str, meter: Obj) -> str | None:
    """Return the value as text, exactly; a meter that counts needs none."""
    if meter["default_aggregation"]["formula"] == "count":
        return None
    key = meter["value_settings"]["event_payload_key"]
    text, param = sent.payload.get(key), f"payload[{key}]"
    if not text:
        message = f"Value key {key} not found in payload."
        raise RejectedError("meter_event_value_not_found", message, param, identifier, meter)
    if not _VALUE.fullmatch(text) or ("." in text and not call.settings.decimal_usage):
        message = f"The value '{text[:40]}' is not a {'number' if call.settings.decimal_usage else 'whole number'}."
        raise RejectedError("meter_event_invalid_value", message, param, identifier, meter)
    if len(re.sub(r"[+.-]", "", text).lstrip("0")) > MAX_DIGITS:
        message = f"The value has more than {MAX_DIGITS} digits."
        raise RejectedError("meter_event_value_too_many_digits", message, param, identifier, meter)
    return str(Decimal(text))


def identity(event_name: str, identifier: str, settings: Settings) -> Claim:
    """Return the key an event holds: its identifier, alone or within its event name."""
    return (f"{usage.EVENTS} {event_name}" if settings.meter_identifier_per_event_name else usage.EVENTS), identifier


def find(call: Call, event_name: str, identifier: str) -> Row | None:
    """Return the event of a meter that holds an identifier still."""
    holder = call.tx.holder(identity(event_name, identifier, call.settings))
    row = call.tx.find(usage.EVENTS, holder) if holder else None
    return row if row and row.body["event_name"] == event_name and _is_recent(call, row.body) else None


def _is_recent(call: Call, event: Obj) -> bool:
    return bool(event["_received"] + ROLLING_SECONDS > call.own_now)


def _take_identifier(call: Call, sent: Sent, identifier: str, meter: Obj) -> None:
    """Refuse an identifier used within a day; one used before that is free again."""
    claim = identity(sent.event_name, identifier, call.settings)
    holder = call.tx.holder(claim)
    row = call.tx.find(usage.EVENTS, holder) if holder else None
    if holder and row and _is_recent(call, row.body):
        # Observed: langfuse/langfuse#16292.
        message = f"An event already exists with identifier {identifier}."
        raise DuplicateError("duplicate_meter_event", message, "identifier", identifier, meter)
    if holder:
        call.tx.release(claim, holder)


def check_payload(payload: Mapping[str, str]) -> None:
    """Refuse values longer than Stripe shows (OpenAPI: ``billing.meter_event.payload``)."""
    for key, text in payload.items():
        if len(text) > MAX_VALUE_LENGTH:
            raise invalid(f"Payload values can have up to {MAX_VALUE_LENGTH} characters.", f"payload[{key}]")


def sole(tx: Tx, tree: Tree) -> str | None:
    """Name the meter and customer of an event that is still to be read: only one request at a time may be about them.

    Source: https://docs.stripe.com/rate-limits.
    """
    name, payload = tree.get("event_name"), tree.get("payload")
    holder = tx.holder((METER_NAMES, name)) if isinstance(name, str) else None
    row = tx.find("billing.meter", holder) if holder else None
    if row is None or not isinstance(payload, dict):
        return None
    return f"{row.body['id']} {payload.get(row.body['customer_mapping']['event_payload_key'])}"


def report(call: Call, rejected: Iterable[RejectedError]) -> None:
    """Tell of events that do not count: one thin event for each meter, and one for those without a meter."""
    by_meter: dict[str | None, list[RejectedError]] = {}
    for each in rejected:
        by_meter.setdefault(each.meter["id"] if each.meter else None, []).append(each)
    for failures in by_meter.values():
        kind = "error_report_triggered" if failures[0].meter else "no_meter_found"
        v2.thin(call.at(call.own_now), f"v1.billing.meter.{kind}", failures[0].meter, _data(call, failures))


def _data(call: Call, failures: list[RejectedError]) -> Obj:
    by_code: dict[str, list[RejectedError]] = {}
    for each in failures:
        by_code.setdefault(each.code, []).append(each)
    count = len(failures)
    return {
        "developer_message_summary": f"There {'is 1 invalid event' if count == 1 else f'are {count} invalid events'}",
        "reason": {
            "error_count": count,
            "error_types": [
                {"code": code, "error_count": len(group), "sample_errors": [_sample(each) for each in group[:_SAMPLES]]}
                for code, group in by_code.items()
            ],
        },
        "validation_end": v2.iso(call.own_now),
        "validation_start": v2.iso(call.own_now - _REPORT_SECONDS),
    }


def _sample(each: RejectedError) -> Obj:
    return {"error_message": each.message, "request": {"identifier": each.identifier}}
