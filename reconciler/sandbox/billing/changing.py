"""Changes to a running subscription: what it becomes, what that costs, and when it is billed.

Sources: https://docs.stripe.com/billing/subscriptions/change-price, https://docs.stripe.com/billing/subscriptions/prorations,
https://docs.stripe.com/billing/subscriptions/billing-cycle.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from reconciler.sandbox.billing import billables, cycles, lines, proration
from reconciler.sandbox.billing.charges import Charge
from reconciler.sandbox.billing.cycles import Period
from reconciler.sandbox.billing.stored import items_of, must
from reconciler.sandbox.billing.subscription_items import Change
from reconciler.sandbox.billing.subscription_store import put
from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.wire import Obj


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a change comes to before anything is written.

    ``prorations`` wait as invoice items or are invoiced with ``charges``, the lines of periods that begin with the
    change; ``immediate`` says that the change makes an invoice at once.
    """

    subscription: Obj
    items: tuple[Obj, ...]
    removed: tuple[Obj, ...]
    prorations: tuple[Charge, ...] = ()
    charges: tuple[Charge, ...] = ()
    immediate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How a change is prorated: by which behaviour, as of which time."""

    behavior: str = "create_prorations"
    at: int

    @property
    def prorates(self) -> bool:
        """Whether there are prorations at all."""
        return self.behavior != "none"


def plan(call: Call, before: Obj, after: Obj, changes: Sequence[Change], terms: Terms, *, reset: bool) -> Plan:
    """Return what becomes of a subscription whose items change; ``reset`` begins new periods now."""
    if reset:
        return _anew(call, before, after, changes, terms)
    if before["status"] == "trialing":
        return _unbilled(call, after, changes, (after["_since"], after["trial_end"]))
    if before["status"] == "paused":
        return _unbilled(call, after, changes, (before["_period_start"], before["_period_end"]))
    return _within(call, before, after, changes, terms)


def _unbilled(call: Call, after: Obj, changes: Sequence[Change], span: Period) -> Plan:
    """Return a plan without charges, its items in one period: a trial costs nothing, nor what stands still.

    Source: https://docs.stripe.com/billing/subscriptions/trials/free-trials, of updates while a subscription is paused.
    """
    period = {"current_period_start": span[0], "current_period_end": span[1]}
    kept = [{**_used_from(call, change, call.now), **period} for change in changes if change.new]
    return Plan(subscription=after, items=tuple(kept), removed=_removed(changes))


def _within(call: Call, before: Obj, after: Obj, changes: Sequence[Change], terms: Terms) -> Plan:
    """Prorate the changed items until the ends of their periods; the others only where their end has moved."""
    at = terms.at
    news = [change.new for change in changes if change.new]
    kept: list[Obj] = []
    prorations: list[Charge] = []
    for change in changes:
        old = change.old
        new = _settled(call, before, after, change, at) if change.new else None
        span = _given_back(change, old, new, at) if old and terms.prorates else None
        if old and span:
            prorations += proration.credit(call, before, old, span)
            new = proration.shortened(new, span[0]) if new else None
        due = _newly_due(change, old, new, at) if new and terms.prorates else None
        if new and due:
            for part in _by_period(call, after, new, due):
                prorations += proration.debit(call, after, news, new, part)
        if new is None and old and (terms.prorates or old["current_period_end"] <= at):
            prorations += _removed_usage(call, before, old, at)
        if new:
            kept.append(new)
    invoiced = bool(prorations) and terms.behavior == "always_invoice"
    return Plan(
        subscription=after,
        items=tuple(kept),
        removed=_removed(changes),
        prorations=tuple(prorations),
        immediate=invoiced,
    )


def _settled(call: Call, before: Obj, after: Obj, change: Change, at: int) -> Obj:
    """Return the new item in its period; where one ends just now, its renewal is still to come and moves it on."""
    old, new = change.old, _used_from(call, change, at)
    if old and old["current_period_end"] <= at:
        return {**new, **{name: old[name] for name in ("current_period_start", "current_period_end")}}
    if old is None and before["_period_end"] <= at:
        return {**new, "current_period_start": at, "current_period_end": at}
    return cycles.placed(call, after, new, max(at, before["_period_start"]))


def _by_period(call: Call, subscription: Obj, item: Obj, span: Period) -> Iterator[Period]:
    """Yield the parts of a time that lie in different periods, as that of a backdated subscription may."""
    at, end = span
    while at < end:
        until = min(end, cycles.whole(call, subscription, item, at)[1])
        yield at, until
        at = until


def _given_back(change: Change, old: Obj, new: Obj | None, at: int) -> tuple[int, int] | None:
    """Return the time whose charges are taken back: all from now on, or only what lies behind an earlier end."""
    end = old["current_period_end"]
    if change.bills:
        return (at, end) if at < end else None
    return (new["current_period_end"], end) if new and new["current_period_end"] < end else None


def _newly_due(change: Change, old: Obj | None, new: Obj, at: int) -> tuple[int, int] | None:
    """Return the time that is charged now: all from now on, or only what has been added at the end."""
    end = new["current_period_end"]
    if change.bills or old is None:
        return (at, end) if at < end else None
    return (old["current_period_end"], end) if at < old["current_period_end"] < end else None


def _used_from(call: Call, change: Change, at: int) -> Obj:
    """Return the new item with the usage it is to be billed for: that of its old price too in flexible mode."""
    old, new = change.old, change.new
    if new is None:
        raise ValueError("a removed item has no usage to come")
    if old is None:
        return {**new, "_used_from": at}
    if old["price"] == new["price"]:
        return new
    subscription = must(call, "subscription", new["subscription"]).body
    classic = subscription["billing_mode"]["type"] == "classic"
    kept = [] if classic else billables.segments(call, old, at)
    return {**new, "_segments": kept, "_used_from": at}


def _removed_usage(call: Call, subscription: Obj, item: Obj, at: int) -> list[Charge]:
    """Bill the open usage of a removed item, as flexible mode does and classic mode does not."""
    if subscription["billing_mode"]["type"] == "classic" or subscription["status"] == "trialing":
        return []
    used = [charge for charge in billables.behind(call, subscription, item, at) if charge.amount]
    before = subscription["_phase_before"]
    return [replace(charge, wide=tuple(before["wide"])) for charge in used] if before else used


def _anew(call: Call, before: Obj, after: Obj, changes: Sequence[Change], terms: Terms) -> Plan:
    """Give everything back that was charged ahead, bill what was used, and begin new periods with an invoice."""
    at = terms.at
    kept: list[Obj] = []
    prorations: list[Charge] = []
    charges: list[Charge] = []
    for change in changes:
        if change.old and before["status"] != "trialing":
            span = (at, change.old["current_period_end"])
            if terms.prorates:
                prorations += proration.credit(call, before, change.old, span)
            if change.new or terms.prorates:
                charges += _open_usage(call, before, change, at)
        if change.new:
            new = cycles.placed(call, after, {**change.new, "_segments": [], "_used_from": at}, at)
            kept.append({**new, "_debits": []})
            charges += first_lines(call, after, kept[-1])
    return Plan(
        subscription=after,
        items=tuple(kept),
        removed=_removed(changes),
        prorations=tuple(prorations),
        charges=tuple(charges),
        immediate=True,
    )


def _open_usage(call: Call, before: Obj, change: Change, at: int) -> list[Charge]:
    classic = before["billing_mode"]["type"] == "classic"
    if change.old is None or (change.new is None and classic):
        return []
    return [charge for charge in billables.behind(call, before, change.old, at) if charge.amount]


def first_lines(call: Call, subscription: Obj, item: Obj) -> list[Charge]:
    """Return the lines of an item whose period begins: its price ahead, or the line that says it is on trial."""
    span = (item["current_period_start"], item["current_period_end"])
    if subscription["status"] != "trialing":
        return billables.ahead(call, subscription, item, span)
    if not cycles.is_metered(call, item):
        return [billables.trial(call, subscription, item, span)]
    classic = subscription["billing_mode"]["type"] == "classic"
    return [billables.unused(call, subscription, item, span)] if classic else []


def _removed(changes: Iterable[Change]) -> tuple[Obj, ...]:
    return tuple(change.old for change in changes if change.old and change.new is None)


def apply(call: Call, planned: Plan) -> None:
    """Write a plan: the items, the prorations as pending invoice items, the subscription with its event."""
    items = {item["id"]: item for item in planned.items}
    customer = must(call, "customer", planned.subscription["customer"]).body
    for charge in planned.prorations:
        waiting = lines.add_item(call, customer, charge)
        item = items.get(charge.subscription_item or "")
        if item and charge.proration and charge.amount > 0:
            items[item["id"]] = proration.charged(item, charge, invoice_item=waiting["id"])
    put(call, planned.subscription, items.values(), planned.removed)


def unchanged(call: Call, subscription: Obj) -> list[Change]:
    """Return the subscription's items as they are."""
    return [Change(item, item) for item in items_of(call, subscription)]
