"""What Stripe refused after it had taken it: reports of meter events that do not count, and the exports they are about.

An event that was acknowledged is checked later, and what is wrong with it is told by a thin event alone. Such a report
names some events of each error by their identifiers; where it counts more than it names, everything acknowledged at
that time is looked for in the summaries.
Source: https://docs.stripe.com/api/v2/core/events/event-types and
https://docs.stripe.com/billing/subscriptions/usage-based/recording-usage-api.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from reconciler.entitlements.periods import SECOND, micros
from reconciler.entitlements.policy import Policy
from reconciler.ledger.base import Export, Store
from reconciler.provider.delivery import DAY
from reconciler.provider.gateway import Gateway
from reconciler.provider.meter_events import identifiers
from reconciler.provider.summaries import LAG

#: Of one meter, and of events whose meter was not found.
TYPES = ("v1.billing.meter.error_report_triggered", "v1.billing.meter.no_meter_found")
_EVENTS = "/v2/core/events"
#: How far an acknowledgement may be from the time a report is about: requests under way, unequal clocks.
_SLACK = 600 * SECOND
#: After this what a report is about was acknowledged or given up, and the summaries have it.
_SETTLED = 3 * LAG
#: Windows begun before this are in no report: 35 days that Stripe takes, and 30 that it keeps events.
_OLDEST = 65 * DAY


class Reports(NamedTuple):
    """What reports of the last 30 days say: reasons by identifier, and times with errors nobody names, with theirs.

    ``events`` are the ids of the reports with the instants they are of.
    """

    named: dict[str, str]
    unnamed: list[tuple[int, int, str]]
    events: dict[str, int]


class Refusals:
    """Reads reports for as long as a worker runs: what it has dealt with, and had time to, is read once."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._done: set[str] = set()

    def read(self) -> Reports:
        """Read every report Stripe still has that is not dealt with; RequestFailedError where they cannot be read."""
        reports = Reports({}, [], {})
        for event in _events(self._gateway):
            if event["id"] not in self._done:
                self._enter(reports, event)
        return reports

    def _enter(self, reports: Reports, event: dict[str, Any]) -> None:
        data = event.get("data") or self._gateway.get(f"{_EVENTS}/{event['id']}").get("data") or {}
        reports.events[event["id"]] = micros(datetime.fromisoformat(event["created"]))
        for error in (data.get("reason") or {}).get("error_types") or ():
            samples = error.get("sample_errors") or ()
            for sample in samples:
                identifier = (sample.get("request") or {}).get("identifier")
                reports.named[str(identifier)] = _reason(sample.get("error_message"), error, event)
            if error.get("error_count", 0) > len(samples):
                start, end = (micros(datetime.fromisoformat(data[f"validation_{side}"])) for side in ("start", "end"))
                reports.unnamed.append((start - _SLACK, end + _SLACK, _reason(None, error, event)))

    def dealt_with(self, reports: Reports, now: int) -> None:
        """Read reports no more once nothing they are about can be under way."""
        self._done |= {event for event, at in reports.events.items() if at < now - _SETTLED}


def _events(gateway: Gateway) -> Iterator[dict[str, Any]]:
    page = gateway.get(_EVENTS, {"types": list(TYPES), "limit": 100})
    while True:
        yield from page["data"]
        following = page.get("next_page_url")
        if not following:
            return
        page = gateway.get(following)


def _reason(message: str | None, error: dict[str, Any], event: dict[str, Any]) -> str:
    """Return why units do not count, in Stripe's words where there are some."""
    told = f"{message} " if message else ""
    return f"Stripe took it and refused it later: {told}({error.get('code')}, event {event.get('id')})"


def recalled(store: Store, policy: Policy, reports: Reports) -> list[Export]:
    """Return the exports whose units do not count, as they become: dead where named, else pending to be looked for."""
    if not reports.named and not reports.unnamed:
        return []
    found = []
    for export in _acknowledged(store, (store.now() - _OLDEST) // SECOND):
        meter = policy.meters.get(export.meter)
        known = () if meter is None else identifiers(export, meter, policy.namespace)
        why = next((reports.named[each] for each in known if each in reports.named), None)
        if why is not None:
            found.append(export._replace(state="dead", error=why))
        elif export.state != "pending":
            taken = export.due if export.state == "sent" else export.doubt
            times = (why for start, end, why in reports.unnamed if start <= taken <= end)
            # Before the summaries have what was taken then, to look for it would find nothing and send it again.
            if taken <= store.now() - LAG and (unsure := next(times, None)) is not None:
                found.append(export._replace(state="pending", error=unsure))
    return found


def _acknowledged(store: Store, since: int) -> Iterator[Export]:
    """Yield what Stripe has, or may have, of windows a report can still be about."""
    for state in ("sent", "streamed"):
        yield from store.exports(state=state, since=since)
    yield from (export for export in store.exports(state="pending", since=since) if export.doubt)
