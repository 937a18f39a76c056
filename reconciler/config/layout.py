"""Sections as files, grouped as a person would: settings, what is shared, a file for each plan and each tenant."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from reconciler.config.emit import emit
from reconciler.config.source import Path_

_TOGETHER: Mapping[str, tuple[str, ...]] = {
    "settings.yaml": ("settings",),
    "environments.yaml": ("environments",),
    "meters.yaml": ("meters",),
    "features.yaml": ("features",),
    "tiers.yaml": ("tiers",),
    "credit_packs.yaml": ("credit_packs",),
    "coupons.yaml": ("coupons", "promotion_codes"),
    "tax_rates.yaml": ("tax_rates",),
    "imports.yaml": ("imports",),
}
_APART = ("plans", "tenants")
#: Most entries that have a file each.
MANY = 2000
_HEADINGS: Mapping[str, Sequence[str]] = {
    "environments.yaml": ["`--env production` binds a run to this account and mode."],
    "tiers.yaml": [
        "Bounds are inclusive and count from the first unit a table applies to, that is after the included units."
    ],
    "imports.yaml": [
        "Objects without a key of their own, by the id they have in this account.",
        "An entry of a price keeps it without a lookup key; without the entry the next plan gives it one.",
        "All others can go as soon as the objects carry their owner mark (reconciler import --match, or apply).",
    ],
}


def layout(
    sections: Mapping[str, Any],
    *,
    comments: Mapping[Path_, Sequence[str]] | None = None,
    headings: Mapping[str, Sequence[str]] | None = None,
    footers: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, str]:
    """Return the text of every file by its name below the directory; headings are by that name too.

    Footers are by the address of a plan or a tenant, and stand in the file that has it.
    """
    above, below = {**_HEADINGS, **(headings or {})}, footers or {}
    files = {}
    for name, parts in _TOGETHER.items():
        content = {section: sections[section] for section in parts if sections.get(section)}
        if content:
            files[name] = emit(content, comments=comments, heading=above.get(name, ()))
    for section in _APART:
        for name, entries in _apart(sections.get(section) or {}):
            told = [line for entry in entries for line in below.get(f"{section}.{entry}", ())]
            files[f"{section}/{name}.yaml"] = emit({section: entries}, comments=comments, depth=2, footer=told)
    return files


def _apart(entries: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a file's name with what is in it: one entry, or a hundred where there are very many."""
    size = 1 if len(entries) <= MANY else 100
    names = iter(entries)
    while batch := list(islice(names, size)):
        first, *others = batch
        name = f"{first}-and-{len(others)}-more" if others else first
        yield name, {entry: entries[entry] for entry in (first, *others)}
