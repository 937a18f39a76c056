"""A tenant's page: what it has and may, what it used day by day, and every entry of its ledger in a sentence. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from reconciler.diagnostics.html import Child, Html, join, tag
from reconciler.entitlements.books import OWN
from reconciler.entitlements.told import Told
from reconciler.entitlements.views import Allowance, Balance, LotView
from reconciler.ledger.book import Hold
from reconciler.ledger.entry import Entry
from reconciler.service.dashboard import numbers
from reconciler.service.dashboard.charts import Axis, Series, columns, nothing, share_bar
from reconciler.service.dashboard.overview import DAYS, status_label
from reconciler.service.dashboard.shell import (
    Column,
    Seat,
    facts,
    field,
    framed,
    label,
    notice,
    page,
    pages,
    panel,
    shortened,
    table,
    token,
)
from reconciler.service.figures.asked import Use
from reconciler.service.figures.invoices import InvoiceRow
from reconciler.service.figures.summary import Summary

_KINDS = {"included": "included", "quota": "quota", "rate": "at once"}
#: What a reason may be, in characters.
REASON = 200


class Line(NamedTuple):
    """An entry with its sentence; ``of`` is the number of the entry it is about, ``undone`` that of its refund."""

    entry: Entry
    told: Told
    of: int | None = None
    undone: int | None = None


class TenantView(NamedTuple):
    """What a tenant's page shows; ``form_key`` makes a form that is sent twice count once."""

    row: Summary
    balance: Balance
    holds: Sequence[Hold]
    days: Mapping[int, Use]
    tools: Mapping[str, Use]
    invoices: Sequence[InvoiceRow]
    lines: Sequence[Line]
    newest: bool
    more: bool
    form_key: str
    done: str = ""
    wrong: str = ""


def tenant_page(seat: Seat, view: TenantView) -> str:
    """Write a tenant's page."""
    row = view.row
    name = row.name or row.tenant
    known = [tag("code", row.tenant)] if row.name else []
    body: list[Child] = [
        _crumb(seat),
        tag("h1", name),
        tag("p", *known, " ", status_label(row), class_="lead"),
    ]
    if view.wrong:
        body.append(notice(view.wrong, "bad"))
    if view.done:
        body.append(notice(view.done, "good"))
    if view.newest:
        body.append(tag("div", _subscription(view), _allowances(view), class_="two even"))
        body += [_usage(seat, view), _tools(view), _lots(view), _holds(view), _invoices(view)]
        body.append(_forms(seat, view))
    body.append(_ledger(seat, view))
    return page(seat, name, "tenants", *body)


def _crumb(seat: Seat) -> Html:
    return tag("nav", tag("a", "\u2190 Tenants", href=seat.to("tenants")), aria_label="Way back", class_="small")


def _subscription(view: TenantView) -> Html:
    row, subscription = view.row, view.balance.subscription
    known = row.spend is not None
    rows: list[tuple[str, Child]] = [
        ("Plan", view.balance.plan or "none"),
        ("Subscription", subscription.status.replace("_", " ") if subscription else "none known"),
        ("May call", "yes" if not view.balance.refused else f"no: {view.balance.refused.replace('_', ' ')}"),
    ]
    if subscription is not None:
        rows.append(("Since", numbers.moment(subscription.since)))
    rows.append(("Billing period", f"{numbers.moment(row.since)} to {numbers.moment(row.until)}"))
    absent = "not known: no price of the files is known for it"
    rows.append(("Invoice so far", numbers.minor(row.spend, row.currency) if row.spend is not None else absent))
    if known:
        forecast = "from the second day of the period on"
        if row.forecast is not None:
            forecast = f"{numbers.minor(row.forecast, row.currency)}, if use goes on in proportion"
        rows.append(("Forecast", forecast))
    rows.append(("Credits", f"{numbers.credits_of(view.balance.credits)}{_held(view.balance)}"))
    rows.append(("As of", numbers.moment(row.made)))
    return panel(facts(rows), title="Subscription and money", id="subscription")


def _held(balance: Balance) -> str:
    return f", and {numbers.credits_of(balance.held)} set aside" if balance.held else ""


def _allowances(view: TenantView) -> Html:
    if not view.balance.allowances:
        return panel(nothing("The plan has neither included units nor limits."), title="Allowances", id="allowances")
    head = [Column("Of"), Column("Used"), Column("Until", wide=True)]
    rows = [_allowance(each) for each in view.balance.allowances]
    return panel(table("Allowances", head, rows), id="allowances")


def _allowance(each: Allowance) -> list[Child]:
    name = join([tag("code", each.of), tag("span", _KINDS.get(each.kind, each.kind), class_="id")])
    words = f"{numbers.whole(each.used)} of {numbers.whole(each.limit)}"
    used = join([share_bar(each.used, each.limit), tag("span", words, class_="small")])
    return [name, used, "\u2013" if each.resets_at is None else numbers.moment(each.resets_at)]


def _usage(seat: Seat, view: TenantView) -> Html:
    today = numbers.today_of(seat.now)
    days = range(today - DAYS + 1, today + 1)
    values = [view.days[day].figures.calls if day in view.days else 0 for day in days]
    title = f"Calls by day, {DAYS} days"
    if not any(values):
        return panel(nothing(f"No call in the last {DAYS} days."), title=title, id="usage")
    short = [numbers.day_short(day) if not (today - day) % 5 else "" for day in days]
    axis = Axis(short, [numbers.day(day) for day in days], numbers.whole, numbers.short, 10)
    return panel(columns("calls", title, axis, [Series("calls", values)]), title=title, id="usage")


def _tools(view: TenantView) -> Html | None:
    used = [(tool, use) for tool, use in view.tools.items() if use.figures.calls or use.units]
    if not used:
        return None
    head = [Column("Tool"), Column("Calls", number=True), Column("Units"), Column("Charged", number=True)]
    head.append(Column("Credits", number=True))
    rows = []
    for tool, use in sorted(used, key=lambda each: (-each[1].figures.calls, each[0])):
        units = ", ".join(f"{meter} {numbers.whole(number)}" for meter, number in sorted(use.units.items()) if number)
        money = ", ".join(numbers.micro_money(each, currency) for currency, each in sorted(use.money.items()) if each)
        calls, spent = numbers.whole(use.figures.calls), numbers.credits_of(use.figures.credits)
        rows.append([tag("code", tool or "(directly)"), calls, units or "\u2013", money or "\u2013", spent])
    return panel(table(f"Tools, {DAYS} days", head, rows), id="tools")


def _lots(view: TenantView) -> Html | None:
    if not view.balance.lots:
        return None
    head = [Column("Grant"), Column("Left", number=True), Column("Of", number=True), Column("Until")]
    head.append(Column("Why", wide=True, words=True))
    rows = [_lot(each) for each in view.balance.lots]
    return panel(table("Credits, in the order they are spent", head, rows), id="lots")


def _lot(lot: LotView) -> list[Child]:
    name = _own(lot.id)
    until = "for ever" if lot.expires is None else numbers.moment(lot.expires)
    return [tag("code", name), numbers.credits_of(lot.remaining), numbers.credits_of(lot.granted), until, lot.reason]


def _own(id: str) -> str:  # noqa: A002  the word for it everywhere
    """Name a grant of the ledger's own in words."""
    if not id.startswith(OWN):
        return id
    kind, _, rest = id.removeprefix(OWN).partition(":")
    return {"file": f"{rest} (files)", "month": "included in the month", "renewed": "from a refund"}.get(kind, rest)


def _holds(view: TenantView) -> Html | None:
    if not view.holds:
        return None
    head = [Column("Reservation"), Column("Credits set aside", number=True), Column("Until")]
    rows = [
        [tag("code", _hold_name(each)), numbers.credits_of(each.amount), numbers.moment(each.expires)]
        for each in view.holds
    ]
    return panel(table("Reservations under way", head, rows), id="holds")


def _hold_name(hold: Hold) -> str:
    return "calls lent to a process" if hold.id.startswith(OWN) else hold.id


def _invoices(view: TenantView) -> Html | None:
    if not view.invoices:
        return None
    head = [Column("Invoice"), Column("Made"), Column("State"), Column("Total", number=True)]
    rows = [
        [
            tag("code", each.id),
            numbers.seconds_moment(each.created),
            _paid(each),
            numbers.minor(each.total, each.currency),
        ]
        for each in view.invoices
    ]
    return panel(table("Latest invoices at Stripe", head, rows), id="invoices")


def _paid(row: InvoiceRow) -> Html:
    return label(row.status, {"paid": "good", "open": "warn", "uncollectible": "bad"}.get(row.status, ""))


def _ledger(seat: Seat, view: TenantView) -> Html:
    title = "Ledger, newest first"
    if not view.lines:
        return panel(nothing("Nothing was entered for this tenant yet."), title=title, id="ledger")
    head = [
        Column("Entry"),
        Column("Kind", wide=True),
        Column("What happened", words=True),
        Column("Credits", number=True),
    ]
    tenant = view.row.tenant
    rows = (tag("tr", *_entry(seat, tenant, line), id=f"entry-{line.entry.seq}") for line in view.lines)
    newest = f"{seat.to('tenant', id=tenant)}#ledger" if not view.newest else None
    oldest = f"{seat.to('tenant', id=tenant, before=view.lines[-1].entry.seq)}#ledger" if view.more else None
    further = pages(newest, oldest, ("Newest entries", "Older entries"))
    return panel(framed(title, head, rows), further, id="ledger")


def _entry(seat: Seat, tenant: str, line: Line) -> Iterator[Html]:
    entry = line.entry
    when = tag("span", f"{numbers.moment(entry.at)} UTC", class_="id")
    yield tag("th", f"#{entry.seq}", when, scope="row")
    yield tag("td", entry.kind, class_="wide")
    links = [(line.of, "about"), (line.undone, "refunded by")]
    more = [
        tag("span", f" {words} ", tag("a", f"#{seq}", href=entry_address(seat, tenant, seq)), class_="small")
        for seq, words in links
        if seq is not None and seq != entry.seq
    ]
    named = entry.key if entry.key and not entry.key.startswith(OWN) else None
    key = tag("span", "key ", tag("code", named), class_="id") if named else None
    yield tag("td", line.told.text, *more, key, class_="words")
    yield tag("td", *_moved(entry), class_="number")


def entry_address(seat: Seat, tenant: str, seq: int) -> str:
    """Return where an entry stands."""
    return f"{seat.to('tenant', id=tenant, before=seq + 1)}#entry-{seq}"


def _moved(entry: Entry) -> Iterator[Html]:
    """Say by how much an entry changed the credits that can be spent."""
    change = sum(amount for account, amount in entry.postings() if account.startswith("lot:"))
    if change:
        sign = "+" if change > 0 else "\u2212"
        yield tag("span", f"{sign}{numbers.credits_of(abs(change))}", class_="good" if change > 0 else None)


def _forms(seat: Seat, view: TenantView) -> Html:
    tenant = view.row.tenant
    grant = tag(
        "form",
        token(seat),
        tag("input", type="hidden", name="tenant", value=tenant),
        tag("input", type="hidden", name="key", value=view.form_key),
        field("Credits", tag("input", name="credits", inputmode="decimal", required="required", maxlength=24)),
        field("Until (a date, or empty for ever)", tag("input", type="date", name="expires")),
        _reason(),
        tag("button", "Grant credits"),
        method="post",
        action=seat.to("tenant", "grant"),
        class_="stack",
    )
    parts = [panel(grant, title="Grant credits", id="grant")]
    lots = [lot for lot in view.balance.lots if not lot.id.startswith(OWN)]
    if lots:
        options = [
            tag("option", f"{shortened(lot.id)}: {numbers.credits_of(lot.remaining)} left", value=lot.id)
            for lot in lots
            if lot.remaining
        ]
        void = tag(
            "form",
            token(seat),
            tag("input", type="hidden", name="tenant", value=tenant),
            tag("input", type="hidden", name="key", value=f"{view.form_key}-adjust"),
            field("Grant", tag("select", *options, name="lot", required="required")),
            _reason(),
            tag("button", "Take away what is left"),
            method="post",
            action=seat.to("tenant", "adjust"),
            class_="stack",
        )
        parts.append(panel(void, title="Take a grant away", id="adjust"))
    return tag("div", *parts, class_="two even")


def _reason() -> Html:
    return field("Reason, kept in the ledger", tag("input", name="reason", required="required", maxlength=REASON))
