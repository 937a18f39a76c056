"""Secrets that all instances of a service share, made by the first one and kept beside the ledger."""

import secrets

from reconciler.ledger.annex import AnnexStore, Statement

_TABLE = ("CREATE TABLE service_secret (name TEXT PRIMARY KEY, value TEXT NOT NULL)",)
_BYTES = 32


def secret_of(store: AnnexStore, name: str) -> bytes:
    """Return the secret of a name, 32 bytes from a secure source; the same in every process that opens the ledger."""
    store.annex("secrets", _TABLE)
    put = "INSERT INTO service_secret VALUES (?, ?) ON CONFLICT (name) DO NOTHING"
    if not (rows := _kept(store, name)):
        store.alongside([Statement(put, (name, secrets.token_hex(_BYTES)))])
        rows = _kept(store, name)
    return bytes.fromhex(rows[0][0])


def _kept(store: AnnexStore, name: str) -> list[tuple[str]]:
    return store.ask("SELECT value FROM service_secret WHERE name = ?", (name,))
