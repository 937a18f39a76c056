"""What a ledger says to PostgreSQL: those with ``$1`` in an exchange, the others through the driver."""

BEGIN, COMMIT = "BEGIN", "COMMIT"
#: The statements of a batch need no plan of their own for its values: to make one takes a fifth of the server's time.
PLANNED = "SET LOCAL plan_cache_mode = force_generic_plan"
CLOCK = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
#: Locks rows one after the other, in the order of the names given; a book is sent unless its hash is known already.
LOAD = """
    SELECT stored.* FROM unnest($1::text[], $2::bytea[]) AS named (tenant, head), LATERAL (
      SELECT tenant.tenant, seq, tenant.head, CASE WHEN tenant.head = named.head THEN NULL ELSE book END
      FROM tenant WHERE tenant.tenant = named.tenant FOR UPDATE
    ) AS stored
"""
#: Returns the instant and, in rows of their own, the entries that are there.
FIND = """
    SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, NULL AS tenant, 0, 0, NULL, NULL, NULL, NULL, NULL
    UNION ALL SELECT 0, stored.* FROM unnest($1::text[], $2::text[]) AS named (tenant, key), LATERAL (
      SELECT * FROM entry WHERE entry.tenant = named.tenant AND entry.key = named.key LIMIT 1
    ) AS stored
"""
#: Goes before the books: that an entry's number is taken tells who was too late, and makes nobody wait in a circle.
ENTER = """
    INSERT INTO entry SELECT * FROM unnest(
      $1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bytea[])
"""
SAVE = """
    INSERT INTO tenant SELECT * FROM unnest(
      $1::text[], $2::bigint[], $3::bytea[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[])
    ON CONFLICT (tenant) DO UPDATE SET seq = excluded.seq, head = excluded.head, book = excluded.book,
      credits = excluded.credits, held = excluded.held, due = excluded.due, unsent = excluded.unsent
"""
EXPORT = """
    INSERT INTO export SELECT *, 'pending', 0, 0, NULL, 0, 0
    FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[])
"""
READ = "SELECT seq, head, book FROM tenant WHERE tenant = %s"
ENTRY = "SELECT * FROM entry WHERE tenant = %s AND key = %s"
ENTRIES = "SELECT * FROM entry WHERE tenant = %s AND seq > %s ORDER BY seq LIMIT %s"
BALANCE = "SELECT tenant, seq, credits, held, due, unsent FROM tenant WHERE tenant = %s"
SETTLE = """
    UPDATE export SET state = %(state)s, due = %(due)s, error = %(error)s, doubt = %(doubt)s
    WHERE tenant = %(tenant)s AND meter = %(meter)s AND "window" = %(window)s AND seq = %(seq)s AND state = 'pending'
    AND (%(state)s = 'sent' OR attempts = %(attempts)s)
"""
CONFIRM = """
    UPDATE export SET state = %(state)s, due = %(due)s, error = %(error)s, doubt = %(doubt)s
    WHERE tenant = %(tenant)s AND meter = %(meter)s AND "window" = %(window)s AND seq = %(seq)s AND state = 'streamed'
    AND attempts = %(attempts)s AND refused = %(refused)s
"""
RECALL = """
    UPDATE export SET state = %(state)s, error = %(error)s, due = 0, doubt = 1, refused = refused + 1
    WHERE tenant = %(tenant)s AND meter = %(meter)s AND "window" = %(window)s AND seq = %(seq)s AND state <> 'dead'
    AND attempts = %(attempts)s AND refused = %(refused)s
"""
# The rest asks about all tenants, and so all partitions.
NAMES = "SELECT DISTINCT tenant FROM entry WHERE tenant > %s ORDER BY tenant LIMIT %s"
BALANCES = "SELECT tenant, seq, credits, held, due, unsent FROM tenant WHERE tenant > %s ORDER BY tenant LIMIT %s"
DUE = "SELECT tenant FROM tenant WHERE due <= %s ORDER BY due LIMIT %s"
UNSENT = "SELECT tenant FROM tenant WHERE unsent < %s ORDER BY unsent LIMIT %s"
#: One claim at a time: what another one is about to hold cannot be seen yet.
CLAIMING = "SELECT pg_advisory_xact_lock(7161112283456397165)"
CLAIM = """
    WITH found AS MATERIALIZED (
      SELECT tenant, meter, "window", seq FROM export AS due WHERE state = 'pending' AND due <= %(now)s AND NOT EXISTS (
        SELECT 1 FROM export AS busy
        WHERE busy.tenant = due.tenant AND busy.meter = due.meter AND busy.state = 'pending' AND busy.due > %(now)s
      ) ORDER BY "window", seq, tenant, meter LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
    UPDATE export SET due = %(until)s, attempts = attempts + 1, doubt = CASE doubt WHEN 0 THEN %(now)s ELSE doubt END
    FROM found WHERE (export.tenant, export.meter, export."window", export.seq)
      = (found.tenant, found.meter, found."window", found.seq)
    RETURNING export.*
"""
REVIVE = """
    UPDATE export SET state = 'pending', due = 0
    WHERE state = 'dead' AND (%(tenant)s::text IS NULL OR tenant = %(tenant)s) RETURNING 1
"""
EXPORTS = """
    SELECT * FROM export WHERE (%(tenant)s::text IS NULL OR tenant = %(tenant)s)
    AND (%(state)s::text IS NULL OR state = %(state)s) AND "window" >= %(since)s ORDER BY 1, 2, 3, 4
"""
