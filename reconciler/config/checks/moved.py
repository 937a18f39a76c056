"""Addresses: what was renamed, and what is protected."""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

from reconciler.config.models import Moved
from reconciler.config.renames import new_address
from reconciler.config.source import Path_
from reconciler.config.view import View
from reconciler.diagnostics import Diagnostic
from reconciler.diagnostics.visible import quoted

#: Sections whose entries become objects that carry an owner mark, so that a new address can be written on them.
MOVABLE = frozenset(
    "plans credit_packs features coupons promotion_codes tax_rates tenants payment_links webhooks".split()
)


def moves_possible(view: View) -> Iterator[Diagnostic]:
    """E0607 to E0610: what moved is gone where it was, is there where it went, once, and is of the same kind."""
    steps: dict[str, int] = {}
    for index, entry in enumerate(view.file.moved):
        path: Path_ = ("moved", index)
        yield from _possible(view, path, entry)
        first = steps.setdefault(entry.source, index)
        if first != index:
            summary = f"{entry.source} is moved twice"
            yield view.error(
                "E0609", (*path, "from"), summary, "keep one of the two", (("moved", first, "from"), "the first")
            )
    targets = {entry.source: entry.target for entry in reversed(view.file.moved)}
    for source, index in steps.items():
        end = new_address(source, targets)
        if end == source:
            remedy = "name where it was and where it is now"
            yield view.error("E0609", ("moved", index), f"following {source} leads back to itself", remedy)
        elif targets[source] not in targets and not _is_there(view, end):
            summary = f"there is no {end} it could have moved to"
            yield view.error("E0608", ("moved", index, "to"), summary, "define it, or correct the address")


def _possible(view: View, path: Path_, entry: Moved) -> Iterator[Diagnostic]:
    source, target = entry.source.split("."), entry.target.split(".")
    if source[0] == "meters":
        summary = "a meter cannot move: Stripe keeps nothing on it that says where it belongs"
        remedy = "remove the entry, and name the old meter's event_name in the new one"
        yield view.error("E0610", (*path, "from"), summary, remedy)
    elif source[0] not in MOVABLE:
        summary = f"nothing in {quoted(source[0])} has an object at Stripe that could move"
        yield view.error("E0610", (*path, "from"), summary, f"addresses begin with {', '.join(sorted(MOVABLE))}")
    elif (source[::2], len(source)) != (target[::2], len(target)):
        summary = f"{entry.source} and {entry.target} are things of different kinds"
        yield view.error("E0610", (*path, "to"), summary, "a thing moves to a place for things of its kind")
    elif _is_there(view, entry.source):
        summary = f"{entry.source} is still defined"
        here = tuple(source)
        yield view.error(
            "E0607", (*path, "from"), summary, "remove it there, or remove this entry", (here, "defined here")
        )


def _is_there(view: View, address: str) -> bool:
    node: Any = view.merged.root
    for part in address.split("."):
        if not isinstance(node, dict) or part not in node:
            return False
        node = node[part]
    return True


def protected_known(view: View) -> Iterator[Diagnostic]:
    """W0601: a protected address names something."""
    for index, pattern in enumerate(view.file.guards.protected):
        if not _matches(view.merged.root, pattern.split(".")):
            path = ("guards", "protected", index)
            yield view.warning(
                "W0601", path, f"{quoted(pattern)} protects nothing", "correct the address, or remove it"
            )


def _matches(node: Any, parts: list[str]) -> bool:
    if not parts:
        return True
    entries = node.items() if isinstance(node, dict) else ()
    return any(fnmatchcase(str(key), parts[0]) and _matches(value, parts[1:]) for key, value in entries)
