"""All tenants: searched, sorted, a page at a time. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

from reconciler.diagnostics.html import Child, tag
from reconciler.service.dashboard import numbers
from reconciler.service.dashboard.overview import status_label, tenant_link, used_of
from reconciler.service.dashboard.shell import Column, Seat, field, page, pages, panel, table
from reconciler.service.figures.listing import Order, Place, place_of
from reconciler.service.figures.summary import Summary

_HEAD = (
    ("tenant", "Tenant", False, False),
    ("plan", "Plan", False, False),
    (None, "Status", False, True),
    ("share", "Used", False, False),
    ("credits", "Credits", True, False),
    ("spend", "Invoice so far", True, False),
    (None, "Forecast", True, True),
    ("active", "Last call", False, True),
)
_EXPLAINED = (
    "Used is of the allowance or quota a tenant has used most of. The invoice so far is the one the running billing "
    "period will end with, as used by now and before money credits. The forecast is the same invoice if use goes on in "
    "proportion to the time that has passed; there is none on the first day of a period, nor where the price is not "
    "known."
)


class Tenants(NamedTuple):
    """A page of tenants in an order, behind a place in it; ``more`` tells whether there are further ones."""

    rows: Sequence[Summary]
    order: Order
    query: str
    total: int
    after: Place | None
    more: bool
    today: int


def tenants_page(seat: Seat, data: Tenants) -> str:
    """Write the page of tenants."""
    lead = f"{numbers.whole(data.total)} tenant{'' if data.total == 1 else 's'}"
    body: list[Child] = [tag("h1", "Tenants"), tag("p", f"{lead} in the files or the ledger.", class_="lead")]
    body.append(_search(seat, data))
    if not data.rows:
        words = "No tenant matches." if data.query else "There is no tenant yet: none in the files, none in the ledger."
        body.append(panel(tag("p", words, class_="faint")))
        return page(seat, "Tenants", "tenants", *body)
    head = [_column(seat, data, *each) for each in _HEAD]
    rows = [_row(seat, data, row) for row in data.rows]
    first = _address(seat, data, None) if data.after is not None else None
    behind = _address(seat, data, place_of(data.rows[-1], data.order)) if data.more else None
    further = pages(first, behind, ("First page", "Next page"))
    title = f"Tenants that match \u201c{data.query}\u201d" if data.query else "Tenants, one in each row"
    body.append(panel(table(title, head, rows, hidden=not data.query), further))
    body.append(tag("p", _EXPLAINED, class_="faint small"))
    return page(seat, "Tenants", "tenants", *body)


def _search(seat: Seat, data: Tenants) -> Child:
    control = tag("input", type="search", name="q", value=data.query, maxlength=100, autocomplete="off")
    hidden = [
        tag("input", type="hidden", name=name, value=value)
        for name, value in (("sort", data.order.by), ("dir", "down" if data.order.down else "up"))
    ]
    return tag(
        "form",
        field("Name or id contains", control),
        *hidden,
        tag("button", "Search"),
        role="search",
        method="get",
        action=seat.to("tenants"),
        class_="row",
    )


def _address(seat: Seat, data: Tenants, after: Place | None) -> str:
    at = None if after is None else after.value
    name = None if after is None else after.tenant
    currency = after.currency if after is not None and data.order.by == "spend" else None
    return seat.to(
        "tenants",
        q=data.query or None,
        sort=data.order.by,
        dir="down" if data.order.down else "up",
        at=at,
        currency=currency,
        after=name,
    )


def _column(seat: Seat, data: Tenants, by: str | None, name: str, number: bool, wide: bool) -> Column:  # noqa: FBT001  a row of the table above
    if by is None:
        return Column(name, number, wide)
    here = data.order.by == by
    down = not data.order.down if here else by not in ("tenant", "plan")
    order = None if not here else "descending" if data.order.down else "ascending"
    target = seat.to("tenants", q=data.query or None, sort=by, dir="down" if down else "up")
    return Column(name, number, wide, False, target, order)


def _row(seat: Seat, data: Tenants, row: Summary) -> list[Child]:
    return [
        tenant_link(seat, row),
        row.plan or "\u2013",
        status_label(row),
        used_of(row),
        numbers.credits_of(row.credits),
        "\u2013" if row.spend is None else numbers.minor(row.spend, row.currency),
        "\u2013" if row.forecast is None else numbers.minor(row.forecast, row.currency),
        "never" if row.active < 0 else numbers.days_ago(row.active, data.today),
    ]
