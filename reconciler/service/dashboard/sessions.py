"""Who is signed in to the pages: a random token in a cookie, known by its SHA-256 in every process of the ledger."""

import hashlib
import hmac
import secrets
from typing import NamedTuple

from reconciler.entitlements.periods import LENGTH
from reconciler.ledger.annex import AnnexStore, Statement

COOKIE = "reconciler_session"
#: A session ends after a working day, whatever is done in it.
LASTS = 12 * LENGTH["hour"]
_NAME = "dashboard"
_STEPS = ("CREATE TABLE dashboard_session (id TEXT PRIMARY KEY, operator TEXT NOT NULL, until BIGINT NOT NULL)",)
_TOKEN = 43


class Session(NamedTuple):
    """An operator who has signed in, and the token that forms have to carry."""

    operator: str
    csrf: str


class Sessions:
    """Opens, finds and ends sessions."""

    def __init__(self, store: AnnexStore) -> None:
        self._store = store
        store.annex(_NAME, _STEPS)

    def open(self, operator: str) -> str:
        """Begin a session and return its token, which is kept nowhere; forget those that are over."""
        token, now = secrets.token_urlsafe(32), self._store.now()
        self._store.alongside(
            [
                Statement("DELETE FROM dashboard_session WHERE until <= ?", (now,)),
                Statement("INSERT INTO dashboard_session VALUES (?, ?, ?)", (_hash(token), operator, now + LASTS)),
            ]
        )
        return token

    def find(self, token: str) -> Session | None:
        """Return the session of a token; ``None`` for one that is over, or was never begun."""
        if len(token) != _TOKEN:
            return None
        sql = "SELECT operator FROM dashboard_session WHERE id = ? AND until > ?"
        rows = self._store.ask(sql, (_hash(token), self._store.now()))
        return Session(rows[0][0], csrf_of(token)) if rows else None

    def end(self, token: str) -> None:
        """End a session."""
        self._store.alongside([Statement("DELETE FROM dashboard_session WHERE id = ?", (_hash(token),))])


def csrf_of(token: str) -> str:
    """Return what forms of a session carry: nobody who does not have the token can know it, nor the other way round."""
    return hmac.digest(token.encode(), b"csrf", "sha256").hex()


def same(one: str, other: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(one.encode(), other.encode())


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
