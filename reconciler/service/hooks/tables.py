"""The tables of the inbox, beside the books. No payload is kept: objects are read anew, so no personal data rests here.

``hook``    an event, or an object that a look at the account found: what it is about and what became of it.
            ``claims`` counts who took it to work on it and never goes back; ``held`` is until when it is theirs.
``patron``  a tenant that has bought something: the lease of who works on it, the customer that is to be marked as it,
            and whether it is.
``known``   sessions, subscriptions and customers, and the tenant each was found to be of: it stays of that one.
``look``    until when the account's list of events was read, in seconds.
"""

from reconciler.ledger.annex import AnnexStore

NAME = "hooks"
_HOOK = """CREATE TABLE hook (id TEXT PRIMARY KEY, type TEXT NOT NULL, kind TEXT, object TEXT, customer TEXT,
    payment TEXT, subject TEXT NOT NULL, created BIGINT NOT NULL, received BIGINT NOT NULL, state TEXT NOT NULL,
    claims BIGINT NOT NULL, attempts BIGINT NOT NULL, due BIGINT NOT NULL, error TEXT, note TEXT, tenant TEXT,
    held BIGINT NOT NULL)"""
_PATRON = """CREATE TABLE patron (tenant TEXT PRIMARY KEY, fence BIGINT NOT NULL, until BIGINT NOT NULL, customer TEXT,
    marked BIGINT NOT NULL)"""
STEPS = (
    _HOOK,
    "CREATE INDEX hook_state ON hook (state, received)",
    "CREATE INDEX hook_subject ON hook (subject, state)",
    "CREATE INDEX hook_received ON hook (received)",
    _PATRON,
    "CREATE TABLE known (id TEXT PRIMARY KEY, kind TEXT NOT NULL, tenant TEXT NOT NULL)",
    "CREATE INDEX known_tenant ON known (tenant, kind)",
    "CREATE TABLE look (name TEXT PRIMARY KEY, at BIGINT NOT NULL)",
)
_COLUMNS = """id, type, kind, object, customer, payment, subject, created, received, state, claims, attempts, due,
    error, note, tenant"""
SHOW = f"SELECT {_COLUMNS} FROM hook"  # noqa: S608  columns of our own
_INSERT = """INSERT INTO hook VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0, NULL, CAST(? AS TEXT), NULL, 0)
    ON CONFLICT (id) DO"""
ADD = f"{_INSERT} NOTHING RETURNING id"
#: A look at the account asks for the same object again and again: what is done of it is to be done anew.
RENEW = f"""{_INSERT} UPDATE SET state = 'pending', attempts = 0, due = 0, error = NULL, note = NULL,
    received = excluded.received WHERE hook.state <> 'pending' RETURNING id"""
#: Takes all that is due of the subject that has waited longest and is nobody's; whoever comes second takes nothing.
CLAIM = f"""UPDATE hook SET claims = claims + 1, attempts = attempts + 1, held = ?
    WHERE state = 'pending' AND due <= ? AND held <= ? AND subject = (
        SELECT a.subject FROM hook AS a WHERE a.state = 'pending' AND a.due <= ? AND a.held <= ? AND NOT EXISTS (
            SELECT 1 FROM hook AS b WHERE b.subject = a.subject AND b.state = 'pending' AND b.held > ?
        ) ORDER BY a.received, a.id LIMIT 1
    ) RETURNING {_COLUMNS}"""  # noqa: S608  columns of our own
ENDED = """UPDATE hook SET state = ?, held = 0, error = CAST(? AS TEXT), note = CAST(? AS TEXT),
    tenant = COALESCE(CAST(? AS TEXT), tenant) WHERE id = ? AND claims = ? AND state = 'pending'"""
LATER = """UPDATE hook SET held = 0, due = ?, error = CAST(? AS TEXT), attempts = attempts - ?
    WHERE id = ? AND claims = ? AND state = 'pending'"""
REPLAY = """UPDATE hook SET state = 'pending', attempts = 0, due = 0, error = NULL, note = NULL,
    tenant = COALESCE(CAST(? AS TEXT), tenant) WHERE id = ? RETURNING id"""
LEASE = """INSERT INTO patron VALUES (?, 1, ?, NULL, 0) ON CONFLICT (tenant) DO UPDATE SET fence = patron.fence + 1,
    until = excluded.until WHERE patron.until <= ? RETURNING fence, customer, marked"""
RELEASE = "UPDATE patron SET until = 0, marked = ? WHERE tenant = ? AND fence = ?"
CHOOSE = "UPDATE patron SET customer = CAST(? AS TEXT), marked = 0 WHERE tenant = ? AND fence = ?"
LEARN = "INSERT INTO known VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING"
KNOWN = "SELECT id, tenant FROM known WHERE id IN"
OF_TENANT = "SELECT id FROM known WHERE tenant = ? AND kind = ? ORDER BY id"
LOOK = "SELECT at FROM look WHERE name = 'events'"
LOOKED = "INSERT INTO look VALUES ('events', ?) ON CONFLICT (name) DO UPDATE SET at = excluded.at"
CLEAR = "DELETE FROM hook WHERE state IN ('done', 'ignored') AND received < ? RETURNING 1"
DEPTH = "SELECT state, COUNT(*), MIN(received) FROM hook GROUP BY state ORDER BY state"
NOTED = "SELECT COUNT(*) FROM hook WHERE note IS NOT NULL AND state = 'done'"


def there(store: AnnexStore) -> bool:
    """Tell whether anybody has made the tables, for who may only look."""
    return bool(store.ask("SELECT version FROM annex WHERE name = ?", (NAME,)))
