"""Reading a directory: order, environments, links, odd files and limits."""

import errno
import os
import socket
from pathlib import Path

import pytest

from reconciler.config import files
from reconciler.config.source import load_directory
from reconciler.diagnostics import Diagnostic


def write(root: Path, **contents: str) -> Path:
    """Write files below ``root/billing.d``; ``__`` stands for ``/`` in a name, which gets the suffix ``.yaml``."""
    directory = root / "billing.d"
    for name, content in contents.items():
        path = directory / (name.replace("__", "/") + ".yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return directory


def problems(directory: Path, env: str | None = None) -> list[tuple[str, str]]:
    """Return code and shown file of every problem of a directory."""
    found = load_directory(directory, env=env).diagnostics
    assert all(each.range and each.help for each in found)
    return [(each.code, each.range.file) for each in found if each.range]


def test_a_directory_is_read_recursively_in_sorted_order(tmp_path: Path) -> None:
    """Both suffixes count in any case, hidden, editor and other files do not, and names are shown from billing.d."""
    directory = write(tmp_path, b="b: 1", plans__pro="p: 1", a="a: 1", env__prod__x="x: 1")
    (directory / "c.yml").write_text("c: 1")
    (directory / "D.YAML").write_text("d: 1")
    for name in (".hidden.yaml", "#a.yaml#", "a.yaml~", ".a.yaml.swp", "#a.yaml", "notes.txt"):
        (directory / name).write_text("[broken")
    (directory / ".git").mkdir()
    (directory / ".git" / "x.yaml").write_text("[broken")
    sources = load_directory(directory)
    names = [each.file.removeprefix("billing.d/") for each in sources.base]
    assert names == ["D.YAML", "a.yaml", "b.yaml", "c.yml", "plans/pro.yaml"]
    assert sources.overlay == ()
    assert sources.diagnostics == ()


def test_an_environment_is_read_apart(tmp_path: Path) -> None:
    """With an environment its files are the overlay; the other environments' are not read."""
    directory = write(tmp_path, a="a: 1", env__prod__deep__x="x: 1", env__test__y="[broken")
    sources = load_directory(directory, env="prod")
    assert [each.file for each in sources.base] == ["billing.d/a.yaml"]
    assert [each.file for each in sources.overlay] == ["billing.d/env/prod/deep/x.yaml"]
    assert sources.diagnostics == ()


def test_a_folder_called_env_deeper_down_is_a_plain_folder(tmp_path: Path) -> None:
    """Only env at the top holds overlays."""
    sources = load_directory(write(tmp_path, plans__env__x="x: 1"))
    assert [each.file for each in sources.base] == ["billing.d/plans/env/x.yaml"]


@pytest.mark.parametrize("env", ["prd", "..", "../..", "prod/..", "", "/etc", "PROD"])
def test_an_unknown_environment_names_those_that_exist(tmp_path: Path, env: str) -> None:
    """An environment that is no directory below env is refused and never used as a path."""
    directory = write(tmp_path, a="a: 1", env__prod__x="x: 1", env__staging__x="x: 1")
    (problem,) = load_directory(directory, env=env).diagnostics
    assert problem.code == "E0170"
    assert "prod, staging" in (problem.help or "")


def test_a_close_environment_is_suggested(tmp_path: Path) -> None:
    """A misspelt environment is corrected."""
    (problem,) = load_directory(write(tmp_path, env__prod__x="x: 1"), env="prd").diagnostics
    assert "did you mean 'prod'?" in problem.summary


def test_an_overlay_outside_an_environment_is_refused(tmp_path: Path) -> None:
    """A file in env itself would never be read, so it is an error."""
    assert problems(write(tmp_path, env__x="x: 1")) == [("E0169", "billing.d/env/x.yaml")]


def test_a_missing_directory_is_a_problem(tmp_path: Path) -> None:
    """A directory that does not exist, or is a file, is reported."""
    assert problems(tmp_path / "billing.d") == [("E0168", "billing.d")]
    (tmp_path / "billing.d").write_text("")
    assert problems(tmp_path / "billing.d") == [("E0168", "billing.d")]


def test_one_broken_file_does_not_hide_the_others(tmp_path: Path) -> None:
    """Every file's problems are reported and the good files are there; lines of the broken one can be shown."""
    directory = write(tmp_path, a="a: [", b="b: 1", c="c: yes")
    sources = load_directory(directory)
    assert [(each.code, each.range and each.range.file) for each in sources.diagnostics] == [
        ("E0103", "billing.d/a.yaml"),
        ("E0130", "billing.d/c.yaml"),
    ]
    assert [each.file for each in sources.base] == ["billing.d/b.yaml", "billing.d/c.yaml"]
    assert sources.line("billing.d/a.yaml", 1) == "a: ["
    assert sources.line("billing.d/a.yaml", 0) is None
    assert sources.line("billing.d/a.yaml", 2) is None
    assert sources.line("elsewhere.yaml", 1) is None


def test_a_link_inside_the_directory_is_followed(tmp_path: Path) -> None:
    """A link to a file inside the root is read, as a mounted ConfigMap needs it, also if the root is a link itself."""
    directory = write(tmp_path, a="a: 1")
    (directory / "..data").mkdir()
    (directory / "..data" / "b.yaml").write_text("b: 1")
    (directory / "b.yaml").symlink_to("..data/b.yaml")
    (tmp_path / "link").symlink_to(directory)
    assert [each.root for each in load_directory(tmp_path / "link").base] == [{"a": 1}, {"b": 1}]
    assert load_directory(tmp_path / "link").diagnostics == ()


@pytest.mark.parametrize(("target", "code"), [("outside.yaml", "E0163"), ("gone.yaml", "E0161"), ("outside", "E0163")])
def test_a_link_out_of_the_directory_is_refused(tmp_path: Path, target: str, code: str) -> None:
    """A link to anything outside the root, file or directory, is refused and not read."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside.yaml").write_text("stolen: 1")
    (tmp_path / "outside" / "x.yaml").write_text("stolen: 1")
    directory = write(tmp_path, a="a: 1")
    (directory / "l.yaml").symlink_to(tmp_path / target)
    assert problems(directory) == [(code, "billing.d/l.yaml")]
    assert [each.root for each in load_directory(directory).base] == [{"a": 1}]


def test_linked_directories_are_refused(tmp_path: Path) -> None:
    """A linked directory is never walked: outside because it leads out, inside because files would be read twice."""
    (tmp_path / "outside").mkdir()
    directory = write(tmp_path, plans__a="a: 1")
    (directory / "inner").symlink_to("plans")
    (directory / "loop").symlink_to(".")
    (directory / "outer").symlink_to(tmp_path / "outside")
    assert problems(directory) == [
        ("E0164", "billing.d/inner"),
        ("E0164", "billing.d/loop"),
        ("E0163", "billing.d/outer"),
    ]


def test_a_linked_environment_may_not_lead_out(tmp_path: Path) -> None:
    """Files of an environment that is linked from elsewhere are refused."""
    (tmp_path / "outside" / "prod").mkdir(parents=True)
    (tmp_path / "outside" / "prod" / "x.yaml").write_text("stolen: 1")
    directory = write(tmp_path, a="a: 1")
    (directory / "env").symlink_to(tmp_path / "outside")
    assert problems(directory, env="prod") == [("E0163", "billing.d/env/prod/x.yaml")]


def test_a_link_in_a_circle_is_refused(tmp_path: Path) -> None:
    """A file that links to itself is a problem, not a hang."""
    directory = write(tmp_path, a="a: 1")
    (directory / "l.yaml").symlink_to("l.yaml")
    assert problems(directory) == [("E0163", "billing.d/l.yaml")]


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    """A pipe, a socket, a device and a directory named like files are refused; none blocks or is opened."""
    directory = write(tmp_path, a="a: 1")
    os.mkfifo(directory / "pipe.yaml")
    (directory / "folder.yaml").mkdir()
    (directory / "folder.yaml" / "x.yaml").write_text("x: 1")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(directory / "s.yaml"))
        assert problems(directory) == [
            ("E0164", "billing.d/folder.yaml"),
            ("E0162", "billing.d/pipe.yaml"),
            ("E0162", "billing.d/s.yaml"),
        ]
    with pytest.raises(files.FileProblemError) as refused:
        files.read_file(Path("/dev/null"), Path("/dev"))
    assert refused.value.code == "E0162"


@pytest.mark.parametrize(("swapped_for", "code"), [("link", "E0163"), ("pipe", "E0162"), ("file", None)])
def test_a_file_swapped_after_the_look_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swapped_for: str, code: str | None
) -> None:
    """What becomes a link or a pipe between the look and the opening is not followed and does not block."""
    directory = write(tmp_path, a="a: 1")
    (directory / "link").symlink_to(directory / "a.yaml")
    os.mkfifo(directory / "pipe")
    (directory / "file").write_text("a: 1")
    monkeypatch.setattr(files, "_target", lambda path, _root: path.with_name(swapped_for))
    assert problems(directory) == ([(code, "billing.d/a.yaml")] if code else [])


@pytest.mark.parametrize(("number", "code"), [(errno.EACCES, "E0160"), (errno.EIO, "E0160"), (errno.ENOENT, "E0161")])
def test_a_file_that_cannot_be_opened_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: str
) -> None:
    """A refusal of the operating system, or a file gone since the listing, is reported and the rest is read."""
    directory = write(tmp_path, a="a: 1", b="b: 1")
    real_open = os.open

    def refuse(path: Path, flags: int) -> int:
        if path.name == "a.yaml":
            raise OSError(number, os.strerror(number))
        return real_open(path, flags)

    monkeypatch.setattr(files.os, "open", refuse)
    assert problems(directory) == [(code, "billing.d/a.yaml")]
    assert [each.root for each in load_directory(directory).base] == [{"b": 1}]


def test_a_folder_that_cannot_be_listed_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory without permission is reported, not skipped silently."""
    directory = write(tmp_path, a="a: 1", plans__b="b: 1")
    real_iterdir = Path.iterdir

    def refuse(path: Path) -> object:
        if path.name == "plans":
            raise PermissionError(errno.EACCES, "Permission denied")
        return real_iterdir(path)

    monkeypatch.setattr(Path, "iterdir", refuse)
    assert problems(directory) == [("E0160", "billing.d/plans")]


def test_a_file_that_changes_while_it_is_read_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that grows between the two looks at it is not trusted; untouched it is read."""
    directory = write(tmp_path, a="a: 1")
    assert problems(directory) == []
    real_fstat = os.fstat
    looks = []

    def grow(descriptor: int) -> os.stat_result:
        looks.append(descriptor)
        if len(looks) == 2:
            with (directory / "a.yaml").open("a") as stream:
                stream.write("\nb: 2")
        return real_fstat(descriptor)

    monkeypatch.setattr(files.os, "fstat", grow)
    assert problems(directory) == [("E0161", "billing.d/a.yaml")]


@pytest.mark.parametrize("name", ["a\nb.yaml", "\x1b[31m.yaml", "\u202egpj.yaml", os.fsdecode(b"\xff.yaml")])
def test_a_file_name_that_cannot_be_shown_is_refused(tmp_path: Path, name: str) -> None:
    """A name with controls, overrides or foreign bytes is refused and shown escaped."""
    directory = write(tmp_path, a="a: 1")
    (directory / name).write_text("x: 1")
    ((code, shown),) = problems(directory)
    assert code == "E0167"
    assert shown.isprintable()
    assert shown.encode()


@pytest.mark.parametrize("name", ["::error::x", "é" * 120, "a b", "x" * 250, "A", "{0.__class__}", "日本"])
def test_an_odd_but_printable_file_name_is_fine(tmp_path: Path, name: str) -> None:
    """Decoy: a long, foreign or command-like name is only a name; names that differ in case are two files."""
    directory = write(tmp_path, a="a: 1")
    (directory / f"{name}.yaml").write_text("x: 1")
    assert {each.file for each in load_directory(directory).base} == {"billing.d/a.yaml", f"billing.d/{name}.yaml"}


def test_the_number_of_files_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is allowed, one file more is one problem."""
    directory = write(tmp_path, a="a: 1", b="b: 1", c="c: 1", d="d: 1")
    monkeypatch.setattr(files, "MAX_FILES", 4)
    assert problems(directory) == []
    monkeypatch.setattr(files, "MAX_FILES", 2)
    assert problems(directory) == [("E0165", "billing.d/c.yaml")]


def test_the_size_of_all_files_together_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is allowed, one byte more is one problem."""
    directory = write(tmp_path, a="a: 1", b="b: 1", c="c: 1")
    monkeypatch.setattr(files, "MAX_TOTAL_BYTES", 12)
    assert problems(directory) == []
    monkeypatch.setattr(files, "MAX_TOTAL_BYTES", 7)
    assert problems(directory) == [("E0166", "billing.d/b.yaml")]


def test_a_large_file_is_not_read_whole(tmp_path: Path) -> None:
    """A file above the limit is refused after one byte more than the limit."""
    directory = write(tmp_path, a="a: 1")
    with (directory / "big.yaml").open("wb") as stream:
        stream.truncate(files.MAX_FILE_BYTES * 64)
    assert problems(directory) == [("E0105", "billing.d/big.yaml")]
    assert len(files.read_file(directory / "big.yaml", directory)) == files.MAX_FILE_BYTES + 1


def test_equal_directories_give_equal_diagnostics(tmp_path: Path) -> None:
    """Problems come in the order of files and lines, whatever the order in which files were created."""
    contents = {"c": "c: yes", "a": "a: no\nb: [", "b": "x: 1\nx: 2"}
    first = load_directory(write(tmp_path / "1", **contents))
    second = load_directory(write(tmp_path / "2", **dict(reversed(contents.items()))))
    found: tuple[Diagnostic, ...] = first.diagnostics
    assert found == second.diagnostics
    assert [each.code for each in found] == ["E0130", "E0103", "E0121", "E0130"]
