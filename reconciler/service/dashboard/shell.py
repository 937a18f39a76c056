"""What every page has: landmarks, a way past them, the places there are; and the pieces pages are made of."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple
from urllib.parse import urlencode

from reconciler.diagnostics.html import Child, Html, join, tag
from reconciler.service.dashboard.charts import scrolling
from reconciler.service.dashboard.style import STYLE

PLACES = (
    ("", "Overview"),
    ("tenants", "Tenants"),
    ("catalogue", "Catalogue"),
    ("webhooks", "Webhooks"),
    ("history", "History"),
)


class Seat(NamedTuple):
    """Who looks at a page, from where: the path the pages are mounted below, the token forms carry, and when."""

    root: str = ""
    csrf: str = ""
    now: int = 0

    def to(self, *parts: str, **query: str | int | None) -> str:
        """Return the address of a page below the root; what is ``None`` is left out of its query."""
        asked = urlencode({name: value for name, value in query.items() if value is not None})
        return f"{self.root}/{'/'.join(parts)}{f'?{asked}' if asked else ''}"


def page(seat: Seat, title: str, here: str | None, *body: Child) -> str:
    """Write a whole page; ``here`` is its place, ``None`` where there are no places to go to."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="referrer", content="same-origin"),
        tag("meta", name="robots", content="noindex"),
        tag("title", f"{title} \u00b7 reconciler"),
        Html(f"<style>{STYLE}</style>"),
    )
    foot = tag("footer", "Instants and days are UTC. Figures are added up beside the ledger about once a minute.")
    parts = [
        tag("a", "Skip to the content", href="#content", class_="skip"),
        _top(seat, here),
        tag("main", *body, id="content", tabindex="-1"),
        foot if here is not None else None,
    ]
    return f"<!doctype html>\n{tag('html', head, tag('body', *parts), lang='en')}\n"


def _top(seat: Seat, here: str | None) -> Html:
    brand = tag("a", "reconciler", href=seat.to(""), class_="brand")
    if here is None:
        return tag("header", tag("div", brand), class_="top")
    places = [
        tag("li", tag("a", name, href=seat.to(path), aria_current="page" if path == here else None))
        for path, name in PLACES
    ]
    leave = tag(
        "form", token(seat), tag("button", "Sign out", class_="quiet"), method="post", action=seat.to("signout")
    )
    nav = tag("nav", tag("ul", *places), aria_label="Pages")
    return tag("header", tag("div", brand, nav, leave), class_="top")


def token(seat: Seat) -> Html:
    """Return the field that proves a form was on a page of ours."""
    return tag("input", type="hidden", name="csrf", value=seat.csrf)


class Column(NamedTuple):
    """A column of a table; ``sort`` is where its head leads, ``order`` how the rows are sorted by it."""

    name: str
    number: bool = False
    wide: bool = False
    words: bool = False
    sort: str | None = None
    order: str | None = None


def table(caption: str, head: Sequence[Column], rows: Iterable[Sequence[Child]], *, hidden: bool = False) -> Html:
    """Write a table whose first cell of each row is its head; cells that are wide are left out on a narrow screen."""
    written = (
        tag(
            "tr",
            *(
                tag("td" if place else "th", cell, class_=_cell_class(column), scope=None if place else "row")
                for place, (column, cell) in enumerate(zip(head, row, strict=True))
            ),
        )
        for row in rows
    )
    return framed(caption, head, written, hidden=hidden)


def framed(caption: str, head: Sequence[Column], rows: Iterable[Html], *, hidden: bool = False) -> Html:
    """Write a table of rows that are written already."""
    made = tag(
        "table",
        tag("caption", caption, class_="hidden" if hidden else None),
        tag("thead", tag("tr", *map(_head, head))),
        tag("tbody", *rows),
    )
    return scrolling(made, caption)


def _head(column: Column) -> Html:
    name: Child = column.name
    if column.sort is not None:
        arrow = {"ascending": " \u2191", "descending": " \u2193"}.get(column.order or "", "")
        name = tag("a", column.name, tag("span", arrow, aria_hidden="true") if arrow else None, href=column.sort)
    return tag("th", name, scope="col", class_=_cell_class(column), aria_sort=column.order)


def _cell_class(column: Column) -> str | None:
    kinds = (("number", column.number), ("wide", column.wide), ("words", column.words))
    names = [name for name, there in kinds if there]
    return " ".join(names) or None


def card(title: str, value: str | None, *more: Child, absent: str = "") -> Html:
    """Write a key figure; where there is no value it says why."""
    shown = tag("p", absent, class_="value none")
    if value is not None:
        number, _, unit = value.partition(" ")
        shown = tag("p", number, tag("small", f" {unit}") if unit else None, class_="value")
    return tag("li", tag("h2", title), shown, *more, class_="card")


def changed(change: tuple[str, str] | None, since: str) -> Html:
    """Write a change to the period before, or that there was nothing to compare with."""
    if change is None:
        return tag("p", f"nothing {since} to compare with")
    return tag("p", change[0], f" {since}")


def panel(*children: Child, title: str | None = None, id: str | None = None) -> Html:  # noqa: A002  of the element
    """Write a section with a frame; its heading names it."""
    label = f"{id}-heading" if id else None
    head = tag("h2", title, id=label) if title is not None else None
    return tag("section", head, *children, class_="panel", id=id, aria_labelledby=label if head else None)


def notice(words: str, kind: str = "") -> Html:
    """Write what has just happened, or what is wrong."""
    return tag("div", tag("p", words), class_=f"notice {kind}".rstrip(), role="alert" if kind == "bad" else "status")


def label(words: str, kind: str = "") -> Html:
    """Write a state as a small word with a frame."""
    return tag("span", words, class_=f"tag {kind}".rstrip())


def field(title: str, control: Html) -> Html:
    """Write a form's field with its title, which belongs to it."""
    return tag("label", tag("span", title), control, class_="field")


def facts(rows: Iterable[tuple[str, Child]]) -> Html:
    """Write names with values; those without a value are left out."""
    return tag(
        "dl", *(join((tag("dt", name), tag("dd", value))) for name, value in rows if value is not None), class_="facts"
    )


def shortened(text: str, most: int = 48) -> str:
    """Return a name that fits a table; where it leads all of it stands."""
    return text if len(text) <= most else f"{text[: most - 1]}\u2026"


def pages(
    earlier: str | None, later: str | None, words: tuple[str, str] = ("Previous page", "Next page")
) -> Html | None:
    """Write the ways to the pages before and behind."""
    if earlier is None and later is None:
        return None
    back = tag("a", f"\u2190 {words[0]}", href=earlier, rel="prev") if earlier else tag("span")
    on = tag("a", f"{words[1]} \u2192", href=later, rel="next") if later else tag("span")
    return tag("nav", back, on, class_="pages", aria_label="Further rows")
