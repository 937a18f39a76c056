"""What a reply shows: expand-only fields left out, ids replaced by objects where ``expand[]`` asks for it.

Source: https://docs.stripe.com/api/expanding_objects; texts observed in stripe/stripe-python#316.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from reconciler.sandbox.errors import ApiError, invalid
from reconciler.sandbox.objects.base import Family, Nested
from reconciler.sandbox.store import Tx, Window
from reconciler.sandbox.wire import Obj

MAX_LEVELS = 4
_LIST_AND_DATA = 2

#: Stands for any one key, such as the currency in ``currency_options.*.tiers``.
ANY = "*"

#: Fields whose name begins so are the sandbox's own and never shown.
INTERNAL = "_"


def check(families: Mapping[str, Family], family: Family, paths: Iterable[str], *, lists: bool) -> None:
    """Refuse paths that lead nowhere or too deep, before anything is executed."""
    for path in paths:
        parts = path.split(".")
        if len(parts) > MAX_LEVELS:
            raise invalid(f"You cannot expand more than {MAX_LEVELS} levels of a property. Property: {path}", "expand")
        inside = parts[1:] if lists and parts[0] == "data" else parts
        if lists and parts[0] != "data":
            hint = f" You may want to try expanding 'data.{path}' instead." if _leads(families, family, parts) else ""
            raise _refusal(path, hint)
        if not inside or not _leads(families, family, inside):
            raise _refusal(path, "")


def _refusal(path: str, hint: str) -> ApiError:
    return invalid(f"This property cannot be expanded ({path}).{hint}", "expand")


def _leads(families: Mapping[str, Family], family: Family, parts: Sequence[str]) -> bool:
    """Tell whether a path ends at or passes through an expandable field; a container of one is accepted (observed)."""
    for dotted in (*family.hidden, *family.references, *family.embeds):
        field = dotted.split(".")
        if _matches(parts, field[: len(parts)]):
            return True
        kind = family.references.get(dotted) or family.embeds.get(dotted)
        if kind and _matches(parts[: len(field)], field):
            return kind in families and _leads(families, families[kind], parts[len(field) :])
    nested = family.nested.get(parts[0])
    if nested is None or parts[1:2] not in ([], ["data"]):
        return False
    return len(parts) <= _LIST_AND_DATA or _leads(families, families[nested.kind], parts[_LIST_AND_DATA:])


def _matches(parts: Sequence[str], field: Sequence[str]) -> bool:
    return len(parts) == len(field) and all(want in {ANY, part} for part, want in zip(parts, field, strict=True))


def visible(obj: Obj) -> Obj:
    """Return an object without what only the sandbox knows of it."""
    shown = dict(obj)
    for name in [name for name in obj if name[:1] == INTERNAL]:
        del shown[name]
    return shown


def show(tx: Tx, families: Mapping[str, Family], family: Family, obj: Obj, paths: Iterable[str] = ()) -> Obj:
    """Return an object as a client sees it; ``paths`` are checked and relative to the object."""
    wanted = [path.split(".") for path in paths]
    shown = visible(obj)
    shown |= family.addresses(obj, tx.base_url)
    for name, nested in family.nested.items():
        through = [path[1:] for path in wanted if path[0] == name]
        if not nested.hidden or through:
            shown[name] = _nest(tx, families, nested, obj, name, [path[1:] for path in through if len(path) > 1])
        else:
            shown.pop(name, None)
    for field in _deepest_first(family.hidden):
        _hide(shown, field, wanted, [])
    for dotted, kind in ({**family.embeds, **family.references} if wanted else family.embeds).items():
        field = dotted.split(".")
        inner = [".".join(path[len(field) :]) for path in wanted if path[: len(field)] == field]
        if (inner or dotted in family.embeds) and kind in families:
            _replace(shown, field, tx, families, families[kind], [path for path in inner if path])
    return shown


@cache
def _deepest_first(hidden: frozenset[str]) -> Sequence[Sequence[str]]:
    """Return the parts of dotted fields, those inside another one before it."""
    return [dotted.split(".") for dotted in sorted(hidden, reverse=True)]


def _nest(
    tx: Tx, families: Mapping[str, Family], nested: Nested, obj: Obj, name: str, paths: Iterable[Sequence[str]]
) -> Obj:
    """Return the list inside an object; one that is not stored, such as a preview, brings its own elements."""
    window = Window(nested.first + 1, from_oldest=True)
    stored = () if name in obj else tx.page(nested.kind, [(nested.by, obj["id"])], window)[::-1]
    elements: list[Obj] = obj[name] if name in obj else [row.body for row in stored[: nested.first]]
    deeper = [".".join(path) for path in paths]
    return {
        "object": "list",
        "data": [show(tx, families, families[nested.kind], element, deeper) for element in elements],
        "has_more": len(stored) > nested.first,
        "url": nested.url.replace("{id}", obj["id"]),
    }


def _hide(node: dict[str, Any], field: Sequence[str], wanted: Sequence[Sequence[str]], above: list[str]) -> None:
    """Leave a field out unless it is there and a path names it; containers on the way are copied, never changed."""
    head, *rest = field
    for key in list(node) if head == ANY else [head] if head in node else ():
        here = [*above, key]
        if rest and isinstance(node[key], dict):
            node[key] = dict(node[key])
            _hide(node[key], rest, wanted, here)
        elif not rest and (node[key] is None or not any(path[: len(here)] == here for path in map(list, wanted))):
            del node[key]


def _replace(
    node: dict[str, Any],
    field: Sequence[str],
    tx: Tx,
    families: Mapping[str, Family],
    family: Family,
    paths: list[str],
) -> None:
    """Put objects in the place of their ids, in arrays and in the members of arrays too."""
    head, *rest = field
    value = node.get(head)
    if rest and isinstance(value, dict):
        node[head] = dict(value)
        _replace(node[head], rest, tx, families, family, paths)
    elif rest and isinstance(value, list):
        node[head] = [dict(member) for member in value]
        for member in node[head]:
            _replace(member, rest, tx, families, family, paths)
    elif isinstance(value, list):
        node[head] = [_object(tx, families, family, member, paths) for member in value]
    elif value is not None:
        node[head] = _object(tx, families, family, value, paths)


def _object(tx: Tx, families: Mapping[str, Family], family: Family, value: Any, paths: list[str]) -> Any:
    """Return the object an id names; what is no id, or names nothing any more, stays."""
    row = tx.find(family.kind, value) if isinstance(value, str) else None
    return show(tx, families, family, row.body, paths) if row else value
