"""Find and read the files of a configuration directory without being led out of it.

Nothing here trusts the directory: links, devices, pipes, huge files and files that change while they are read each
become a diagnostic.
"""

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.diagnostics import Diagnostic, SourceRange
from reconciler.diagnostics.visible import visible

MAX_FILE_BYTES = 1024 * 1024
MAX_TOTAL_BYTES = 16 * MAX_FILE_BYTES
MAX_FILES = 10_000


class FileProblemError(Exception):
    """A file cannot be used; ``code``, ``summary`` and ``remedy`` become its diagnostic."""

    def __init__(self, code: str, summary: str, remedy: str) -> None:
        super().__init__(summary)
        self.code = code
        self.summary = summary
        self.remedy = remedy


@dataclass(slots=True)
class Tray:
    """A directory's files on their way in: contents by shown name, problems, and how much has been read."""

    root: Path
    contents: dict[str, bytes] = field(default_factory=dict)
    problems: list[Diagnostic] = field(default_factory=list)
    total: int = 0

    def shown(self, path: Path) -> str:
        """Name a path as people see it: from the directory's own name downwards, with ``/``, escaped."""
        return visible((Path(self.root.name) / path.relative_to(self.root)).as_posix())

    def refuse(self, path: Path, problem: FileProblemError) -> None:
        """Keep a problem as a diagnostic at the top of the file it concerns."""
        where = SourceRange(self.shown(path), 1, 1, 1, 1)
        self.problems.append(Diagnostic(problem.code, problem.summary, where, help=problem.remedy))

    def read_all(self, folder: Path, *, skip: Path | None = None) -> list[str]:
        """Read every YAML file below a folder in sorted order and return the shown names, problems noted."""
        names: list[str] = []
        for path in self._find(folder, skip):
            try:
                name = self._admit(path)
                data = read_file(path, self.root)
                self._count(data)
            except FileProblemError as problem:
                self.refuse(path, problem)
                if problem.code in {"E0165", "E0166"}:
                    break
                continue
            self.contents[name] = data
            names.append(name)
        return names

    @property
    def environments_folder(self) -> Path:
        """Where overlays live, one directory per environment."""
        return self.root / "env"

    def root_exists(self) -> bool:
        """Tell whether the root is a directory; note the problem if it is not."""
        if _is_folder(self.root):
            return True
        problem = FileProblemError(
            "E0168", "there is no such directory", "run `reconciler init`, or name it with --config"
        )
        self.refuse(self.root, problem)
        return False

    def environments(self) -> list[str]:
        """Return the names of the environments the directory has, sorted."""
        return [path.name for path in self._entries(self.environments_folder) if _is_folder(path)]

    def refuse_stray_overlays(self) -> None:
        """Note YAML files that stand in ``env/`` itself, where they belong to no environment."""
        for path in self._entries(self.environments_folder):
            if _is_yaml(path) and not _is_folder(path):
                problem = FileProblemError(
                    "E0169", "the file belongs to no environment", "move it into a directory such as env/production/"
                )
                self.refuse(path, problem)

    def _find(self, folder: Path, skip: Path | None) -> Iterator[Path]:
        """Yield files named like YAML and whatever is named or linked so that it must be refused."""
        waiting = [folder]
        while waiting:
            path = waiting.pop()
            if path == folder or (_is_folder(path) and not path.is_symlink() and not _is_yaml(path)):
                waiting += [entry for entry in reversed(self._entries(path)) if entry != skip]
            elif _is_yaml(path) or _is_folder(path):
                yield path

    def _entries(self, folder: Path) -> list[Path]:
        """Return a directory's entries in sorted order without hidden and editor files."""
        try:
            paths = sorted(folder.iterdir(), key=lambda path: path.name)
        except FileNotFoundError:
            return []
        except OSError as error:
            self.refuse(folder, _unreadable(error))
            return []
        return [path for path in paths if not path.name.startswith((".", "#"))]

    def _admit(self, path: Path) -> str:
        if not path.name.isprintable():
            raise FileProblemError("E0167", "the file's name holds a character that cannot be shown", "rename the file")
        if len(self.contents) >= MAX_FILES:
            raise FileProblemError("E0165", f"there are more than {MAX_FILES} files", "merge files")
        return self.shown(path)

    def _count(self, data: bytes) -> None:
        self.total += len(data)
        if self.total > MAX_TOTAL_BYTES:
            raise FileProblemError(
                "E0166",
                f"the files are larger than {MAX_TOTAL_BYTES} bytes together",
                "remove what is not configuration",
            )


def read_file(path: Path, root: Path) -> bytes:
    """Read a regular file of at most ``MAX_FILE_BYTES`` (and one more byte, for the reader to notice).

    A link is followed only to a target inside ``root``. Raises :class:`FileProblemError`.
    """
    try:
        descriptor = os.open(_target(path, root), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            before = os.fstat(descriptor)
            _require_regular(before)
            data = stream.read(MAX_FILE_BYTES + 1)
            after = os.fstat(descriptor)
    except OSError as error:
        raise _unreadable(error) from error
    if (before.st_mtime_ns, before.st_size) != (after.st_mtime_ns, after.st_size):
        raise FileProblemError("E0161", "the file changed while it was read", "run the command again")
    return data


def _target(path: Path, root: Path) -> Path:
    target = Path(os.path.realpath(path, strict=True))
    if not target.is_relative_to(root):
        raise FileProblemError(
            "E0163", "the link leads out of the configuration directory", "put the file itself into the directory"
        )
    _require_regular(target.lstat())
    return target


def _require_regular(status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise FileProblemError(
            "E0164", "a linked directory, or a directory named like a file", "use plain directories and regular files"
        )
    if not stat.S_ISREG(status.st_mode):
        raise FileProblemError("E0162", "this is not a regular file", "replace it by a regular file or remove it")


def _unreadable(error: OSError) -> FileProblemError:
    if error.errno == errno.ENOENT:
        return FileProblemError("E0161", "the file is gone, or a link that leads nowhere", "run the command again")
    if error.errno == errno.ELOOP:
        return FileProblemError("E0163", "the link leads in a circle", "put the file itself into the directory")
    return FileProblemError("E0160", f"cannot be read: {os.strerror(error.errno or 0)}", "check its permissions")


def _is_yaml(path: Path) -> bool:
    return path.name.lower().endswith((".yaml", ".yml"))


def _is_folder(path: Path) -> bool:
    return os.path.isdir(path)  # noqa: PTH112  Path.is_dir raises where permission is missing
