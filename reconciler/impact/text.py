"""An impact as text for a terminal; nothing in it acts there, nor in a workflow's log."""

import textwrap

from reconciler.config.words import count
from reconciler.diagnostics.table import table
from reconciler.diagnostics.visible import visible
from reconciler.impact.charges import Cost
from reconciler.impact.picture import bar, groups
from reconciler.impact.result import Impact, TenantRow
from reconciler.impact.words import amount, effect, headline, most_refused, remarks, signed, summary, sums
from reconciler.planning.render import Page

#: Rows of a table of text; CSV and JSON have all of them.
_MOST, _TOP = 30, 5
_BAR = 16
_LONGEST = 40
_HEAD = ("", "tenant", "before", "after", "month", "year", "refused", "allowed", "")


def impact_text(impact: Impact, page: Page) -> str:
    """Write an impact for people: totals, a picture, tenants, calls decided otherwise, and what is not known."""
    parts = [f"{visible(headline(impact, page.arrow))}\n"]
    if not impact.differs:
        parts.append(
            f"\n{page.paint('bold', 'No difference: every tenant pays what it paid, and may do what it did.')}\n"
        )
    else:
        parts += [_totals(impact), _pictures(impact, page), _tenants(impact), _calls(impact)]
    notes = [_wrapped(f"- {visible(str(note))}", page.width) for note in impact.notes]
    parts += ["\n", *notes] if notes else []
    return "".join(parts) if page.unicode else _ascii("".join(parts))


def impact_lines(impact: Impact, page: Page) -> str:
    """Write what a plan's text has of an impact: totals, who pays most more, how many calls are refused, the notes."""
    parts = [f"\n{page.paint('bold', visible(headline(impact, page.arrow)))}\n", f"{summary(impact)}.\n"]
    if impact.differs:
        parts.append(_totals(impact))
        rows = [
            ("+", _short(row.tenant), f"{signed(row.month or 0, row.currency or '')} {row.currency} a month")
            for row in impact.top()
        ]
        rows += [
            ("!", _short(row.tenant), f"{row.newly_refused:,} of {row.calls:,} newly refused")
            for row in most_refused(impact, _TOP)
        ]
        parts.append(f"\n{table(rows, (), '  ')}" if rows else "")
    parts += ["\n"] if impact.notes else []
    parts += [_wrapped(f"- {visible(str(note))}", page.width) for note in impact.notes]
    return "".join(parts) if page.unicode else _ascii("".join(parts))


def _ascii(text: str) -> str:
    return text.replace("\u2026", "...")


def _totals(impact: Impact) -> str:
    rows: list[tuple[str, ...]] = [("", "", "before", "after", "difference", "")]
    for total in impact.totals:
        more = f"{count(total.more[0], 'tenant')} {'pays' if total.more[0] == 1 else 'pay'} more"
        less = f"{total.less[0]:,} less, {total.same:,} the same"
        rows += [
            (
                total.currency if what == "month" else "",
                f"per {what}",
                *numbers,
                f"{more}, {less}" if what == "month" else "",
            )
            for what, *numbers in sums(total)
        ]
    return "\n" + table(rows, (2, 3, 4)) if len(rows) > 1 else ""


def _pictures(impact: Impact, page: Page) -> str:
    found = []
    for group in groups(impact):
        rows = [
            (
                _short(row.tenant),
                bar(row.month or 0, group.largest, _BAR, unicode=page.unicode),
                signed(row.month or 0, group.currency),
            )
            for row in group.rows
        ]
        more, less = group.left_out
        rest = f"  and {more:,} more that pay more, {less:,} more that pay less\n" if more or less else ""
        title = f"\nper month, {group.currency}: less to the left, more to the right\n"
        lines = table(
            [("-" if (row.month or 0) < 0 else "+", *cells) for row, cells in zip(group.rows, rows, strict=True)],
            (3,),
            "  ",
        )
        found.append(title + lines + rest)
    return "".join(found)


def _tenants(impact: Impact) -> str:
    rows = [row for row in impact.rows if row.changed]
    cells = [_cells(row) for row in rows[:_MOST]]
    rest = f"  and {len(rows) - _MOST:,} more; --format csv has them all\n" if len(rows) > _MOST else ""
    return "\n" + table([_HEAD, *cells], (2, 3, 4, 5, 6, 7)) + rest


def _cells(row: TenantRow) -> tuple[str, ...]:
    month, year, code = row.month, row.year, row.currency or ""
    return (
        "!" if month is None else "+" if month > 0 else "-" if month < 0 else "=",
        _short(row.tenant),
        _cost(row.before),
        _cost(row.after),
        "" if month is None else signed(month, code),
        "" if year is None else signed(year, code),
        f"{row.newly_refused:,}" if row.newly_refused else "",
        f"{row.newly_allowed:,}" if row.newly_allowed else "",
        "; ".join(remarks(row)),
    )


def _cost(cost: Cost | None) -> str:
    return "none" if cost is None else f"{amount(cost.month, cost.currency)} {cost.currency}"


def _calls(impact: Impact) -> str:
    if not impact.calls:
        return ""
    rows = [
        (
            f"newly {row.effect}",
            _short(row.tenant),
            _short(f"units of {row.tool}" if row.meter else row.tool),
            f"{row.number:,}",
            effect(row),
        )
        for row in impact.calls[:_MOST]
    ]
    more = len(impact.calls) - _MOST
    rest = f"  and {more:,} more; --format json has them all\n" if more > 0 else ""
    sums_ = f"{impact.newly_refused:,} newly refused, {impact.newly_allowed:,} newly allowed"
    return f"\nCalls decided otherwise: {sums_}\n" + table(rows, (3,), "  ") + rest


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}\u2026"


def _wrapped(text: str, width: int) -> str:
    return textwrap.fill(text, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False) + "\n"
