"""Files a process notes things in that the ledger has to learn later: appended to, locked while the process lives."""

import errno
import fcntl
import hashlib
import json
import os
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from reconciler.ledger.base import StoreUnavailableError
from reconciler.ledger.forking import watch


def kind_of(name: str, identity: str) -> str:
    """Return the kind of journal whose notes are for one ledger only, by its ``Store.identity``."""
    return f"{name}-{hashlib.sha256(identity.encode()).hexdigest()[:16]}"


class JournalFile:
    """One process's file of JSON lines in a directory all processes of a machine share. A fork leaves it the parent."""

    def __init__(self, directory: Path, kind: str) -> None:
        self._turn = threading.Lock()
        self._size = 0
        self.path = directory / f"{kind}-{uuid.uuid4().hex}.jsonl"
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._file = _created(self.path)
        except OSError as error:
            raise self._failed(error) from error
        watch(self)

    def append(self, notes: Sequence[dict[str, Any]], *, sync: bool) -> None:
        """Write notes: with ``sync`` onto the disk, else so that only a failure of the machine loses them.

        StoreUnavailableError where that fails or the file is closed; none of the notes is in it then.
        """
        data = "".join(json.dumps(note, separators=(",", ":")) + "\n" for note in notes).encode()
        with self._turn:
            try:
                self._write(data, sync=sync)
            except OSError as error:
                with suppress(OSError):
                    os.ftruncate(self._file, self._size)
                raise self._failed(error) from error
            self._size += len(data)

    def _write(self, data: bytes, *, sync: bool) -> None:
        # Nothing may follow the half of a note: what failed before may not have been taken away either.
        os.ftruncate(self._file, self._size)
        if os.write(self._file, data) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if sync:
            os.fsync(self._file)

    def clear(self) -> None:
        """Forget every note: the ledger knows them. Nothing happens to a closed file."""
        with self._turn:
            if self._file < 0:
                return
            try:
                os.ftruncate(self._file, 0)
            except OSError as error:
                raise self._failed(error) from error
            self._size = 0

    def leave(self) -> None:
        """Close the file and leave it where it is: to whoever settles it. Closing again is harmless."""
        with self._turn:
            self._close()

    def remove(self) -> None:
        """Close and delete the file, unless it is closed already."""
        with self._turn:
            if self._file < 0:
                return
            try:
                self.path.unlink(missing_ok=True)
            finally:
                self._close()

    def before_fork(self) -> None:
        """Go on: the copy writes nothing here, whatever is under way."""

    def after_fork(self, *, child: bool) -> None:
        """In a copy of the process, close the file: it would keep the parent's lock for longer than the parent."""
        if child:
            self._turn = threading.Lock()
            self._close()

    def _close(self) -> None:
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)

    def _failed(self, error: OSError) -> StoreUnavailableError:
        return StoreUnavailableError("E1107", f"the journal {self.path} cannot be written: {error.strerror}")


def orphans(directory: Path, kind: str) -> Iterator[tuple[Path, list[dict[str, Any]]]]:
    """Yield the files of processes that are gone with their notes; while one is looked at nobody else gets it.

    Of a file with lines that cannot be read a copy is kept beside it, named ``.bad``.
    """
    for path in sorted(directory.glob(f"{kind}-*.jsonl")):
        try:
            file = _locked(path, os.O_RDWR)
        except OSError:
            # Its process lives, or another one has settled and deleted it meanwhile.
            continue
        try:
            if os.fstat(file).st_nlink == 0:
                continue
            data = _content(file)
            notes, unread = _notes(data)
            if unread:
                _keep(path.with_suffix(".bad"), data)
            yield path, notes
        finally:
            os.close(file)


def _content(file: int) -> bytes:
    with os.fdopen(os.dup(file), "rb") as stream:
        return stream.read()


def _notes(data: bytes) -> tuple[list[dict[str, Any]], int]:
    """Return the notes, and how many lines are none; one that was not written to its end never happened."""
    *whole, _torn = data.split(b"\n")
    notes, unread = [], 0
    for line in whole:
        try:
            note = json.loads(line)
        except ValueError:
            note = None
        if isinstance(note, dict):
            notes.append(note)
        else:
            unread += 1
    return notes, unread


def _keep(path: Path, data: bytes) -> None:
    with path.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _created(path: Path) -> int:
    """Create a file that has its lock from the moment it has its name, and whose name is on the disk."""
    new = path.with_suffix(".new")
    file = _locked(new, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    try:
        new.rename(path)
        directory = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError:
        os.close(file)
        raise
    return file


def _locked(path: Path, flags: int) -> int:
    """Open a file and lock it for this process alone; OSError where another has it."""
    file = os.open(path, flags | os.O_CLOEXEC | os.O_APPEND, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        raise
    return file
