"""The databases of a run, and how they die: PostgreSQL is killed, a file dies with the processes that write it."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import NamedTuple

import psycopg

from tests.ledger.cluster import Cluster, binaries, cluster
from tests.ledger.databases import plain, schema


class Database(NamedTuple):
    """An empty ledger's address, and what kills the database under it and brings it back."""

    url: str
    strike: Callable[[Random], None] | None


@contextmanager
def database(kind: str, home: Path) -> Iterator[Database]:
    """Lend a database: ``file`` or ``postgres``; a server of the run's own where there are binaries."""
    if kind == "file":
        yield Database(f"sqlite:///{home / 'usage.db'}", None)
    elif binaries() is not None:
        with cluster() as server:
            yield Database(server.url, lambda random: _strike(server, random))
    else:
        with schema() as url:
            name = f"million-{os.getpid()}"
            yield Database(f"{url}&application_name={name}", lambda _: _end_sessions(url, name))


def _strike(server: Cluster, random: Random) -> None:
    """Kill a session or the server's first process, or stop all as a crash does."""
    random.choice((server.kill_session, server.crash, server.kill))()
    if not server.running():
        server.start()
    while True:
        try:
            psycopg.connect(server.url, connect_timeout=3).close()
        except psycopg.Error:
            time.sleep(0.05)
        else:
            return


def _end_sessions(url: str, name: str) -> None:
    question = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s"
    with psycopg.connect(plain(url), autocommit=True) as db:
        db.execute(question, (name,))
