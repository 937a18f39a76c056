"""Writing YAML in the style of the shipped catalogue: small mappings on one line, comments above what they are about.

What is written is read back as the same values by this package's own reader: text that another reader could take for a
number, a boolean or a date is quoted.
"""

import json
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reconciler.config.scalars import resolve
from reconciler.config.source import Path_
from reconciler.diagnostics.visible import visible

WIDTH = 120
#: Sections whose entries are written key by key, and maps of ids inside them.
_TALL = frozenset({"plans", "coupons", "promotion_codes", "tax_rates", "tiers", "tenants"})
_MAPS = frozenset({"prices", "usage"})
_PLAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 _./+()$%-]*[A-Za-z0-9_)%+])?")
#: What needs no quotes either where nothing but the end of the line ends a value.
_PLAIN_LINE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 _./+()$%,;!?'-]*[A-Za-z0-9_)%+.!?])?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?![0-9])")


class Plain(str):
    """Text that is written as it stands: a number or a date."""

    __slots__ = ()


def emit(
    sections: Mapping[str, Any],
    *,
    comments: Mapping[Path_, Sequence[str]] | None = None,
    depth: int = 1,
    heading: Sequence[str] = (),
    footer: Sequence[str] = (),
) -> str:
    """Write one file: modeline, heading, sections, footer; ``depth`` is how far ``schemas/`` is above its directory."""
    lines = [f"# yaml-language-server: $schema={'../' * depth}schemas/billing.schema.json"]
    lines += [line for text in heading for line in _comment(text, 0)]
    writer = _Writer(comments or {})
    for number, (name, content) in enumerate(sections.items()):
        lines += [*([""] if number else []), *writer.mapping({name: content}, (), 0)]
    lines += [*([""] if footer else []), *(line for text in footer for line in _comment(text, 0))]
    return "\n".join(lines) + "\n"


def scalar(value: Any, *, line: bool = False) -> str:
    """Write one scalar so that it is read back as it is; ``line`` where it stands alone on the rest of its line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Plain | int):
        return str(value)
    text = str(value)
    if (_PLAIN_LINE if line else _PLAIN).fullmatch(text) and not _DATE.match(text) and resolve(text) == text:
        return text
    return json.dumps(text, ensure_ascii=False)


class _Writer:
    def __init__(self, comments: Mapping[Path_, Sequence[str]]) -> None:
        self._comments = comments

    def mapping(self, content: Mapping[str, Any], path: Path_, indent: int) -> Iterator[str]:
        for key, value in content.items():
            here = (*path, key)
            for text in self._comments.get(here, ()):
                yield from _comment(text, indent)
            yield from self._entry(f"{' ' * indent}{scalar(key)}:", value, here, indent)

    def _entry(self, head: str, value: Any, path: Path_, indent: int) -> Iterator[str]:
        if not isinstance(value, Mapping | list | tuple):
            yield f"{head} {scalar(value, line=True)}"
            return
        if not value:
            yield f"{head} {_flow(value)}"
            return
        line = f"{head} {_flow(value)}"
        if self._may_flow(value, path) and len(line) <= WIDTH:
            yield line
        elif isinstance(value, Mapping):
            yield head
            yield from self.mapping(value, path, indent + 2)
        else:
            yield head
            yield from self._items(value, path, indent + 2)

    def _items(self, items: Sequence[Any], path: Path_, indent: int) -> Iterator[str]:
        pad = " " * indent
        for index, item in enumerate(items):
            for text in self._comments.get((*path, index), ()):
                yield from _comment(text, indent)
            line = f"{pad}- {_flow(item)}"
            if len(line) <= WIDTH or not isinstance(item, Mapping):
                yield line
                continue
            first, *rest = self.mapping(item, (*path, index), indent + 2)
            yield from (f"{pad}- {first.lstrip()}", *rest)

    def _may_flow(self, value: Any, path: Path_) -> bool:
        if any(other[: len(path)] == path and other != path for other in self._comments):
            return False
        if isinstance(value, Mapping):
            tall = len(path) == 1 or (len(path) == 2 and path[0] in _TALL) or path[-1] in _MAPS  # noqa: PLR2004
            return not tall
        return not any(isinstance(item, Mapping) for item in value)


def _flow(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{scalar(key)}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    return scalar(value)


def _comment(text: str, indent: int) -> list[str]:
    """Wrap a comment; nothing in it can end the line it stands on."""
    pad = " " * indent + "# "
    return textwrap.wrap(
        visible(text),
        WIDTH,
        initial_indent=pad,
        subsequent_indent=pad + "  " * text.startswith("- "),
        break_long_words=False,
        break_on_hyphens=False,
    ) or [pad.rstrip()]
