"""Turn the events of the YAML parser into plain values with positions, in one pass without recursion.

The tree is built from events and never composed by the parser: every limit holds before anything deep or large
exists (libyaml's composer recurses and crashes on deep input), and nothing of YAML 1.1's own typing takes part.
"""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import yaml
from yaml import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from reconciler.config.characters import invisible, refuse_escaped
from reconciler.config.report import Report
from reconciler.config.scalars import Refusal, Scalar, resolve
from reconciler.config.syntax import explain_syntax
from reconciler.diagnostics import Related, SourceRange
from reconciler.diagnostics.redact import mask
from reconciler.diagnostics.visible import quoted

Path_ = tuple[str | int, ...]

MAX_DEPTH = 64
#: Values in one file.
MAX_NODES = 100_000

_TOKEN = re.compile(r"[^\s,\[\]{}]*")


@dataclass(slots=True)
class Tree:
    """Plain dicts, lists and scalars, with the position of every value and of every key."""

    root: dict[str, Any] = field(default_factory=dict)
    values: dict[Path_, SourceRange] = field(default_factory=dict)
    keys: dict[Path_, SourceRange] = field(default_factory=dict)


class _Key(Enum):
    WANTED = "the next node is a key"
    REFUSED = "the key was refused, the next node has no place"


@dataclass(slots=True)
class _Open:
    """A container whose end has not been seen; ``path`` is ``None`` where a refused key leaves it without a place."""

    value: dict[str, Any] | list[Any]
    path: Path_ | None
    start: SourceRange
    end: tuple[int, int]
    key: str | _Key = _Key.WANTED
    seen: dict[str, SourceRange] = field(default_factory=dict)


#: In ``{amount: 49,99}`` the comma ends the value, and what follows is the next key.
_AFTER_DECIMAL_COMMA = re.compile(r"[0-9],\Z")


#: What libyaml says from version 0.2.6 on at the 1001st level.
_LIMIT_OF_THE_PARSER = "exceeded maximum nesting depth"


class _StopError(Exception):
    """The rest of the file is not looked at; the reason is in the report."""


def parse(text: str, lines: tuple[str, ...], report: Report, *, altered: bool) -> Tree | None:
    """Build the tree of one document; ``None`` where the file as a whole cannot be read. Problems go to the report.

    In a text ``altered`` by the removal of forbidden characters, an error of its form is their consequence and not
    reported.
    """
    builder = _Builder(lines, report)
    try:
        complaint = builder.read(text)
        if complaint is not None:
            complaint = builder.read_before(complaint, text)
    except _StopError:
        return None
    if complaint is not None:
        if not altered:
            explain_syntax(complaint, lines, report)
        return None
    tree = builder.finish()
    if tree is None and not altered:
        remedy = "write sections at the top, such as 'plans:' or 'settings:'"
        report.add("E0116", builder.root_range, "the file is not a mapping", remedy)
    return tree


def _events(text: str) -> Iterator[yaml.Event]:
    return iter(yaml.CSafeLoader(text).get_event, None)


def _nesting(text: str) -> tuple[bool, yaml.MarkedYAMLError | None]:
    """Tell whether a text is nested deeper than allowed, or else what the parser complains about."""
    depth = 0
    try:
        for event in _events(text):
            depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
            if depth > MAX_DEPTH:
                return True, None
    except yaml.MarkedYAMLError as error:
        return False, error
    return False, None


class _Builder:
    def __init__(self, lines: tuple[str, ...], report: Report) -> None:
        self._lines = lines
        self._report = report
        self._tree = Tree()
        self._root: Any = None
        self._stack: list[_Open] = []
        self._nodes = 0
        self._documents = 0
        self._taken = 0

    @property
    def root_range(self) -> SourceRange:
        """Where the root stands; an empty range in a file without content."""
        return self._tree.values.get((), self._report.at(1, 1, 1, 1))

    def read(self, text: str) -> yaml.MarkedYAMLError | None:
        """Take the events behind those already taken; return the parser's complaint, if it has one."""
        try:
            for event in itertools.islice(_events(text), self._taken, None):
                self._take(event)
                self._taken += 1
        except yaml.MarkedYAMLError as error:
            return error
        return None

    def read_before(self, complaint: Any, text: str) -> yaml.MarkedYAMLError | None:
        """Stop at what is nested too deep before the place of a complaint, or return what is to be explained.

        The parser scans up to 1024 characters ahead of its events. What it finds there, its own limit of depth in
        newer versions among them, is not to hide what stands before it.
        """
        before = text[: complaint.problem_mark.index]
        deep, without_limit = _nesting(before)
        if deep:
            return self.read(before)
        return without_limit if complaint.problem == _LIMIT_OF_THE_PARSER else complaint

    def _take(self, event: yaml.Event) -> None:
        match event:
            case ScalarEvent():
                self._scalar(event)
            case MappingStartEvent():
                self._open({}, event)
            case SequenceStartEvent():
                self._open([], event)
            case MappingEndEvent() | SequenceEndEvent():
                self._close(event)
            case AliasEvent():
                self._alias(event)
            case DocumentStartEvent():
                self._document(event)

    def finish(self) -> Tree | None:
        """Return the tree, an empty one for an empty file, or ``None`` if the root is not a mapping."""
        if isinstance(self._root, dict):
            self._tree.root = self._root
            return self._tree
        where = self.root_range
        empty = (where.line, where.column) == (where.end_line, where.end_column)
        return Tree() if self._root is None and empty else None

    def _document(self, event: DocumentStartEvent) -> None:
        where = self._range(event)
        if event.version or event.tags:
            self._report.add("E0120", where, "directives are not used here", "remove the lines that begin with '%'")
        self._documents += 1
        if self._documents > 1:
            self._stop("E0115", where, "a file holds one document", "put the second document into a file of its own")

    def _alias(self, event: AliasEvent) -> None:
        where = self._range(event)
        self._report.add(
            "E0117",
            where,
            "aliases are not used here",
            "write the value out; if text is meant, quote it",
        )
        self._node(where)
        if self._wants_key():
            self._stack[-1].key = _Key.REFUSED
        else:
            self._note(self._place(None), where)

    def _scalar(self, event: ScalarEvent) -> None:
        where = self._scalar_range(event)
        self._node(where)
        self._refuse_properties(event)
        text = self._assembled(event.value, where) if event.style == '"' else event.value
        text = mask(text)
        value: Scalar | Refusal = resolve(text) if event.implicit[0] else text
        if self._wants_key():
            self._key(text, value, where)
            return
        if isinstance(value, Refusal):
            self._report.add(value.code, where, value.summary, value.help)
            value = text
        self._note(self._place(value), where)

    def _assembled(self, text: str, where: SourceRange) -> str:
        """Refuse the forbidden characters and secrets that escapes and folding put together in double quotes."""
        if where.line == where.end_line:
            source = self._lines[where.line - 1][where.column - 1 : where.end_column - 1]
        else:
            source = "\n".join(self._lines[where.line - 1 : where.end_line])
        if source == f'"{text}"':
            return text  # as it is written, and so looked at with the file
        clean = refuse_escaped(text, where, self._report)
        self._report.assembled_secrets(clean, source, where)
        return clean

    def _key(self, text: str, value: Scalar | Refusal, where: SourceRange) -> None:
        frame = self._stack[-1]
        frame.key = text
        if text == "<<" and isinstance(value, Refusal):
            self._report.add("E0118", where, "merge keys are not used here", "write the keys out")
            frame.key = _Key.REFUSED
        elif isinstance(value, Refusal):
            self._report.add(value.code, where, value.summary, value.help)
        elif value is None:
            self._report.add("E0122", where, "the key is empty", "name the key; if the text null is meant, quote it")
            frame.key = _Key.REFUSED
        elif not isinstance(value, str):
            kind = "a boolean" if isinstance(value, bool) else "a number"
            help_ = f'quote it: "{text}"'
            if _AFTER_DECIMAL_COMMA.search(self._lines[where.line - 1][: where.column - 1]):
                help_ = f"a decimal comma is written as a point, as in 49.99; if a key is meant, {help_}"
            self._report.add("E0122", where, f"the key {quoted(text)} is {kind}, not text", help_)
        if hidden := invisible(text):
            self._report.add("E0113", where, f"{hidden} in a key cannot be seen", "remove it")
        if isinstance(frame.key, str):
            self._refuse_duplicate(frame, text, where)

    def _refuse_duplicate(self, frame: _Open, text: str, where: SourceRange) -> None:
        if first := frame.seen.get(text):
            self._report.add(
                "E0121",
                where,
                f"the key {quoted(text)} stands twice in one mapping",
                "remove one of the two, or rename it",
                Related(first, "first written here"),
            )
            frame.key = _Key.REFUSED
            return
        frame.seen[text] = where
        if frame.path is not None:
            self._tree.keys[*frame.path, text] = where

    def _open(self, value: dict[str, Any] | list[Any], event: MappingStartEvent | SequenceStartEvent) -> None:
        where = self._range(event)
        if len(self._stack) == MAX_DEPTH:
            self._stop(
                "E0104",
                where,
                f"values are nested more than {MAX_DEPTH} deep",
                "take the inner values out of the nesting",
            )
        self._node(where)
        self._refuse_properties(event)
        if self._wants_key():
            if self._stack[-1].path is not None:
                self._report.add("E0122", where, "a list or mapping cannot be a key", "write the key as text")
            self._stack[-1].key = _Key.REFUSED
            path = None
        else:
            path = self._place(value)
        self._note(path, where)
        self._stack.append(_Open(value, path, where, (where.end_line, where.end_column)))

    def _close(self, event: MappingEndEvent | SequenceEndEvent) -> None:
        frame = self._stack.pop()
        where = self._range(event)
        # A block has no closing mark: it ends where its last value ends.
        closed = (where.line, where.column) != (where.end_line, where.end_column)
        line, column = (where.end_line, where.end_column) if closed else frame.end
        start = frame.start
        self._note(frame.path, self._report.at(start.line, start.column, line, column))
        if self._stack:
            self._stack[-1].end = (line, column)

    def _wants_key(self) -> bool:
        return bool(self._stack) and isinstance(self._stack[-1].value, dict) and self._stack[-1].key is _Key.WANTED

    def _place(self, value: Any) -> Path_ | None:
        """Put a value into the open container; return its path, or ``None`` if it has no place."""
        if not self._stack:
            self._root = value
            return ()
        frame = self._stack[-1]
        key: str | int | _Key
        if isinstance(frame.value, list):
            frame.value.append(value)
            key = len(frame.value) - 1
        else:
            key, frame.key = frame.key, _Key.WANTED
            if isinstance(key, _Key):
                return None
            frame.value[key] = value
        return None if frame.path is None else (*frame.path, key)

    def _note(self, path: Path_ | None, where: SourceRange) -> None:
        if path is not None:
            self._tree.values[path] = where

    def _node(self, where: SourceRange) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self._stop("E0106", where, f"the file holds more than {MAX_NODES} values", "split it into several files")
        if self._stack:
            self._stack[-1].end = (where.end_line, where.end_column)

    def _refuse_properties(self, event: ScalarEvent | MappingStartEvent | SequenceStartEvent) -> None:
        if event.anchor is None and event.tag is None:
            return
        start = self._range(event)
        if event.anchor is not None:
            where = self._report.at(start.line, start.column, start.line, start.column + 1 + len(event.anchor))
            self._report.add("E0117", where, "anchors are not used here", "remove the anchor and write values out")
        if event.tag is not None:
            line = self._lines[start.line - 1]
            token = _TOKEN.match(line, start.column - 1)
            end = token.end() if token else start.column
            where = self._report.at(start.line, start.column, start.line, max(end, start.column) + 1)
            self._report.add(
                "E0119", where, "tags are not used here", "remove the tag; if '!' belongs to the text, quote it"
            )

    def _range(self, event: Any) -> SourceRange:
        return self._report.at(*self._position(event.start_mark), *self._position(event.end_mark))

    def _position(self, mark: Any) -> tuple[int, int]:
        """Return a mark as 1-based line and column; the parser marks some ends on a line that is not there."""
        if mark.line >= len(self._lines):
            return len(self._lines), len(self._lines[-1]) + 1
        return mark.line + 1, mark.column + 1

    def _scalar_range(self, event: ScalarEvent) -> SourceRange:
        """Return where a scalar stands; a block text ends with its last line, not on the line after it."""
        start_line, start_column = self._position(event.start_mark)
        line, column = self._position(event.end_mark)
        while line > start_line and not self._lines[line - 1][: column - 1].strip():
            line -= 1
            column = len(self._lines[line - 1]) + 1
        return self._report.at(start_line, start_column, line, column)

    def _stop(self, code: str, where: SourceRange, summary: str, remedy: str) -> None:
        self._report.add(code, where, summary, remedy)
        raise _StopError
