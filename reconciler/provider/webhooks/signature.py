"""Whether a webhook comes from Stripe, and what little of it is believed: what it is about, not what it says of that.

https://docs.stripe.com/webhooks#verify-official-libraries: the signature covers the raw bytes, so a body that was read
and written anew no longer fits. Snapshot events and thin ones (``v2.core.event``) are signed alike.
"""

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from stripe import SignatureVerificationError, WebhookSignature

from reconciler.diagnostics import ProviderError, UsageError

#: Seconds a signature is good for: https://docs.stripe.com/webhooks#replay-attacks.
TOLERANCE = 300
#: What Stripe's secrets begin with.
PREFIX = "whsec_"
_THIN = "v2.core.event"
_INSTANT = re.compile(r"[0-9]{1,12}")
#: Ids as Stripe makes them; others are taken for no event.
_ID = re.compile(r"[A-Za-z0-9_]{1,255}")
#: Names of events and of kinds of objects.
_NAME = re.compile(r"[a-z0-9_.\[\]-]{1,100}")


class SignatureError(ProviderError):
    """A webhook that is not proven to come from Stripe now; nothing of it was read."""


class NotAnEventError(ProviderError):
    """A signed body that is no event, or one of the other mode than the key."""


class Notice(NamedTuple):
    """That something happened: ``created`` in seconds. Nothing here is what the event says of its object.

    ``payment`` and ``customer`` are those the object belongs to, where the event names them; ``account`` is set for
    events of connected accounts.
    """

    id: str
    type: str
    created: int
    livemode: bool
    api_version: str | None
    account: str | None
    object: str | None
    kind: str | None
    customer: str | None = None
    payment: str | None = None

    @property
    def subject(self) -> str:
        """What events that belong together have in common: the payment, else the customer, else the object."""
        return self.payment or self.customer or self.object or self.id


class Verifier:
    """Proves webhooks by one secret or, while they are rotated, several; for one mode.

    UsageError without a secret, or with one that is empty or none of Stripe's.
    """

    def __init__(self, secrets: Sequence[str], mode: str, clock: Callable[[], float] = time.time) -> None:
        if isinstance(secrets, str) or not secrets:
            raise UsageError("E1701", "there is no secret to verify webhooks with", remedy=_REMEDY)
        if not all(_genuine(secret) for secret in secrets):
            raise UsageError("E1701", "a webhook secret is empty or does not begin with whsec_", remedy=_REMEDY)
        self._secrets = tuple(secrets)
        self._livemode = mode == "live"
        self._clock = clock

    def notice(self, raw: bytes, signature: str | None) -> Notice:
        """Return what a webhook is about; SignatureError unless it is proven, NotAnEventError where it is none."""
        self._prove(raw, signature or "")
        return self._in_mode(notice_of(_parsed(raw)))

    def _prove(self, raw: bytes, signature: str) -> None:
        if not any(_signed(raw, signature, secret) for secret in self._secrets):
            raise SignatureError("E1702", "the webhook is not signed with a secret that is known here")
        if _signed_at(signature) < self._clock() - TOLERANCE:
            raise SignatureError("E1703", f"the webhook was signed more than {TOLERANCE} seconds ago")

    def _in_mode(self, notice: Notice) -> Notice:
        if notice.livemode != self._livemode:
            modes = ("live", "test") if notice.livemode else ("test", "live")
            raise NotAnEventError("E1705", f"the event is of {modes[0]} mode, and the key is a {modes[1]} key")
        return notice


_REMEDY = "Give the secret that Stripe showed when the endpoint was made; `reconciler apply` hands it over."


def _genuine(secret: object) -> bool:
    return isinstance(secret, str) and len(secret) > len(PREFIX) and secret.startswith(PREFIX) and secret.isascii()


def _signed(raw: bytes, signature: str, secret: str) -> bool:
    try:
        return bool(WebhookSignature.verify_header(raw, signature, secret))
    except (SignatureVerificationError, TypeError, ValueError):
        return False


def _signed_at(signature: str) -> int:
    """Return the one instant a header names; a header with two could show one to be proven and another to be judged."""
    found = [part for part in signature.split(",") if part.partition("=")[0].strip() == "t"]
    text = found[0].partition("=")[2] if len(found) == 1 else ""
    return int(text) if _INSTANT.fullmatch(text) else 0


def _parsed(raw: bytes) -> Mapping[str, Any]:
    try:
        event = json.loads(raw)
    except (ValueError, RecursionError):
        event = None
    if not isinstance(event, dict):
        raise NotAnEventError("E1704", "the webhook is signed, and is no event")
    return event


def is_id(text: str) -> bool:
    """Tell whether a text can be an id of Stripe's."""
    return bool(_ID.fullmatch(text))


def notice_of(event: Mapping[str, Any]) -> Notice:
    """Return what an event is about, be it a snapshot or a thin one; NotAnEventError where it is neither."""
    kind = event.get("object")
    try:
        found = _thin(event) if kind == _THIN else _snapshot(event) if kind == "event" else None
        named = found is not None and _ID.fullmatch(found.id) and _NAME.fullmatch(found.type)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        found, named = None, None
    if found is None or not named or type(found.livemode) is not bool:
        raise NotAnEventError("E1704", "the webhook is signed, and is no event")
    return found


def _snapshot(event: Mapping[str, Any]) -> Notice:
    about = event["data"]["object"]
    kind = about.get("object")
    return Notice(
        id=event["id"],
        type=event["type"],
        created=int(event["created"]),
        livemode=event["livemode"],
        api_version=_text(event.get("api_version")),
        account=_id(event.get("account")),
        object=_id(about.get("id")),
        kind=_text(kind),
        customer=_id(about.get("id" if kind == "customer" else "customer")),
        payment=_id(about.get("id" if kind == "payment_intent" else "payment_intent")),
    )


def _thin(event: Mapping[str, Any]) -> Notice:
    """Read a notification: https://docs.stripe.com/event-destinations#thin-payload."""
    about = event.get("related_object") or {}
    named, kind = _id(about.get("id")), _text(about.get("type"))
    return Notice(
        id=event["id"],
        type=event["type"],
        created=int(datetime.fromisoformat(event["created"]).timestamp()),
        livemode=event["livemode"],
        api_version=None,
        account=_id(event.get("context")),
        object=named,
        kind=kind,
        customer=named if kind == "customer" else None,
        payment=named if kind == "payment_intent" else None,
    )


def _id(value: Any) -> str | None:
    """Return an id, also of an object that came whole; None for anything else."""
    found = value.get("id") if isinstance(value, dict) else value
    return found if isinstance(found, str) and _ID.fullmatch(found) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and _NAME.fullmatch(value) else None
