"""The second half of a plan: calls that are decided otherwise once the files are in force. Pure.

Prices of calls, limits, quotas, tools and credit costs may change while no object at Stripe does. What changes is given
as the JSON form of :mod:`reconciler.entitlements.changes`; without a base to compare with it is unknown, never none.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from reconciler import money
from reconciler.diagnostics.table import table
from reconciler.diagnostics.visible import visible
from reconciler.resources.model import Json, Values

#: What can become of a call, worst first.
EFFECTS = ("refused", "dearer", "changed", "cheaper", "allowed")
NO_BASE = "no base to compare with"
OFF_BASE = "Something else than this base was last applied."
_SHOWN = 5
#: Terms that are amounts of credits or money: millionths in a policy.
_AMOUNT = re.compile(r"\.(credits|bonus|price|least|credits\.(default|included|listed\..+))$")
#: Terms that are brackets in millionths; those of a ``fine`` rate are in other places, and stay as they are.
_BRACKETS = re.compile(r"\.lines\.[^.]+\.rate\.brackets$")
_LONGEST = 60


@dataclass(frozen=True)
class Entitlements:
    """What the files decide, by the digest of their policy, and what of it differs from a base.

    ``in_force`` tells whether the files are those last applied to the account; ``off_base`` that others than the base
    were, so that the comparison is not with what holds.
    ``base`` is how the base was named, ``base_digest`` the digest of its policy; ``terms`` and ``calls`` are the JSON
    values of :meth:`reconciler.entitlements.changes.Changes.as_json`. These are None where there is no base.
    """

    policy_digest: str
    in_force: bool = False
    off_base: bool = False
    base: str | None = None
    base_digest: str | None = None
    terms: Sequence[Values] | None = None
    calls: Sequence[Values] | None = None

    @property
    def known(self) -> bool:
        """Tell whether there was a base to compare with."""
        return self.base is not None

    @property
    def changed(self) -> bool:
        """Tell whether anything is known to be decided otherwise, or by other terms."""
        return bool(self.terms or self.calls)

    @property
    def counts(self) -> dict[str, int]:
        """Number of calls by what becomes of them, worst first; empty where nothing is known."""
        found = Counter(call["effect"] for group in self.calls or () for call in group["calls"])
        return {effect: found[effect] for effect in EFFECTS if found[effect]}

    def document(self) -> dict[str, Any]:
        """Return it as the plan file has it."""
        about = {"policy_digest": self.policy_digest, "in_force": self.in_force}
        if not self.known:
            return {"known": False, **about, "reason": NO_BASE}
        return {
            "known": True,
            **about,
            "off_base": self.off_base,
            "base": self.base,
            "base_digest": self.base_digest,
            "counts": self.counts,
            "terms": self.terms,
            "calls": self.calls,
        }


def summary(entitled: Entitlements) -> str:
    """Say in one line what becomes of calls."""
    if not entitled.known and entitled.in_force:
        return "Entitlements: as last applied."
    if not entitled.known:
        return f"Entitlements: changes unknown, {NO_BASE} (--base REV)."
    since = f"since {visible(str(entitled.base))}"
    off = f" {OFF_BASE}" if entitled.off_base else ""
    if not entitled.changed:
        return f"Entitlements: no changes {since}; calls are decided as before.{off}"
    return f"Entitlements {since}: {_counted_calls(entitled.terms or (), entitled.counts)}{off}"


def changes_text(terms: Sequence[Values], calls: Sequence[Values], *, unicode: bool) -> str:
    """Return what changes, terms first, then calls by whom they are of; without ``unicode`` in ASCII."""
    text = "".join(_changes(terms, calls))
    return text if unicode else text.replace("→", "->").replace("…", "...")


def total(terms: Sequence[Values], calls: Sequence[Values]) -> str:
    """Count terms and calls in one line."""
    counts = Counter(call["effect"] for group in calls for call in group["calls"])
    return _counted_calls(terms, counts)


def worst(entitled: Entitlements, effect: str) -> Iterator[tuple[str, str]]:
    """Yield the calls of one effect: of whom, and what becomes of it, in words."""
    for group in entitled.calls or ():
        for call in group["calls"]:
            if call["effect"] == effect:
                _, name, where, outcome = _call(call)
                yield _whose(group), " ".join(filter(None, (name, where, outcome)))


def _counted_calls(terms: Sequence[Values], counts: Mapping[str, int]) -> str:
    told = ", ".join(f"{counts[effect]} {effect}" for effect in EFFECTS if counts.get(effect))
    changed = f"{len(terms)} term{'' if len(terms) == 1 else 's'} changed"
    return f"{changed}. Calls: {told or 'none decided otherwise'}."


def _changes(terms: Sequence[Values], calls: Sequence[Values]) -> Iterator[str]:
    rows = [(_sign(term["before"], term["after"]), term["address"], _change(term), term["source"]) for term in terms]
    yield table(rows)
    for group in calls:
        yield f"\n{visible(_whose(group))}\n"
        yield table([_call(call) for call in group["calls"]], (), "  ")


def _whose(group: Values) -> str:
    reaches = group["tenants"] and group["of"][0].startswith("plans.")
    return _some(group["of"]) + (f" (reaches {_some(group['tenants'])})" if reaches else "")


def _sign(before: Json, after: Json) -> str:
    return "+" if before is None else "-" if after is None else "~"


def _change(term: Values) -> str:
    before, after = _readable(term["address"], (term["before"], term["after"]))
    if before is None or after is None:
        return _cut(after if before is None else before)
    return f"{_cut(before)} → {_cut(after)}"


def _readable(address: str, values: tuple[Json, Json]) -> tuple[Json, Json]:
    """Return a term's values, amounts in millionths as the decimals the files have."""
    if _BRACKETS.search(address):
        before, after = (value and _bracketed(value) for value in values)
        return before, after
    if not _AMOUNT.search(address) or any(type(value) is bool for value in values):
        return values
    before, after = (_decimal(value) if isinstance(value, int) else value for value in values)
    return before, after


def _bracketed(brackets: Sequence[Sequence[Any]]) -> str:
    """Write brackets ``(up_to, unit, flat)`` as a person reads them; one that has no end is its amount alone."""
    return ", ".join(
        (f"to {up_to:,}: " if up_to is not None else "beyond: " if len(brackets) > 1 else "")
        + _decimal(unit)
        + (f" and {_decimal(flat)} at once" if flat else "")
        for up_to, unit, flat in brackets
    )


def _decimal(millionths: int) -> str:
    return money.plain(Decimal(millionths).scaleb(-6))


def _cut(value: Json) -> str:
    items = [f"{name}: {item}" for name, item in value.items()] if isinstance(value, dict) else value
    text = (", ".join(map(str, items)) or "none") if isinstance(items, list) else str(items)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _some(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more:,} more" if more > 0 else "")


def _call(call: Values) -> tuple[str, str, str, str]:
    quantity = f"of quantity {call['quantity']:,}" if call["quantity"] > 1 else ""
    after = f"after {call['used']:,} {_counted(call['counter'])}" if call["counter"] else ""
    where = " ".join(filter(None, (quantity, after)))
    return call["effect"], _called(call), where, f"{_outcome(call['before'])} → {_outcome(call['after'])}"


def _called(call: Values) -> str:
    if "meter" in call:
        return f"meter {call['meter']}"
    return "any other tool" if call["tool"] == "*" else str(call["tool"])


def _counted(counter: str) -> str:
    """Say what a counter counts, by its id: a meter of a usage line, calls with prices by number, or a limit."""
    kind, _, of = counter.partition("/")
    if kind == "usage":
        return of
    limit = of.rsplit("/", 2)
    if kind == "limit" and len(limit) == 3:  # noqa: PLR2004  of, per, kind
        return f"{limit[0]} in the {limit[1]}"
    return "calls of the month"


def _outcome(outcome: Values) -> str:
    if not outcome["allowed"]:
        return str(outcome["reason"])
    cost = Decimal(outcome["cost"])
    if not cost:
        return "free"
    if outcome["unit"] == "credit":
        return f"{money.plain(cost)} credits"
    return money.display(money.to_minor(cost, outcome["unit"]), outcome["unit"])
