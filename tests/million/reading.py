"""A ledger's rows as the database has them, read without any code of the ledger."""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import psycopg

from tests.ledger.databases import plain

_ENTRIES = "SELECT tenant, seq, at, kind, key, digest, body, hash FROM entry ORDER BY tenant, seq"
_BOOKS = "SELECT tenant, seq, head, book, credits, held FROM tenant"
_EXPORTS = 'SELECT tenant, meter, "window", seq, units, state FROM export'


class Row(NamedTuple):
    """An entry as it is stored."""

    seq: int
    at: int
    kind: str
    key: str | None
    digest: str
    body: str
    hash: bytes


@dataclass
class Rows:
    """All rows of one tenant; ``exports`` are meter, window, entry, units, state."""

    tenant: str
    seq: int = 0
    head: bytes = b""
    book: dict[str, Any] = field(default_factory=dict)
    credits: int = 0
    held: int = 0
    entries: list[Row] = field(default_factory=list)
    exports: list[tuple[str, int, int, int, str]] = field(default_factory=list)


def rows(url: str) -> dict[str, Rows]:
    """Return all rows of a ledger, by tenant."""
    found: defaultdict[str, Rows] = defaultdict(lambda: Rows(""))
    for tenant, *entry in _asked(url, _ENTRIES):
        found[tenant].entries.append(Row(*entry[:6], bytes(entry[6])))
    for tenant, seq, head, book, credits, held in _asked(url, _BOOKS):  # noqa: A001  the column's name
        kept = found[tenant]
        kept.seq, kept.head, kept.book, kept.credits, kept.held = seq, bytes(head), json.loads(book), credits, held
    for tenant, *export in _asked(url, _EXPORTS):
        found[tenant].exports.append(tuple(export))
    for tenant, kept in found.items():
        kept.tenant = tenant
    return dict(found)


def _asked(url: str, question: str) -> Iterator[Any]:
    if url.startswith("sqlite:///"):
        db = sqlite3.connect(url.removeprefix("sqlite:///"))
        yield from db.execute(question)
        db.close()
    else:
        with psycopg.connect(plain(url)) as server:
            yield from server.execute(question)  # type: ignore[arg-type]  # one of those above
