"""Show diagnostics to people and to programs; pure, and deterministic for equal input.

Everything shown comes from files and is untrusted: controls, escapes and direction overrides are written out and
never reach the terminal.
"""

import json
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from reconciler.diagnostics.model import Diagnostic, Severity, SourceRange, has_errors, sort_diagnostics
from reconciler.diagnostics.visible import visible, visible_char

LineOf = Callable[[str, int], str | None]

_ELLIPSIS = "…"
_MIN_WIDTH = 40
_RESET = "\x1b[0m"
_COLORS = {"error": "\x1b[1;31m", "warning": "\x1b[1;33m", "note": "\x1b[1;36m", "frame": "\x1b[34m", "bold": "\x1b[1m"}


def render_text(
    diagnostics: Iterable[Diagnostic],
    line_of: LineOf,
    *,
    color: bool = False,
    width: int = 100,
    full: bool = True,
) -> str:
    """Write diagnostics for people, in file order, with a last line that counts them; empty without diagnostics.

    ``full`` adds the source line with the range underlined; without it each diagnostic is one line and its help.
    """
    ordered = sort_diagnostics(diagnostics)
    if not ordered:
        return ""
    page = _Page(line_of, max(width, _MIN_WIDTH), color)
    blocks = ["\n".join(page.full(each) if full else page.concise(each)) for each in ordered]
    return ("\n\n" if full else "\n").join([*blocks, _count(ordered)]) + "\n"


def render_json(diagnostics: Iterable[Diagnostic], line_of: LineOf) -> str:
    """Write diagnostics as JSON in the shape of ``terraform validate -json``, with ``code``, ``path``, ``help`` added.

    Columns count characters from 1, ends are exclusive; ``byte`` is absent because line ends are not kept.
    """
    ordered = sort_diagnostics(diagnostics)
    errors = sum(each.severity is Severity.ERROR for each in ordered)
    document = {
        "format_version": "1.0",
        "valid": not has_errors(ordered),
        "error_count": errors,
        "warning_count": len(ordered) - errors,
        "diagnostics": [_as_json(each, line_of) for each in ordered],
    }
    return json.dumps(document, indent=2, ensure_ascii=True) + "\n"


@dataclass(frozen=True, slots=True)
class _Page:
    line_of: LineOf
    width: int
    color: bool

    def paint(self, style: str, text: str) -> str:
        return f"{_COLORS[style]}{text}{_RESET}" if self.color and text else text

    def headline(self, each: Diagnostic) -> str:
        place = f"{visible(str(each.range))}: " if each.range else ""
        label = self.paint(each.severity.value, f"{each.severity.value}[{each.code}]")
        return f"{self.paint('bold', place)}{label} {self.paint('bold', visible(each.summary))}"

    def concise(self, each: Diagnostic) -> Iterator[str]:
        yield self.headline(each)
        if each.help:
            yield f"  {self.paint('note', 'help:')} {visible(each.help)}"

    def full(self, each: Diagnostic) -> Iterator[str]:
        yield self.headline(each)
        ranges = [each.range, *(related.range for related in each.related)]
        gutter = max((len(str(where.line)) for where in ranges if where), default=1) + 1
        bar = self.paint("frame", " " * gutter + "|")
        if each.range and (snippet := self.snippet(each.range, gutter, each.severity.value, "^")):
            yield bar
            yield from snippet
        for related in each.related:
            arrow = self.paint("frame", " " * gutter + ":::")
            yield bar
            yield f"{arrow} {visible(str(related.range))}: {visible(related.note)}"
            yield from self.snippet(related.range, gutter, "note", "-")
        if each.help:
            equals = self.paint("frame", " " * gutter + "=")
            yield f"{equals} {self.paint('note', 'help:')} {visible(each.help)}"

    def snippet(self, where: SourceRange, gutter: int, style: str, mark: str) -> list[str]:
        """Return the source line and the line that underlines the range, or nothing where the source is unknown."""
        source = self.line_of(where.file, where.line)
        if source is None:
            return []
        stop = where.end_column - 1 if where.end_line == where.line else len(source.rstrip())
        text, start, length = _window(source, where.column - 1, stop, self.width - gutter - 2)
        number = self.paint("frame", f"{where.line:>{gutter - 1}} |")
        empty = self.paint("frame", " " * gutter + "|")
        return [f"{number} {text}".rstrip(), f"{empty} {' ' * start}{self.paint(style, mark * length)}"]


def _window(source: str, start: int, stop: int, room: int) -> tuple[str, int, int]:
    """Return what ``room`` columns show of a source line, and the first column and the width of the underline."""
    start = min(start, len(source))
    first, last = 0, len(source)
    if len(source) > room or _columns(source) > room:
        first = start - _fitting(reversed(source[max(0, start - room) : start]), room // 3)
        last = start + _fitting(source[start : start + room], room - 2 - _columns(source[first:start]))
    left, right = (_ELLIPSIS if first else ""), (_ELLIPSIS if last < len(source) else "")
    text = "".join(map(_cell, source[first:last]))
    underlined = source[start : min(stop, last)]
    return f"{left}{text}{right}", len(left) + _columns(source[first:start]), max(1, _columns(underlined))


def _fitting(chars: Iterable[str], room: int) -> int:
    """Count how many characters fit into ``room`` columns."""
    count = 0
    for char in chars:
        room -= _columns(char)
        if room < 0:
            break
        count += 1
    return count


def _cell(char: str) -> str:
    return "    " if char == "\t" else visible_char(char)


def _columns(source: str) -> int:
    """Return how many terminal columns a piece of a source line takes once it is made visible."""
    return sum(_glyph_columns(glyph) for char in source for glyph in _cell(char))


def _glyph_columns(glyph: str) -> int:
    if unicodedata.category(glyph) in {"Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(glyph) in {"W", "F"} else 1


def _count(diagnostics: list[Diagnostic]) -> str:
    errors = sum(each.severity is Severity.ERROR for each in diagnostics)
    counts = {"error": errors, "warning": len(diagnostics) - errors}
    return ", ".join(f"{number} {name}{'s' * (number != 1)}" for name, number in counts.items() if number)


def _as_json(each: Diagnostic, line_of: LineOf) -> dict[str, Any]:
    document: dict[str, Any] = {
        "severity": each.severity.value,
        "code": each.code,
        "summary": each.summary,
        "detail": each.help or "",
        "help": each.help,
        "path": each.path,
        "related": [{"note": related.note, "range": _range_json(related.range)} for related in each.related],
    }
    if each.range:
        document["range"] = _range_json(each.range)
        source = line_of(each.range.file, each.range.line)
        document["snippet"] = None if source is None else _snippet_json(each.range, source)
    return document


def _range_json(where: SourceRange) -> dict[str, Any]:
    return {
        "filename": where.file,
        "start": {"line": where.line, "column": where.column},
        "end": {"line": where.end_line, "column": where.end_column},
    }


def _snippet_json(where: SourceRange, source: str) -> dict[str, Any]:
    """Return Terraform's snippet; its highlight offsets count UTF-8 bytes inside ``code``."""
    stop = where.end_column - 1 if where.end_line == where.line else len(source)
    return {
        "context": None,
        "code": source,
        "start_line": where.line,
        "highlight_start_offset": len(source[: where.column - 1].encode("utf-8", "replace")),
        "highlight_end_offset": len(source[:stop].encode("utf-8", "replace")),
        "values": [],
    }
