"""The round that finds what tenants are told of: it looks only at those whose ledger has grown since it looked last.

Everything it remembers stands beside the books, and what it remembers and what it tells are written together. Two
workers that find the same tell it once: each change of a bound is counted, and the second to write finds another count.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

from reconciler.entitlements import Entitlements
from reconciler.entitlements.books import settle
from reconciler.entitlements.standing import Subscription, subscription_of
from reconciler.entitlements.terms import Terms
from reconciler.ledger.annex import LostClaimError, Row, Statement
from reconciler.ledger.base import Balance
from reconciler.service.work.outbox import TRIED_FOR, Outbox, notice_of
from reconciler.service.work.tables import prepared
from reconciler.service.work.thresholds import Armed, Change, Turn, changes, conditions, turns

PAGE = 500
#: Millionths of a credit below which a tenant is told whose plan names no bound.
LOW = 10 * 10**6
#: Of a tenant that was never looked at, what happened longer ago is not told.
_FRESH = TRIED_FOR
_SEEN = "SELECT tenant, seq, status FROM notice_seen WHERE tenant > ? AND tenant <= ?"
_ARMED = "SELECT what, fired, period, turn FROM notice_armed WHERE tenant = ?"
_TURNED = (
    "SELECT seq, at, body FROM entry WHERE tenant = ? AND kind = 'subscription' AND seq > ? AND seq <= ? ORDER BY seq"
)
_LOOKED = """
    INSERT INTO notice_seen VALUES (?, ?, ?)
    ON CONFLICT (tenant) DO UPDATE SET seq = excluded.seq, status = excluded.status WHERE notice_seen.seq < excluded.seq
"""
_ARM = "INSERT INTO notice_armed VALUES (?, ?, ?, ?, ?) ON CONFLICT (tenant, what) DO NOTHING"
_TURN = "UPDATE notice_armed SET fired = ?, period = ?, turn = ? WHERE tenant = ? AND what = ? AND turn = ?"
#: What was seen of a tenant: its ledger's number, and the status of its subscription.
Seen = tuple[int, str]
_NEVER: Seen = (0, "")


class Watch:
    """Looks for what tenants are told of; ``low`` is the bound of credits, in millionths, where a plan names none."""

    def __init__(self, runtime: Entitlements, *, low: int = LOW) -> None:
        self._runtime = runtime
        self._store = prepared(runtime.ledger.store)
        self._low = low

    def round(self) -> int:
        """Look at every tenant that has changed, and return how many notices were written."""
        written, after = 0, ""
        while page := self._store.balances(after, PAGE):
            last = page[-1].tenant
            seen = {tenant: (seq, status) for tenant, seq, status in self._store.ask(_SEEN, (after, last))}
            written += self._look_at([each for each in page if seen.get(each.tenant, _NEVER)[0] != each.seq], seen)
            after = last
        return written

    def _look_at(self, changed: list[Balance], seen: Mapping[str, Seen]) -> int:
        """Look at tenants, and return how many notices were written; the others are noted together."""
        written, plain = 0, list[Statement]()
        for each in changed:
            looked = self._look(each.tenant, seen.get(each.tenant))
            if not looked.changes and not looked.notices:
                plain.append(looked.seen)
                continue
            # Another worker was there first: what it left to tell is found by the next round.
            with suppress(LostClaimError):
                self._store.alongside([looked.seen, *looked.changes, *looked.notices])
                written += len(looked.notices)
        if plain:
            self._store.alongside(plain)
        return written

    def _look(self, tenant: str, seen: Seen | None) -> "_Looked":
        book, now = self._store.read(tenant), self._store.now()
        seq, namespace = book.seq, self._runtime.policy.namespace
        terms = Terms(self._runtime.policy, tenant, subscription_of(book.facts))
        settle(book, terms, now)
        entries = self._store.ask(_TURNED, (tenant, (seen or _NEVER)[0], seq))
        fresh_from = now - _FRESH if seen is None else 0
        turned, status = turns(map(_turn, entries), (seen or _NEVER)[1], fresh_from)
        notices = [
            notice_of(namespace, tenant, each.type, f"entry/{each.seq}", each.at, each.seq, each.data)
            for each in turned
        ]
        armed = {
            what: Armed(bool(fired), period, turn) for what, fired, period, turn in self._store.ask(_ARMED, (tenant,))
        }
        found = list(changes(conditions(book, terms, now, self._low), armed))
        for change in found:
            if (told := change.condition) is not None and not told.silent:
                what = f"{change.what}/{change.after.turn}"
                notices.append(notice_of(namespace, tenant, told.type, what, now, seq, told.data))
        return _Looked(
            Statement(_LOOKED, (tenant, seq, status)),
            [*(_changed(tenant, change) for change in found)],
            [Outbox.put(notice, now) for notice in notices],
        )


class _Looked(NamedTuple):
    """What looking at a tenant came to."""

    seen: Statement
    changes: list[Statement]
    notices: list[Statement]


def _turn(row: Row) -> Turn:
    seq, at, body = row
    return Turn(seq, at, Subscription(*json.loads(body)[1]))


def _changed(tenant: str, change: Change) -> Statement:
    before, after = change.before, change.after
    if before.turn == 0:
        return Statement(_ARM, (tenant, change.what, int(after.fired), after.period, after.turn), must=True)
    values = (int(after.fired), after.period, after.turn, tenant, change.what, before.turn)
    return Statement(_TURN, values, must=True)
