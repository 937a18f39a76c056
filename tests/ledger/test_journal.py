"""Journals: no half of a note, no note lost to a bad line, no file with two holders, none of another ledger."""

import errno
import os
from pathlib import Path
from unittest.mock import patch

import pytest

from reconciler.ledger.base import StoreUnavailableError
from reconciler.ledger.journal import JournalFile, kind_of, orphans
from reconciler.ledger.ledger import open_ledger

from .databases import schema
from .processes import in_child


def left(directory: Path, kind: str = "k") -> list[dict[str, int]]:
    """Return the notes of processes that are gone."""
    return [note for _, notes in orphans(directory, kind) for note in notes]


def test_a_short_write_leaves_nothing(tmp_path: Path) -> None:
    """A note the disk had room for in part is refused and gone; what comes after it can be read."""
    file, real = JournalFile(tmp_path, "k"), os.write
    file.append([{"n": 1}], sync=True)
    with (
        patch("os.write", lambda number, data: real(number, data[:4])),
        pytest.raises(StoreUnavailableError),
    ):
        file.append([{"n": 2}], sync=False)
    file.append([{"n": 3}], sync=False)
    file.leave()
    assert left(tmp_path) == [{"n": 1}, {"n": 3}]


def test_a_note_that_is_not_on_the_disk_is_taken_back(tmp_path: Path) -> None:
    """Where the disk says no to fsync the note is refused, and nobody settles it later."""
    file = JournalFile(tmp_path, "k")
    with patch("os.fsync", side_effect=OSError(errno.EIO, "no")), pytest.raises(StoreUnavailableError):
        file.append([{"n": 1}], sync=True)
    file.append([{"n": 2}], sync=True)
    file.leave()
    assert left(tmp_path) == [{"n": 2}]


@pytest.mark.parametrize("line", [b"{half", b"\xff\x00", b"7"])
def test_a_line_that_cannot_be_read_stops_nothing(tmp_path: Path, line: bytes) -> None:
    """The notes around it are settled, and the file is kept under another name for somebody to look at."""
    data = b'{"n":1}\n' + line + b'\n{"n":2}\n{"torn":'
    (tmp_path / "k-1.jsonl").write_bytes(data)
    (tmp_path / "k-2.jsonl").write_bytes(b'{"n":3}\n')
    for path, notes in orphans(tmp_path, "k"):
        assert notes in ([{"n": 1}, {"n": 2}], [{"n": 3}])
        path.unlink()
    assert [path.name for path in tmp_path.iterdir()] == ["k-1.bad"]
    assert (tmp_path / "k-1.bad").read_bytes() == data


def test_a_file_has_its_lock_before_its_name(tmp_path: Path) -> None:
    """Whoever looks while a journal is being made finds no file of a process that seems gone."""
    seen, real = [], Path.rename

    def rename(self: Path, target: Path) -> Path:
        seen.append(left(tmp_path))
        renamed = real(self, target)
        seen.append([path for path, _ in orphans(tmp_path, "k")])
        return renamed

    with patch.object(Path, "rename", rename):
        JournalFile(tmp_path, "k").leave()
    assert seen == [[], []]
    assert [notes for _, notes in orphans(tmp_path, "k")] == [[]]


def test_a_file_that_was_settled_meanwhile_is_passed_over(tmp_path: Path) -> None:
    """What another process deletes between the listing and the lock, or just before the lock, is not settled again."""
    for name in ("k-1", "k-2", "k-3"):
        (tmp_path / f"{name}.jsonl").write_bytes(b'{"n":1}\n')
    real = os.open

    def slow(path: Path, *given: int) -> int:
        if path.name == "k-1.jsonl":
            path.unlink()
        file = real(path, *given)
        if path.name == "k-2.jsonl":
            path.unlink()
        return file

    with patch("os.open", slow):
        assert [path.name for path, _ in orphans(tmp_path, "k")] == ["k-3.jsonl"]


def test_closing_twice_closes_nobody_elses_file(tmp_path: Path) -> None:
    """After leave or remove every way of ending does nothing; writing is refused."""
    for end in (JournalFile.leave, JournalFile.remove):
        file = JournalFile(tmp_path, "k")
        end(file)
        with (tmp_path / "other").open("wb") as other:
            file.leave()
            file.remove()
            file.clear()
            with pytest.raises(StoreUnavailableError):
                file.append([{"n": 1}], sync=True)
            other.write(b"x")
    assert len(list(tmp_path.glob("k-*.jsonl"))) == 1


def test_a_file_that_cannot_be_emptied_says_so(tmp_path: Path) -> None:
    """The error is the one callers know."""
    file = JournalFile(tmp_path, "k")
    with patch("os.ftruncate", side_effect=OSError(errno.EIO, "no")), pytest.raises(StoreUnavailableError):
        file.clear()
    file.remove()


def test_a_journal_is_of_one_ledger(tmp_path: Path) -> None:
    """Every process that opens a ledger names it alike, by whatever path; no other ledger has the name."""
    (tmp_path / "link").symlink_to(tmp_path)
    names = []
    for url in ("u.db", "link/u.db", "v.db"):
        with open_ledger(f"sqlite:///{tmp_path}/{url}", "direct") as ledger:
            names.append(ledger.store.identity)
    assert names[0] == names[1] != names[2]
    kinds = [kind_of("k", name) for name in names]
    file = JournalFile(tmp_path, kinds[0])
    file.append([{"n": 1}], sync=False)
    file.leave()
    assert (left(tmp_path, kinds[2]), left(tmp_path, kinds[1])) == ([], [{"n": 1}])


def test_schemas_of_one_database_are_two_ledgers() -> None:
    """PostgreSQL's ledgers are told apart by their schema, and each is the same whoever opens it."""
    with schema() as one, schema() as other:
        names = []
        for url in (one, one, other):
            with open_ledger(url, "direct") as ledger:
                names.append(ledger.store.identity)
    assert names[0] == names[1] != names[2]


def test_a_copy_of_the_process_holds_no_file_of_the_parent(tmp_path: Path) -> None:
    """A child writes nothing into its parent's journal and keeps nobody from it when the parent is gone."""
    file = JournalFile(tmp_path, "k")
    file.append([{"n": 1}], sync=False)
    ended, end = os.pipe()

    def work() -> bool:
        os.close(end)
        with pytest.raises(StoreUnavailableError):
            file.append([{"n": 2}], sync=False)
        return os.read(ended, 1) == b""

    good = in_child(work)
    file.append([{"n": 3}], sync=False)
    file.leave()
    found = []
    while not found:
        found = left(tmp_path)
    os.close(end)
    assert good()
    os.close(ended)
    assert found == [{"n": 1}, {"n": 3}]
