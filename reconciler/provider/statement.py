"""A tenant's invoice by the files and the ledger, beside Stripe's own preview of it, address by address. Pure.

Both are the invoice made when the period ends: what is paid ahead for the next interval, and behind for what was used.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from reconciler import money
from reconciler.config.catalog import Catalog
from reconciler.diagnostics import UsageError
from reconciler.diagnostics.visible import quoted
from reconciler.entitlements.explain import moment
from reconciler.entitlements.periods import SECOND, instant, micros
from reconciler.entitlements.policy import MICRO, SPEND
from reconciler.entitlements.standing import Subscription
from reconciler.entitlements.usage_billed import BilledUse
from reconciler.ledger.base import Export
from reconciler.pricing.invoice import Invoice, Line
from reconciler.pricing.lines import Usage
from reconciler.pricing.periods import Period
from reconciler.pricing.subscription import Contract, bill, contract_of, invoices_of
from reconciler.pricing.tariff import NotOfferedError
from reconciler.provider.preview import NoPreview, Preview

_NONE = "E1412"
#: A month of the calendar in a zone may be an hour longer or shorter than one that is counted in UTC: the price of a
#: month is that of any.
_MONTH = (datetime(2027, 1, 1, tzinfo=UTC), datetime(2027, 2, 1, tzinfo=UTC))
_OVER = frozenset({"canceled", "incomplete_expired"})
_UNKNOWN = "why is not known here"


class StatementRow(NamedTuple):
    """What one price comes to: by the files, in its lines, and at Stripe; None where one side has no such price.

    ``reason`` says why the two differ, and is empty where they do not, or where Stripe's side is not known.
    """

    address: str
    lines: tuple[Line, ...]
    files: int | None
    stripe: int | None = None
    reason: str = ""


class Statement(NamedTuple):
    """A tenant's invoice at the end of a period, and what Stripe would make of it, or why that is not known.

    ``simulated`` says that Stripe's side is the sandbox's.
    """

    tenant: str
    plan: str | None
    period: Period
    invoice: Invoice
    rows: tuple[StatementRow, ...]
    stripe: Preview | NoPreview
    notes: tuple[str, ...] = ()
    simulated: bool = False


class Sent(NamedTuple):
    """Whether the units of a meter in a period have reached Stripe: how many have not, how many of those never will."""

    missing: int
    dead: int


def contract_in(
    catalog: Catalog, tenant: str, subscription: Subscription | None, preview: Preview | NoPreview
) -> Contract:
    """Return the contract of a tenant, counted from its billing anchor where that is known; UsageError for none.

    A tenant that is not in the files pays the price that its subscription at Stripe has.
    """
    ended = subscription is not None and subscription.status in _OVER
    plan = _plan(catalog, tenant, subscription)
    price = None if tenant in catalog.file.tenants else _bought(preview, plan)
    since = None if subscription is None or subscription.anchor is None or ended else instant(subscription.anchor)
    try:
        contract = contract_of(catalog.file, tenant, since, plan, price)
    except NotOfferedError as problem:
        raise _no_invoice(tenant, str(problem)) from None
    except KeyError:
        raise _no_invoice(tenant, "it has no plan in the files") from None
    begun, days = contract.since, _trial(subscription)
    if begun is not None and days:
        begun -= timedelta(days=days)
    return replace(contract, since=begun, tariff=replace(contract.tariff, trial_days=days), grants=())


def _trial(subscription: Subscription | None) -> int:
    """Return the days of a trial that is under way; the anchor stands behind it, and what is over does not count."""
    if subscription is None or subscription.status != "trialing":
        return 0
    if subscription.start is None or subscription.anchor is None or subscription.start >= subscription.anchor:
        return 0
    days, rest = divmod(instant(subscription.anchor) - instant(subscription.start), timedelta(days=1))
    return 0 if rest else days


def _plan(catalog: Catalog, tenant: str, subscription: Subscription | None) -> str | None:
    """Return the plan of a subscription, where it is not what the files say; after its end that of everybody."""
    if subscription is None:
        return None
    if subscription.status in _OVER:
        if catalog.settings.default_plan is None:
            raise _no_invoice(tenant, "its subscription has ended")
        return catalog.settings.default_plan
    address = f"plans.{subscription.plan}"
    plan = catalog.moved.get(address, address).removeprefix("plans.") if subscription.plan else None
    own = catalog.file.tenants.get(tenant)
    return None if own is not None and own.plan == plan else plan


def _bought(preview: Preview | NoPreview, plan: str | None) -> str | None:
    head = f"plans.{plan}.prices."
    addresses = preview.addresses if isinstance(preview, Preview) else ()
    return next((each.removeprefix(head) for each in addresses if each.startswith(head)), None)


def begun(subscription: Subscription | None, month: tuple[int, int]) -> int:
    """Return when a billing month began: a trial, whose end is the anchor, where the subscription did."""
    start = subscription.start if subscription is not None else None
    return start if start is not None and month[0] < start < month[1] else month[0]


def invoice_due(tenant: str, contract: Contract, used: BilledUse, period: Period) -> Invoice:
    """Return the invoice that a period ends with; UsageError where the files' intervals do not end with it."""
    end, currency = period[1], contract.tariff.currency
    if contract.since is None:
        try:
            made = bill(contract, used.within(period, currency), _MONTH)
        except ValueError as problem:
            raise _no_invoice(tenant, str(problem)) from None
        return replace(made, lines=tuple(replace(line, period=period) for line in made.lines), at=end)

    def last(each: Period) -> Usage:
        return used.within(each, currency) if each[1] == end else Usage()

    due = [each for each in invoices_of(contract, end + timedelta(microseconds=1), last) if each.at == end]
    return due[0] if due else Invoice(currency, (), 0, end)


def _no_invoice(tenant: str, why: str) -> UsageError:
    return UsageError(_NONE, f"tenant {quoted(tenant)} has no invoice: {why}", remedy="Give it a plan.")


def beside(
    contract: Contract,
    invoice: Invoice,
    preview: Preview | NoPreview,
    sent: Callable[[str, Period], Sent],
    period: Period,
) -> tuple[StatementRow, ...]:
    """Return what each price of a contract comes to on both sides, with a reason where they differ."""
    found: dict[str, list[Line]] = {}
    for line in invoice.lines:
        found.setdefault(line.source, []).append(line)
    rows = [StatementRow(address, tuple(lines), sum(each.amount for each in lines)) for address, lines in found.items()]
    if isinstance(preview, NoPreview) or preview.currency != invoice.currency or not preview.whole:
        return tuple(rows)
    rows = [_compared(row, preview, sent, period) for row in rows]
    for address in sorted(preview.amounts.keys() - found.keys()):
        ours, amount = address in contract.tariff.addresses(), preview.amounts[address]
        if amount or not ours:
            reason = "by the files not due with this period" if ours else "not in what the files say it pays"
            rows.append(StatementRow(address, (), None, amount, reason))
    rows += [StatementRow(words, (), None, amount, "nothing of the files") for words, amount in preview.others]
    return tuple(rows)


def _compared(row: StatementRow, preview: Preview, sent: Callable[[str, Period], Sent], period: Period) -> StatementRow:
    row, currency = row._replace(stripe=preview.amounts.get(row.address)), preview.currency
    if row.stripe is None:
        there = row.address in preview.addresses
        return row._replace(reason="not due there yet" if there else "not on the subscription at Stripe")
    if row.stripe == row.files:
        return row
    if not any(line.metered for line in row.lines):
        return row._replace(reason=_UNKNOWN)
    meter = row.address.rpartition(".")[2]
    through = SPEND + currency if meter == "spend" else meter
    missing = sent(through, next((line.period for line in row.lines if line.period), period))
    if not missing.missing:
        return row._replace(reason=f"all usage was sent; Stripe counts with a delay, or {_UNKNOWN}")
    return row._replace(reason=_late(through, missing, currency))


def _late(meter: str, missing: Sent, currency: str) -> str:
    def told(number: int) -> str:
        if not meter.startswith(SPEND):
            return f"{number:,} units"
        return money.display(money.to_minor(money.EXACT.divide(Decimal(number), Decimal(MICRO)), currency), currency)

    dead = f", {told(missing.dead)} of it refused" if missing.dead else ""
    return f"{told(missing.missing)} not sent to Stripe yet{dead}"


def sent_of(used: BilledUse, exports: Iterable[Export]) -> Callable[[str, Period], Sent]:
    """Return what tells how much of a meter's use in a period has not reached Stripe."""
    known = list(exports)

    def sent(meter: str, period: Period) -> Sent:
        start, end = (micros(each) // SECOND for each in period)
        within = [each for each in known if each.meter == meter and start <= each.window < end]
        arrived = sum(each.units for each in within if each.state == "sent")
        dead = sum(each.units for each in within if each.state == "dead")
        return Sent(used.units(meter, period) - arrived, dead)

    return sent


def notes_of(
    invoice: Invoice, rows: Sequence[StatementRow], preview: Preview | NoPreview, period: Period, *, credits_: bool
) -> tuple[str, ...]:
    """Return what somebody who compares has to know."""
    notes = ["money given to it is left out: what earlier invoices took of it is Stripe's to know"] if credits_ else []
    if isinstance(preview, NoPreview):
        return (*notes, f"Stripe's side is not known: {preview.why}")
    if preview.currency != invoice.currency:
        return (*notes, f"Stripe bills in {preview.currency}, the files in {invoice.currency}: not compared")
    if not preview.whole:
        notes.append("Stripe shows a part of the lines only: the totals alone are compared")
    if (preview.start, preview.end) != tuple(micros(each) // SECOND for each in period):
        start, end = moment(preview.start * SECOND), moment(preview.end * SECOND)
        notes.append(f"Stripe's period is another one: {start} to {end}")
    if preview.total != invoice.total and not any(row.reason for row in rows):
        notes.append(f"the totals differ though no price does, by discounts, credits or taxes: {_UNKNOWN}")
    return tuple(notes)
