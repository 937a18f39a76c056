"""Three accounts of one thing: units the ledger counted, units Stripe's meters show, units its invoices bill.

Nothing is written. What could not be read is unknown, what may still come is not yet, and neither is equal.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from typing import Any, NamedTuple

from reconciler.diagnostics import ProviderError
from reconciler.entitlements.periods import SECOND
from reconciler.entitlements.policy import SPEND, Policy
from reconciler.entitlements.standing import subscription_of
from reconciler.entitlements.terms import Terms
from reconciler.ledger.base import Export, Store
from reconciler.ledger.book import Book
from reconciler.provider.customers import Marked
from reconciler.provider.gateway import Gateway
from reconciler.provider.invoiced import Charge, Invoices, Item
from reconciler.provider.reads import THREADS
from reconciler.provider.summaries import LAG, Summaries

#: How long Stripe may take to make the invoice of a period that is over, in seconds.
_INVOICED = 3600
_MINUTE = 60
#: Returns the instant, in seconds, whose billing period is compared; ``None`` where the item has no such period.
When = Callable[[Item | None, Terms, str], int | None]


class Verdict(StrEnum):
    """What comparing comes to, the worst last."""

    EQUAL = "equal"
    LATER = "not yet"
    DIFFERS = "differs"
    UNKNOWN = "unknown"


class Why(StrEnum):
    """Why the accounts are not equal."""

    NOT_SENT = "not sent yet"
    IN_FLIGHT = "in flight"
    REFUSED = "refused by Stripe"
    DEAD = "dead letter"
    CUSTOMER = "unknown customer"
    LAG = "not shown yet"
    STRIPE = "Stripe differs"
    NO_INVOICE = "not invoiced"
    INVOICE = "invoice differs"
    UNREAD = "could not be read"


class Reason(NamedTuple):
    """One reason, how many units it is about, and what helps."""

    why: Why
    verdict: Verdict
    units: float
    told: str
    remedy: str


class Row(NamedTuple):
    """One tenant, meter and billing period, in seconds; ``None`` is a number nobody can know, or not yet.

    ``sold`` says that an invoice has to bill it.
    """

    tenant: str
    meter: str
    start: int
    end: int
    ledger: int
    stripe: float | None
    invoiced: int | None
    sold: bool
    invoices: tuple[str, ...]
    reasons: tuple[Reason, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst of the reasons; equal without any."""
        order = list(Verdict)
        return max((reason.verdict for reason in self.reasons), key=order.index, default=Verdict.EQUAL)

    def as_json(self) -> dict[str, Any]:
        """Return the row as JSON values."""
        reasons = [reason._asdict() for reason in self.reasons]
        return {**self._asdict(), "reasons": reasons, "verdict": self.verdict}


class _Outbox(NamedTuple):
    """What the ledger has of a tenant, meter and period: units by where they are."""

    unsealed: int
    exports: Sequence[Export]

    @property
    def counted(self) -> int:
        return self.unsealed + sum(export.units for export in self.exports)

    def of(self, *states: str) -> list[Export]:
        return [export for export in self.exports if export.state in states]


class UsageVerifier:
    """Compares tenants' usage in ledger, meters and invoices, period by period; safe for many threads."""

    def __init__(self, gateway: Gateway, store: Store, policy: Policy, customers: Marked) -> None:
        self._store = store
        self._policy = policy
        self._customers = customers
        self._summaries = Summaries(gateway, store)
        self._invoices = Invoices(gateway)
        self._naming = threading.Lock()
        self._named: Mapping[str, str] | None = None

    def rows(self, tenants: Iterable[str], when: When) -> Iterator[Row]:
        """Yield what every tenant comes to, in the order of the tenants."""
        with ThreadPoolExecutor(THREADS, thread_name_prefix="verify") as pool:
            for rows in pool.map(lambda tenant: self._tenant(tenant, when), tenants):
                yield from rows

    def _tenant(self, tenant: str, when: When) -> list[Row]:
        book = self._store.read(tenant)
        terms = Terms(self._policy, tenant, subscription_of(book.facts))
        customer = self._customers.customers.get(tenant)
        items, unread = self._items(customer)
        chosen = []
        for meter in sorted({*book.used, *(export.meter for export in self._store.exports(tenant)), *items}):
            for item in items.get(meter) or (None,):
                at = when(item, terms, meter)
                period = None if at is None else _period(item, terms, meter, at)
                if period is not None:
                    chosen.append((meter, item, period))
        charges = list[Charge]()
        if customer is not None and chosen and unread is None:
            try:
                charges = self._invoices.charges(customer, min(start for _, _, (start, _) in chosen))
            except ProviderError as error:
                unread = error.message
        rows = [self._row(book, terms, *each, customer, charges, unread) for each in chosen]
        return [row for row in rows if row.ledger or row.stripe or row.invoiced or row.reasons]

    def _items(self, customer: str | None) -> tuple[Mapping[str, list[Item]], str | None]:
        """Return what bills a customer by our name of the meter, or why that cannot be known."""
        if customer is None:
            return {}, None
        try:
            items, names = self._invoices.items(customer), self._names()
        except ProviderError as error:
            return {}, error.message
        found: dict[str, list[Item]] = {}
        for item in items:
            if item.meter in names:
                found.setdefault(names[item.meter], []).append(item)
        return found, None

    def _names(self) -> Mapping[str, str]:
        """Return our names of the meters by their ids; a meter that was never applied has none."""
        with self._naming:
            if self._named is None:
                self._named = dict(self._name_all())
            return self._named

    def _name_all(self) -> Iterator[tuple[str, str]]:
        for name, meter in self._policy.meters.items():
            try:
                yield self._summaries.meter(meter.event_name), name
            except ProviderError as error:
                if error.code != "E0909":
                    raise

    def _row(
        self,
        book: Book,
        terms: Terms,
        meter: str,
        item: Item | None,
        period: tuple[int, int],
        customer: str | None,
        every: Sequence[Charge],
        unread: str | None,
    ) -> Row:
        tenant, (start, end), now = book.tenant, period, self._store.now()
        outbox = _Outbox(
            sum(units for window, units in book.used.get(meter, {}).items() if start <= window < end),
            [e for e in self._store.exports(tenant, since=start) if e.meter == meter and e.window < end],
        )
        sold = _sold(terms, meter) or item is not None
        reasons = [*_ours(outbox)]
        names = {} if self._named is None else self._named
        charges = [each for each in every if names.get(each.meter) == meter and start <= each.start and each.end <= end]
        stripe = None
        if customer is None:
            reasons += self._nobody(tenant) if outbox.counted else []
        else:
            try:
                stripe = self._stripe(meter, customer, period, outbox, tenant)
            except ProviderError as error:
                unread = unread or error.message
        if unread is not None:
            remedy = "Run again; a restricted key needs read access to meters, subscriptions, invoices and prices."
            reasons.append(Reason(Why.UNREAD, Verdict.UNKNOWN, outbox.counted, unread, remedy))
        elif stripe is not None:
            reasons += _shown(outbox, stripe, now)
            reasons += _billed(stripe, charges, item, sold=sold, over=now // SECOND - end)
        invoiced = sum(charge.units for charge in charges) if charges else None
        ids = tuple(dict.fromkeys(charge.invoice for charge in charges))
        return Row(tenant, meter, start, end, outbox.counted, stripe, invoiced, sold, ids, tuple(reasons))

    def _nobody(self, tenant: str) -> list[Reason]:
        doubled = self._customers.doubled.get(tenant)
        told = f"{tenant} is marked on {' and '.join(doubled)}" if doubled else f"no customer is marked as {tenant}"
        address = f"tenants.{tenant}"
        remedy = f"Mark one customer with managed_by=reconciler/{self._policy.namespace}, address={address}."
        return [Reason(Why.CUSTOMER, Verdict.DIFFERS, 0, told, remedy)]

    def _stripe(self, meter: str, customer: str, period: tuple[int, int], outbox: _Outbox, tenant: str) -> float:
        """Return what Stripe counts in a period; its summaries have whole minutes, the ledger knows the difference."""
        start, end = (each - each % _MINUTE for each in period)
        known = self._policy.meters.get(meter)
        if known is None:
            raise ProviderError("E0909", f"the policy has no meter {meter!r}")
        if start == end:
            return 0
        total = self._summaries.total(known.event_name, customer, start, end)
        beyond = [export for export in outbox.of("sent") if export.window >= end]
        before = [e for e in self._store.exports(tenant, "sent", start) if e.meter == meter and e.window < period[0]]
        return total + sum(export.units for export in beyond) - sum(export.units for export in before)


def _period(item: Item | None, terms: Terms, meter: str, at: int) -> tuple[int, int] | None:
    if item is not None:
        return item.period(at)
    start, end = (terms.billed(meter) or terms.recurring()).at(at * SECOND)
    return -(-start // SECOND), -(-end // SECOND)


def _sold(terms: Terms, meter: str) -> bool:
    line = terms.lines.get(meter)
    return meter.startswith(SPEND) or (line is not None and line.over == "priced" and not line.spend)


def _sum(exports: Iterable[Export]) -> int:
    return sum(export.units for export in exports)


def _ours(outbox: _Outbox) -> Iterator[Reason]:
    """Yield what has not arrived by the ledger's own account."""
    untried = [export for export in outbox.of("pending") if not export.attempts]
    waiting = [export for export in outbox.of("pending") if export.attempts and not export.doubt]
    doubtful = [export for export in outbox.of("pending") if export.doubt]
    refused = [export for export in outbox.of("dead") if export.refused]
    dead = [export for export in outbox.of("dead") if not export.refused]
    flush, again = "Run reconciler usage flush.", "Take away the cause, then run reconciler usage flush --again."
    if number := outbox.unsealed + _sum(untried):
        yield Reason(Why.NOT_SENT, Verdict.LATER, number, "counted and not sent", flush)
    for why, verdict, exports, told, remedy in (
        (Why.NOT_SENT, Verdict.LATER, waiting, "waiting", flush),
        (Why.IN_FLIGHT, Verdict.LATER, doubtful, "may have arrived", flush),
        (Why.IN_FLIGHT, Verdict.LATER, outbox.of("streamed"), "streamed, not confirmed", flush),
        (Why.REFUSED, Verdict.DIFFERS, refused, "taken and refused later", again),
        (Why.DEAD, Verdict.DIFFERS, dead, "not sent any more", again),
    ):
        if exports:
            because = next((f": {export.error}" for export in exports if export.error), "")
            yield Reason(why, verdict, _sum(exports), f"{told}{because}", remedy)


def _shown(outbox: _Outbox, stripe: float, now: int) -> Iterator[Reason]:
    """Yield how Stripe's meter differs from what was acknowledged, where what is in flight does not explain it."""
    sent, maybe = _sum(outbox.of("sent")), [e.units for e in outbox.exports if e.doubt and e.state != "sent"]
    gap = stripe - sent
    low, high = sum(units for units in maybe if units < 0), sum(units for units in maybe if units > 0)
    if low <= gap <= high:
        return
    lately = _sum(export for export in outbox.of("sent") if export.due > now - LAG)
    if 0 < -gap <= lately:
        told = f"{-gap:,} units acknowledged within the last hour are not in Stripe's summary yet"
        yield Reason(Why.LAG, Verdict.LATER, -gap, told, "Run again in some minutes.")
        return
    more = f"{abs(gap):,} units {'more' if gap > 0 else 'less'} at Stripe than were acknowledged"
    remedy = "See who else sends events of this meter for the customer." if gap > 0 else "See the customer's events."
    yield Reason(Why.STRIPE, Verdict.DIFFERS, gap, more, remedy)


def _billed(stripe: float, charges: Sequence[Charge], item: Item | None, *, sold: bool, over: int) -> Iterator[Reason]:
    """Yield how the invoices differ from the meter; ``over`` is for how many seconds the period has been over."""
    billable = max(stripe, 0)
    if not sold or over < 0:
        return
    if not charges:
        if not billable:
            return
        if item is None:
            told, remedy = "no subscription of the customer bills this meter", "Subscribe the customer to its price."
            yield Reason(Why.NO_INVOICE, Verdict.DIFFERS, billable, told, remedy)
        elif over < _INVOICED:
            yield Reason(Why.NO_INVOICE, Verdict.LATER, billable, "the invoice is not made yet", "Run again later.")
        else:
            told = f"no invoice bills the period of {item.subscription}"
            yield Reason(Why.NO_INVOICE, Verdict.DIFFERS, billable, told, "See the subscription's invoices.")
        return
    gap = sum(charge.units for charge in charges) - billable
    if not gap:
        return
    names = ", ".join(dict.fromkeys(charge.invoice for charge in charges))
    told = f"{names} bills {abs(gap):,} units {'more' if gap > 0 else 'less'} than Stripe's meter shows"
    if all(charge.final for charge in charges):
        remedy = "Give it back by a credit note." if gap > 0 else "Bill the rest by an invoice item."
        yield Reason(Why.INVOICE, Verdict.DIFFERS, gap, told, remedy)
    else:
        remedy = "Run again when the invoice is finalized: it takes in what has come until then."
        yield Reason(Why.INVOICE, Verdict.LATER, gap, f"{told}, and is a draft", remedy)


def previous(now: int) -> When:
    """Return the choice of each item's last period that is over, by an instant in seconds."""

    def when(item: Item | None, terms: Terms, meter: str) -> int | None:
        if item is not None and item.end is not None and item.end <= now:
            return item.end - 1
        running = _period(item, terms, meter, now)
        before = None if running is None else running[0] - 1
        return None if before is None or (item is not None and before < item.start) else before

    return when


def during(at: int) -> When:
    """Return the choice of the period that an instant in seconds lies in."""
    return lambda _item, _terms, _meter: at
