"""Archives: files of JSON lines, one a tenant, that hold its entries from the first one on, and prove them alone."""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from reconciler.ledger.base import LedgerError
from reconciler.ledger.checkpoint import START, Checkpoint, checkpoint_of
from reconciler.ledger.entry import Entry, encode, seal
from reconciler.ledger.fold import Fold

_CHUNK = 1 << 20


class ArchiveError(LedgerError):
    """An archive is not one, was altered, or does not fit the ledger."""


class Archive:
    """A directory of archives; only one process at a time writes a tenant's."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def path(self, tenant: str) -> Path:
        """Return the file of a tenant; any name makes one."""
        name = hashlib.sha256(tenant.encode()).hexdigest()[:40]
        return self.directory / name[:2] / f"{name}.jsonl"

    def entries(self, tenant: str) -> Iterator[Entry]:
        """Yield the archived entries of a tenant as they are written; a last line without an end was never written."""
        path = self.path(tenant)
        if not path.exists():
            return
        with path.open("rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    yield _read(line, path)

    def proved(self, tenant: str, until: int) -> tuple[Checkpoint, bytes]:
        """Return what a tenant's archive adds up to at an entry, and the digest of its lines up to that one.

        ArchiveError where it ends before, is not whole, or was altered.
        """
        fold, at, digest = Fold(), 0, hashlib.sha256()
        for entry in self.entries(tenant):
            if entry.seq > until:
                break
            found = _wrong(fold, tenant, entry)
            if found is not None:
                raise _error(self.path(tenant), f"entry {entry.seq} {found}")
            fold.seq, fold.head, at = entry.seq, entry.hash, max(at, entry.at)
            digest.update(_line(entry))
        if fold.seq != until:
            raise _error(self.path(tenant), f"ends at entry {fold.seq}, not at {until}")
        return checkpoint_of(fold, at, START.handed()), digest.digest()

    @contextmanager
    def writing(self, tenant: str) -> Iterator[Path]:
        """Hold a tenant's file while it is written to; ArchiveError where another process does."""
        path = self.path(tenant)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.with_suffix(".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise _error(path, "is being written by another process") from None
            yield path

    def append(self, path: Path, entries: Iterable[Entry]) -> None:
        """Write entries that are not there yet behind those that are, onto the disk."""
        last = self._trimmed(path)
        with path.open("ab") as file:
            for entry in entries:
                if entry.seq > last:
                    file.write(_line(entry))
            file.flush()
            os.fsync(file.fileno())
        for directory in (path.parent, self.directory):
            _sync(directory)

    @staticmethod
    def _trimmed(path: Path) -> int:
        """Cut off a line that was not written to its end, and return the number of the last entry."""
        if not path.exists():
            return 0
        with path.open("r+b") as file:
            file.seek(0, os.SEEK_END)
            end = size = file.tell()
            tail = b""
            while end and tail.count(b"\n") < 2:  # noqa: PLR2004  the last whole line lies between two
                begin = max(end - _CHUNK, 0)
                file.seek(begin)
                tail, end = file.read(end - begin) + tail, begin
            whole = tail[: tail.rfind(b"\n") + 1]
            file.truncate(size - len(tail) + len(whole))
        lines = whole.splitlines(keepends=True)
        return _read(lines[-1], path).seq if lines else 0


def _line(entry: Entry) -> bytes:
    return encode([*entry[:7], entry.hash.hex()]).encode() + b"\n"


def _read(line: bytes, path: Path) -> Entry:
    try:
        tenant, seq, at, kind, key, digest, body, hash_ = json.loads(line)
        return Entry(tenant, seq, at, kind, key, digest, body, bytes.fromhex(hash_))
    except (ValueError, TypeError):
        raise _error(path, "has a line that is no entry") from None


def _wrong(fold: Fold, tenant: str, entry: Entry) -> str | None:
    """Return why an entry cannot follow those that were folded."""
    if entry.tenant != tenant or entry.seq != fold.seq + 1:
        return f"follows entry {fold.seq}"
    if entry.hash != seal(fold.head, tenant, *entry[1:7]):
        return "has a hash that covers something else"
    return next(iter(fold.enter(entry)), None)


def _sync(directory: Path) -> None:
    with suppress(OSError):
        file = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(file)
        finally:
            os.close(file)


def _error(path: Path, what: str) -> ArchiveError:
    return ArchiveError("E1135", f"the archive {path} {what}", remedy="Bring back the file as it was written.")
