"""Who pays more and who pays less, as rows of a picture: a zero line, bars to both sides, the longest the largest."""

from typing import NamedTuple

from reconciler.impact.result import Impact, TenantRow

#: Rows a picture has at most to each side; what is left out is counted.
MOST = 12


class Group(NamedTuple):
    """The tenants of one currency that pay more or less, most more first; ``left_out`` more and less."""

    currency: str
    rows: tuple[TenantRow, ...]
    left_out: tuple[int, int]

    @property
    def largest(self) -> int:
        """The largest difference of a month, in minor units."""
        return max(abs(row.month or 0) for row in self.rows)


def groups(impact: Impact, most: int = MOST) -> list[Group]:
    """Return a picture's rows by currency; currencies whose invoices all stay the same have none."""
    found = []
    for total in impact.totals:
        rows = [row for row in impact.rows if row.month is not None and row.currency == total.currency]
        more = [row for row in rows if (row.month or 0) > 0]
        less = [row for row in rows if (row.month or 0) < 0]
        if more or less:
            shown = (*more[:most], *less[-most:])
            left_out = (max(len(more) - most, 0), max(len(less) - most, 0))
            found.append(Group(total.currency, shown, left_out))
    return found


def bar(number: int, largest: int, width: int, *, unicode: bool) -> str:
    """Draw a difference in a field of two sides of ``width`` columns about a zero line, to half a column where it can.

    What is not nothing is drawn, however small.
    """
    halves = max(1, round(2 * width * abs(number) / largest)) if number else 0
    full, rest = divmod(halves, 2)
    if not unicode:
        full, rest = full + rest, 0
    fill, line = ("\u2588", "\u2502") if unicode else ("#", "|")
    if number < 0:
        left, right = ("\u2590" if rest else "") + fill * full, ""
    else:
        left, right = "", fill * full + ("\u258c" if rest else "")
    return f"{left:>{width}}{line}{right:<{width}}"
