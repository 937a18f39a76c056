"""Files the command line writes and reads for itself."""

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

from reconciler.config.models import Settings
from reconciler.diagnostics import ReconcilerError, UsageError


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


def check_empty(out: Path) -> None:
    """Refuse a directory that has anything in it; one that is not there yet is fine. Raises ReconcilerError."""
    if out.exists() and any(out.iterdir()):
        raise ReconcilerError(
            "E1007", f"{out} is not empty, and nothing is overwritten", remedy="Choose another directory with --out."
        )


def check_namespace(namespace: str | None) -> None:
    """Refuse what can be no namespace. Raises UsageError."""
    if namespace is None:
        return
    try:
        Settings.model_validate({"namespace": namespace}, strict=True)
    except ValueError:
        raise UsageError(
            "E1044",
            f"{namespace} is no namespace",
            remedy="Lower-case letters, digits and '-', a letter first, at most 30 characters.",
        ) from None


def write_files(out: Path, files: Mapping[str, str]) -> None:
    """Write a directory as a whole or not at all; it must not be there, or be empty. Raises ReconcilerError."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
        try:
            for name, text in files.items():
                (work / name).parent.mkdir(parents=True, exist_ok=True)
                (work / name).write_text(text, encoding="utf-8")
            work.chmod(0o755)
            work.rename(out)
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise
    except OSError as error:
        raise ReconcilerError("E1004", f"cannot write {out}: {error.strerror}") from error
