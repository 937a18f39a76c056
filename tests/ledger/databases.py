"""Databases for the tests of the ledger: a file, the memory, a schema of its own in PostgreSQL."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

#: Where the tests find PostgreSQL unless RECONCILER_TEST_POSTGRES says otherwise.
DEFAULT = "postgresql://postgres@127.0.0.1:5432/test"
PARTITIONS = 4


def server() -> str:
    """Return the address of the PostgreSQL database the tests may write to."""
    return os.environ.get("RECONCILER_TEST_POSTGRES", DEFAULT)


@cache
def _refusal() -> str | None:
    try:
        psycopg.connect(server(), connect_timeout=3).close()
    except psycopg.Error as error:
        return f"no PostgreSQL to test with (RECONCILER_TEST_POSTGRES): {str(error).splitlines()[0]}"
    return None


@contextmanager
def schema(partitions: int | None = None) -> Iterator[str]:
    """Lend the address of an empty schema, which is dropped afterwards; skip the test where there is no server."""
    if reason := _refusal():
        pytest.skip(reason)
    name = f"reconciler_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server(), autocommit=True) as db:
        db.execute(f"CREATE SCHEMA {name}")  # type: ignore[arg-type]  # a name of our own
    between = "&" if "?" in server() else "?"
    options = quote(f"-csearch_path={name}", safe="")
    parts = "" if partitions is None else f"&partitions={partitions}"
    try:
        yield f"{server()}{between}options={options}{parts}"
    finally:
        with psycopg.connect(server(), autocommit=True) as db:
            db.execute(f"DROP SCHEMA {name} CASCADE")  # type: ignore[arg-type]


@contextmanager
def database(kind: str, path: Path) -> Iterator[str]:
    """Lend the address of an empty ledger: ``file``, ``memory``, ``postgres`` or ``partitions``."""
    if kind == "file":
        yield f"sqlite:///{path / 'usage.db'}"
    elif kind == "memory":
        yield "sqlite://"
    else:
        with schema(PARTITIONS if kind == "partitions" else None) as url:
            yield url


def plain(url: str) -> str:
    """Return an address without what only a ledger understands."""
    return url.partition("&partitions=")[0]
