"""An impact as one static page for somebody in finance: no script, nothing loaded from anywhere, everything escaped."""

from collections.abc import Iterable, Iterator

from reconciler.config.words import count
from reconciler.diagnostics.html import Html, join, tag
from reconciler.impact.picture import Group, groups
from reconciler.impact.result import CallRow, Impact, TenantRow, Total
from reconciler.impact.style import STYLE
from reconciler.impact.words import amount, headline_parts, remarks, signed, sums

#: Rows of a table, and bars to each side of a picture; CSV and JSON have everything.
_ROWS, _BARS = 1000, 20
_LINE, _BAR, _LONGEST = 38, 12, 34
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_WHY = {
    "insufficient_credits": "not enough credits",
    "quota_exceeded": "a quota is used up",
    "rate_limited": "too many at once",
    "tool_not_in_plan": "the plan does not have the tool",
    "feature_required": "a feature is missing",
    "unknown_tenant": "no plan for the tenant",
    "unknown_tool": "no such tool or meter",
    "subscription_inactive": "the subscription is not active",
}


def impact_page(impact: Impact) -> str:
    """Write the page."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("title", f"Impact of {impact.head}"),
        Html(f"<style>{STYLE}</style>"),
    )
    parts: list[Html | None] = [_header(impact)]
    if impact.differs:
        parts += [_cards(impact), *_pictures(impact), _tenants(impact), _calls(impact)]
    parts += [_notes(impact), _rules()]
    return f"<!doctype html>\n{tag('html', head, tag('body', tag('main', *parts)), lang='en')}\n"


def _header(impact: Impact) -> Html:
    base, head, month, source = headline_parts(impact)
    said = [tag("code", base), " to ", tag("code", head), f". Usage of {month}" if source else ". Without usage"]
    said += [", from ", tag("code", source), "."] if source else [f", {month}."]
    told = f"{count(len(impact.rows), 'tenant')} compared."
    if not impact.differs:
        told += " No difference: every tenant pays what it paid, and may do what it did."
    return tag("header", tag("h1", "What the price change means"), tag("p", "From ", *said, " ", told, class_="faint"))


def _cards(impact: Impact) -> Html:
    cards = [_card(total) for total in impact.totals]
    if impact.calls:
        numbers = [("newly refused", impact.newly_refused), ("newly allowed", impact.newly_allowed)]
        rows = [join((tag("dt", what), tag("dd", f"{number:,}"))) for what, number in numbers]
        tenants = len({row.tenant for row in impact.calls})
        big = tag("p", f"{impact.newly_refused + impact.newly_allowed:,}", class_="big")
        told = tag("p", f"calls decided otherwise, {count(tenants, 'tenant')}", class_="faint")
        cards.append(tag("section", big, told, tag("dl", *rows), class_="card"))
    return tag("div", *cards, class_="cards")


def _card(total: Total) -> Html:
    code, change = total.currency, total.month[1] - total.month[0]
    (_, *month), (_, *year) = sums(total)
    rows = [tag("tr", tag("td"), tag("th", "per month", scope="col"), tag("th", "per year", scope="col"))]
    rows += [
        tag("tr", tag("th", name, scope="row"), tag("td", by_month), tag("td", by_year))
        for name, by_month, by_year in zip(("before", "after", "difference"), month, year, strict=True)
    ]
    people = [
        (_pay(total.more[0], "more"), signed(total.more[1], code)),
        (_pay(total.less[0], "less"), signed(total.less[1], code)),
        (_pay(total.same, "the same"), ""),
    ]
    told = tag("dl", *(join((tag("dt", what), tag("dd", number))) for what, number in people))
    big = tag("p", f"{signed(change, code)} {code.upper()}", class_=f"big {_side(change)}".rstrip())
    line = tag("p", "difference of all invoices per month", class_="faint")
    return tag("section", big, line, tag("table", *rows, class_="sums"), told, class_="card")


def _pay(number: int, what: str) -> str:
    return f"{count(number, 'tenant')} {'pays' if number == 1 else 'pay'} {what}"


def _side(number: int) -> str:
    return "more" if number > 0 else "less" if number < 0 else ""


def _pictures(impact: Impact) -> Iterator[Html]:
    found = groups(impact, _BARS)
    if found:
        key = tag("p", tag("span", "pays more", class_="more"), tag("span", "pays less", class_="less"), class_="key")
        yield join((tag("h2", "Who pays more, who pays less, per month"), key))
    for number, group in enumerate(found):
        more, less = group.left_out
        rest = f"And {more:,} more tenants that pay more, {less:,} that pay less." if more or less else None
        yield join(
            (
                tag("h3", f"In {group.currency.upper()}"),
                _svg(group, number),
                tag("p", rest, class_="faint") if rest else None,
            )
        )


def _svg(group: Group, number: int) -> Html:
    """Draw a bar for every row from one zero line, which lies where both sides have the room they need."""
    values = [row.month or 0 for row in group.rows]
    most, least = max(0, *values), min(0, *values)
    zero, span = 100 * -least / (most - least), most - least
    height = _LINE * len(values)
    more, less = sum(value > 0 for value in values), sum(value < 0 for value in values)
    told = f"{_pay(more, 'more')}, {_pay(less, 'less')}. " + ". ".join(
        f"{row.name}: {signed(row.month or 0, group.currency)}" for row in group.rows
    )
    drawn = [
        tag("title", f"Difference per month by tenant, in {group.currency.upper()}", id=f"title-{number}"),
        tag("desc", told, id=f"desc-{number}"),
    ]
    for place, (row, value) in enumerate(zip(group.rows, values, strict=True)):
        width, top = 100 * abs(value) / span, place * _LINE
        left = zero if value > 0 else zero - width
        drawn += [
            tag("text", _short(row.name), x="0", y=top + 14),
            tag("text", signed(value, group.currency), x="100%", y=top + 14, class_="value"),
            tag("line", x1=f"{zero:.3f}%", x2=f"{zero:.3f}%", y1=top + 18, y2=top + 34, class_="zero"),
            tag(
                "rect", x=f"{left:.3f}%", y=top + 20, width=f"{max(width, 0.15):.3f}%", height=_BAR, class_=_side(value)
            ),
        ]
    labels = {"aria_labelledby": f"title-{number} desc-{number}"}
    return tag("svg", *drawn, height=height, role="img", **labels)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}\u2026"


def _tenants(impact: Impact) -> Html:
    changed = [row for row in impact.rows if row.changed]
    others = [row for row in impact.rows if not row.changed]
    head = ["Tenant", "Before", "After", "Per month", "Per year", "Newly refused", "Newly allowed", "Remark"]
    parts = [
        tag("h2", "Tenants"),
        _table(head, [1, 2, 3, 4, 5, 6], map(_row, changed[:_ROWS]), "Tenants with a difference"),
    ]
    if len(changed) > _ROWS:
        parts.append(tag("p", f"And {len(changed) - _ROWS:,} more; the CSV has them all.", class_="faint"))
    if others:
        some = ", ".join(row.tenant for row in others[:_ROWS]) + (" \u2026" if len(others) > _ROWS else "")
        title = f"{count(len(others), 'tenant')} without any difference"
        parts.append(tag("details", tag("summary", title), tag("p", some, class_="faint")))
    return join(parts)


def _row(row: TenantRow) -> list[Html]:
    code = row.currency or ""
    costs = [
        f"{amount(cost.month, cost.currency)} {cost.currency}" if cost else "none" for cost in (row.before, row.after)
    ]
    differences = [
        Html("") if each is None else tag("span", signed(each, code), class_=_side(each) or None)
        for each in (row.month, row.year)
    ]
    decided = [f"{number:,}" if number else "" for number in (row.newly_refused, row.newly_allowed)]
    name = join([row.name, tag("span", row.tenant, class_="id") if row.tenant != row.name else None])
    return [name, *(join([each]) for each in (*costs, *differences, *decided, "; ".join(remarks(row))))]


def _calls(impact: Impact) -> Html | None:
    if not impact.calls:
        return None
    head = ["", "Tenant", "Tool", "Number", "Reason"]
    parts = [tag("h2", "Calls decided otherwise")]
    parts.append(_table(head, [3], map(_call, impact.calls[:_ROWS]), "Calls newly refused or newly allowed"))
    if len(impact.calls) > _ROWS:
        parts.append(tag("p", f"And {len(impact.calls) - _ROWS:,} more; the JSON has them all.", class_="faint"))
    return join(parts)


def _call(row: CallRow) -> list[Html]:
    refused = row.effect == "refused"
    why = _WHY.get(row.reason, row.reason)
    tool = join(["units of " if row.meter else None, tag("code", row.tool)])
    effect = tag("span", f"newly {row.effect}", class_="more" if refused else "less")
    return [effect, join([row.tenant]), tool, join([f"{row.number:,}"]), join([why if refused else f"before: {why}"])]


def _table(head: list[str], numbers: list[int], rows: Iterable[list[Html]], title: str) -> Html:
    names = [
        tag("th", name, scope="col", class_="number" if place in numbers else None) for place, name in enumerate(head)
    ]
    body = [
        tag(
            "tr",
            *(
                tag(
                    "td",
                    cell,
                    class_="number" if place in numbers else None,
                    data_label=head[place] if place and cell else None,
                )
                for place, cell in enumerate(row)
            ),
        )
        for row in rows
    ]
    return tag("table", tag("thead", tag("tr", *names)), tag("tbody", *body), aria_label=title, class_="rows")


def _notes(impact: Impact) -> Html | None:
    if not impact.notes:
        return None
    return join(
        (tag("h2", "What to know about these figures"), tag("ul", *(tag("li", str(note)) for note in impact.notes)))
    )


def _rules() -> Html:
    return join(
        (
            tag("h2", "How they are made"),
            tag(
                "p",
                "The same usage is priced and decided by the old and by the new files, as each invoice would be: line "
                "by line, rounded once, less coupons that last forever, before taxes and money credits. A call that is "
                "refused is not invoiced. A year is twelve such months with each yearly price once; a month is the "
                "twelfth part of it. Currencies are never added to each other.",
                class_="faint",
            ),
        )
    )
