"""HTML out of plain values: everything is escaped unless it was made here."""

import html
from collections.abc import Iterable
from typing import Any

from reconciler.diagnostics.visible import visible


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


Child = str | None
_VOID = frozenset({"input", "meta"})


def tag(name: str, /, *children: Child, **attributes: Any) -> Html:
    """Return an element; text children are made visible and escaped, ``None`` is left out.

    Attribute names lose a trailing ``_`` and have ``-`` for ``_``; ``None`` leaves one out.
    """
    written = "".join(
        f' {key.removesuffix("_").replace("_", "-")}="{html.escape(visible(str(value)))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{written}>" if name in _VOID else f"<{name}{written}>{join(children)}</{name}>")


def join(children: Iterable[Child]) -> Html:
    """Return the children one after the other, escaped where they are text."""
    return Html("".join(each if isinstance(each, Html) else html.escape(visible(each)) for each in children if each))
