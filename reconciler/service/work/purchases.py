"""Purchases begun for tenants: numbered, one open at a time, each step written before the next is taken."""

from typing import NamedTuple

from reconciler.entitlements.periods import SECOND
from reconciler.ledger.annex import AnnexStore, Statement
from reconciler.service.work.caps import Attempt
from reconciler.service.work.consent import Consent, standing
from reconciler.service.work.tables import prepared

#: Other workers leave an open purchase alone for so long, in microseconds, while one works on it.
CLAIMED_FOR = 120 * SECOND
_COLUMNS = "tenant, number, pack, state, started, due, turn, request, sent, payment, ended, error"
_BEGIN = f"""
    INSERT INTO recharge ({_COLUMNS}) VALUES (?, ?, ?, 'open', ?, ?, 1, NULL, NULL, NULL, NULL, NULL)
    ON CONFLICT DO NOTHING
"""  # noqa: S608  fixed
_CLAIM = f"""
    UPDATE recharge SET due = ?, turn = turn + 1 WHERE state = 'open' AND due <= ? AND tenant IN (
      SELECT tenant FROM recharge WHERE state = 'open' AND due <= ? ORDER BY due, tenant LIMIT ?
    ) RETURNING {_COLUMNS}
"""  # noqa: S608  fixed
_ONE = "WHERE tenant = ? AND number = ? AND state = 'open' AND turn = ?"


class Purchase(NamedTuple):
    """A purchase as it is stored; ``request`` is what is sent, from ``sent`` on, and ``payment`` what came of it."""

    tenant: str
    number: int
    pack: str
    state: str
    started: int
    due: int
    turn: int
    request: str | None = None
    sent: int | None = None
    payment: str | None = None
    ended: int | None = None
    error: str | None = None


class Purchases:
    """The purchases of a ledger, for any thread and process."""

    def __init__(self, store: AnnexStore) -> None:
        self._store = prepared(store)

    def attempts(self, tenant: str, since: int) -> tuple[list[Attempt], int]:
        """Return a tenant's attempts that are open or began at an instant or later, and the number of its last one.

        The number is read first: where another attempt comes between, it is taken when it is used.
        """
        last = self._store.ask("SELECT max(number) FROM recharge WHERE tenant = ?", (tenant,))
        rows = self._store.ask(
            "SELECT number, state, started, ended FROM recharge WHERE tenant = ? AND (state = 'open' OR started >= ?) "
            "ORDER BY number",
            (tenant, since),
        )
        return [Attempt(*row) for row in rows], int(last[0][0] or 0)

    def begin(self, tenant: str, number: int, pack: str, consent: Consent) -> None:
        """Open a purchase under a number; LostClaimError where it is taken, one is open, or the consent is no more."""
        now = self._store.now()
        begun = Statement(_BEGIN, (tenant, number, pack, now, now), must=True)
        self._store.alongside([standing(tenant, consent), begun])

    def claim(self, limit: int) -> list[Purchase]:
        """Take open purchases that are due; nobody else works on them before they are settled or two minutes."""
        now = self._store.now()
        written = self._store.alongside([Statement(_CLAIM, (now + CLAIMED_FOR, now, now, limit))])
        return sorted(Purchase(*row) for row in written.rows[0])

    def keep(self, purchase: Purchase, request: str, consent: Consent) -> Purchase:
        """Write what will be sent, before it is; LostClaimError where another works on it or the consent is gone."""
        now = self._store.now()
        sql = f"UPDATE recharge SET request = ?, sent = ? {_ONE} AND request IS NULL"  # noqa: S608  fixed
        values = (request, now, purchase.tenant, purchase.number, purchase.turn)
        self._store.alongside([standing(purchase.tenant, consent), Statement(sql, values, must=True)])
        return purchase._replace(request=request, sent=now)

    def later(self, purchase: Purchase, error: str, wait: int) -> None:
        """Leave a purchase open, to be gone on with after so many microseconds."""
        sql = f"UPDATE recharge SET due = ?, error = ? {_ONE}"  # noqa: S608  fixed
        due = self._store.now() + wait
        values = (due, error, purchase.tenant, purchase.number, purchase.turn)
        self._store.alongside([Statement(sql, values)])

    def ended(self, purchase: Purchase, state: str, payment: str | None, error: str | None = None) -> Statement:
        """Return the statement that ends a purchase: one that is open, or as paid whatever was thought of it before."""
        still = "<> 'paid'" if state == "paid" else "= 'open'"
        sql = (
            "UPDATE recharge SET state = ?, payment = ?, ended = ?, error = ? "  # noqa: S608  fixed
            f"WHERE tenant = ? AND number = ? AND state {still}"
        )
        values = (state, payment, self._store.now(), error, purchase.tenant, purchase.number)
        return Statement(sql, values, must=True)

    def listed(self, tenant: str, limit: int = 100) -> list[Purchase]:
        """Return a tenant's purchases, the newest first."""
        question = f"SELECT {_COLUMNS} FROM recharge WHERE tenant = ? ORDER BY number DESC LIMIT ?"  # noqa: S608  fixed
        return [Purchase(*row) for row in self._store.ask(question, (tenant, limit))]

    def open(self) -> int:
        """Return how many purchases are not decided."""
        return int(self._store.ask("SELECT count(*) FROM recharge WHERE state = 'open'")[0][0])
