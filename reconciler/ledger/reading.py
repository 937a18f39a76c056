"""A ledger for looking at only: whoever just asks changes nothing, not even the file's version."""

import sqlite3
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote

from reconciler.ledger.base import LedgerError
from reconciler.ledger.sqlite import PATIENCE, SqliteStore
from reconciler.ledger.sqlite_schema import MIGRATIONS


class SqliteReader(SqliteStore):
    """The books of a file, read; the file must be there and of this version. Everything that writes is a LedgerError.

    Beside it SQLite keeps the two files every reader of a log needs; where it may not, and nobody has a log, the file
    is read as one that does not change.
    """

    def _connections(self) -> tuple[sqlite3.Connection, sqlite3.Connection]:
        try:
            db = self._only("mode=ro")
        except sqlite3.OperationalError:
            if Path(f"{self._path}-wal").exists():
                raise
            db = self._only("mode=ro&immutable=1")
        return db, db

    def _only(self, how: str) -> sqlite3.Connection:
        db = sqlite3.connect(
            f"file:{quote(self._path)}?{how}", PATIENCE, isolation_level=None, check_same_thread=False, uri=True
        )
        try:
            db.execute("SELECT 1 FROM sqlite_schema").fetchone()
        except sqlite3.Error:
            db.close()
            raise
        return db

    def _prepare(self) -> None:
        (found,) = self._db.execute("PRAGMA user_version").fetchone()
        self._check_version(found)
        if found < len(MIGRATIONS):
            raise LedgerError(
                "E1108",
                f"the ledger {self._path} is not of this version yet, and nothing is written to it here",
                remedy="Open it once with a service or command that writes, such as `reconciler grant`.",
            )

    def _alone(self) -> NoReturn:
        raise LedgerError("E1109", f"the ledger {self._path} was opened for looking at only")
