"""Connections to PostgreSQL: a few kept open for all threads, none of which can make a caller wait for ever."""

import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import psycopg
from psycopg import errors, pq
from psycopg.generators import fetch_many, pipeline_communicate
from psycopg.pq.abc import PGresult
from psycopg.types.numeric import Int8BinaryDumper, Int8Dumper

from reconciler.ledger.base import LedgerError, RefusedError, StoreUnavailableError
from reconciler.ledger.forking import watch

#: How long a call may take, in seconds, before the store counts as unavailable, unless the address says otherwise.
PATIENCE = 5
#: Connections a process opens at most; threads beyond them wait for one.
MOST = 10
# A lock is given up before the statement that wants it, a statement before the client gives up its connection. A
# transaction whose client has stopped must not keep others waiting. A commit is answered when it is on the disk.
_SESSION = """
    SELECT set_config('lock_timeout', %(lock)s, false),
           set_config('statement_timeout', %(statement)s, false),
           set_config('idle_in_transaction_session_timeout', %(idle)s, false),
           set_config('default_transaction_isolation', 'read committed', false),
           CASE WHEN current_setting('synchronous_commit') = 'off'
                THEN set_config('synchronous_commit', 'on', false) END,
           current_setting('server_encoding')
"""
_IDLE, _INTRANS = pq.TransactionStatus.IDLE, pq.TransactionStatus.INTRANS
Some = TypeVar("Some")


class LostError(Exception):
    """The connection broke, or its server may not write; ``__cause__`` is what the driver says."""


class Connection(psycopg.Connection[tuple[Any, ...]]):
    """A connection that waits for its server until an instant of the monotonic clock, and not longer."""

    until = math.inf
    late = False
    #: Names of the statements the server has prepared for this connection.
    prepared: dict[str, bytes]

    def exchange(self, *asked: tuple[str, Sequence[str]]) -> list[list[tuple[Any, ...]]]:
        """Run statements with their parameters, sent together, and return the rows of each; they are prepared once.

        A parameter, ``$1`` and so on, is text as PostgreSQL reads it. The first error of the server is raised; nothing
        behind it ran. The driver's own pipeline waits and looks around between the statements, which costs a batch more
        than all of its decisions.
        """
        return [_rows(result) for result in self.wait(self._exchanged(asked))]

    def _exchanged(self, asked: Sequence[tuple[str, Sequence[str]]]) -> Generator[Any, Any, list[PGresult]]:
        server, prepared = self.pgconn, self.prepared
        server.enter_pipeline_mode()
        ours = []
        for statement, values in asked:
            name = prepared.get(statement)
            if name is None:
                name = prepared[statement] = f"ledger_{len(prepared)}".encode()
                server.send_prepare(name, statement.encode())
                ours.append(False)
            server.send_query_prepared(name, [value.encode() for value in values], result_format=pq.Format.BINARY)
            ours.append(True)
        server.pipeline_sync()
        found = yield from pipeline_communicate(server, deque())
        while len(found) <= len(ours):
            found.append((yield from fetch_many(server)))
        server.exit_pipeline_mode()
        results = [result for (result,) in found[:-1]]
        for result in results:
            if result.status == pq.ExecStatus.FATAL_ERROR:
                raise errors.error_from_result(result)
        return [result for result, own in zip(results, ours, strict=True) if own]

    def wait(self, gen: Generator[Any, Any, Some], *args: Any, **options: Any) -> Some:
        """Run a conversation with the server; OperationalError when its time is up."""
        return super().wait(self._in_time(gen), *args, **options)

    def _in_time(self, gen: Generator[Any, Any, Some]) -> Generator[Any, Any, Some]:
        """Pass a conversation on; the driver looks up every tenth of a second when nothing comes."""
        try:
            want = next(gen)
            while True:
                ready = yield want
                if not ready and time.monotonic() > self.until:
                    self.late = True
                    raise psycopg.OperationalError("no answer in time")
                want = gen.send(ready)
        except StopIteration as end:
            found: Some = end.value
            return found


# How values of a type, by its number in PostgreSQL's catalogue, are read from their binary form; others are text.
_READ: Mapping[int, Callable[[bytes], Any]] = {17: bytes, 20: lambda value: int.from_bytes(value, "big", signed=True)}


def _rows(result: PGresult) -> list[tuple[Any, ...]]:
    reads = [_READ.get(result.ftype(column), bytes.decode) for column in range(result.nfields)]
    return [
        tuple(
            [
                None if (value := result.get_value(row, column)) is None else read(value)
                for column, read in enumerate(reads)
            ]
        )
        for row in range(result.ntuples)
    ]


class Connections:
    """A stack of open connections; the newest is lent first. Broken ones are dropped, with all that lie idle."""

    def __init__(self, options: Mapping[str, Any], name: str, most: int, patience: float) -> None:
        # The network's share in not waiting for ever; what the address says goes before.
        self._options = {
            "fallback_application_name": "reconciler",
            "connect_timeout": max(2, math.ceil(patience)),
            "keepalives_idle": 30,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": int(patience * 1000),
            **options,
        }
        thousandths = {"lock": 800, "statement": 900, "idle": 2000}
        self._session = {name: str(int(patience * part)) for name, part in thousandths.items()}
        self._name = name
        self._most = most
        self._left: list[Connection] = []
        self._closed = False
        self._begin()
        watch(self)

    def _begin(self) -> None:
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._free = threading.BoundedSemaphore(self._most)

    @contextmanager
    def lent(self, until: float) -> Iterator[Connection]:
        """Lend a connection for so long.

        LostError where it broke meanwhile; StoreUnavailableError where none can be had.
        """
        free = self._free
        if not free.acquire(timeout=max(0.0, until - time.monotonic())):
            raise self.unavailable("all connections are in use")
        try:
            connection = self._take(until)
            try:
                yield connection
            except (psycopg.Error, StoreUnavailableError) as error:
                if connection.late:
                    raise self.unavailable("no answer in time") from error
                if isinstance(error, StoreUnavailableError):
                    raise
                lost = connection.closed or isinstance(error, errors.ReadOnlySqlTransaction)
                if lost:
                    self._drop_idle()
                    raise LostError from error
                raise
            finally:
                self._give_back(connection)
        finally:
            free.release()

    def unavailable(self, why: object) -> StoreUnavailableError:
        """Return the error that the database is not there, or does not do what it is asked."""
        return StoreUnavailableError("E1103", f"the ledger {self._name} failed: {_first_line(why)}")

    def refused(self, why: object) -> RefusedError:
        """Return the error that the database cannot hold what it was given."""
        return RefusedError("E1132", f"the ledger {self._name} refuses an entry: {_first_line(why)}")

    def _take(self, until: float) -> Connection:
        if self._closed:
            raise LedgerError("E1104", "the ledger is closed")
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._connect(until)
        connection.until = until
        return connection

    def _connect(self, until: float) -> Connection:
        try:
            connection = Connection.connect(autocommit=True, **self._options)
        except psycopg.Error as error:
            raise StoreUnavailableError(
                "E1101", f"the ledger {self._name} cannot be opened: {_first_line(error)}"
            ) from error
        self._open.add(connection)
        connection.until = until
        try:
            self._prepare(connection)
        except BaseException:
            self._shut(connection)
            raise
        return connection

    def _prepare(self, connection: Connection) -> None:
        connection.prepared = {}
        connection.adapters.register_dumper(int, Int8BinaryDumper)
        connection.adapters.register_dumper(int, Int8Dumper)
        try:
            row = connection.execute(_SESSION, self._session).fetchone()
        except psycopg.Error as error:
            raise self.unavailable(error) from error
        if row is not None and row[-1] != "UTF8":
            raise LedgerError(
                "E1101", f"the database {self._name} stores text as {row[-1]}", remedy="Use a database in UTF8."
            )

    def _give_back(self, connection: Connection) -> None:
        """Keep a connection for the next caller, outside any transaction.

        One with an error is closed: after one in a pipeline the driver believes in prepared statements the server never
        saw.
        """
        if connection not in self._open:
            return
        if not connection.closed and connection.info.transaction_status == _INTRANS:
            # Not by ``execute``: after a rollback the driver has the server forget all prepared statements.
            with suppress(psycopg.Error):
                connection.exchange(("ROLLBACK", ()))
        if connection.closed or connection.info.transaction_status != _IDLE:
            self._shut(connection)
        else:
            self._idle.append(connection)
        if self._closed:
            self._drop_idle()

    def _shut(self, connection: Connection) -> None:
        connection.close()
        self._open.discard(connection)

    def _drop_idle(self) -> None:
        """Close what lies idle: what broke one connection has most likely broken the others."""
        while self._idle:
            try:
                self._shut(self._idle.pop())
            except IndexError:
                return

    def close(self) -> None:
        """Close what lies idle now, and what is lent when it comes back."""
        self._closed = True
        self._drop_idle()

    def before_fork(self) -> None:
        """Nothing: connections of the parent go on as they are."""

    def after_fork(self, *, child: bool) -> None:
        """Begin with no connection in a copy of the process.

        The parent's are not closed, which would end its sessions; but their sockets are, or a server would not see the
        parent die.
        """
        if not child:
            return
        nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        for connection in self._open:
            if not connection.closed:
                os.dup2(nothing, connection.fileno(), inheritable=False)
        os.close(nothing)
        self._left += self._open
        self._begin()


def _first_line(why: object) -> str:
    return str(why).strip().partition("\n")[0]
