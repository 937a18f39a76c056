"""Progress of many writes on stderr: a bar on a terminal, otherwise a line now and then."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from reconciler.cli.output import Output, is_terminal

EVERY_SECONDS, EVERY_WRITES = 10.0, 100
Tick = Callable[[], None]


@contextmanager
def progress(out: Output, total: int) -> Iterator[Tick]:
    """Yield what is to be called after each write; silent with ``--quiet`` and where there is little to do."""
    if out.quiet or not total:
        yield _nothing
    elif is_terminal(sys.stderr) and out.environ.get("TERM") != "dumb":
        yield from _bar(out, total)
    else:
        yield _lines(out, total)


def _nothing() -> None:
    """Say nothing."""


def _bar(out: Output, total: int) -> Iterator[Tick]:
    from rich.console import Console  # noqa: PLC0415  rich costs 40 ms and is needed on terminals only
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    console = Console(stderr=True, no_color=not out.colors(sys.stderr), highlight=False)
    columns = (TextColumn("applying"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("applying", total=total)
        yield lambda: bar.advance(task)


def _lines(out: Output, total: int, clock: Callable[[], float] = time.monotonic) -> Tick:
    count, last = 0, clock()

    def tick() -> None:
        nonlocal count, last
        count += 1
        if count % EVERY_WRITES == 0 or clock() - last >= EVERY_SECONDS:
            last = clock()
            out.note(f"{count}/{total} writes")

    return tick
