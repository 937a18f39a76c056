"""Notices on their way: written with what they tell of, sent later, tried again for three days, never lost."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from reconciler.entitlements.periods import LENGTH, SECOND
from reconciler.ledger.annex import AnnexStore, Row, Statement
from reconciler.service.work.tables import prepared
from reconciler.service.work.words import stamp

#: A notice is tried for so long, in microseconds, and lies dead afterwards.
TRIED_FOR = 3 * LENGTH["day"]
#: Seconds until the second try, three times as many until each further one, and at most so many.
FIRST_WAIT, LONGEST_WAIT = 10, 6 * 3600
#: Other workers leave a notice alone for so long, in microseconds, while one sends it.
CLAIMED_FOR = 120 * SECOND
_COLUMNS = "id, tenant, type, created, seq, body, state, attempts, due, first, error, ended"
_PUT = f"INSERT INTO notice ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, 'pending', 0, ?, ?, NULL, NULL)"  # noqa: S608  fixed
_CLAIM = f"""
    UPDATE notice SET due = ?, attempts = attempts + 1 WHERE state = 'pending' AND due <= ? AND id IN (
      SELECT id FROM notice WHERE state = 'pending' AND due <= ? ORDER BY created, seq, id LIMIT ?
    ) RETURNING {_COLUMNS}
"""  # noqa: S608  fixed
_SETTLE = """
    UPDATE notice SET state = ?, due = ?, error = ?, ended = ? WHERE id = ? AND state = 'pending' AND attempts = ?
"""
_GIVE_BACK = """
    UPDATE notice SET due = ?, attempts = attempts - 1 WHERE id = ? AND state = 'pending' AND attempts = ?
"""


class Notice(NamedTuple):
    """A notice as it is stored: ``body`` is what is sent; ``first`` is since when it is tried, ``due`` when next."""

    id: str
    tenant: str
    type: str
    created: int
    seq: int
    body: str
    state: str = "pending"
    attempts: int = 0
    due: int = 0
    first: int = 0
    error: str | None = None
    ended: int | None = None


def notice_of(
    namespace: str, tenant: str, type_: str, what: str, created: int, seq: int, said: Mapping[str, Any]
) -> Notice:
    """Return the notice of a happening, which ``what`` names: the same happening has the same id, whoever finds it.

    ``seq`` is the number of the ledger's last entry about the tenant at that moment.
    """
    names = f"{namespace}\n{tenant}\n{type_}\n{what}"
    id_ = f"ntc_{hashlib.sha256(names.encode()).hexdigest()[:32]}"
    content = {
        "id": id_,
        "type": type_,
        "created": stamp(created),
        "namespace": namespace,
        "tenant": tenant,
        "number": seq,
        "data": dict(said),
    }
    return Notice(id_, tenant, type_, created, seq, json.dumps(content, separators=(",", ":")))


class Outbox:
    """The notices of a ledger, for any thread and process."""

    def __init__(self, store: AnnexStore) -> None:
        self._store = prepared(store)

    @staticmethod
    def put(notice: Notice, now: int) -> Statement:
        """Return the statement that writes a notice, which is due at once; one that is there already stays as it is."""
        values = (notice.id, notice.tenant, notice.type, notice.created, notice.seq, notice.body, now, now)
        return Statement(f"{_PUT} ON CONFLICT (id) DO NOTHING", values)

    def claim(self, limit: int) -> list[Notice]:
        """Take notices that are due, the oldest first; nobody else gets them before they are settled or two minutes."""
        now = self._store.now()
        written = self._store.alongside([Statement(_CLAIM, (now + CLAIMED_FOR, now, now, limit))])
        found = [Notice(*row) for row in written.rows[0]]
        return sorted(found, key=lambda notice: (notice.created, notice.seq, notice.id))

    def settle(self, notice: Notice, error: str | None = None) -> str:
        """Write what became of a claimed notice and return its state: sent, pending again, or dead after three days."""
        now = self._store.now()
        due = now + wait(notice.attempts) * SECOND
        state = "sent" if error is None else "dead" if due - notice.first > TRIED_FOR else "pending"
        ended = None if state == "pending" else now
        values = (state, due if state == "pending" else notice.due, error, ended, notice.id, notice.attempts)
        self._store.alongside([Statement(_SETTLE, values)])
        return state

    def give_back(self, notices: Iterable[Notice]) -> None:
        """Let claimed notices be as if nobody had taken them."""
        now = self._store.now()
        back = [Statement(_GIVE_BACK, (now, notice.id, notice.attempts)) for notice in notices]
        if back:
            self._store.alongside(back)

    def listed(
        self, state: str | None = None, tenant: str | None = None, after: str = "", limit: int = 100
    ) -> list[Notice]:
        """Return notices, of a state and tenant or all, oldest first, behind the one with an id."""
        begin = self._store.ask("SELECT created, seq, id FROM notice WHERE id = ?", (after,))
        return self._page(state, tenant, begin[0] if begin else (-1, 0, ""), limit)

    def _page(self, state: str | None, tenant: str | None, after: Row, limit: int) -> list[Notice]:
        wanted = [("state", state), ("tenant", tenant)]
        clauses = "".join(f" AND {name} = ?" for name, value in wanted if value is not None)
        question = f"SELECT {_COLUMNS} FROM notice WHERE (created, seq, id) > (?, ?, ?){clauses}"  # noqa: S608  fixed
        given = [value for _, value in wanted if value is not None]
        rows = self._store.ask(f"{question} ORDER BY created, seq, id LIMIT ?", (*after, *given, limit))
        return [Notice(*row) for row in rows]

    def retry(self, ids: Sequence[str] | None = None) -> int:
        """Let dead notices, of these ids or all, be tried for another three days from now; return how many."""
        now = self._store.now()
        change = (
            "UPDATE notice SET state = 'pending', due = ?, first = ?, ended = NULL, attempts = 0 WHERE state = 'dead'"
        )
        if ids is None:
            return len(self._store.alongside([Statement(f"{change} RETURNING id", (now, now))]).rows[0])
        each = [Statement(f"{change} AND id = ? RETURNING id", (now, now, id_)) for id_ in ids]
        return sum(len(rows) for rows in self._store.alongside(each).rows) if each else 0

    def depth(self) -> dict[str, tuple[int, int]]:
        """Return for each state but ``sent`` how many notices there are, and since when the oldest of them."""
        rows = self._store.ask("SELECT state, count(*), min(created) FROM notice WHERE state <> 'sent' GROUP BY state")
        return {state: (int(number), int(oldest)) for state, number, oldest in rows}

    def forget(self, before: int) -> int:
        """Delete notices that were sent before an instant; return how many."""
        done = Statement("DELETE FROM notice WHERE state = 'sent' AND ended < ? RETURNING id", (before,))
        return len(self._store.alongside([done]).rows[0])


def wait(attempts: int) -> int:
    """Return the seconds between a try and the next, after so many tries."""
    return min(int(FIRST_WAIT * 3 ** min(attempts - 1, 16)), LONGEST_WAIT)
