"""A plan for people, for pull requests and for programs. Pure, and deterministic for equal plans.

Text shows one line per resource and only the values that change; what comes from files or from Stripe is made visible
on one line and never reaches a terminal, a page or a workflow as it is.
"""

import json
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reconciler.diagnostics.visible import visible
from reconciler.planning.category import Category, category, consequence
from reconciler.planning.change import Action, Change, Reason
from reconciler.planning.entitled import changes_text as calls_text
from reconciler.planning.entitled import summary
from reconciler.planning.guards import Refusal
from reconciler.planning.leaves import Leaf, leaves
from reconciler.planning.migration import in_files
from reconciler.planning.migration_words import facts, heading, names, stayers
from reconciler.planning.plan import Plan, document
from reconciler.planning.words import brackets, headline, subscribed

NO_CHANGES = "No changes. Stripe is as the files say."
ACTIONS = (Action.CREATE, Action.UPDATE, Action.REPLACE, Action.RETIRE, Action.ADOPT)
_SIGNS = {
    Action.CREATE: ("+", "+"),
    Action.UPDATE: ("~", "~"),
    Action.REPLACE: ("±", "-/+"),
    Action.RETIRE: ("-", "-"),
    Action.ADOPT: (">", ">"),
}
_COLORS = {
    Action.CREATE: "32",
    Action.UPDATE: "33",
    Action.REPLACE: "35",
    Action.RETIRE: "31",
    Action.ADOPT: "36",
    "bold": "1",
    "dim": "2",
    "old": "31",
    "new": "32",
}
_REASONS = {
    Reason.CONFIG: "changed in the files",
    Reason.DRIFT: "changed at Stripe",
    Reason.BOTH: "changed in the files and at Stripe",
    Reason.EITHER: "changed in the files or at Stripe",
}
_LONGEST = 400


@dataclass(frozen=True, slots=True)
class Page:
    """What text is written on: columns (40 or more), ANSI colours, symbols beyond ASCII; ``verbose`` adds counts."""

    width: int = 100
    color: bool = False
    unicode: bool = True
    verbose: bool = False

    def paint(self, style: Action | str, text: str) -> str:
        """Return the text in a style, or as it is without colour."""
        return f"\x1b[{_COLORS[style]}m{text}\x1b[0m" if self.color and text else text

    def sign(self, action: Action) -> str:
        """Return the sign of an action: one character, or plain ASCII where the terminal knows no other."""
        return _SIGNS[action][not self.unicode]

    @property
    def sign_width(self) -> int:
        """Return the columns a sign takes."""
        return max(len(self.sign(action)) for action in ACTIONS)

    @property
    def arrow(self) -> str:
        """Return what stands between old and new."""
        return "→" if self.unicode else "->"

    @property
    def dot(self) -> str:
        """Return what stands between remarks."""
        return " · " if self.unicode else ", "


def render_text(plan: Plan, refusals: Sequence[Refusal] = (), page: Page | None = None) -> str:
    """Write a plan for people: target, legend, changes, refusals of guards, and a last line that counts."""
    page = page or Page()
    lines = [target_text(plan), ""]
    if listed := in_files(plan.changes):
        lines += [*_wrap(_legend(page), page), "", *changes_text(listed, page, plan.subscribers), ""]
    lines += _migrations(plan, page)
    if page.verbose:
        lines += [*_by_kind(plan), ""]
    lines += [*_refused(refusals, page)]
    if not plan.changes:
        lines += [page.paint("bold", NO_CHANGES)]
    lines += [*_entitlements(plan, page), *(page.paint("bold", line) for line in count_lines(plan, page))]
    return "\n".join(lines) + "\n"


def render_json(plan: Plan, refusals: Sequence[Refusal] = ()) -> str:
    """Write a plan as JSON: the content of its file with digest, a category for each change, refusals of guards."""
    content = document(plan)
    for action, change in zip(content["actions"], plan.changes, strict=True):
        action["category"] = str(category(change))
    refused = [
        {"guard": each.guard, "address": each.address, "message": each.message, "allow": each.allow}
        for each in refusals
    ]
    return as_json({**content, "digest": plan.digest, "refusals": refused})


def render_gitlab(plan: Plan) -> str:
    """Write the three counts a GitLab merge request shows of an infrastructure report; a replacement counts twice.

    https://docs.gitlab.com/user/infrastructure/iac/mr_integration/
    """
    counts = {action: plan.counts.get(action, 0) for action in ACTIONS}
    report = {
        "create": counts[Action.CREATE] + counts[Action.REPLACE],
        "update": counts[Action.UPDATE] + counts[Action.ADOPT],
        "delete": counts[Action.RETIRE] + counts[Action.REPLACE],
    }
    return as_json(report)


def changes_text(
    changes: Sequence[Change],
    page: Page,
    subscribers: Mapping[str, int | None] | None = None,
    notes: Mapping[tuple[str, str | None], str] | None = None,
) -> list[str]:
    """Write changes in columns, one line each where it fits, with what differs below.

    ``subscribers`` are the live subscriptions by id of a price, None where they could not be read; ``notes`` by address
    and id are written below.
    """
    known = subscribers or {}
    longest = max((len(visible(change.address)) for change in changes), default=0)
    column = min(longest, page.width // 2)
    lines: list[str] = []
    for change in changes:
        lines += _change(change, page, column, known)
        note = (notes or {}).get((change.address, change.id))
        lines += _wrap(visible(note), page, 6) if note else []
    return lines


def count_line(plan: Plan) -> str:
    """Count what a plan does and what it leaves alone."""
    counts = plan.counts
    shown = [action for action in ACTIONS if action is not Action.ADOPT or action in counts]
    todo = ", ".join(f"{counts.get(action, 0)} to {action}" for action in shown)
    return f"Plan: {todo}. {plan.unchanged} unchanged, {sum(plan.foreign.values())} foreign untouched."


def count_lines(plan: Plan, page: Page) -> list[str]:
    """Count on one line, or on two where it would be too long."""
    return sentences(count_line(plan), page)


def as_json(content: Mapping[str, Any]) -> str:
    """Write JSON as every command does."""
    return json.dumps(content, indent=2, ensure_ascii=True) + "\n"


def target_text(plan: Plan) -> str:
    """Say for which account a plan was made."""
    target = plan.target
    environment = f", environment {visible(target.environment)}" if target.environment else ""
    offline = (
        f"\nPlanned from a snapshot of {plan.snapshot:%Y-%m-%d %H:%M} UTC, not for apply." if plan.snapshot else ""
    )
    return visible(f"Account {target.account} ({target.mode}), namespace {target.namespace}{environment}") + offline


def _legend(page: Page) -> str:
    return "  ".join(f"{page.sign(action)} {action}" for action in ACTIONS)


def _entitlements(plan: Plan, page: Page) -> Iterator[str]:
    """Yield what becomes of calls: one line, under a table of terms and calls where there are some."""
    entitled = plan.entitlements
    if entitled.changed:
        yield page.paint("bold", f"Calls, since {visible(str(entitled.base))}:")
        yield from calls_text(entitled.terms or (), entitled.calls or (), unicode=page.unicode).splitlines()
        yield ""
    yield from _wrap(summary(entitled), page)


def _migrations(plan: Plan, page: Page) -> Iterator[str]:
    """Yield whose subscriptions move to a price's successor, and who stays."""
    for migration in plan.migrations:
        yield page.paint("bold", heading(migration))
        yield from (line for fact in facts(migration, plan.created) for line in _wrap(fact, page, 2))
        if migration.movers:
            yield from (page.paint("dim", line) for line in _wrap(names(migration), page, 2))
        yield from (line for stay in stayers(migration) for line in _wrap(stay, page, 2))
        yield ""


def _by_kind(plan: Plan) -> Iterator[str]:
    """Count changes and foreign objects by kind."""
    counts: dict[str, dict[str, int]] = {}
    for change in plan.changes:
        row = counts.setdefault(change.kind.name, {})
        row[str(change.action)] = row.get(str(change.action), 0) + 1
    for name, number in plan.foreign.items():
        counts.setdefault(name, {})["foreign"] = number
    for name, row in sorted(counts.items()):
        yield f"  {name.replace('_', ' ')}: " + ", ".join(f"{number} {word}" for word, number in row.items())


def _refused(refusals: Sequence[Refusal], page: Page) -> Iterator[str]:
    if not refusals:
        return
    yield page.paint("bold", "Guards refuse this plan; apply needs each to be allowed:")
    for each in refusals:
        yield from _wrap(f"{page.paint('old', '!')} {visible(each.message)} (--allow={visible(each.allow)})", page, 2)
    yield ""


def _change(change: Change, page: Page, column: int, subscribers: Mapping[str, int | None]) -> Iterator[str]:
    state = change.after or change.before
    values = state.values if state else {}
    address = visible(change.address)
    head = f"{page.sign(change.action):<{page.sign_width}} {address:<{column}}"
    words, said = headline(change.kind, values), page.dot.join(remarks(change, subscribers))
    beside = len(address) <= column and len(f"{head}  {words}") <= page.width
    line = f"{head}  {words}" if beside else f"    {words}"
    if not beside:
        yield page.paint(change.action, head.rstrip())
    painted = f"{page.paint(change.action, head)}  {words}" if beside else line
    if len(f"{line}  {said}") <= page.width:
        yield f"{painted}  {page.paint('dim', said)}"
    else:
        yield from [painted] if beside else _wrap(words, page, 4)
        yield from (page.paint("dim", line) for line in _wrap(said, page, 4))
    if change.action is Action.CREATE:
        yield from (line for units, cost in brackets(values) for line in _wrap(f"{units}: {cost}", page, 6))
    elif change.action is not Action.RETIRE:
        yield from (line for leaf in leaves(change) for line in _leaf(leaf, page))


def remarks(change: Change, subscribers: Mapping[str, int | None]) -> Iterator[str]:
    """Yield why, whom it touches, and where it stands; a creation is new to everybody unless it cannot be undone."""
    kind = category(change)
    if change.action is not Action.CREATE:
        yield _REASONS.get(change.reason, str(change.reason))
    if change.action is not Action.CREATE or kind is Category.IRREVERSIBLE:
        yield str(kind)
    if (loss := consequence(change)) is not None:
        yield loss
    if change.id is not None and subscribers.get(change.id, 0) != 0:
        yield subscribed(subscribers[change.id])
    if change.source:
        yield visible(change.source)


def _leaf(leaf: Leaf, page: Page) -> Iterator[str]:
    old, new = _fit(leaf.before or "none", leaf.after or "none")
    whole = f"      {leaf.name}: {old} {page.arrow} {new}"
    if len(whole) <= page.width:
        yield f"      {leaf.name}: {page.paint('old', old)} {page.arrow} {page.paint('new', new)}"
        return
    yield f"      {leaf.name}:"
    yield from (page.paint("old", line) for line in _wrap(old, page, 8))
    first, *others = _wrap(f"{page.arrow} {new}", page, 8)
    yield page.paint("new", first)
    yield from (page.paint("new", line) for line in others)


def _fit(old: str, new: str) -> tuple[str, str]:
    """Cut long values to the part around their first difference."""
    same = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    start = max(0, same - 40) if max(len(old), len(new)) > _LONGEST else 0
    return _cut(old, start), _cut(new, start)


def _cut(text: str, start: int) -> str:
    left, right = ("..." if start else ""), ("..." if len(text) > start + _LONGEST else "")
    return f"{left}{text[start : start + _LONGEST]}{right}"


def sentences(text: str, page: Page) -> list[str]:
    """Write sentences on one line, or each on lines of its own."""
    sentences = [text] if len(text) <= page.width else re.split(r"(?<=\.) ", text)
    return [line for sentence in sentences for line in _wrap(sentence, page)]


def _wrap(text: str, page: Page, indent: int = 0) -> list[str]:
    """Break text at spaces; addresses and positions stay whole, so that they can be copied."""
    pad = " " * indent
    return textwrap.wrap(
        text,
        page.width,
        initial_indent=pad,
        subsequent_indent=pad + "  " * bool(indent),
        break_long_words=False,
        break_on_hyphens=False,
    )
