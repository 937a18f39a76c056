"""Charts as SVG that needs no script: columns in stacks, and bars; each told in words, and as a table below it.

Places across are in percent, so that letters stay as large as they are on any screen.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from reconciler.diagnostics.html import Html, join, tag

#: Colours there are; further series share the last one.
SERIES = 6
_HEIGHT, _FOOT, _HEAD = 190, 22, 10
#: More columns than this stand close together.
_NARROW = 16
_LINES = 5


class Series(NamedTuple):
    """One colour of a chart: a name, and a number for each column."""

    name: str
    values: Sequence[int]


class Axis(NamedTuple):
    """What stands below the columns, in short and in full, and how numbers are written."""

    short: Sequence[str]
    full: Sequence[str]
    write: Callable[[int], str]
    #: How numbers beside the lines are written, where there is little room.
    mark: Callable[[int], str]
    #: Every so many columns have their label also on a narrow screen.
    every: int = 1


def columns(id: str, title: str, axis: Axis, series: Sequence[Series]) -> Html:  # noqa: A002  of the element
    """Draw stacked columns with a legend and a table of all numbers."""
    shown = _together(series)
    sums = [sum(each.values[place] for each in shown) for place in range(len(axis.short))]
    top, step = _scale(max([0, *sums]))
    picture = tag(
        "div",
        _scale_texts(top, step, axis),
        _plot(id, title, axis, shown, top, step, sums),
        class_="chart",
    )
    key = _legend(shown) if len(shown) > 1 else None
    return tag("figure", picture, key, _table(title, axis, series))


def _together(series: Sequence[Series]) -> list[Series]:
    """Return as many series as there are colours; the smallest ones are one."""
    if len(series) <= SERIES:
        return list(series)
    ranked = sorted(series, key=lambda each: -sum(each.values))
    rest = ranked[SERIES - 1 :]
    sums = [sum(numbers) for numbers in zip(*(each.values for each in rest), strict=True)]
    return [*ranked[: SERIES - 1], Series(f"{len(rest)} others", sums)]


def _scale(most: int) -> tuple[int, int]:
    """Return the top of a scale and the step of its lines: one, two or five times a power of ten."""
    if most <= 0:
        return 1, 1
    size = 1
    while True:
        for factor in (1, 2, 5):
            if factor * size * _LINES >= most:
                step = factor * size
                return -(-most // step) * step, step
        size *= 10


def _y(value: int, top: int) -> int:
    """Return the place of a value, in pixels from above."""
    room = _HEIGHT - _HEAD - _FOOT
    return _HEAD + room - value * room // top


def _scale_texts(top: int, step: int, axis: Axis) -> Html:
    texts = [
        tag("text", axis.mark(value), x="100%", y=_y(value, top) + 4, text_anchor="end")
        for value in range(0, top + 1, step)
    ]
    return tag("svg", *texts, class_="axis", height=_HEIGHT, aria_hidden="true")


def _plot(
    id: str,  # noqa: A002  of the element
    title: str,
    axis: Axis,
    series: Sequence[Series],
    top: int,
    step: int,
    sums: Sequence[int],
) -> Html:
    number = max(len(axis.short), 1)
    told = ". ".join(f"{name}: {axis.write(value)}" for name, value in zip(axis.full, sums, strict=True) if value)
    drawn = [tag("title", title, id=f"{id}-title"), tag("desc", f"{told or 'Nothing'}.", id=f"{id}-desc")]
    for value in range(0, top + 1, step):
        y = _y(value, top)
        drawn.append(tag("line", x1="0", x2="100%", y1=y, y2=y, class_="grid" if value else "base"))
    for place, label in enumerate(axis.short):
        drawn += _column(axis, series, place, number, top)
        minor = (number - 1 - place) % axis.every
        # The last label of many narrow columns would stand out of the picture.
        end = place == number - 1 > _NARROW
        across = "100%" if end else f"{(place + 0.5) * 100 / number:.3f}%"
        anchor = "end" if end else "middle"
        kept = {"x": across, "y": _HEIGHT - 4, "text_anchor": anchor, "class_": "minor" if minor else None}
        drawn.append(tag("text", label, **kept))
    labels = {"aria_labelledby": f"{id}-title {id}-desc"}
    return tag("svg", *drawn, class_="plot", height=_HEIGHT, role="img", **labels)


def _column(axis: Axis, series: Sequence[Series], place: int, number: int, top: int) -> list[Html]:
    width = 100 / number
    thick = width * (0.66 if number <= _NARROW else 0.8)
    left, below, drawn = place * width + (width - thick) / 2, 0, []
    for colour, each in enumerate(series, 1):
        value = each.values[place]
        if value <= 0:
            continue
        upper, lower = _y(below + value, top), _y(below, top)
        below += value
        told = f"{axis.full[place]}, {each.name}: {axis.write(value)}"
        bar = tag(
            "rect",
            tag("title", told),
            x=f"{left:.3f}%",
            width=f"{thick:.3f}%",
            y=min(upper, lower - 1),
            height=max(lower - upper, 1),
            class_=f"s{colour}",
        )
        drawn.append(bar)
    return drawn


def _legend(series: Sequence[Series]) -> Html:
    items = []
    for colour, each in enumerate(series, 1):
        swatch = tag("svg", tag("rect", width="10", height="10", class_=f"s{colour}"), aria_hidden="true")
        items.append(tag("li", swatch, each.name))
    return tag("ul", *items, class_="legend")


def _table(title: str, axis: Axis, series: Sequence[Series]) -> Html:
    many = len(series) > 1
    head = [tag("th", "", scope="col"), *(tag("th", each.name, scope="col", class_="number") for each in series)]
    if many:
        head.append(tag("th", "All", scope="col", class_="number"))
    rows = []
    for place, name in enumerate(axis.full):
        values = [each.values[place] for each in series]
        values += [sum(values)] if many else []
        cells = [tag("td", axis.write(value), class_="number") for value in values]
        rows.append(tag("tr", tag("th", name, scope="row"), *cells))
    made = tag(
        "table",
        tag("caption", title, class_="hidden"),
        tag("thead", tag("tr", *head)),
        tag("tbody", *rows),
    )
    return tag("details", tag("summary", "The numbers"), scrolling(made, title))


def scrolling(table: Html, label: str) -> Html:
    """Return a table that is moved sideways by itself where it is wider than the screen, also with the keyboard."""
    return tag("div", table, class_="scroll", role="region", aria_label=label, tabindex="0")


def share_bar(part: int, of: int, *, limit: bool = True) -> Html | None:
    """Draw a part of a whole; the words for it stand beside it. What is nearly all of a ``limit`` looks like it."""
    if of <= 0:
        return None
    used = min(max(part, 0) * 1000 // of, 1000) / 10
    state = "fill" if not limit else "over" if part >= of else "near" if part * 10 >= of * 8 else "fill"
    track = tag("rect", width="100%", height="8", class_="track")
    return tag("svg", track, tag("rect", width=f"{used}%", height="8", class_=state), class_="bar", aria_hidden="true")


def dot(colour: str) -> Html:
    """Draw a round mark in one of the chart's colours."""
    circle = tag("circle", cx="5", cy="5", r="5", class_=colour)
    return tag("svg", circle, class_="dot", viewBox="0 0 10 10", aria_hidden="true")


def nothing(words: str) -> Html:
    """Say that there is nothing to draw, and why."""
    return join([tag("p", words, class_="faint")])
