"""The tables of a ledger in PostgreSQL, every key beginning with the tenant, and how they are migrated."""

from collections.abc import Iterator

from reconciler.ledger.base import LedgerError
from reconciler.ledger.postgres_link import Connection

#: Parts a ledger's tables can be split into at most.
MOST_PARTITIONS = 256
_TABLES = ("tenant", "entry", "export")
#: How long a migration may take, in seconds.
MIGRATION = 60
# One migration at a time in a database; the number is this use's own.
_BEGIN = f"""
    BEGIN;
    SET LOCAL statement_timeout = '{MIGRATION}s';
    SET LOCAL lock_timeout = '{MIGRATION}s';
    SELECT pg_advisory_xact_lock(8244243018519472492);
""".encode()

# Names compare as bytes, as in SQLite. Rows of tenant are written over and over: room is left for that in their page.
_MIGRATIONS = (
    """
    CREATE TABLE tenant (
      tenant text COLLATE "C" PRIMARY KEY, seq bigint NOT NULL, head bytea NOT NULL, book text NOT NULL,
      credits bigint NOT NULL CHECK (credits >= 0), held bigint NOT NULL CHECK (held >= 0),
      due bigint, unsent bigint
    ) {tables};
    CREATE INDEX tenant_due ON tenant (due) WHERE due IS NOT NULL;
    CREATE INDEX tenant_unsent ON tenant (unsent) WHERE unsent IS NOT NULL;
    CREATE TABLE entry (
      tenant text COLLATE "C" NOT NULL, seq bigint NOT NULL CHECK (seq > 0), at bigint NOT NULL, kind text NOT NULL,
      key text COLLATE "C", digest text NOT NULL, body text NOT NULL, hash bytea NOT NULL,
      PRIMARY KEY (tenant, seq)
    ) {tables};
    CREATE UNIQUE INDEX entry_key ON entry (tenant, key) WHERE key IS NOT NULL;
    CREATE TABLE export (
      tenant text COLLATE "C" NOT NULL, meter text COLLATE "C" NOT NULL, "window" bigint NOT NULL, seq bigint NOT NULL,
      units bigint NOT NULL CHECK (units <> 0), state text NOT NULL CHECK (state IN ('pending', 'sent', 'dead')),
      attempts bigint NOT NULL, due bigint NOT NULL, error text, doubt bigint NOT NULL,
      PRIMARY KEY (tenant, meter, "window", seq)
    ) {tables};
    CREATE INDEX export_due ON export (due, "window") WHERE state = 'pending';
    CREATE INDEX export_waiting ON export (tenant, meter, due) WHERE state = 'pending';
    CREATE INDEX export_dead ON export (tenant) WHERE state = 'dead';
    {partitions}
    CREATE FUNCTION entries_stay() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN RAISE EXCEPTION 'entries are append-only'; END $$;
    CREATE TRIGGER entry_stays BEFORE UPDATE OR DELETE ON entry FOR EACH ROW EXECUTE FUNCTION entries_stay();
    {untouchable}
    """,
    "ALTER TABLE export ADD COLUMN refused bigint NOT NULL DEFAULT 0;",
    """
    ALTER TABLE export DROP CONSTRAINT export_state_check;
    ALTER TABLE export ADD CONSTRAINT export_state_check CHECK (state IN ('pending', 'streamed', 'sent', 'dead'));
    CREATE INDEX export_streamed ON export (due) WHERE state = 'streamed';
    """,
    'CREATE TABLE annex (name text COLLATE "C" PRIMARY KEY, version bigint NOT NULL);',
    """
    CREATE TABLE checkpoint (
      tenant text COLLATE "C" PRIMARY KEY, seq bigint NOT NULL, head text NOT NULL, at bigint NOT NULL,
      state text NOT NULL
    );
    CREATE OR REPLACE FUNCTION entries_stay() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN
        IF TG_OP = 'DELETE' THEN
          IF EXISTS (SELECT 1 FROM checkpoint WHERE tenant = OLD.tenant AND seq >= OLD.seq) THEN RETURN OLD; END IF;
        END IF;
        RAISE EXCEPTION 'entries are append-only';
      END $$;
    """,
)


def check(db: Connection, name: str) -> None:
    """Refuse, with a LedgerError, tables that are not there or are another version's."""
    _refuse_newer(version := _found(db)[0], name)
    if version < len(_MIGRATIONS):
        raise LedgerError(
            "E1108",
            f"the ledger {name} is not of this version yet, and nothing is written to it here",
            remedy="Open it once with a service or command that writes, such as `reconciler grant`.",
        )


def migrate(db: Connection, name: str, partitions: int | None) -> None:
    """Bring the tables to this version; those of a new ledger are split by tenant into so many ``partitions``.

    LedgerError where a newer version made them, or where they are split otherwise than is asked for.
    """
    version, split = _found(db)
    if version < len(_MIGRATIONS):
        split = _migrate(db, partitions or 0)
    _refuse_newer(version, name)
    if partitions is not None and partitions != split:
        raise LedgerError(
            "E1131",
            f"the tables of the ledger {name} are split into {split or 1}, not {partitions or 1}",
            remedy=f"Write partitions={split}, or leave it out.",
        )


def _migrate(db: Connection, partitions: int) -> int:
    """Run what is missing, one process at a time, and return into how many parts the tables are split."""
    db.execute(_BEGIN, prepare=False)
    version, split = _found(db)
    if version == 0:
        split = partitions
        db.execute("CREATE TABLE ledger_schema (version bigint NOT NULL, partitions bigint NOT NULL)")
        db.execute("INSERT INTO ledger_schema VALUES (0, %s)", (split,))
    for script in _MIGRATIONS[version:]:
        db.execute(_written(script, split), prepare=False)
    db.execute("UPDATE ledger_schema SET version = greatest(version, %s)", (len(_MIGRATIONS),))
    db.execute("COMMIT")
    return split


def _refuse_newer(version: int, name: str) -> None:
    if version > len(_MIGRATIONS):
        raise LedgerError("E1102", f"the ledger {name} was written by a newer version", remedy="Use that version.")


def _found(db: Connection) -> tuple[int, int]:
    """Return version and number of partitions of the tables that are there, zero and zero for none."""
    (there,) = db.execute("SELECT to_regclass('ledger_schema')").fetchone() or (None,)
    if there is None:
        return 0, 0
    found = db.execute("SELECT version, partitions FROM ledger_schema").fetchone()
    return (found[0], found[1]) if found else (0, 0)


def _written(script: str, split: int) -> bytes:
    """Write a migration for tables that are split into so many parts, none or 0 for plain ones."""
    return script.format(
        tables="PARTITION BY HASH (tenant)" if split else "",
        partitions="\n".join(_partitions(split)),
        untouchable="\n".join(_untouchable(split)),
    ).encode()


def _partitions(split: int) -> Iterator[str]:
    for table in _TABLES:
        for number in range(split):
            yield (
                f"CREATE TABLE {table}_p{number} PARTITION OF {table}"
                f" FOR VALUES WITH (MODULUS {split}, REMAINDER {number});"
            )
    for part in [f"tenant_p{number}" for number in range(split)] or ["tenant"]:
        yield f"ALTER TABLE {part} SET (fillfactor = 50);"


def _untouchable(split: int) -> Iterator[str]:
    """Yield triggers against emptying a table, which each part needs for itself."""
    for part in ["entry", *(f"entry_p{number}" for number in range(split))]:
        yield f"CREATE TRIGGER {part}_kept BEFORE TRUNCATE ON {part} EXECUTE FUNCTION entries_stay();"
