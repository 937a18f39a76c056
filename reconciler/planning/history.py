"""Who changed what at Stripe and when, as far as its events tell: the last 30 days, and not every kind. Pure.

An event names the request that caused it, or none where nothing was requested
(https://docs.stripe.com/api/events/object); our own requests are known by their idempotency keys.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from reconciler.planning.change import Change
from reconciler.planning.lock import is_lock
from reconciler.resources.mark import read_mark

#: The events that tell of managed objects, no more than one request may name; features, their attachments and webhook
#: endpoints have none.
TYPES = (
    "product.created",
    "product.updated",
    "product.deleted",
    "price.created",
    "price.updated",
    "price.deleted",
    "coupon.created",
    "coupon.updated",
    "coupon.deleted",
    "promotion_code.created",
    "promotion_code.updated",
    "tax_rate.created",
    "tax_rate.updated",
    "payment_link.created",
    "payment_link.updated",
    "billing_portal.configuration.updated",
    "billing.meter.created",
    "billing.meter.updated",
    "billing.meter.deactivated",
    "billing.meter.reactivated",
)
#: How the idempotency keys of our own writes begin.
OURS = "reconciler-"
_WORDS = {"created": "made", "updated": "edited", "deleted": "deleted", "deactivated": "archived"}
_KINDS = {"billing.meter": "meter", "billing_portal.configuration": "portal_configuration"}


@dataclass(frozen=True, slots=True)
class Happening:
    """One event: what happened to which object, at which second, by which request, touching which fields.

    ``address`` is where our mark on the object says it belongs, ``key`` its event name where it is a meter.
    """

    what: str
    at: int
    event: str
    request: str | None
    ours: bool
    kind: str
    id: str
    namespace: str | None
    address: str | None
    key: str | None
    fields: frozenset[str]

    @property
    def moment(self) -> str:
        """When it happened, for people."""
        return datetime.fromtimestamp(self.at, UTC).strftime("%Y-%m-%d %H:%M UTC")

    def __str__(self) -> str:
        """Say in a line what happened."""
        by = f"request {self.request}" if self.request else "not by a request"
        return f"{self.what} {self.moment}, {by}"


@dataclass(frozen=True, slots=True)
class History:
    """What happened, newest first, since a second; nothing, since None, where nobody could or wanted to read it.

    ``note`` says why it does not reach as far as was asked.
    """

    happenings: tuple[Happening, ...] = ()
    since: int | None = None
    note: str | None = None

    def of(self, change: Change, namespace: str, applied_at: float = 0) -> Happening | None:
        """Return what made a change necessary, None where nothing is known of it.

        For an object that is there: the latest that touched a differing field after our own last write of it, else the
        latest. For one that is not: the latest that took an object of the address away, after the last apply, which
        deletes by itself what leaves the files.
        """
        if change.id is None:
            later = (each for each in self.happenings if each.at > applied_at and not each.ours)
            gone = (each for each in later if each.what in ("deleted", "archived"))
            return next((each for each in gone if _stood_for(each, change, namespace)), None)
        recent = list(self._since_ours(change))
        touched = {*change.fields, "metadata"} if _marks_differ(change) else set(change.fields)
        return next((each for each in recent if each.fields & touched), next(iter(recent), None))

    def _since_ours(self, change: Change) -> Iterator[Happening]:
        for each in self.happenings:
            if (each.kind, each.id) == (change.kind.name, change.id):
                if each.ours:
                    return
                yield each


def read_happening(event: Mapping[str, Any]) -> Happening | None:
    """Read an event; None for one that is about no managed object."""
    data: Mapping[str, Any] = event.get("data") or {}
    found: Mapping[str, Any] = data.get("object") or {}
    verb = str(event.get("type", "")).rpartition(".")[2]
    if is_lock(found) or "id" not in found:
        return None
    before: Mapping[str, Any] = data.get("previous_attributes") or {}
    archived = before.get("active") is True and found.get("active") is False
    request: Mapping[str, Any] = event.get("request") or {}
    mark = read_mark(found.get("metadata") or {})
    name = str(found.get("object"))
    return Happening(
        what="archived" if archived else _WORDS.get(verb, verb),
        at=int(event.get("created") or 0),
        event=str(event.get("id")),
        request=request.get("id"),
        ours=str(request.get("idempotency_key") or "").startswith(OURS),
        kind=_KINDS.get(name, name),
        id=str(found["id"]),
        namespace=mark.namespace if mark else None,
        address=mark.address if mark else None,
        key=found.get("event_name"),
        fields=frozenset(before),
    )


def _stood_for(happening: Happening, change: Change, namespace: str) -> bool:
    if happening.kind != change.kind.name:
        return False
    if (happening.namespace, happening.address) == (namespace, change.address):
        return True
    asked = change.after.values.get(change.kind.key or "") if change.after else None
    return happening.key is not None and happening.key == asked


def _marks_differ(change: Change) -> bool:
    return change.before is not None and change.after is not None and change.before.metadata != change.after.metadata
