"""``Idempotency-Key``: the first outcome of a key is its outcome for a day (https://docs.stripe.com/api/idempotent_requests)."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from reconciler.sandbox.errors import ApiError, invalid, key_in_use
from reconciler.sandbox.form import Tree
from reconciler.sandbox.store import Tx

MAX_KEY_LENGTH = 255
RETENTION_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class Key:
    """A key with what it was used for: the path and a digest of the parameters, whatever their order.

    Its outcome is kept for ``retention`` seconds.
    """

    text: str
    path: str
    digest: str
    retention: int = RETENTION_SECONDS


@dataclass(frozen=True, slots=True)
class Outcome:
    """The stored reply of a key's first request."""

    status: int
    body: bytes
    request_id: str


def key_of(text: str | None, path: str, params: Tree) -> Key | None:
    """Return the key of a request, or ``None`` if it has none."""
    if not text:
        return None
    if len(text) > MAX_KEY_LENGTH:
        raise invalid(f"Idempotency keys can be at most {MAX_KEY_LENGTH} characters long.")
    return Key(text, path, hashlib.sha256(json.dumps(params, sort_keys=True).encode()).hexdigest())


def recall(tx: Tx, key: Key, now: int) -> Outcome | None:
    """Return the stored outcome of a key, ``None`` if it is new; refuse another use (stripe/stripe-ruby#503, #598)."""
    tx.forget(now)
    stored = tx.replay(key.text)
    if stored is None:
        return None
    path, digest, status, body, request_id = stored
    hint = f" Try using a key other than '{key.text}' if you meant to execute a different request."
    if path != key.path:
        raise _mismatch(f"the same endpoint they were first used for ('{key.path}' vs '{path}').{hint}")
    if digest != key.digest:
        raise _mismatch(f"the same parameters they were first used with.{hint}")
    return Outcome(status, body, request_id)


def _mismatch(rest: str) -> ApiError:
    return ApiError(400, f"Keys for idempotent requests can only be used with {rest}", error_type="idempotency_error")


@dataclass(slots=True)
class InFlight:
    """The keys whose first request is being executed now."""

    _keys: set[tuple[str, str]] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def hold(self, account: str, key: str | None) -> Iterator[None]:
        """Hold a key during its request; another request with it meanwhile is Stripe's 409."""
        if not key:
            yield
            return
        with self._lock:
            if (account, key) in self._keys:
                raise key_in_use(key)
            self._keys.add((account, key))
        try:
            yield
        finally:
            with self._lock:
                self._keys.discard((account, key))
