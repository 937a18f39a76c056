"""Files a process notes things in that the ledger has to learn later: appended to, locked while the process lives."""

import fcntl
import json
import os
import threading
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from reconciler.ledger.base import StoreUnavailableError


class JournalFile:
    """One process's file of JSON lines in a directory all processes of a machine share."""

    def __init__(self, directory: Path, kind: str) -> None:
        self._turn = threading.Lock()
        self.path = directory / f"{kind}-{uuid.uuid4().hex}.jsonl"
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._file = _locked(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        except OSError as error:
            raise self._failed(error) from error

    def append(self, notes: Sequence[dict[str, Any]], *, sync: bool) -> None:
        """Write notes: with ``sync`` onto the disk, else so that only a failure of the machine loses them."""
        data = "".join(json.dumps(note, separators=(",", ":")) + "\n" for note in notes).encode()
        with self._turn:
            try:
                os.write(self._file, data)
                if sync:
                    os.fsync(self._file)
            except OSError as error:
                raise self._failed(error) from error

    def clear(self) -> None:
        """Forget every note: the ledger knows them."""
        with self._turn:
            os.ftruncate(self._file, 0)

    def leave(self) -> None:
        """Close the file and leave it where it is: to the parent, after a fork, or to whoever settles it."""
        os.close(self._file)

    def remove(self) -> None:
        """Close and delete the file."""
        self.path.unlink(missing_ok=True)
        os.close(self._file)

    def _failed(self, error: OSError) -> StoreUnavailableError:
        return StoreUnavailableError("E1107", f"the journal {self.path} cannot be written: {error.strerror}")


def orphans(directory: Path, kind: str) -> Iterator[tuple[Path, list[dict[str, Any]]]]:
    """Yield the files of processes that are gone with their notes; while one is looked at nobody else gets it."""
    for path in sorted(directory.glob(f"{kind}-*.jsonl")):
        try:
            file = _locked(path, os.O_RDWR)
        except OSError:
            continue
        try:
            yield path, list(_notes(path.read_text(encoding="utf-8")))
        finally:
            os.close(file)


def _notes(text: str) -> Iterator[dict[str, Any]]:
    """Yield the notes; one that was not written to its end never happened."""
    *whole, _torn = text.split("\n")
    for line in whole:
        yield json.loads(line)


def _locked(path: Path, flags: int) -> int:
    """Open a file and lock it for this process alone; OSError where another has it."""
    file = os.open(path, flags | os.O_CLOEXEC | os.O_APPEND, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        raise
    return file
