"""Addresses that say who buys what, signed: whoever opens one can change neither."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import NamedTuple

PATH = "/buy"
#: How long an address is good for, in seconds.
LASTS = 7 * 86_400
_DAY = 86_400
_SIGNED = 16
_LONGEST = 2048


class Wanted(NamedTuple):
    """A ``plan`` or ``pack`` by its id, the tenant that is to have it, and the day, in seconds, the address ends."""

    kind: str
    id: str
    tenant: str
    until: int


class Tokens:
    """Makes and reads them; ``now`` returns Unix seconds."""

    def __init__(self, secret: bytes, now: Callable[[], int]) -> None:
        self._secret = secret
        self._now = now

    @property
    def day(self) -> int:
        """The number of the day it is, in UTC."""
        return self._now() // _DAY

    def write(self, kind: str, name: str, tenant: str) -> str:
        """Return the token of a purchase; within a day it is always the same."""
        until = (self.day + 1) * _DAY + LASTS
        body = json.dumps([kind, name, tenant, until], separators=(",", ":")).encode()
        return f"{_text(body)}.{_text(self._sign(body))}"

    def read(self, token: str) -> Wanted | None:
        """Return what a token says; ``None`` where it was not written here or is too old."""
        body, dot, signature = token.partition(".")
        try:
            content = _bytes(body)
            true = len(token) <= _LONGEST and dot and hmac.compare_digest(_bytes(signature), self._sign(content))
        except ValueError:
            return None
        if not true:
            return None
        wanted = Wanted(*json.loads(content))
        return wanted if self._now() < wanted.until else None

    def _sign(self, body: bytes) -> bytes:
        return hmac.digest(self._secret, b"buy\0" + body, hashlib.sha256)[:_SIGNED]


class Shop:
    """Writes the addresses that refusals name; ``base`` is where the public reaches the service."""

    def __init__(self, tokens: Tokens, base: str) -> None:
        self.tokens = tokens
        self.base = base.rstrip("/")

    def url(self, kind: str, name: str, tenant: str) -> str:
        """Return where a tenant buys a plan or pack."""
        return self.address(self.tokens.write(kind, name, tenant))

    def address(self, token: str) -> str:
        """Return the address of a token's page."""
        return f"{self.base}{PATH}/{token}"


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    found = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if _text(found) != text:
        raise ValueError("not written as it is here")
    return found
