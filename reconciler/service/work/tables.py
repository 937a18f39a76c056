"""The worker's tables in the ledger's own database. Instants are microseconds since 1970, UTC."""

from reconciler.ledger.annex import AnnexStore

NAME = "work"
STEPS = (
    # What was seen of a tenant last: its ledger's number, and the status of its subscription.
    "CREATE TABLE notice_seen (tenant TEXT PRIMARY KEY, seq BIGINT NOT NULL, status TEXT NOT NULL)",
    # What a tenant is told of once: whether that was done, in which period, and how often it changed.
    """
    CREATE TABLE notice_armed (
      tenant TEXT NOT NULL, what TEXT NOT NULL, fired BIGINT NOT NULL, period BIGINT NOT NULL, turn BIGINT NOT NULL,
      PRIMARY KEY (tenant, what)
    )
    """,
    """
    CREATE TABLE notice (
      id TEXT PRIMARY KEY, tenant TEXT NOT NULL, type TEXT NOT NULL, created BIGINT NOT NULL, seq BIGINT NOT NULL,
      body TEXT NOT NULL,
      state TEXT NOT NULL CHECK (state IN ('pending', 'sent', 'dead')), attempts BIGINT NOT NULL, due BIGINT NOT NULL,
      first BIGINT NOT NULL, error TEXT, ended BIGINT
    )
    """,
    "CREATE INDEX notice_due ON notice (due, created, seq, id) WHERE state = 'pending'",
    "CREATE INDEX notice_state ON notice (state, created, seq, id)",
    "CREATE INDEX notice_tenant ON notice (tenant, created, seq, id)",
    # Who lets credits be bought for a tenant by itself, and since when; all that was said before stands in the other.
    """
    CREATE TABLE recharge_consent (
      tenant TEXT PRIMARY KEY, enabled BIGINT NOT NULL, monthly_cap BIGINT NOT NULL, at BIGINT NOT NULL,
      principal TEXT NOT NULL, turn BIGINT NOT NULL
    )
    """,
    "CREATE INDEX recharge_consent_enabled ON recharge_consent (tenant) WHERE enabled = 1",
    """
    CREATE TABLE recharge_consent_log (
      tenant TEXT NOT NULL, turn BIGINT NOT NULL, enabled BIGINT NOT NULL, monthly_cap BIGINT NOT NULL,
      at BIGINT NOT NULL, principal TEXT NOT NULL, PRIMARY KEY (tenant, turn)
    )
    """,
    # Every purchase made for a tenant, numbered; one at a time is open.
    """
    CREATE TABLE recharge (
      tenant TEXT NOT NULL, number BIGINT NOT NULL, pack TEXT NOT NULL,
      state TEXT NOT NULL CHECK (state IN ('open', 'paid', 'failed', 'dropped')), started BIGINT NOT NULL,
      due BIGINT NOT NULL, turn BIGINT NOT NULL, request TEXT, sent BIGINT, payment TEXT,
      ended BIGINT, error TEXT, PRIMARY KEY (tenant, number)
    )
    """,
    "CREATE UNIQUE INDEX recharge_open ON recharge (tenant) WHERE state = 'open'",
    "CREATE INDEX recharge_due ON recharge (due) WHERE state = 'open'",
)


def prepared(store: AnnexStore) -> AnnexStore:
    """Make the tables where they are not there yet, and return the store."""
    store.annex(NAME, STEPS)
    return store


def there(store: AnnexStore) -> bool:
    """Tell whether a worker has made the tables, for who may only look."""
    return bool(store.ask("SELECT version FROM annex WHERE name = ?", (NAME,)))
