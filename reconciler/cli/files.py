"""Files the command line writes and reads for itself."""

import contextlib
import os
import stat
import tempfile
from pathlib import Path

from reconciler.diagnostics import ReconcilerError


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all. Raises ReconcilerError."""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                Path(name).unlink()
            raise
    except OSError as error:
        raise ReconcilerError("E1004", f"cannot write {path}: {error.strerror}") from error


def read_bounded(path: Path, limit: int) -> bytes:
    """Read a regular file, at most one byte more than ``limit``, for the reader to notice. Raises ReconcilerError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ReconcilerError("E1005", f"cannot read {path}: this is not a regular file")
            return file.read(limit + 1)
    except OSError as error:
        raise ReconcilerError("E1005", f"cannot read {path}: {error.strerror}") from error
