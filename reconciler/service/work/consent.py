"""A tenant's consent that credits are bought for it: off until it is given, kept with who gave it and when."""

from contextlib import suppress
from typing import NamedTuple

from reconciler.ledger.annex import AnnexStore, LostClaimError, Statement
from reconciler.service.work.tables import prepared

#: Packs a month a tenant may agree to at most.
MOST = 1000


class Consent(NamedTuple):
    """What a tenant has agreed to last: at most ``monthly_cap`` packs a month, or nothing; ``turn`` counts changes."""

    enabled: bool
    monthly_cap: int
    at: int
    principal: str
    turn: int


class Consents:
    """The consents of a ledger's tenants."""

    def __init__(self, store: AnnexStore) -> None:
        self._store = prepared(store)

    def of(self, tenant: str) -> Consent | None:
        """Return what a tenant has said last, ``None`` where it never said anything."""
        found = self._store.ask(
            "SELECT enabled, monthly_cap, at, principal, turn FROM recharge_consent WHERE tenant = ?", (tenant,)
        )
        return Consent(bool(found[0][0]), *found[0][1:]) if found else None

    def history(self, tenant: str) -> list[Consent]:
        """Return everything a tenant has said, the oldest first."""
        rows = self._store.ask(
            "SELECT enabled, monthly_cap, at, principal, turn FROM recharge_consent_log WHERE tenant = ? ORDER BY turn",
            (tenant,),
        )
        return [Consent(bool(row[0]), *row[1:]) for row in rows]

    def give(self, tenant: str, *, enabled: bool, monthly_cap: int, principal: str) -> Consent:
        """Keep what a tenant says, through whom, and return it; ValueError for a cap below 1 or beyond 1000.

        A cap is needed where it is enabled; what is switched off begins no purchase from then on.
        """
        if not (1 if enabled else 0) <= monthly_cap <= MOST:
            raise ValueError(f"a monthly cap is a number of packs from 1 to {MOST}, not {monthly_cap}")
        while True:
            before = self.of(tenant)
            turn = 1 if before is None else before.turn + 1
            given = Consent(enabled, monthly_cap, self._store.now(), principal, turn)
            with suppress(LostClaimError):
                self._store.alongside(_kept(tenant, given))
                return given


def standing(tenant: str, consent: Consent) -> Statement:
    """Return the statement that holds only while a consent is the tenant's last word."""
    sql = "UPDATE recharge_consent SET turn = turn WHERE tenant = ? AND enabled = 1 AND turn = ?"
    return Statement(sql, (tenant, consent.turn), must=True)


_LOGGED = """
    INSERT INTO recharge_consent_log (enabled, monthly_cap, at, principal, turn, tenant) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (tenant, turn) DO NOTHING
"""
_LAST = """
    INSERT INTO recharge_consent (enabled, monthly_cap, at, principal, turn, tenant) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (tenant) DO UPDATE SET enabled = excluded.enabled, monthly_cap = excluded.monthly_cap,
    at = excluded.at, principal = excluded.principal, turn = excluded.turn
"""


def _kept(tenant: str, given: Consent) -> list[Statement]:
    values = (int(given.enabled), given.monthly_cap, given.at, given.principal, given.turn, tenant)
    return [Statement(_LOGGED, values, must=True), Statement(_LAST, values)]
