"""A draft as the texts of files, and what is left out as comments."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reconciler.config.emit import emit
from reconciler.config.layout import layout
from reconciler.config.words import count
from reconciler.planning.pull.draft import Draft, LeftOut

LEFT_OUT = "left_out.yaml"


def write(draft: Draft, *, imports: bool = True, origin: str | None = None) -> dict[str, str]:
    """Return the text of every file by its name below the directory.

    ``imports`` names objects by their ids; ``origin`` is what the files were made from, the account unless said.
    """
    near: dict[str | None, list[LeftOut]] = defaultdict(list)
    for each in draft.left.values():
        near[draft.near(each)].append(each)
    sections: dict[str, Any] = {"settings": dict(_settings(draft)), **draft.sections}
    if imports:
        sections["imports"] = [{"to": address, "id": object_id} for address, object_id in sorted(draft.imports)]
        if draft.account.mode == "live":
            sections["environments"] = {"production": {"account": draft.account.id, "mode": "live"}}
    files = layout(
        sections,
        comments=draft.comments,
        headings={"settings.yaml": _heading(draft, origin or f"account {draft.account.id} ({draft.account.mode})")},
        footers={
            address: [f"Left out: {each.words}." for each in group]
            for address, group in near.items()
            if address is not None
        },
    )
    if near[None] or draft.account.archived:
        files[LEFT_OUT] = emit({}, heading=list(_left_out(near[None], draft.account.archived)))
    return files


def _settings(draft: Draft) -> Iterator[tuple[str, Any]]:
    yield "namespace", draft.namespace
    yield "currency", draft.currency
    if draft.tax_behavior is not None:
        yield "tax_behavior", draft.tax_behavior


def _heading(draft: Draft, origin: str) -> list[str]:
    heading = [f"Made from {origin} by reconciler."]
    if draft.sections["meters"]:
        meters = ", ".join(draft.sections["meters"])
        heading.append(
            "Calls of tools are counted on the meter that settings.default_meter names; it is for you to choose "
            f"one of: {meters}."
        )
    return heading


def _left_out(others: Sequence[LeftOut], archived: Mapping[str, int]) -> Iterator[str]:
    yield "What is there and these files do not say. None of it is touched."
    by_kind: dict[str, list[LeftOut]] = defaultdict(list)
    for each in others:
        by_kind[each.live.kind.name].append(each)
    for kind, group in sorted(by_kind.items()):
        yield ""
        yield f"{kind.replace('_', ' ').capitalize()}:"
        yield from (f"- {each.words}." for each in group)
    if archived:
        yield ""
        yield "Archived, and so left out: " + ", ".join(
            count(number, kind.replace("_", " ")) for kind, number in sorted(archived.items())
        )
