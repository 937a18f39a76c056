"""Whether all is well, line by line: each said in words, and marked for a quick look. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

from reconciler.diagnostics.html import Child, Html, tag
from reconciler.service.dashboard.shell import label

_WORDS = {"good": "ok", "warn": "look", "bad": "act", "": "not known"}


class State(NamedTuple):
    """Something that is well or not: ``good``, ``warn``, ``bad``, or empty for not known; where more of it stands."""

    name: str
    words: str
    kind: str = ""
    where: str | None = None


def states(found: Sequence[State]) -> Html:
    """Write states as a list."""
    items = [tag("li", _state(each)) for each in found]
    return tag("ul", *items, class_="plain")


def _state(each: State) -> Html:
    name: Child = tag("a", each.name, href=each.where) if each.where else each.name
    text = tag("span", tag("strong", name), ": ", each.words)
    return tag("div", label(_WORDS[each.kind], each.kind), text, class_="state")
