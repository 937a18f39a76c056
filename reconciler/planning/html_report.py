"""A plan as one HTML page without a script: for an artifact, a mail, a meeting. Pure.

Everything that comes from files or from Stripe is made visible and escaped; the page loads nothing, and its policy
forbids it to.
"""

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from reconciler.diagnostics.visible import visible
from reconciler.planning.category import category, is_dangerous
from reconciler.planning.change import Action, Change
from reconciler.planning.entitled import changes_text as calls_text
from reconciler.planning.entitled import summary
from reconciler.planning.guards import Refusal
from reconciler.planning.leaves import leaves
from reconciler.planning.migration import in_files
from reconciler.planning.migration_words import facts, heading, names, stayers
from reconciler.planning.plan import Plan
from reconciler.planning.render import ACTIONS, NO_CHANGES, Page, count_line, remarks
from reconciler.planning.words import brackets, headline

_PAGE = Page()
_BAR_WIDTH, _BAR_HEIGHT, _LEAST = 1000, 14, 12
_STYLE = """
:root{color-scheme:light dark;--bg:#fff;--fg:#1c2024;--soft:#5c6470;--line:#d9dde3;--card:#f6f7f9;
--create:#1a7f37;--update:#8a5a00;--replace:#7d3ac1;--retire:#c62828;--adopt:#0b7285}
@media(prefers-color-scheme:dark){:root{--bg:#14171b;--fg:#e6e8eb;--soft:#9aa3af;--line:#333a44;--card:#1c2127;
--create:#56d364;--update:#e3b341;--replace:#c297ff;--retire:#ff7b72;--adopt:#56d4dd}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:64rem;padding:1.25rem 1rem 3rem;background:var(--bg);color:var(--fg);
font:1rem/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
h1{font-size:1.35rem;line-height:1.3;margin:0 0 .5rem}h2{font-size:1.05rem;margin:1.75rem 0 .5rem}
p{margin:.25rem 0}code,pre{font:.875em/1.45 ui-monospace,monospace}
.soft{color:var(--soft);font-size:.9rem}.offline{border-left:4px solid var(--update);padding-left:.75rem}
svg{display:block;width:100%;height:.9rem;margin:1rem 0 .75rem;border-radius:4px}
.counts{display:grid;grid-template-columns:repeat(auto-fit,minmax(6.5rem,1fr));gap:.5rem;padding:0;margin:0;list-style:none}
.counts li{background:var(--card);border:1px solid var(--line);border-radius:6px;padding:.4rem .7rem;font-size:.85rem}
.counts b{display:block;font-size:1.3rem;line-height:1.2}
ul.plain{margin:0;padding-left:1.2rem}
article{border:1px solid var(--line);border-left-width:4px;border-radius:6px;padding:.55rem .8rem;margin:.5rem 0;
background:var(--card)}
article h3{font-size:.95rem;margin:0}article dl{margin:.4rem 0 0;font-size:.9rem}
dt{color:var(--soft)}dd{margin:0 0 .3rem}
del{text-decoration:none;color:var(--retire)}ins{text-decoration:none;color:var(--create)}
.allow{display:inline-block}
@media(min-width:40rem){article dl{display:grid;grid-template-columns:minmax(8rem,max-content) 1fr;column-gap:1rem}
dd{margin:0}}
pre{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:6px;padding:.75rem}
""" + "".join(
    f".{action}{{border-left-color:var(--{action})}}.{action} .sign,b.{action},li.{action}{{color:var(--{action})}}"
    f"rect.{action}{{fill:var(--{action})}}"
    for action in ACTIONS
)


def render_html(plan: Plan, refusals: Sequence[Refusal] = ()) -> str:
    """Write a plan as a whole HTML document; deterministic for equal plans."""
    title = count_line(plan) if plan.changes else NO_CHANGES
    body = "\n".join(_body(plan, refusals, title))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{_text(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _text(text: str) -> str:
    """Make untrusted text safe between tags and in attributes."""
    return escape(visible(text))


def _body(plan: Plan, refusals: Sequence[Refusal], title: str) -> Iterator[str]:
    yield f"<h1>{_text(title)}</h1>"
    yield from _target(plan)
    yield from _counts(plan)
    refused = [f'{_text(each.message)} <code class="allow">--allow={_text(each.allow)}</code>' for each in refusals]
    yield from _list("Refused by guards", refused)
    dangerous = [change for change in in_files(plan.changes) if is_dangerous(change)]
    yield from _list("Dangerous", [_danger(change) for change in dangerous])
    for migration in plan.migrations:
        told = [*facts(migration, plan.created), *stayers(migration), *([names(migration)] if migration.movers else [])]
        yield f"<h2>Subscribers of {_text(heading(migration))}</h2>"
        yield f'<ul class="plain">{"".join(f"<li>{_text(each)}</li>" for each in told)}</ul>'
    yield f"<h2>Calls</h2>\n<p>{_text(summary(plan.entitlements))}</p>"
    if plan.entitlements.changed:
        lines = calls_text(plan.entitlements.terms or (), plan.entitlements.calls or (), unicode=True)
        yield f"<pre>{escape(lines)}</pre>"
    if listed := in_files(plan.changes):
        yield "<h2>All changes</h2>"
        yield from (line for change in listed for line in _change(change, plan))


def _target(plan: Plan) -> Iterator[str]:
    target = plan.target
    environment = f", environment <code>{_text(target.environment)}</code>" if target.environment else ""
    yield (
        f"<p>Account <code>{_text(target.account)}</code> ({_text(target.mode)}), "
        f"namespace <code>{_text(target.namespace)}</code>{environment}</p>"
    )
    if plan.snapshot:
        yield f'<p class="offline">Planned from a snapshot of {plan.snapshot:%Y-%m-%d %H:%M} UTC, not for apply.</p>'
    yield (
        f'<p class="soft">Made {plan.created:%Y-%m-%d %H:%M} UTC, plan digest <code>{_text(plan.digest[:16])}</code>, '
        f"policy digest <code>{_text(plan.policy_digest[:16])}</code></p>"
    )


def _counts(plan: Plan) -> Iterator[str]:
    counts = {action: plan.counts.get(action, 0) for action in ACTIONS}
    yield from _bar([(str(action), count) for action, count in counts.items() if count])
    items = [f'<li class="{action}"><b>{count}</b>to {action}</li>' for action, count in counts.items()]
    items += [f"<li><b>{plan.unchanged}</b>unchanged</li>", f"<li><b>{sum(plan.foreign.values())}</b>foreign</li>"]
    yield f'<ul class="counts">{"".join(items)}</ul>'


def _bar(parts: Sequence[tuple[str, int]]) -> Iterator[str]:
    """Draw how the changes divide; a small part keeps a width that can be seen."""
    if not parts:
        return
    widths = [max(_LEAST, count * _BAR_WIDTH // sum(count for _, count in parts)) for _, count in parts]
    label = ", ".join(f"{count} to {name}" for name, count in parts)
    rects, x = [], 0
    for (name, _), width in zip(parts, widths, strict=True):
        rects.append(f'<rect class="{name}" x="{x}" y="0" width="{width}" height="{_BAR_HEIGHT}"/>')
        x += width
    yield (
        f'<svg viewBox="0 0 {x} {_BAR_HEIGHT}" preserveAspectRatio="none" role="img" aria-label="{label}">'
        f"{''.join(rects)}</svg>"
    )


def _list(title: str, items: Sequence[str]) -> Iterator[str]:
    if items:
        yield f"<h2>{title} ({len(items)})</h2>"
        yield f'<ul class="plain">{"".join(f"<li>{item}</li>" for item in items)}</ul>'


def _danger(change: Change) -> str:
    word = f'<b class="{change.action}">{change.action}</b>'
    return f"{word} <code>{_text(change.address)}</code>: {category(change)}"


def _change(change: Change, plan: Plan) -> Iterator[str]:
    state = change.after or change.before
    values = state.values if state else {}
    sign = f'<span class="sign" aria-hidden="true">{_PAGE.sign(change.action)}</span>'
    yield f'<article class="{change.action}"><h3>{sign} {change.action} <code>{_text(change.address)}</code></h3>'
    yield f"<p>{escape(headline(change.kind, values))}</p>"
    said = " · ".join(remarks(change, plan.subscribers))
    if said:
        yield f'<p class="soft">{_text(said)}</p>'
    yield from _rows(_details(change, values))
    yield "</article>"


def _details(change: Change, values: dict[str, object]) -> Iterator[tuple[str, str]]:
    if change.action is Action.CREATE:
        yield from ((escape(units), escape(cost)) for units, cost in brackets(values))
    elif change.action is not Action.RETIRE:
        for leaf in leaves(change):
            old, new = escape(leaf.before or "none"), escape(leaf.after or "none")
            yield escape(leaf.name), f"<del>{old}</del> → <ins>{new}</ins>"


def _rows(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    text = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in rows)
    if text:
        yield f"<dl>{text}</dl>"
