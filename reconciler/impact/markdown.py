"""An impact as a comment on a pull request, and as a section of a plan's; nothing from files or usage acts in it."""

from collections.abc import Iterator, Sequence

from reconciler.diagnostics.markdown import code
from reconciler.impact.picture import bar, groups
from reconciler.impact.result import Impact, Note, TenantRow
from reconciler.impact.words import amount, effect, headline_parts, most_refused, remarks, signed, summary, sums

#: Lets a bot find its comment again and edit it instead of adding another.
MARKER = "<!-- reconciler-impact -->"
#: GitHub takes 65,536 characters.
LIMIT = 60_000
_ROWS, _CALLS, _TOP, _BAR = 100, 50, 5, 12


def impact_markdown(impact: Impact) -> str:
    """Write an impact as GitHub-flavoured Markdown of at most 60,000 characters; what does not fit is left out."""
    head = "\n".join([MARKER, f"### Impact: {summary(impact)}", "", _target(impact), "", ""])
    notes = "\n".join([*(f"- {_note(note)}" for note in impact.notes), "", ""])
    room, kept = LIMIT - len(head) - len(notes), list[str]()
    for lines in (_totals(impact), _pictures(impact), _calls(impact), _tenants(impact)):
        text = "".join(f"{line}\n" for line in lines)
        kept.append(text if len(text) <= room and impact.differs else "")
        room -= len(kept[-1])
    totals, pictures, *folded = kept
    return "".join((head, totals, pictures, notes, *folded))


def impact_section(impact: Impact) -> str:
    """Write what a plan's comment has of an impact: totals, who pays most more, and how many calls are refused."""
    lines = ["", f"**Impact**: {summary(impact)}", "", _target(impact), ""]
    if impact.differs:
        lines += [*_totals(impact), *_top(impact)]
    return "\n".join([*lines, *(f"- {_note(note)}" for note in impact.notes), ""])


def _note(note: Note) -> str:
    more = note.shown()[len(note.names[:_TOP]) :]
    names = ", ".join([*map(code, note.names[:_TOP]), *more])
    return f"{note.text}: {names}." if names else f"{note.text}."


def _target(impact: Impact) -> str:
    base, head, month, source = headline_parts(impact)
    used = f"usage of {code(source)}" if source else "without usage"
    return f"From {code(base)} to {code(head)}, {code(month)}, {used}."


def _cell(text: str) -> str:
    """Write untrusted text in a cell of a table: a code span, whose bars GitHub wants escaped there."""
    return code(text).replace("|", "\\|")


def _totals(impact: Impact) -> Iterator[str]:
    yield "| | before | after | difference | more | less | same |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    for total in impact.totals:
        for what, *numbers in sums(total):
            tenants = (total.more[0], total.less[0], total.same) if what == "month" else ("", "", "")
            cells = (f"{total.currency} per {what}", *numbers, *map(str, tenants))
            yield f"| {' | '.join(cells)} |"
    yield ""


def _pictures(impact: Impact) -> Iterator[str]:
    for group in groups(impact):
        yield f"Per month, {group.currency}: less to the left, more to the right."
        yield ""
        yield "| tenant | | |"
        yield "| --- | --- | ---: |"
        for row in group.rows:
            drawn = bar(row.month or 0, group.largest, _BAR, unicode=True).replace(" ", "\u00a0")
            yield f"| {_cell(row.tenant)} | `{drawn}` | {signed(row.month or 0, group.currency)} |"
        more, less = group.left_out
        yield ""
        if more or less:
            yield f"And {more:,} more that pay more, {less:,} more that pay less."
            yield ""


def _top(impact: Impact) -> Iterator[str]:
    for row in impact.top(_TOP):
        yield f"- {_cell(row.tenant)} pays {signed(row.month or 0, row.currency or '')} {row.currency} a month more"
    for row in most_refused(impact, _TOP):
        yield f"- {_cell(row.tenant)}: {row.newly_refused:,} of {row.calls:,} newly refused"
    yield ""


def _calls(impact: Impact) -> Iterator[str]:
    if not impact.calls:
        return
    yield f"<details><summary>Calls decided otherwise ({len(impact.calls)})</summary>"
    yield ""
    yield "| | tenant | tool | number | reason |"
    yield "| --- | --- | --- | ---: | --- |"
    for row in impact.calls[:_CALLS]:
        tool = f"units of {_cell(row.tool)}" if row.meter else _cell(row.tool)
        yield f"| newly {row.effect} | {_cell(row.tenant)} | {tool} | {row.number:,} | {effect(row)} |"
    yield from _left_out(impact.calls, _CALLS)


def _tenants(impact: Impact) -> Iterator[str]:
    rows = [row for row in impact.rows if row.changed]
    if not rows:
        return
    yield f"<details><summary>Tenants ({len(rows)} of {len(impact.rows)} with a difference)</summary>"
    yield ""
    yield "| tenant | before | after | month | year | refused | allowed | remark |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |"
    yield from (_row(row) for row in rows[:_ROWS])
    yield from _left_out(rows, _ROWS)


def _row(row: TenantRow) -> str:
    costs = [
        f"{amount(cost.month, cost.currency)} {cost.currency}" if cost else "none" for cost in (row.before, row.after)
    ]
    differences = ["" if each is None else signed(each, row.currency or "") for each in (row.month, row.year)]
    decided = [f"{number:,}" if number else "" for number in (row.newly_refused, row.newly_allowed)]
    said = "; ".join(remarks(row))
    return f"| {' | '.join((_cell(row.tenant), *costs, *differences, *decided, said and _cell(said)))} |"


def _left_out(rows: Sequence[object], most: int) -> Iterator[str]:
    yield ""
    if len(rows) > most:
        yield f"And {len(rows) - most:,} more; `reconciler impact --format csv` has all tenants, `json` all calls."
        yield ""
    yield "</details>"
    yield ""
