"""What is sold, as the files say it: plans, packs, tools; and what is known of the account beside them. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

from reconciler.config.models import BillingPlan, File
from reconciler.config.models.offers import Limit, Price, UsageLine
from reconciler.diagnostics.html import Child, Html, tag
from reconciler.service.dashboard import numbers
from reconciler.service.dashboard.shell import Column, Seat, facts, label, page, panel, table
from reconciler.service.dashboard.states import State, states

_KINDS = {"active": "good", "legacy": "warn"}


def catalogue_page(seat: Seat, file: File | None, digest: str, known: Sequence[State]) -> str:
    """Write the page of the catalogue; ``file`` is ``None`` where the service has a compiled policy alone."""
    lead = tag(
        "p",
        "As the files say it. Changes go through a review and ",
        tag("code", "reconciler apply"),
        ".",
        class_="lead",
    )
    body: list[Child] = [tag("h1", "Catalogue"), lead]
    body.append(panel(tag("div", states(known)), title="The account beside the files", id="account"))
    if file is None:
        words = "The service runs by a compiled policy, which has no prices to show. Give it the files with --config."
        return page(seat, "Catalogue", "catalogue", *body, panel(tag("p", words, class_="faint")))
    own = file.settings.currency if file.settings is not None and file.settings.currency else ""
    plans = [_plan(name, plan, own) for name, plan in file.plans.items()]
    body.append(
        tag("div", *plans, class_="two even") if plans else panel(tag("p", "There is no plan.", class_="faint"))
    )
    body += [_packs(file, own), _tools(file)]
    body.append(tag("p", "Digest of the files: ", tag("code", digest[:16]), class_="faint small"))
    return page(seat, "Catalogue", "catalogue", *body)


def _plan(name: str, plan: BillingPlan, own: str) -> Html:
    currency = plan.currency or own
    rows: list[tuple[str, Child]] = [("Prices", _lines(_prices(plan, currency)))]
    rows += [(f"Usage of {meter}", usage_words(line, currency)) for meter, line in plan.usage.items()]
    rows += [("By the call", _lines(_calls(plan, currency))), ("Credits", _lines(_credits(plan)))]
    rows.append(("Limits", _lines(map(limit_words, plan.limits))))
    rows.append(("Features", ", ".join(plan.features) or None))
    rows.append(("Tools", ", ".join(plan.tools) if plan.tools is not None else None))
    if plan.minimum is not None:
        rows.append(("Least usage charge", f"{amount(plan.minimum.per_month, currency)} a month"))
    if plan.trial_days:
        rows.append(("Trial", f"{plan.trial_days} days"))
    head = tag("h2", plan.name, " ", tag("code", name), " ", label(plan.status, _KINDS.get(plan.status, "")))
    return panel(head, facts(rows))


def _lines(words: Iterable[str]) -> Child:
    found = list(words)
    return tag("ul", *(tag("li", each) for each in found), class_="bare") if found else None


def amount(value: Decimal, currency: str) -> str:
    """Write an amount of the files."""
    return numbers.major(value, currency) if currency else f"{value}"


def _prices(plan: BillingPlan, currency: str) -> Iterator[str]:
    for name, price in plan.prices.items():
        yield f"{name}: {price_words(price, price.currency or currency)}{_also(price)}"


def _also(price: Price) -> str:
    others = [
        amount(option, code) if isinstance(option, Decimal) else code.upper()
        for code, option in price.currency_options.items()
    ]
    return f", or {', '.join(others)}" if others else ""


def price_words(price: Price, currency: str) -> str:
    """Say what a price is and how often it is due."""
    every = "once"
    if price.interval != "once":
        every = f"every {price.interval_count} {price.interval}s" if price.interval_count > 1 else f"a {price.interval}"
    if price.amount is not None:
        of = f" for {price.transform_quantity.divide_by:,}" if price.transform_quantity is not None else ""
        return f"{amount(price.amount, currency)}{of} {every}"
    return f"by the table {price.tiers}, {every}" if price.tiers else f"as much as the customer chooses, {every}"


def usage_words(line: UsageLine, currency: str) -> str:
    """Say what a usage line includes, and what comes then."""
    over = line.overage
    included = f"{line.included:,} included"
    if over == "deny" or isinstance(over, str):
        return f"{included} {_per(line.per)}, then refused"
    if over.credits is not None:
        return f"{included} {_per(line.per)}, then {over.credits} credits each"
    every = f"every {line.interval_count} {line.interval}s" if line.interval_count > 1 else _per(line.interval)
    if over.unit_amount is not None:
        package = f" for {over.transform_quantity.divide_by:,}" if over.transform_quantity is not None else " each"
        return f"{included} {every}, then {amount(over.unit_amount, currency)}{package}"
    return f"{included} {every}, then by the table {over.tiers}"


def _per(period: str) -> str:
    return f"{'an' if period == 'hour' else 'a'} {period}"


def _calls(plan: BillingPlan, currency: str) -> Iterator[str]:
    terms = plan.per_call
    if terms is None:
        return
    for tool, price in terms.tools.items():
        yield f"{tool}: {amount(price, currency) if price else 'free'}"
    if terms.default is not None:
        yield f"any other tool: {amount(terms.default, currency) if terms.default else 'free'}"
    if terms.minimum is not None:
        yield f"at least {amount(terms.minimum, currency)} a call"
    if terms.discounts is not None:
        yield f"discounts by the number of calls of {'each tool' if terms.discounts.scope == 'tool' else 'all tools'}"


def _credits(plan: BillingPlan) -> Iterator[str]:
    terms = plan.credits
    if terms is None:
        return
    if terms.included:
        yield f"{terms.included} every month{', kept' if terms.rollover else ''}"
    for tool, cost in terms.tools.items():
        yield f"{tool}: {cost} a call"
    if terms.default is not None:
        yield f"any other tool: {terms.default} a call"
    if terms.auto_recharge is not None:
        yield f"buys pack {terms.auto_recharge.pack} below {terms.auto_recharge.below}"


def limit_words(limit: Limit) -> str:
    """Say what a limit allows."""
    burst = f", {limit.burst:,} at once" if limit.burst is not None else ""
    refilled = ", refilled all the time" if limit.kind == "rate" else ""
    return f"{'everything' if limit.of == '*' else limit.of}: at most {limit.max:,} {_per(limit.per)}{refilled}{burst}"


def _packs(file: File, own: str) -> Html:
    head = [
        Column("Credit pack"),
        Column("Credits", number=True),
        Column("Bonus", number=True),
        Column("Price", number=True),
    ]
    head.append(Column("Expires", wide=True))
    rows = [
        [
            tag("span", pack.name, tag("span", name, class_="id")),
            f"{pack.credits}",
            f"{pack.bonus}",
            amount(pack.price, pack.currency or own),
            str(pack.expires_after or "never"),
        ]
        for name, pack in file.credit_packs.items()
    ]
    if not rows:
        return panel(tag("p", "The files have no credit pack.", class_="faint"), title="Credit packs")
    return panel(table("Credit packs", head, rows))


def _tools(file: File) -> Html:
    head = [Column("Tool"), Column("Counts"), Column("Needs", wide=True), Column("Quantity", wide=True)]
    rows = []
    for name, tool in file.tools.items():
        counts = [
            f"{meter} {each:,}" if isinstance(each, int) else f"{meter} by {each.source}"
            for meter, each in tool.counts.items()
        ]
        block = tool.quantity
        size = f"{block.source}, in blocks of {block.per:,}" if block is not None else "one"
        rows.append([tag("code", name), ", ".join(counts) or "one call", ", ".join(tool.requires) or "\u2013", size])
    if not rows:
        words = "No tool differs from the rest: each call counts one."
        return panel(tag("p", words, class_="faint"), title="Tools")
    return panel(table("Tools that differ from one call each", head, rows))
