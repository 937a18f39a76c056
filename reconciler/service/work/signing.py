"""Signatures of notices, in the scheme Stripe signs its webhooks with: who receives one proves where it comes from.

A header ``Reconciler-Signature: t=SECONDS,v1=HEX`` has the instant of sending and one ``v1`` for every secret in use:
the HMAC-SHA256 of ``SECONDS.BODY`` under that secret (https://docs.stripe.com/webhooks#verify-manually).
"""

import hashlib
import hmac
from collections.abc import Sequence

HEADER = "Reconciler-Signature"
#: How far the instant of sending may be from the receiver's clock, in seconds, either way.
TOLERANCE = 300
_VERSION = "v1"


class SignatureError(ValueError):
    """A notice is not signed with a secret of ours, or was signed too long ago."""


def sign(body: bytes, secrets: Sequence[str], at: int) -> str:
    """Return the header's value for a body that is sent at an instant, in seconds; ValueError without a secret."""
    if not secrets or not all(secrets):
        raise ValueError("a notice is signed with at least one secret, and none of them is empty")
    return ",".join([f"t={at}", *(f"{_VERSION}={_mac(body, secret, str(at))}" for secret in secrets)])


def verify(body: bytes, header: str, secrets: Sequence[str], now: int, tolerance: int = TOLERANCE) -> None:
    """Raise SignatureError unless one of the secrets signed this body within the tolerance of now, in seconds.

    ``body`` are the bytes as they came: JSON that was read and written again is another text.
    """
    parts = [part.partition("=")[::2] for part in header.split(",")]
    times = [value for name, value in parts if name.strip() == "t"]
    given = [value.strip() for name, value in parts if name.strip() == _VERSION]
    if len(times) != 1 or not (times[0].isascii() and times[0].isdecimal()):
        raise SignatureError("the signature names no instant")
    # Empty secrets would let anybody sign.
    wanted = [_mac(body, secret, times[0]) for secret in secrets if secret]
    # Every pair is compared: how long it takes tells nothing of which secret or character was wrong.
    if not sum([hmac.compare_digest(one.encode(), other.encode()) for one in wanted for other in given]):
        raise SignatureError("the body is not signed with a secret that is known here")
    if abs(now - int(times[0])) > tolerance:
        raise SignatureError(f"the notice was signed more than {tolerance} seconds from now")


def _mac(body: bytes, secret: str, at: str) -> str:
    return hmac.new(secret.encode(), at.encode() + b"." + body, hashlib.sha256).hexdigest()
