"""A draft as files, grouped as a person would: settings, what is shared, a file for each plan, what is left out."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reconciler.config.emit import emit
from reconciler.config.words import count
from reconciler.planning.pull.draft import Draft, LeftOut

LEFT_OUT = "left_out.yaml"
_TOGETHER: Mapping[str, tuple[str, ...]] = {
    "meters.yaml": ("meters",),
    "features.yaml": ("features",),
    "tiers.yaml": ("tiers",),
    "credit_packs.yaml": ("credit_packs",),
    "coupons.yaml": ("coupons", "promotion_codes"),
    "tax_rates.yaml": ("tax_rates",),
}
_TIERS = ("Bounds are inclusive and count from the first unit a table applies to, that is after the included units.",)
_IMPORTS = [
    "Objects without a key of their own, by the id they have in this account.",
    "An entry of a price keeps it without a lookup key; without the entry, the next plan gives it that of its address.",
    "All others can go as soon as the objects carry their owner mark (reconciler import --match, or apply).",
]


def write(draft: Draft, *, imports: bool = True) -> dict[str, str]:
    """Return the text of every file by its name below the directory; ``imports`` names objects by their ids."""
    files = {"settings.yaml": emit({"settings": dict(_settings(draft))}, heading=_heading(draft))}
    near: dict[str | None, list[LeftOut]] = defaultdict(list)
    for each in draft.left.values():
        near[draft.near(each)].append(each)
    for name, sections in _TOGETHER.items():
        content = {section: draft.sections[section] for section in sections if draft.sections[section]}
        if content:
            files[name] = emit(content, comments=draft.comments, heading=_TIERS if name == "tiers.yaml" else ())
    for name, plan in draft.sections["plans"].items():
        footer = [f"Left out: {each.words}." for each in near[f"plans.{name}"]]
        files[f"plans/{name}.yaml"] = emit({"plans": {name: plan}}, comments=draft.comments, depth=2, footer=footer)
    if imports and draft.imports:
        entries = [{"to": address, "id": object_id} for address, object_id in sorted(draft.imports)]
        files["imports.yaml"] = emit({"imports": entries}, heading=_IMPORTS)
    if draft.account.mode == "live":
        files["environments.yaml"] = emit(
            {"environments": {"production": {"account": draft.account.id, "mode": "live"}}},
            heading=["`--env production` binds a run to this account and mode."],
        )
    if near[None] or draft.account.archived:
        files[LEFT_OUT] = emit({}, heading=list(_left_out(near[None], draft.account.archived)))
    return files


def _settings(draft: Draft) -> Iterator[tuple[str, Any]]:
    yield "namespace", draft.namespace
    yield "currency", draft.currency
    if draft.tax_behavior is not None:
        yield "tax_behavior", draft.tax_behavior


def _heading(draft: Draft) -> list[str]:
    heading = [f"Read from account {draft.account.id} ({draft.account.mode}) by reconciler pull."]
    if draft.sections["meters"]:
        meters = ", ".join(draft.sections["meters"])
        heading.append(
            "Calls of tools are counted on the meter that settings.default_meter names; it is for you to choose "
            f"one of: {meters}."
        )
    return heading


def _left_out(others: Sequence[LeftOut], archived: Mapping[str, int]) -> Iterator[str]:
    yield "What the account holds and these files do not say. None of it is touched."
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
