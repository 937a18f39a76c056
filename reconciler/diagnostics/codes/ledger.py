"""E11xx: what can be wrong with a ledger or a compiled policy."""

from reconciler.diagnostics.codes.model import prose

CODES = {
    "E1101": prose(
        "ledger cannot be opened",
        "The database of the ledger is not there, not readable, or not a ledger. Calls are refused meanwhile.",
        "sqlite:////no/such/directory/usage.db",
        "a directory that exists and can be written to",
    ),
    "E1102": prose(
        "ledger of a newer version",
        "The ledger was migrated by a newer version, which may keep its books in a way this one does not know.",
        "an old service started again after an upgrade",
        "run the version that migrated the ledger, or a newer one",
    ),
    "E1103": prose(
        "ledger failed",
        "The database refused a statement or did not answer. Whether the last transaction was kept is unknown: ask "
        "again with the same key.",
        "a full disk, or a server that was restarted",
        "mend the database; calls with a key are booked once, however often they are tried",
    ),
    "E1104": prose(
        "ledger is closed",
        "The ledger was closed by the process, and a call came after that.",
        "a request during the shutdown of a service",
        "close the ledger after the last call",
    ),
    "E1105": prose(
        "no such mode",
        "A ledger is written one call at a time (direct), many in a transaction (group), or not at all (read).",
        "mode=fast",
        "mode=group",
    ),
    "E1106": prose(
        "not the address of a ledger",
        "A ledger is a SQLite file or a PostgreSQL database.",
        "usage.db",
        "sqlite:///usage.db, or postgresql://ledger@db.internal/usage",
    ),
    "E1107": prose(
        "journal cannot be written",
        "What the ledger has to learn later, calls made out of a lease or while the ledger was away, is noted in a "
        "journal first. A call that cannot be noted is refused.",
        "a journal in a directory that is read-only",
        "a directory on a local disk that the service may write to",
    ),
    "E1108": prose(
        "ledger not of this version yet",
        "Commands that only look change nothing in a ledger, so they do not migrate it either.",
        "reconciler balance on a ledger of an older version, or on an empty file",
        "start the service, or run a command that writes; it migrates the ledger first",
    ),
    "E1109": prose(
        "ledger opened for looking at only",
        "The ledger was opened with mode=read, and something was to be written.",
        "a consume on a ledger opened by a report",
        "mode=group",
    ),
    "E1110": prose(
        "not a policy",
        "The file is not a compiled policy: not JSON, or without format, digest and content.",
        "a YAML file given where a compiled policy is expected",
        "reconciler policy compile --out policy.json",
    ),
    "E1111": prose(
        "policy of another format",
        "The file was compiled by a version that lays out its tables differently.",
        "a policy compiled before an upgrade",
        "reconciler policy compile --out policy.json",
    ),
    "E1112": prose(
        "policy was altered",
        "The content of the policy does not have the digest it carries.",
        "a price edited in policy.json",
        "edit the files in billing.d and compile them anew",
    ),
    "E1113": prose(
        "cannot read a policy",
        "The file or directory is missing or not readable.",
        "a path with a typing error",
        "the path of a compiled policy, or of a directory of YAML",
    ),
    "E1120": prose(
        "key used for another request",
        "A key makes a request happen once. The same request again gets the first answer; another one is refused.",
        "a grant of 500 credits under the key of a grant of 100",
        "a key of its own for each request, the same when it is tried again",
    ),
    "E1130": prose(
        "driver for PostgreSQL missing",
        "A ledger in PostgreSQL needs psycopg, which is installed only where it is asked for.",
        "postgresql://db.internal/usage after pip install reconciler",
        "pip install 'reconciler[postgres]'",
    ),
    "E1131": prose(
        "ledger split otherwise",
        "The tables of a ledger are split by tenant when they are made, and cannot be split otherwise later.",
        "partitions=16 for a ledger that was made with partitions=8",
        "partitions=8, or no partitions in the address",
    ),
    "E1132": prose(
        "ledger refuses an entry",
        "The database cannot hold what was to be written: a key twice, or a number beyond 64 bits. Nothing of it was "
        "kept; the requests beside it were.",
        "units of a window that add up to more than 9223372036854775807",
        "smaller numbers, and a key of its own for every request",
    ),
    "E1133": prose(
        "somebody else was there first",
        "What a transaction was about has changed since it was read, as when another process has taken over a task. "
        "Nothing of the transaction was kept.",
        "a webhook that another instance has begun to work on meanwhile",
        "the same request again, which begins from what is there now",
    ),
    "E1134": prose(
        "no figures beside the ledger",
        "Reports are made of figures that are added up beside the ledger, and none were added up in this one.",
        "reconciler report revenue, before a service was ever started on the ledger",
        "reconciler report revenue --refresh",
    ),
    "E1135": prose(
        "an archive does not fit",
        "The entries in an archive of the ledger are not those that were written: a line is missing or was changed, "
        "the file is another tenant's, or another process writes it. Nothing is deleted from the ledger then.",
        "an archive whose last file was lost with its disk",
        "the file as it was written, from a backup",
    ),
    "E1136": prose(
        "entries were archived",
        "The calls of that time are no more in the ledger: they were archived, and what they add up to was kept. A "
        "report of them would be too small, so none is made.",
        "reconciler usage report --month 2025-01",
        "reconciler usage report --month 2027-01",
    ),
}
