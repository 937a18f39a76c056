"""The configuration directory as it stood at a git revision, written out beside nothing of the work tree.

Git is asked for blobs, not for an archive: attributes such as ``export-ignore`` and ``export-subst`` would leave files
out of it or change them.
"""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from reconciler.config.files import MAX_FILES, MAX_TOTAL_BYTES
from reconciler.diagnostics import ReconcilerError
from reconciler.diagnostics.visible import visible

_TIMEOUT_SECONDS = 60
_REGULAR = ("100644", "100755")
_REMEDY = "Name a revision the clone has; a shallow clone is completed with `git fetch --unshallow`."


def check_out(revision: str, directory: Path, target: Path) -> Path:
    """Write what a directory held at a revision below ``target``; return where it stands, under its own name.

    Raises ReconcilerError where there is no git, no repository, no such revision, or no such directory in it. Links are
    left out: the loader would refuse to follow them.
    """
    folder = Path(directory).resolve()
    near = next(path for path in (folder, *folder.parents) if path.is_dir())
    root = Path(_git(near, "rev-parse", "--show-toplevel").decode().rstrip("\n"))
    commit = _commit(root, revision)
    prefix = folder.relative_to(root.resolve()).as_posix()
    found = list(_blobs(root, commit, prefix))
    if not found:
        raise ReconcilerError(
            "E1051", f"{visible(revision)} has no {visible(prefix)}", remedy="Name a revision that has the directory."
        )
    checked_out = target / folder.name
    for name, size, blob in _within_bounds(found, revision):
        path = checked_out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_git(root, "cat-file", "blob", blob) if size else b"")
    return checked_out


def is_revision(name: str, directory: Path) -> bool:
    """Tell whether git knows a revision by this name in the repository around a directory; no where there is none.

    Raises ReconcilerError where there is a repository that git does not read, such as one of another user.
    """
    folder = Path(directory).resolve()
    around = [path for path in (folder, *folder.parents) if path.is_dir()]
    try:
        _git(around[0], "rev-parse", "--git-dir")
    except ReconcilerError:
        if any((path / ".git").is_file() or (path / ".git" / "HEAD").is_file() for path in around):
            raise
        return False
    try:
        _git(around[0], *_verify(name))
    except ReconcilerError:
        return False
    return True


def _commit(root: Path, revision: str) -> str:
    name = re.split(r"[~^@:]", revision, maxsplit=1)[0]
    refs = [f"refs/{place}{name}" for place in ("", "tags/", "heads/", "remotes/")] + [f"refs/remotes/{name}/HEAD"]
    known = _git(root, "for-each-ref", "--format=%(refname)", *refs).decode("utf-8", "replace").splitlines()
    found = [ref for ref in refs if ref in known]
    if len(found) > 1:
        raise ReconcilerError(
            "E1052",
            f"{visible(name)} is the name of {' and '.join(map(visible, found))}",
            remedy=f"Name the one that is meant: {visible(found[-1])}",
        )
    return _git(root, *_verify(revision)).decode().strip()


def _verify(revision: str) -> tuple[str, ...]:
    return ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")


def _blobs(root: Path, commit: str, prefix: str) -> Iterator[tuple[PurePosixPath, int, str]]:
    """Yield the path below the prefix, the size in bytes and the id of every regular file."""
    listed = _git(root, "ls-tree", "-r", "-z", "--long", "--full-tree", commit, "--", f":(literal){prefix}")
    for row in listed.decode("utf-8", "surrogateescape").split("\0"):
        facts, _, path = row.partition("\t")
        if not facts.startswith(_REGULAR):
            continue
        _mode, _type, blob, size = facts.split()
        name = PurePosixPath(path).relative_to(prefix)
        if ".." not in name.parts:
            yield name, int(size), blob


def _within_bounds(
    found: list[tuple[PurePosixPath, int, str]], revision: str
) -> Iterator[tuple[PurePosixPath, int, str]]:
    yaml = [each for each in found if each[0].suffix in (".yaml", ".yml")]
    if len(yaml) > MAX_FILES or sum(size for _, size, _ in yaml) > MAX_TOTAL_BYTES:
        raise ReconcilerError("E1051", f"the files at {visible(revision)} are more than can be read")
    return iter(yaml)


def _git(folder: Path, *words: str) -> bytes:
    try:
        done = subprocess.run(  # noqa: S603  no shell, and a revision cannot be an option
            ["git", "-C", str(folder), *words],  # noqa: S607  git is where the user has it
            capture_output=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        raise ReconcilerError("E1050", "git is not installed", remedy="Install it, or name a directory.") from None
    except subprocess.TimeoutExpired:
        raise ReconcilerError("E1050", f"git {words[0]} did not end within {_TIMEOUT_SECONDS} s") from None
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        asked = visible(words[-1].removesuffix("^{commit}"))
        what = f"git refuses: {visible(said[0])}" if said else f"{asked} is no file or directory here, and no revision"
        raise ReconcilerError("E1050", what, remedy=_REMEDY)
    return done.stdout
