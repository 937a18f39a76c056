"""Columns of text that stand below each other; nothing in a cell can act on the terminal."""

import textwrap
from collections.abc import Collection, Iterable, Sequence

from reconciler.diagnostics.visible import visible


def table(rows: Sequence[Sequence[str]], right: Collection[int] = (), indent: str = "") -> str:
    """Lay out rows of equal length, the columns ``right`` flush right, without columns that are empty throughout."""
    cells = [[visible(cell) for cell in row] for row in rows]
    if not cells:
        return ""
    kept = [place for place in range(len(cells[0])) if any(row[place] for row in cells)]
    width = {place: max(len(row[place]) for row in cells) for place in kept}
    lines = (
        "  ".join(
            row[place].rjust(width[place]) if place in right else row[place].ljust(width[place]) for place in kept
        )
        for row in cells
    )
    return "".join(f"{indent}{line}".rstrip() + "\n" for line in lines)


def wrapped(lines: Iterable[str], width: int) -> str:
    """Break lines at spaces where they are longer than ``width``; what follows stands below, further in."""
    return "".join(
        f"{part}\n"
        for line in lines
        for part in textwrap.wrap(
            line,
            width,
            subsequent_indent=" " * (len(line) - len(line.lstrip())) + "  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    )
