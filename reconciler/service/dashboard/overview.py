"""The first page: what came in, what was used, who is near a limit, and whether all is well. Pure."""

from collections.abc import Sequence
from fractions import Fraction
from functools import partial
from typing import NamedTuple

from reconciler.diagnostics.html import Child, Html, join, tag
from reconciler.service.dashboard import numbers
from reconciler.service.dashboard.charts import Axis, Series, columns, nothing, share_bar
from reconciler.service.dashboard.shell import Column, Seat, card, changed, label, page, panel, shortened, table
from reconciler.service.dashboard.states import State, states
from reconciler.service.figures.asked import Revenue, Use
from reconciler.service.figures.subscriptions import Recurring
from reconciler.service.figures.summary import Summary

#: Days the figures of use are of, and as many before them to compare with; months of revenue.
DAYS, MONTHS = 30, 12
_TOOLS = 8
_RULE = "Paid invoices without taxes, less credit notes, in the month they were paid."
_SINCE = f"against the {DAYS} days before"


class Overview(NamedTuple):
    """What the first page shows; ``None`` is what is not known, with the reason on the page.

    ``use`` and ``before`` are of the last 30 days and of those before; ``days`` calls by day.
    """

    today: int
    tenants: int
    active: tuple[int, int]
    tools: dict[str, Use]
    use: Use
    before: Use
    days: dict[int, Use]
    invoices_read: int | None
    revenue: Sequence[Revenue]
    recurring: Sequence[Recurring] | None
    recurring_before: Sequence[Recurring] | None
    tight: Sequence[Summary]
    states: Sequence[State]


def overview_page(seat: Seat, data: Overview) -> str:
    """Write the first page."""
    lead = tag("p", f"The last {DAYS} days, compared with the {DAYS} days before. Revenue is by month.", class_="lead")
    tools = tag("div", panel(_tools(data), id="tools"), panel(_health(data), title="Health", id="health"), class_="two")
    body: list[Child] = [tag("h1", "Overview"), lead, tag("ul", *_cards(data), class_="cards")]
    body += [*_revenue(data), _calls(data), tools, _tight(seat, data)]
    return page(seat, "Overview", "", *body)


def _cards(data: Overview) -> list[Html]:
    now, before = data.use.figures, data.before.figures
    cards = [*_money_cards(data)]
    month = tag("p", f"of {numbers.whole(data.tenants)}; {numbers.whole(data.active[1])} last month")
    cards.append(card("Active tenants this month", numbers.whole(data.active[0]), month))
    cards.append(card("Calls", numbers.whole(now.calls), changed(numbers.change(now.calls, before.calls), _SINCE)))
    for currency in sorted({*data.use.money, *data.before.money}):
        charged, was = data.use.money.get(currency, 0), data.before.money.get(currency, 0)
        shown = numbers.micro_money(charged, currency)
        cards.append(card("Charged by the call", shown, changed(numbers.change(charged, was), _SINCE)))
    if now.credits or before.credits or now.granted:
        shown = numbers.credits_of(now.credits)
        cards.append(card("Credits spent", shown, changed(numbers.change(now.credits, before.credits), _SINCE)))
    if now.reserved or now.committed or before.reserved:
        cards.append(_success(data))
    return cards


def _success(data: Overview) -> Html:
    now, before = data.use.figures, data.before.figures
    number = ended(data.use)
    was = numbers.rate(before.committed, ended(data.before))
    told = f"{numbers.whole(now.committed)} of {numbers.whole(number)} ended" + (f"; {was} before" if was else "")
    more = tag("p", told) if number else None
    return card("Reservations committed", numbers.rate(now.committed, number), more, absent="no reservation has ended")


def ended(use: Use) -> int:
    """Return how many reservations ended."""
    figures = use.figures
    return figures.committed + figures.released + figures.lapsed


def _money_cards(data: Overview) -> list[Html]:
    cards = []
    for currency in sorted({each.currency for each in data.revenue}):
        here = [each for each in data.revenue if each.currency == currency]
        now = sum(each.amount for each in here if each.month == _this_month(data))
        was = sum(each.amount for each in here if each.month == _this_month(data) - 1)
        told = tag("p", f"{numbers.minor(was, currency)} in all of last month")
        cards.append(card("Revenue this month", numbers.minor(now, currency), told))
    if not cards:
        absent = "no invoice was paid yet" if data.invoices_read is not None else "unknown: no invoices were read yet"
        cards.append(card("Revenue this month", None, absent=absent))
    if data.recurring is None:
        cards.append(card("Monthly recurring revenue", None, absent="unknown: no subscriptions were read yet"))
        return cards
    return [*cards, *_recurring_cards(data.recurring, data.recurring_before or ())]


def _recurring_cards(now: Sequence[Recurring], before: Sequence[Recurring]) -> list[Html]:
    sums, earlier = recurring_sums(now), recurring_sums(before)
    cards = []
    for currency, amount in sums.items():
        was = earlier.get(currency, Fraction(0))
        change = numbers.change(int(amount), int(was)) if was >= 1 else None
        number = sum(each.subscriptions for each in now if each.currency == currency)
        told = tag("p", f"{numbers.whole(number)} subscription{'' if number == 1 else 's'}")
        if change is not None:
            told = changed(change, "against last month")
        cards.append(card("Monthly recurring revenue", numbers.minor(rounded(amount), currency), told))
    return cards or [card("Monthly recurring revenue", None, absent="no subscription is in force")]


def _this_month(data: Overview) -> int:
    return numbers.month_of(data.today)


def recurring_sums(recurring: Sequence[Recurring]) -> dict[str, Fraction]:
    """Return what comes in every month, in exact minor units by currency."""
    sums: dict[str, Fraction] = {}
    for each in recurring:
        sums[each.currency] = sums.get(each.currency, Fraction(0)) + each.month
    return dict(sorted(sums.items()))


def rounded(amount: Fraction) -> int:
    """Round to the nearest minor unit, halves up, for people; reports have it exactly."""
    return (2 * amount.numerator + amount.denominator) // (2 * amount.denominator)


def _revenue(data: Overview) -> list[Html]:
    currencies = sorted({each.currency for each in data.revenue})
    if not currencies:
        words = "No invoice was paid in the last twelve months."
        if data.invoices_read is None:
            words = "Unknown: no invoices were read yet. The service reads them where it has a Stripe key."
        return [panel(nothing(words), title="Revenue by month", id="revenue")]
    last = _this_month(data)
    months = range(last - MONTHS + 1, last + 1)
    found = []
    for currency in currencies:
        title = f"Revenue by month and plan, {currency.upper()}"
        parts: dict[str, list[int]] = {}
        for each in data.revenue:
            if each.currency == currency and each.month in months:
                parts.setdefault(each.part, [0] * MONTHS)[each.month - months[0]] += each.amount
        order = sorted(parts, key=lambda part: (-sum(parts[part]), part))
        axis = Axis(
            [numbers.month_short(each) for each in months],
            [numbers.month(each) for each in months],
            partial(numbers.minor, currency=currency),
            partial(numbers.short_minor, currency=currency),
            every=3,
        )
        drawn = columns(f"revenue-{currency}", title, axis, [Series(_part(part), parts[part]) for part in order])
        note = tag("p", _RULE, class_="faint small")
        found.append(panel(drawn, note, title=title, id=f"revenue-{currency}-panel"))
    return found


def _part(part: str) -> str:
    section, _, name = part.partition(".")
    if section == "plans":
        return name
    return {"credit_packs": f"pack {name}", "tenants": "tenants' own terms"}.get(section, part)


def _calls(data: Overview) -> Html:
    first = data.today - DAYS + 1
    days = range(first, data.today + 1)
    values = [data.days[day].figures.calls if day in data.days else 0 for day in days]
    title = "Calls by day"
    if not any(values):
        return panel(nothing(f"No call was made in the last {DAYS} days."), title=title, id="calls-panel")
    axis = Axis(
        [_every(day, data.today) for day in days], [numbers.day(day) for day in days], numbers.whole, numbers.short, 10
    )
    return panel(columns("calls", title, axis, [Series("calls", values)]), title=title, id="calls-panel")


def _every(day: int, today: int) -> str:
    return "" if (today - day) % 5 else numbers.day_short(day)


def _tools(data: Overview) -> Html:
    named = [(tool, use) for tool, use in data.tools.items() if tool and use.figures.calls]
    ranked = sorted(named, key=lambda each: (-each[1].figures.calls, each[0]))
    if not ranked:
        return join([tag("h2", "Popular tools"), nothing(f"No tool was called in the last {DAYS} days.")])
    calls = sum(use.figures.calls for _, use in ranked)
    head = [Column("Tool"), Column("Calls", number=True), Column("Share", wide=True), Column("Brought", number=True)]
    rows = [
        (
            tag("code", tool),
            numbers.whole(use.figures.calls),
            _share(use.figures.calls, calls),
            _brought(use),
        )
        for tool, use in ranked[:_TOOLS]
    ]
    more = len(ranked) - _TOOLS
    rest = tag("p", f"And {numbers.whole(more)} more tools.", class_="faint small") if more > 0 else None
    return join([table("Popular tools", head, rows), rest])


def _share(part: int, of: int) -> Html:
    """Draw a share of a whole with its percent."""
    words = tag("span", numbers.percent(part, of), class_="small faint")
    return join([share_bar(part, of, limit=False), words])


def _brought(use: Use) -> str:
    sums = [numbers.micro_money(amount, currency) for currency, amount in sorted(use.money.items()) if amount]
    if use.figures.credits:
        sums.append(f"{numbers.credits_of(use.figures.credits)} credits")
    return ", ".join(sums) or "\u2013"


def _health(data: Overview) -> Html:
    return states(data.states)


def _tight(seat: Seat, data: Overview) -> Html:
    title = "Closest to their limits"
    if not data.tight:
        words = "No tenant has an allowance or a quota it has used of yet."
        return panel(nothing(words), title=title, id="limits")
    head = [Column("Tenant"), Column("Plan", wide=True), Column("Used"), Column("Credits", number=True)]
    rows = [
        (
            tenant_link(seat, each),
            each.plan or "\u2013",
            used_of(each),
            numbers.credits_of(each.credits),
        )
        for each in data.tight
    ]
    return panel(table(title, head, rows), id="limits")


def tenant_link(seat: Seat, row: Summary) -> Html:
    """Name a tenant, and lead to its page."""
    name = tag("a", shortened(row.name or row.tenant), href=seat.to("tenant", id=row.tenant), class_="name")
    own = tag("span", shortened(row.tenant), class_="id") if row.name and row.name != row.tenant else None
    return join([name, own])


def used_of(row: Summary) -> Html:
    """Tell and draw how much of its tightest allowance a tenant has used."""
    if row.share < 0:
        return tag("span", "\u2013", class_="faint")
    words = f"{numbers.whole(row.used)} of {numbers.whole(row.most)} {row.bound}"
    return join([share_bar(row.used, row.most), tag("span", words, class_="small")])


def status_label(row: Summary) -> Html:
    """Write a tenant's state: of its subscription, and whether it may call at all."""
    if row.refused:
        return label(row.status or "no access", "bad")
    kind = {"active": "good", "trialing": "good", "past_due": "warn"}.get(row.status, "")
    return label(row.status.replace("_", " ") if row.status else "by the files" if row.plan else "no plan", kind)
