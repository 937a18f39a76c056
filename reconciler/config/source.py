"""Read ``billing.d`` into plain values that know where they stand; bad input becomes diagnostics, never an exception.

The steps, in this order: bounded read of regular files, strict UTF-8, no hidden characters, no secrets, limits and
typing on the parser's events. A document is returned wherever its tree could be built, also beside errors, so that
later checks can report what they find in the same run.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconciler.config.characters import refuse_characters
from reconciler.config.files import MAX_FILE_BYTES, FileProblemError, Tray
from reconciler.config.report import Report
from reconciler.config.scalars import Scalar
from reconciler.config.tree import Path_, parse
from reconciler.diagnostics import Diagnostic, SourceRange, sort_diagnostics
from reconciler.diagnostics.redact import mask
from reconciler.diagnostics.visible import quoted, visible

__all__ = ["Path_", "Scalar", "SourceDocument", "Sources", "load_directory", "load_text"]

_BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"


@dataclass(frozen=True, slots=True)
class SourceDocument:
    """One file as plain dicts, lists and scalars, with the position of every value and key. Secrets are masked.

    ``file`` is shown to people (``billing.d/plans/pro.yaml``); a path is the keys and indexes from the root down.
    """

    file: str
    lines: tuple[str, ...]
    root: dict[str, Any]
    values: dict[Path_, SourceRange]
    keys: dict[Path_, SourceRange]


@dataclass(frozen=True)
class Sources:
    """What a configuration directory holds: base files, the files of the chosen environment, and every problem."""

    directory: Path
    base: tuple[SourceDocument, ...]
    overlay: tuple[SourceDocument, ...]
    diagnostics: tuple[Diagnostic, ...]
    lines: Mapping[str, tuple[str, ...]]

    def line(self, file: str, number: int) -> str | None:
        """Return a line (1-based) of any file that was read, also one that failed to parse; secrets are masked."""
        lines = self.lines.get(file, ())
        return lines[number - 1] if 0 < number <= len(lines) else None


def load_text(text: str | bytes, file: str) -> tuple[SourceDocument | None, list[Diagnostic]]:
    """Read one file's content; ``None`` where it cannot be read as a whole. Never raises for what the text holds."""
    loaded = _load(text, file)
    return loaded.document, loaded.diagnostics


def load_directory(directory: Path, *, env: str | None = None) -> Sources:
    """Read every ``*.yaml`` and ``*.yml`` below a directory in sorted order, and ``env/<env>/`` apart."""
    tray = Tray(Path(os.path.realpath(directory)))
    if not tray.root_exists():
        return Sources(directory, (), (), tuple(tray.problems), {})
    tray.refuse_stray_overlays()
    base = tray.read_all(tray.root, skip=tray.environments_folder)
    overlay = tray.read_all(tray.environments_folder / env) if env is not None and _known(env, tray) else []
    loaded = {name: _load(data, name) for name, data in tray.contents.items()}
    found = [problem for each in loaded.values() for problem in each.diagnostics]
    return Sources(
        directory,
        tuple(document for name in base if (document := loaded[name].document)),
        tuple(document for name in overlay if (document := loaded[name].document)),
        tuple(sort_diagnostics([*tray.problems, *found])),
        {name: each.lines for name, each in loaded.items()},
    )


@dataclass(frozen=True, slots=True)
class _Loaded:
    document: SourceDocument | None
    diagnostics: list[Diagnostic]
    lines: tuple[str, ...]


def _load(text: str | bytes, file: str) -> _Loaded:
    report = Report(file)
    decoded, whole = _decode(text, report)
    report.secrets_in(decoded)
    tree = None
    if whole:
        clean = refuse_characters(decoded, report)
        tree = parse(clean, split_lines(clean), report, altered=clean != decoded)
    lines = report.hide(split_lines(mask(decoded)))
    document = SourceDocument(file, lines, tree.root, tree.values, tree.keys) if tree else None
    return _Loaded(document, sort_diagnostics(report.diagnostics()), lines)


def split_lines(text: str) -> tuple[str, ...]:
    """Split a file's text into lines as YAML counts them, without their ends."""
    return tuple(line.removesuffix("\r") for line in text.split("\n"))


def _decode(text: str | bytes, report: Report) -> tuple[str, bool]:
    """Return the text without a byte order mark, and whether it is all there and may be parsed."""
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if len(raw) > MAX_FILE_BYTES:
        where = report.at(1, 1)
        report.add("E0105", where, f"the file is larger than {MAX_FILE_BYTES} bytes", "split it into several files")
        return "", False
    if isinstance(text, str):
        return text.removeprefix(_BOM), True
    try:
        return text.decode("utf-8").removeprefix(_BOM), True
    except UnicodeDecodeError as error:
        _refuse_encoding(text, error.start, report)
        return text.decode("utf-8", "replace").removeprefix(_BOM), False


def _refuse_encoding(data: bytes, offset: int, report: Report) -> None:
    before = data[:offset].decode("utf-8").removeprefix(_BOM)
    where = report.at(before.count("\n") + 1, len(before) - before.rfind("\n"))
    what = "the file is UTF-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "the file is not UTF-8"
    report.add("E0101", where, f"{what}: byte 0x{data[offset]:02X} at offset {offset}", "save the file as UTF-8")


def _known(env: str, tray: Tray) -> bool:
    names = tray.environments()
    if env in names:
        return True
    import difflib  # noqa: PLC0415  not needed for what is right

    close = difflib.get_close_matches(env, names, n=1)
    guess = f" (did you mean {quoted(close[0])}?)" if close else ""
    there = f"env/ has {', '.join(map(visible, names))}" if names else "env/ has no directory"
    tray.refuse(
        tray.environments_folder,
        FileProblemError("E0170", f"there is no environment {quoted(env)}{guess}", there),
    )
    return False
