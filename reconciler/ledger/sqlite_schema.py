"""The tables of a ledger in SQLite, and the statements that do more than read one of them."""

#: The schema, step by step; a file's ``user_version`` is how many it has.
MIGRATIONS = (
    """
    CREATE TABLE tenant (
      tenant TEXT PRIMARY KEY, seq INTEGER NOT NULL, head BLOB NOT NULL, book TEXT NOT NULL,
      credits INTEGER NOT NULL CHECK (credits >= 0), held INTEGER NOT NULL CHECK (held >= 0),
      due INTEGER, unsent INTEGER
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX tenant_due ON tenant (due) WHERE due IS NOT NULL;
    CREATE INDEX tenant_unsent ON tenant (unsent) WHERE unsent IS NOT NULL;
    CREATE TABLE entry (
      tenant TEXT NOT NULL, seq INTEGER NOT NULL CHECK (seq > 0), at INTEGER NOT NULL, kind TEXT NOT NULL,
      key TEXT, digest TEXT NOT NULL, body TEXT NOT NULL, hash BLOB NOT NULL,
      PRIMARY KEY (tenant, seq)
    ) STRICT, WITHOUT ROWID;
    CREATE UNIQUE INDEX entry_key ON entry (tenant, key) WHERE key IS NOT NULL;
    CREATE TRIGGER entry_stays BEFORE UPDATE ON entry BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END;
    CREATE TRIGGER entry_kept BEFORE DELETE ON entry BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END;
    CREATE TABLE export (
      tenant TEXT NOT NULL, meter TEXT NOT NULL, window INTEGER NOT NULL, seq INTEGER NOT NULL,
      units INTEGER NOT NULL CHECK (units <> 0), state TEXT NOT NULL CHECK (state IN ('pending', 'sent', 'dead')),
      attempts INTEGER NOT NULL, due INTEGER NOT NULL, error TEXT, doubt INTEGER NOT NULL,
      PRIMARY KEY (tenant, meter, window, seq)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX export_due ON export (due, window) WHERE state = 'pending';
    CREATE INDEX export_waiting ON export (tenant, meter, due) WHERE state = 'pending';
    CREATE INDEX export_dead ON export (tenant) WHERE state = 'dead';
    """,
    "ALTER TABLE export ADD COLUMN refused INTEGER NOT NULL DEFAULT 0;",
    """
    CREATE TABLE export_next (
      tenant TEXT NOT NULL, meter TEXT NOT NULL, window INTEGER NOT NULL, seq INTEGER NOT NULL,
      units INTEGER NOT NULL CHECK (units <> 0),
      state TEXT NOT NULL CHECK (state IN ('pending', 'streamed', 'sent', 'dead')),
      attempts INTEGER NOT NULL, due INTEGER NOT NULL, error TEXT, doubt INTEGER NOT NULL,
      refused INTEGER NOT NULL DEFAULT 0,
      PRIMARY KEY (tenant, meter, window, seq)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO export_next SELECT * FROM export;
    DROP TABLE export;
    ALTER TABLE export_next RENAME TO export;
    CREATE INDEX export_due ON export (due, window) WHERE state = 'pending';
    CREATE INDEX export_waiting ON export (tenant, meter, due) WHERE state = 'pending';
    CREATE INDEX export_dead ON export (tenant) WHERE state = 'dead';
    CREATE INDEX export_streamed ON export (due) WHERE state = 'streamed';
    """,
    "CREATE TABLE annex (name TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT, WITHOUT ROWID;",
    """
    CREATE TABLE checkpoint (
      tenant TEXT PRIMARY KEY, seq INTEGER NOT NULL, head TEXT NOT NULL, at INTEGER NOT NULL, state TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    DROP TRIGGER entry_kept;
    CREATE TRIGGER entry_kept BEFORE DELETE ON entry
    WHEN NOT EXISTS (SELECT 1 FROM checkpoint WHERE tenant = OLD.tenant AND seq >= OLD.seq)
    BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END;
    """,
)
#: Asks for the columns that can be asked for across tenants.
COLUMNS = "SELECT tenant, seq, credits, held, due, unsent FROM tenant"
#: Asks for an entry by its key.
BY_KEY = "SELECT * FROM entry WHERE tenant = ? AND key = ?"
#: Takes exports that are due, none of a meter of which one is under way.
CLAIM = """
    UPDATE export SET due = ?2, attempts = attempts + 1, doubt = CASE doubt WHEN 0 THEN ?1 ELSE doubt END
    WHERE (tenant, meter, window, seq) IN (
      SELECT tenant, meter, window, seq FROM export AS due WHERE state = 'pending' AND due <= ?1 AND NOT EXISTS (
        SELECT 1 FROM export AS busy
        WHERE busy.tenant = due.tenant AND busy.meter = due.meter AND busy.state = 'pending' AND busy.due > ?1
      ) ORDER BY window, seq, tenant, meter LIMIT ?3
    ) RETURNING *
"""
#: Writes what became of a claimed export; what was sent stays so.
SETTLE = """
    UPDATE export SET state = ?1, due = ?2, error = ?3, doubt = ?4
    WHERE tenant = ?5 AND meter = ?6 AND window = ?7 AND seq = ?8 AND state = 'pending'
    AND (?1 = 'sent' OR attempts = ?9)
"""
#: Writes what was learnt of a streamed export that is still as it was read.
CONFIRM = """
    UPDATE export SET state = ?1, due = ?2, error = ?3, doubt = ?4
    WHERE tenant = ?5 AND meter = ?6 AND window = ?7 AND seq = ?8 AND state = 'streamed' AND attempts = ?9
    AND refused = ?10
"""
#: Takes back what was sent, or may have been; its old doubt makes it be looked for before it is sent again.
RECALL = """
    UPDATE export SET state = ?, error = ?, due = 0, doubt = 1, refused = refused + 1
    WHERE tenant = ? AND meter = ? AND window = ? AND seq = ? AND state <> 'dead' AND attempts = ? AND refused = ?
"""
#: Asks for exports of a tenant or all, in a state or all, of windows from an instant on.
EXPORTS = """
    SELECT * FROM export WHERE (?1 IS NULL OR tenant = ?1) AND (?2 IS NULL OR state = ?2) AND window >= ?3
    ORDER BY 1, 2, 3, 4
"""
