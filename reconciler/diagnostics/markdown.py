"""Text for GitHub-flavoured Markdown, and diagnostics in it; nothing that comes from files acts as markup."""

import re
from collections.abc import Iterable

from reconciler.diagnostics.model import Diagnostic, Severity, sort_diagnostics
from reconciler.diagnostics.visible import visible

_ROOM = 50_000


def code(text: str) -> str:
    """Write untrusted text as a code span that nothing inside it can end."""
    shown = visible(text)
    fence = "`" * (longest_run(shown) + 1)
    pad = " " if "`" in shown or not shown.strip() else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def longest_run(text: str) -> int:
    """Return how many backticks follow each other at most: a fence needs one more."""
    return max(map(len, re.findall("`+", text)), default=0)


def render_markdown(diagnostics: Iterable[Diagnostic], title: str) -> str:
    """Write a heading and one item per diagnostic, errors first, at most 60,000 characters; ``title`` is trusted."""
    ordered = sorted(sort_diagnostics(diagnostics), key=lambda each: each.severity is not Severity.ERROR)
    lines, room = [f"### {title}", ""], _ROOM
    for index, each in enumerate(ordered):
        place = f"{code(str(each.range))} " if each.range else ""
        remedy = f" Help: {code(each.help)}" if each.help else ""
        line = f"- {each.severity} **{each.code}** {place}{code(each.summary)}{remedy}"
        room -= len(line) + 1
        if room < 0:
            lines.append(f"- and {len(ordered) - index} more, which the log lists")
            break
        lines.append(line)
    return "\n".join(lines) + "\n"
