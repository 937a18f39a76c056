"""One way to print figures: what, figure, ratio to a floor or peer of the same run, bar."""

from collections.abc import Sequence
from typing import NamedTuple


class Row(NamedTuple):
    """One measurement."""

    what: str
    figure: str
    ratio: str
    bar: str = ""


def show(title: str, rows: Sequence[Row]) -> None:
    """Print rows as a table whose columns line up."""
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    print(f"\n{title}")
    for row in rows:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
