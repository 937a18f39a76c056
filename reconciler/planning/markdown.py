"""A plan as a comment on a pull request. Pure.

What must not be missed stands outside the fold. The comment stays below GitHub's limit of 65,536 characters: details
are cut first, then the list of dangerous changes, which then says how many it leaves out.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from reconciler.diagnostics.markdown import code, longest_run
from reconciler.planning.category import category, consequence, is_dangerous
from reconciler.planning.change import Action, Change
from reconciler.planning.entitled import NO_BASE, OFF_BASE, Entitlements, total, worst
from reconciler.planning.entitled import changes_text as calls_text
from reconciler.planning.guards import Refusal
from reconciler.planning.migration import in_files
from reconciler.planning.migration_words import facts, heading, names, stayers
from reconciler.planning.plan import Plan
from reconciler.planning.render import ACTIONS, NO_CHANGES, Page, changes_text, count_line
from reconciler.planning.words import subscribed

#: Lets a bot find its comment again and edit it instead of adding another.
MARKER = "<!-- reconciler-plan -->"
LIMIT = 60_000
#: Characters for what must not be missed, for what guards refuse, which repeats most of it, and for the worst of calls.
_DANGEROUS_LIMIT, _REFUSED_LIMIT, _CALLS_LIMIT = 42_000, 6_000, 2_000
_PAGE = Page(width=110)


def render_markdown(plan: Plan, refusals: Sequence[Refusal] = ()) -> str:
    """Write a plan as GitHub-flavoured Markdown of at most 60,000 characters; no text in it acts as markup."""
    title = count_line(plan) if plan.changes else NO_CHANGES
    head = [MARKER, f"### {title}", "", *_target(plan), "", *_table(plan), ""]
    refused = [f"{code(each.message)}: allow with {code(each.allow)}" for each in refusals]
    head += [*_list("Refused by guards", refused, _REFUSED_LIMIT), *_dangerous(plan)]
    head += _migrations(plan)
    head += [_calls(plan.entitlements), "", *_worst(plan.entitlements)]
    text = "\n".join(head)
    if listed := in_files(plan.changes):
        text += _fold("All changes", changes_text(listed, _PAGE, plan.subscribers), LIMIT - len(text))
    if plan.entitlements.changed:
        text += _fold("All calls", _all_calls(plan.entitlements), LIMIT - len(text))
    return text


def _target(plan: Plan) -> Iterator[str]:
    target = plan.target
    environment = f", environment {code(target.environment)}" if target.environment else ""
    yield f"Account {code(target.account)} ({target.mode}), namespace {code(target.namespace)}{environment}  "
    if plan.snapshot:
        yield f"**Planned from a snapshot of {plan.snapshot:%Y-%m-%d %H:%M} UTC**, not for apply.  "
    yield f"Plan digest {code(plan.digest[:16])}, policy digest {code(plan.policy_digest[:16])}."


def _table(plan: Plan) -> Iterator[str]:
    counts = {str(action): plan.counts.get(action, 0) for action in ACTIONS}
    counts |= {"unchanged": plan.unchanged, "foreign": sum(plan.foreign.values())}
    yield f"| {' | '.join(counts)} |"
    yield "|" + " ---: |" * len(counts)
    yield f"| {' | '.join(map(str, counts.values()))} |"


def _dangerous(plan: Plan) -> Iterator[str]:
    """Yield every change that must not be missed: one a line, or where that is too long, addresses, retired first."""
    changes = [change for change in in_files(plan.changes) if is_dangerous(change)]
    if not changes:
        return
    lines = [f"{change.action} {code(change.address)}: {category(change)}{_felt(plan, change)}" for change in changes]
    if sum(len(line) + 3 for line in lines) <= _DANGEROUS_LIMIT:
        yield from _list("Dangerous", lines, _DANGEROUS_LIMIT)
        return
    alike: dict[str, list[str]] = defaultdict(list)
    for change in sorted(changes, key=lambda change: change.action is not Action.RETIRE):
        alike[f"Dangerous: {change.action}, {category(change)}"].append(code(change.address) + _felt(plan, change))
    room = _DANGEROUS_LIMIT
    for title, addresses in alike.items():
        yield from (listed := list(_list(title, addresses, room)))
        room -= sum(len(line) + 1 for line in listed)


def _migrations(plan: Plan) -> Iterator[str]:
    """Yield whose subscriptions move to a price's successor: money and dates are nothing to be folded away."""
    for migration in plan.migrations:
        items = [code(each) for each in (*facts(migration, plan.created), *stayers(migration))]
        items += [code(names(migration))] if migration.movers else []
        yield f"**Subscribers of {code(heading(migration))}**"
        yield ""
        yield from (f"- {item}" for item in items)
        yield ""


def _felt(plan: Plan, change: Change) -> str:
    """Say how many are subscribed to what goes off sale, where there are any, and what else people lose."""
    count, loss = plan.subscribers.get(change.id or "", 0), consequence(change)
    return (f", {loss}" if loss else "") + ("" if count == 0 else f", **{subscribed(count)}**")


def _list(title: str, items: Sequence[str], room: int) -> Iterator[str]:
    """Yield a titled list, cut where it would take more than its room."""
    if not items:
        return
    yield f"**{title} ({len(items)})**"
    yield ""
    for index, item in enumerate(items):
        room -= len(item) + 3
        if room < 0:
            yield f"- and {len(items) - index} more, which the plan file lists"
            break
        yield f"- {item}"
    yield ""


def _calls(entitled: Entitlements) -> str:
    """Say in one line what becomes of calls."""
    if not entitled.known and entitled.in_force:
        return "**Calls**: decided as last applied."
    if not entitled.known:
        return f"**Calls**: changes unknown, {NO_BASE}."
    since = code(str(entitled.base))
    off = f" **{OFF_BASE}**" if entitled.off_base else ""
    if not entitled.changed:
        return f"**Calls**: decided as before, compared with {since}.{off}"
    return f"**Calls**, compared with {since}: {total(entitled.terms or (), entitled.calls or ())}{off}"


def _worst(entitled: Entitlements) -> Iterator[str]:
    for effect in ("refused", "dearer"):
        found = [f"{code(whose)}: {code(what)}" for whose, what in worst(entitled, effect)]
        yield from _list(f"Calls that become {effect}", found, _CALLS_LIMIT)


def _all_calls(entitled: Entitlements) -> list[str]:
    return calls_text(entitled.terms or (), entitled.calls or (), unicode=True).splitlines()


def _fold(title: str, lines: Sequence[str], room: int) -> str:
    """Write lines of text below a fold, cut to the room there is; nothing where there is hardly any."""
    fence = "`" * max(3, max(map(longest_run, lines)) + 1)
    before = f"\n<details><summary>{title}</summary>\n\n{fence}text\n"
    after = f"{fence}\n\n</details>\n"
    room -= len(before) + len(after) + 80
    if room < 0:
        return ""
    kept: list[str] = []
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            kept.append(f"... {len(lines) - len(kept)} more lines; `reconciler show` prints the whole plan file")
            break
        kept.append(line)
    return before + "\n".join(kept) + "\n" + after
