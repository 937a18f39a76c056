"""A tenant's latest entries, for whoever looks back from the end; some in between may be archived."""

from reconciler.ledger.annex import AnnexStore
from reconciler.ledger.entry import Entry

_LATEST = """SELECT tenant, seq, at, kind, key, digest, body, hash FROM entry
  WHERE tenant = ? AND seq < ? ORDER BY seq DESC LIMIT ?"""


def latest(store: AnnexStore, tenant: str, before: int, limit: int) -> list[Entry]:
    """Return the entries below a number, newest first, as far as they are in the ledger."""
    return [Entry._make((*row[:-1], bytes(row[-1]))) for row in store.ask(_LATEST, (tenant, before, limit))]
