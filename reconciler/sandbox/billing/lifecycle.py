"""What time does to a subscription: renewals, ends of trials, expiries.

Sources: https://docs.stripe.com/billing/subscriptions/overview, https://docs.stripe.com/billing/invoices/subscription,
https://docs.stripe.com/billing/subscriptions/trials, https://docs.stripe.com/billing/subscriptions/pause-payment.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from reconciler.sandbox.billing import (
    billables,
    cycles,
    ending,
    invoicing,
    lines,
    pausing,
    payments,
    pending_updates,
    standing,
)
from reconciler.sandbox.billing.charges import Charge
from reconciler.sandbox.billing.periods import DAY_SECONDS, advance
from reconciler.sandbox.billing.stored import items_of, must
from reconciler.sandbox.billing.subscription_store import ENDED, announce, current, invoice, note, put, snapshot, write
from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.store import Row
from reconciler.sandbox.wire import Obj

#: A trial's end is announced so long before (https://docs.stripe.com/api/events/types).
TRIAL_WARNING = 3 * DAY_SECONDS
#: A renewal is announced so long before: the account's default for "Upcoming renewal events".
UPCOMING = 7 * DAY_SECONDS
_CYCLING = ("trialing", "active", "past_due", "unpaid")


def due_at(subscription: Obj) -> int | None:
    """Return when time next changes a subscription."""
    return min(_times(subscription), default=None)


def _times(subscription: Obj) -> Iterator[int]:
    status = subscription["status"]
    if status in ENDED:
        return
    if subscription["cancel_at"] is not None:
        yield subscription["cancel_at"]
    if status == "incomplete":
        yield subscription["_expires_at"]
    if status == "paused" and subscription["_resuming"]:
        yield subscription["_resuming"]["expires_at"]
    if status in _CYCLING:
        yield subscription["_period_end"]
        yield from (at for at in (_warning(subscription), _upcoming(subscription)) if at is not None)
        for name, field in (("pending_update", "expires_at"), ("pause_collection", "resumes_at")):
            if subscription[name] and subscription[name][field] is not None:
                yield subscription[name][field]
        if subscription["next_pending_invoice_item_invoice"] is not None:
            yield subscription["next_pending_invoice_item_invoice"]


def _warning(subscription: Obj) -> int | None:
    if subscription["status"] != "trialing" or subscription["_warned"]:
        return None
    return int(subscription["trial_end"]) - TRIAL_WARNING


def _upcoming(subscription: Obj) -> int | None:
    """Return when the next renewal is announced; periods shorter than the notice are not, nor what is not collected.

    Source: https://docs.stripe.com/billing/subscriptions/pause-payment says so of voided invoices and of kept drafts.
    """
    end = subscription["_period_end"]
    last, pause = subscription["cancel_at"], subscription["pause_collection"]
    if subscription["_announced"] == end or (last is not None and last <= end):
        return None
    if pause and pause["behavior"] in {"keep_as_draft", "void"}:
        return None
    at: int = end - UPCOMING
    return at if at > subscription["_period_start"] and at >= subscription["_since"] else None


def when_due(call: Call, row: Row) -> None:
    """Do the one thing that comes first among those due for a subscription."""
    subscription = row.body
    for is_due, act in _ACTS:
        if is_due(call, subscription):
            act(call, subscription)
            return


def _passed(call: Call, at: int | None) -> bool:
    return at is not None and at <= call.now


def _lapses(call: Call, subscription: Obj) -> bool:
    return subscription["status"] == "incomplete" and _passed(call, subscription["_expires_at"])


def _loses_update(call: Call, subscription: Obj) -> bool:
    pending = subscription["pending_update"]
    return bool(pending) and subscription["status"] in _CYCLING and _passed(call, pending["expires_at"])


def _stays_paused(call: Call, subscription: Obj) -> bool:
    state = subscription["_resuming"]
    return subscription["status"] == "paused" and bool(state) and _passed(call, state["expires_at"])


def _ends(call: Call, subscription: Obj) -> bool:
    return _passed(call, subscription["cancel_at"])


def _collects_again(call: Call, subscription: Obj) -> bool:
    pause = subscription["pause_collection"]
    return bool(pause) and _passed(call, pause["resumes_at"])


def _trial_ends(call: Call, subscription: Obj) -> bool:
    return subscription["status"] == "trialing" and _passed(call, subscription["trial_end"])


def _renews(call: Call, subscription: Obj) -> bool:
    return subscription["status"] in _CYCLING and _passed(call, subscription["_period_end"])


def _warns(call: Call, subscription: Obj) -> bool:
    return _passed(call, _warning(subscription))


def _announces(call: Call, subscription: Obj) -> bool:
    return subscription["status"] in _CYCLING and _passed(call, _upcoming(subscription))


def _bills_pending(call: Call, subscription: Obj) -> bool:
    return _passed(call, subscription["next_pending_invoice_item_invoice"])


def _collect_again(call: Call, subscription: Obj) -> None:
    put(call, {**subscription, "pause_collection": None})


def warn(call: Call, subscription: Obj) -> None:
    """Announce the end of a trial, once."""
    note(call, {**subscription, "_warned": True})
    call.emit(call.families["subscription"], "trial_will_end", current(call, subscription))


def _announce(call: Call, subscription: Obj) -> None:
    """Announce the next renewal with the invoice it would make now."""
    note(call, {**subscription, "_announced": subscription["_period_end"]})
    customer = must(call, "customer", subscription["customer"]).body
    at = call.at(subscription["_period_end"])
    charges = coming(at, subscription, items_of(call, subscription))
    preview = invoicing.preview(
        call,
        customer=customer,
        currency=subscription["currency"],
        charges=charges,
        period=(subscription["_period_start"], subscription["_period_end"]),
        subscription=subscription,
        collection_method=subscription["collection_method"],
        default_tax_rates=subscription["default_tax_rates"],
    )
    call.emit(call.families["invoice"], "upcoming", preview)


def _bill_pending(call: Call, subscription: Obj) -> None:
    """Invoice what waits for the subscription, at the interval chosen for it."""
    every, at = subscription["pending_invoice_item_interval"], subscription["next_pending_invoice_item_invoice"]
    following = advance(at, every["interval"], every["interval_count"], 1)
    before = snapshot(call, subscription)
    changed = write(call, {**subscription, "next_pending_invoice_item_invoice": following})
    if any(row.body["parent"] for row in lines.waiting_for(call, subscription)):
        period = (subscription["_period_start"], call.now)
        invoice(call, changed, [], reason="subscription_cycle", period=period, auto_advance=_advances(changed))
    announce(call, before)


def _advances(subscription: Obj) -> bool:
    """Tell whether new invoices are finalized and collected by themselves."""
    return subscription["pause_collection"] is None and subscription["status"] != "unpaid"


def coming(call: Call, subscription: Obj, items: Sequence[Obj]) -> list[Charge]:
    """Return the lines of the invoice that the end of a period or of a trial makes at this time."""
    return (after_trial if subscription["status"] == "trialing" else renewal)(call, subscription, items)[0]


def renewal(call: Call, subscription: Obj, items: Sequence[Obj]) -> tuple[list[Charge], list[Obj]]:
    """Return the lines of a renewal at this time, and the items whose period ends in their next one."""
    charges: list[Charge] = []
    renewed: list[Obj] = []
    for item in items:
        if item["current_period_end"] > call.now:
            continue
        if subscription["status"] != "trialing":
            charges += _used(call, subscription, item)
        following = cycles.placed(call, subscription, item, call.now)
        if cycles.is_metered(call, item):
            following["billed_until"] = call.now
        renewed.append({**following, "_debits": [], "_segments": [], "_used_from": call.now})
        charges += billables.ahead(call, subscription, item, (call.now, following["current_period_end"]))
    return charges, renewed


def _used(call: Call, subscription: Obj, item: Obj) -> list[Charge]:
    """Return what was used; where a phase begins with the renewal, with the discounts of the phase before.

    Source: https://docs.stripe.com/billing/subscriptions/billing-mode/compare, "Consolidated invoicing".
    """
    used, before = billables.behind(call, subscription, item, call.now), subscription["_phase_before"]
    if before is None:
        return used
    own, wide = tuple(before["items"].get(item["id"], ())), tuple(before["wide"])
    return [replace(charge, discounts=own, wide=wide) for charge in used]


def _renew(call: Call, subscription: Obj) -> None:
    """Begin the next period of every item whose period ends, with one invoice for all of them."""
    before = snapshot(call, subscription)
    charges, renewed = renewal(call, subscription, before[1])
    period = (subscription["_period_start"], call.now)
    changed = write(call, {**subscription, "_phase_before": None}, renewed)
    if charges or lines.waiting_for(call, changed):
        invoice_cycle(call, changed, charges, period)
    announce(call, before)


def invoice_cycle(call: Call, subscription: Obj, charges: Sequence[Charge], period: tuple[int, int]) -> None:
    """Draft an invoice of what time has made due, and do with it what a paused collection wants."""
    automatic = _advances(subscription)
    row = invoice(call, subscription, charges, reason="subscription_cycle", period=period, auto_advance=automatic)
    pause = subscription["pause_collection"]
    if pause and pause["behavior"] != "keep_as_draft":
        set_aside(call, row, pause["behavior"])


def set_aside(call: Call, row: Row, behavior: str) -> None:
    """Do with an invoice what a paused collection wants: keep it as a draft, void it, or give it up.

    What is voided uses nothing of the customer's credit, what is given up does
    (https://docs.stripe.com/billing/subscriptions/pause-payment).
    """
    if behavior == "keep_as_draft":
        return
    invoicing.finalize(call, row, unpaid=behavior == "void")
    row = must(call, "invoice", row.body["id"])
    if row.body["status"] == "open":
        (invoicing.void if behavior == "void" else invoicing.mark_uncollectible)(call, row)


def _end_trial(call: Call, subscription: Obj) -> None:
    """Begin to bill after a trial; without anything to pay with, do what the trial's settings say."""
    customer = must(call, "customer", subscription["customer"]).body
    behavior = subscription["trial_settings"]["end_behavior"]
    automatic = subscription["collection_method"] == "charge_automatically"
    missing = automatic and payments.default_method(call, customer, subscription) is None
    if missing and behavior["missing_payment_method"] == "cancel":
        standing.end(call, subscription, reason=None)
        return
    if missing and behavior["missing_payment_method"] == "pause":
        pausing.pause_after_trial(call, subscription)
        return
    begin(call, subscription)


def begin(call: Call, subscription: Obj) -> None:
    """Move a subscription from its trial into its first billed periods, with their invoice."""
    before = snapshot(call, subscription)
    charges, items = after_trial(call, subscription, before[1])
    changed = write(call, _running(call, subscription), items)
    invoice_cycle(call, changed, charges, (subscription["_since"], call.now))
    announce(call, before)


def after_trial(call: Call, subscription: Obj, items: Sequence[Obj]) -> tuple[list[Charge], list[Obj]]:
    """Return the lines of the invoice after a trial that ends at this time, and the items in their first periods."""
    running = _running(call, subscription)
    begun = [
        {**cycles.placed(call, running, item, call.now), "_debits": [], "_segments": [], "_used_from": call.now}
        for item in items
    ]
    charges: list[Charge] = []
    for item in begun:
        if cycles.is_metered(call, item):
            charges.append(billables.trial(call, subscription, item, (subscription["_since"], call.now)))
        charges += billables.ahead(call, running, item, (call.now, item["current_period_end"]))
    return charges, begun


def _running(call: Call, subscription: Obj) -> Obj:
    """Return a subscription whose trial ends at this time."""
    running = {**subscription, "status": "active", "_since": call.now}
    if not subscription["_anchored"] and _moves_anchor(subscription):
        running["billing_cycle_anchor"] = call.now
    return running


def _moves_anchor(subscription: Obj) -> bool:
    return bool(subscription["trial_settings"]["end_behavior"]["billing_cycle_anchor"] == "now")


_ACTS: tuple[tuple[Callable[[Call, Obj], bool], Callable[[Call, Obj], object]], ...] = (
    (_lapses, ending.expire),
    (_loses_update, pending_updates.discard),
    (_stays_paused, pausing.lapse),
    (_collects_again, _collect_again),
    (_ends, ending.finish),
    (_trial_ends, _end_trial),
    (_renews, _renew),
    (_warns, warn),
    (_announces, _announce),
    (_bills_pending, _bill_pending),
)
