"""How a subscription begins: checked, stored, its first invoice made and collected.

Sources: https://docs.stripe.com/api/subscriptions/create, https://docs.stripe.com/billing/subscriptions/billing-cycle,
https://docs.stripe.com/billing/subscriptions/trials, https://docs.stripe.com/billing/subscriptions/backdating.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from reconciler.sandbox.billing import (
    added_items,
    billables,
    changing,
    cycles,
    discounts,
    lifecycle,
    lines,
    payments,
    setups,
    standing,
    subscription_params,
)
from reconciler.sandbox.billing.charges import Charge
from reconciler.sandbox.billing.periods import DAY_SECONDS, advance
from reconciler.sandbox.billing.stored import items_of
from reconciler.sandbox.billing.subscription_items import merge, resolve
from reconciler.sandbox.billing.subscription_store import announce, current, invoice, put, snapshot, write
from reconciler.sandbox.errors import ApiError, exclusive, invalid, missing, not_modelled, out_of_range
from reconciler.sandbox.objects.amounts import currency as known_currency
from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.objects.selling import MAX_TRIAL_DAYS
from reconciler.sandbox.store import Window
from reconciler.sandbox.wire import Obj

#: Active or scheduled subscriptions of one customer (https://docs.stripe.com/api/subscriptions/create).
MAX_SUBSCRIPTIONS = 500
#: The same of a customer on a test clock (https://docs.stripe.com/billing/testing/test-clocks).
MAX_ON_CLOCK = 3
#: A trial ends at most so long after the billing cycle anchor (same page, ``trial_end``).
MAX_TRIAL_YEARS = 2
_FIRST = Window(MAX_SUBSCRIPTIONS)


def start(call: Call, customer: Obj, params: Mapping[str, Any], *, at_once: bool = True) -> Obj:
    """Create a subscription of a customer from validated ``SubscriptionCreateParams`` and return it.

    Raises the 400s of parameters, and the 402 of ``payment_behavior=error_if_incomplete``. Without ``at_once`` the
    first invoice waits as a draft, as that of a schedule does.
    """
    call = call.on_clock_of(customer)
    subscription, charges = opened(call, customer, params)
    call.emit(call.families["subscription"], "created", subscription)
    if charges or lines.waiting_for(call, subscription):
        _first_invoice(call, subscription, charges, params, at_once=at_once)
    elif subscription["status"] == "incomplete":
        put(call, {**subscription, "status": "active", "_expires_at": None})
    begun = [current(call, subscription), *items_of(call, subscription)]
    discounts.lapse(call, [one for owner in begun for one in owner["discounts"]])
    automatic = subscription["collection_method"] == "charge_automatically"
    if automatic and not any(charge.amount for charge in charges):
        _ask_for_method(call, subscription, customer)
    if subscription["status"] == "trialing" and subscription["trial_end"] - lifecycle.TRIAL_WARNING <= call.now:
        lifecycle.warn(call, current(call, subscription))
    return current(call, subscription)


def opened(call: Call, customer: Obj, params: Mapping[str, Any]) -> tuple[Obj, list[Charge]]:
    """Store a new subscription without an event, and return it with the lines of its first invoice."""
    _check(call, customer, params)
    subscription = _begun(call, customer, params)
    changes = merge(call, subscription, (), params["items"])
    bare = [change.new for change in changes if change.new]
    subscription = _timed(call, subscription, bare, params)
    begins = subscription["_since"]
    items = [{**cycles.placed(call, subscription, item, call.now), "_used_from": begins} for item in bare]
    for item in items:
        call.insert(call.families["subscription_item"], item)
    call.insert(call.families["subscription"], cycles.mirrored(subscription, items))
    _redeem(call, subscription, customer, items, params)
    subscription = current(call, subscription)
    charges = _first_charges(call, subscription, items_of(call, subscription), params)
    added_items.add(call, subscription, customer, params.get("add_invoice_items", ()))
    return subscription, charges


def _check(call: Call, customer: Obj, params: Mapping[str, Any]) -> None:
    if not params.get("items"):
        raise missing("items")
    if params.get("payment_behavior") == "pending_if_incomplete":
        raise invalid("`pending_if_incomplete` is for updates of subscriptions only.", "payment_behavior")
    if params.get("cancel_at") == "max_billed_until":
        raise not_modelled("`cancel_at=max_billed_until`, which needs billing schedules", "cancel_at")
    running = call.tx.page("subscription", [("customer", customer["id"]), ("ended", "false")], _FIRST)
    if len(running) >= MAX_SUBSCRIPTIONS:
        raise invalid(f"A customer can have up to {MAX_SUBSCRIPTIONS} active or scheduled subscriptions.", "customer")
    if customer["test_clock"] and len(running) >= MAX_ON_CLOCK:
        raise invalid(f"A customer on a test clock can have at most {MAX_ON_CLOCK} subscriptions.", "customer")
    for first, second in _EXCLUSIVE:
        if first in params and second in params:
            raise exclusive(first, second)


_EXCLUSIVE = (
    ("billing_cycle_anchor", "billing_cycle_anchor_config"),
    ("billing_cycle_anchor_config", "backdate_start_date"),
    ("cancel_at", "cancel_at_period_end"),
    ("trial_end", "trial_period_days"),
    ("trial_end", "trial_from_plan"),
    ("trial_period_days", "trial_from_plan"),
)


def _begun(call: Call, customer: Obj, params: Mapping[str, Any]) -> Obj:
    """Return the subscription with what does not depend on its items."""
    family = call.families["subscription"]
    first = resolve(call, params["items"][0], "items[0]") if "price_data" not in params["items"][0] else None
    inline = params["items"][0].get("price_data", {}).get("currency")
    code = params.get("currency") or (first["currency"] if first else inline)
    subscription = call.fill(
        family,
        call.new_id("sub_1", 23),
        billing_mode=subscription_params.billing_mode(params.get("billing_mode")),
        currency=known_currency(code),
        customer=customer["id"],
        status="incomplete",
        test_clock=customer["test_clock"],
    )
    return subscription_params.settle(call, subscription, params)


def _timed(call: Call, subscription: Obj, items: Sequence[Obj], params: Mapping[str, Any]) -> Obj:
    """Return the subscription with its start, trial, anchor, end and status."""
    begins = params.get("backdate_start_date", call.now)
    if begins > call.now:
        raise invalid("`backdate_start_date` must be in the past.", "backdate_start_date")
    trial_end = trial_end_of(call, items, params, call.now)
    timed = {**subscription, "start_date": begins, "_since": begins}
    if trial_end:
        timed |= {"trial_start": call.now, "trial_end": trial_end, "status": "trialing", "_since": call.now}
    elif timed["collection_method"] == "send_invoice":
        timed["status"] = "active"
    timed |= _anchored(call, timed, items, params)
    timed |= cancellation(call, timed, items, params)
    if timed["status"] == "incomplete":
        timed["_expires_at"] = call.now + standing.GRACE
    return timed


def trial_end_of(call: Call, items: Sequence[Obj], params: Mapping[str, Any], at: int) -> int | None:
    """Return when a trial that begins at a time ends, ``None`` where there is none."""
    wanted = params.get("trial_end")
    if "trial_period_days" in params:
        days = params["trial_period_days"]
        if days < 0:
            raise out_of_range("trial_period_days", days, least=0)
        if days > MAX_TRIAL_DAYS:
            raise out_of_range("trial_period_days", days, most=MAX_TRIAL_DAYS)
        wanted = at + days * DAY_SECONDS
    elif params.get("trial_from_plan"):
        longest = max(cycles.recurring(call, item)["trial_period_days"] or 0 for item in items)
        wanted = at + longest * DAY_SECONDS
    if wanted in {None, "now", at}:
        return None
    if wanted < at:
        raise invalid("`trial_end` must be in the future.", "trial_end")
    if wanted > advance(at, "year", 1, MAX_TRIAL_YEARS):
        raise invalid(f"A trial lasts at most {MAX_TRIAL_YEARS} years.", "trial_end")
    return int(wanted)


def _anchored(call: Call, subscription: Obj, items: Sequence[Obj], params: Mapping[str, Any]) -> Obj:
    """Return the anchor: the one asked for, the trial's end, or the start."""
    shortest = min((cycles.recurring(call, item) for item in items), key=_length)
    begins = subscription["trial_end"] or subscription["start_date"]
    if config := params.get("billing_cycle_anchor_config"):
        if any(cycles.recurring(call, item)["interval"] not in {"month", "year"} for item in items):
            raise invalid(
                "`billing_cycle_anchor_config` is for monthly and yearly prices.", "billing_cycle_anchor_config"
            )
        count = shortest["interval_count"] * (12 if shortest["interval"] == "year" else 1)
        anchor = cycles.anchor_by_config(call, config, count, begins)
        empty = dict.fromkeys(("hour", "minute", "month", "second"))
        return {"billing_cycle_anchor": anchor, "billing_cycle_anchor_config": {**empty, **config}, "_anchored": True}
    if "billing_cycle_anchor" in params:
        anchor = params["billing_cycle_anchor"]
        latest = advance(begins, shortest["interval"], shortest["interval_count"], 1)
        if anchor > latest:
            # Observed.
            message = f"billing_cycle_anchor cannot be later than next natural billing date ({latest}) for plan"
            raise invalid(message, "billing_cycle_anchor")
        if anchor <= call.now and "backdate_start_date" not in params:
            raise invalid("`billing_cycle_anchor` must be in the future.", "billing_cycle_anchor")
        return {"billing_cycle_anchor": anchor, "_anchored": True}
    if subscription["trial_end"]:
        moves = subscription["trial_settings"]["end_behavior"]["billing_cycle_anchor"] == "now"
        return {"billing_cycle_anchor": subscription["trial_end"] if moves else call.now}
    classic = subscription["billing_mode"]["type"] == "classic"
    return {"billing_cycle_anchor": call.now if classic else subscription["start_date"]}


def _length(recurring: Obj) -> int:
    days: int = recurring["interval_count"] * {"day": 1, "week": 7, "month": 30, "year": 365}[recurring["interval"]]
    return days


def cancellation(call: Call, subscription: Obj, items: Sequence[Obj], params: Mapping[str, Any]) -> Obj:
    """Return what a request to end a subscription later sets; ``''`` and ``false`` take it back."""
    wanted = params.get("cancel_at")
    if params.get("cancel_at_period_end"):
        wanted = "min_period_end"
    elif params.get("cancel_at_period_end") is False or ("cancel_at" in params and wanted is None):
        details = {**subscription["cancellation_details"], "reason": None}
        return {"cancel_at": None, "cancel_at_period_end": False, "canceled_at": None, "cancellation_details": details}
    if wanted is None:
        return {}
    free = {**subscription, "cancel_at": None}
    ends = [cycles.billed(call, free, item, call.now)[1] for item in items]
    at = {"min_period_end": min(ends), "max_period_end": max(ends)}.get(wanted, wanted)
    if at <= call.now:
        raise invalid("`cancel_at` must be in the future.", "cancel_at")
    changed = {
        "cancel_at": at,
        "cancel_at_period_end": bool(params.get("cancel_at_period_end")),
        "canceled_at": call.now,
        "cancellation_details": {**subscription["cancellation_details"], "reason": "cancellation_requested"},
    }
    if subscription["billing_mode"]["type"] == "classic" and at < min(ends) and not subscription["trial_end"]:
        # https://docs.stripe.com/billing/subscriptions/billing-cycle: the anchor resets to an earlier ``cancel_at``.
        changed["billing_cycle_anchor"] = at
    return changed


def _redeem(call: Call, subscription: Obj, customer: Obj, items: Sequence[Obj], params: Mapping[str, Any]) -> None:
    """Attach the discounts of the subscription and of its items, and store them."""
    given = params["items"]
    since = params.get("backdate_start_date")
    changed = [redeemed(call, subscription, customer, item, given[item["_given"]], since) for item in items]
    amount = sum(charge.amount for item in items for charge in billables.ahead(call, subscription, item, _span(item)))
    ids = discounts.attach(
        call,
        params.get("discounts"),
        customer=customer,
        currency=subscription["currency"],
        amount=amount,
        since=since,
        subscription=subscription["id"],
    )
    write(call, {**subscription, "discounts": ids}, changed)


def redeemed(
    call: Call, subscription: Obj, customer: Obj, item: Obj, given: Mapping[str, Any], since: int | None = None
) -> Obj:
    """Return an item with the discounts its member of ``items`` asks for, which begin now or at another time."""
    ids = discounts.attach(
        call,
        given.get("discounts"),
        customer=customer,
        currency=subscription["currency"],
        param=f"items[{item['_given']}][discounts]",
        since=since,
        subscription=subscription["id"],
        subscription_item=item["id"],
    )
    return {**item, "discounts": ids}


def _span(item: Obj) -> tuple[int, int]:
    return item["current_period_start"], item["current_period_end"]


def _first_charges(call: Call, subscription: Obj, items: Sequence[Obj], params: Mapping[str, Any]) -> list[Charge]:
    """Return the lines of the first invoice: what has been missed, the present period, or that there is a trial."""
    if subscription["status"] == "trialing":
        return [charge for item in items for charge in changing.first_lines(call, subscription, item)]
    free = params.get("proration_behavior") == "none"
    if free:
        items = [item for item in items if not _is_spared(call, subscription, item)]
    charges: list[Charge] = []
    for item in items:
        charges += [] if free else _missed(call, subscription, item)
        if cycles.is_metered(call, item):
            charges += _nothing_used(call, subscription, item)
        else:
            since = call.now if free else subscription["_since"]
            span = (max(since, item["current_period_start"]), item["current_period_end"])
            charges += billables.ahead(call, subscription, item, span)
    if subscription["_since"] < call.now and len(charges) > lines.MAX_ITEMS:
        # https://docs.stripe.com/billing/subscriptions/backdating
        message = f"The invoice of the backdated time would have more than {lines.MAX_ITEMS} lines."
        raise invalid(message, "backdate_start_date")
    return charges


def _is_spared(call: Call, subscription: Obj, item: Obj) -> bool:
    """Tell whether an item's present period is free where there are no prorations: a part, or a backdated one.

    Only backdated time is free, so that a full period that begins now is billed
    (https://docs.stripe.com/billing/subscriptions/backdating).
    """
    if _span(item) != cycles.whole(call, subscription, item, call.now):
        return True
    return item["current_period_start"] < call.now and call.settings.free_backdating_spares_present_period


def _missed(call: Call, subscription: Obj, item: Obj) -> list[Charge]:
    """Return the lines of the time before now: one per billing period, or one in all in classic mode."""
    if subscription["_since"] >= call.now:
        return []
    if subscription["billing_mode"]["type"] == "classic":
        return _missed_at_once(call, subscription, item)
    spans = [span for span in cycles.spans(call, subscription, item, call.now) if span[1] <= call.now]
    if cycles.is_metered(call, item):
        return [
            charge
            for start, end in spans
            for charge in billables.behind(call, subscription, {**item, "_used_from": start}, end)
        ]
    return [charge for span in spans for charge in billables.ahead(call, subscription, item, span)]


def _missed_at_once(call: Call, subscription: Obj, item: Obj) -> list[Charge]:
    span = (subscription["_since"], item["current_period_start"])
    if span[0] >= span[1]:
        return []
    if cycles.is_metered(call, item):
        return billables.behind(call, subscription, item, span[1])
    share = cycles.intervals(call, item, span)
    return billables.scaled(call, billables.priced(call, subscription, item, span), share)


def _nothing_used(call: Call, subscription: Obj, item: Obj) -> list[Charge]:
    """Return classic mode's line of nothing for a metered item (billing-mode/compare, zero-amount line items)."""
    if subscription["billing_mode"]["type"] != "classic":
        return []
    return [billables.unused(call, subscription, item, _span(item))]


def _first_invoice(
    call: Call, subscription: Obj, charges: Sequence[Charge], params: Mapping[str, Any], *, at_once: bool
) -> None:
    """Make the first invoice and collect it; the subscription becomes active when it is paid."""
    before = snapshot(call, subscription)
    period = (call.now, call.now)
    automatic = subscription["collection_method"] == "charge_automatically"
    waits = not automatic or not at_once
    reason = "subscription_create"
    row = invoice(call, before[0], charges, reason=reason, period=period, auto_advance=waits)
    if waits and subscription["status"] == "incomplete":
        write(call, {**current(call, subscription), "status": "active", "_expires_at": None})
    announce(call, before)
    if not waits:
        behavior = params.get("payment_behavior", "allow_incomplete")
        standing.settle_now(call, row, behavior, off_session=params.get("off_session", False))


def _ask_for_method(call: Call, subscription: Obj, customer: Obj) -> None:
    """Open a setup intent for a customer who has nothing to pay with yet and nothing to pay now."""
    subscription = current(call, subscription)
    if payments.default_method(call, customer, subscription) is not None:
        return
    before = snapshot(call, subscription)
    intent = call.create(call.families["setup_intent"], setups.blank(call, customer=customer["id"]))
    write(call, {**subscription, "pending_setup_intent": intent["id"]})
    announce(call, before)


def customer_of(call: Call, params: Mapping[str, Any]) -> Obj:
    """Return the customer a request names; one that is deleted cannot subscribe."""
    if "customer" not in params:
        raise missing("customer")
    customer = call.refer("customer", params["customer"], "customer")
    if customer.get("deleted"):
        raise ApiError(400, f"No such customer: '{params['customer']}'", code="resource_missing", param="customer")
    return customer
