"""Updates of subscriptions: what a request asks for, what follows from it, and how that is paid.

Sources: https://docs.stripe.com/api/subscriptions/update, https://docs.stripe.com/billing/subscriptions/change-price,
https://docs.stripe.com/billing/subscriptions/billing-mode/compare.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reconciler.sandbox.billing import (
    added_items,
    changing,
    cycles,
    discounts,
    lifecycle,
    lines,
    pending_updates,
    standing,
    subscription_params,
)
from reconciler.sandbox.billing.changing import Plan, Terms
from reconciler.sandbox.billing.starting import cancellation, redeemed, trial_end_of
from reconciler.sandbox.billing.stored import items_of, must
from reconciler.sandbox.billing.subscription_items import Change, merge
from reconciler.sandbox.billing.subscription_store import ENDED, announce, current, invoice, put, snapshot, write
from reconciler.sandbox.errors import exclusive, invalid, not_modelled
from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.wire import Obj

#: What can be changed of a subscription that has ended, and of one whose first payment is still awaited
#: (docstrings of the SDK's ``Subscription.status`` and of its cancel method).
_AFTER_END = frozenset({"cancellation_details", "expand", "metadata"})
_WHILE_INCOMPLETE = frozenset(
    {
        "cancel_at",
        "cancel_at_period_end",
        "default_payment_method",
        "description",
        "expand",
        "metadata",
        "payment_settings",
    }
)
_EXCLUSIVE = (("cancel_at", "cancel_at_period_end"), ("trial_end", "trial_from_plan"))


@dataclass(frozen=True, slots=True)
class Update:
    """An update before it is written: the subscription as it was, and what it comes to."""

    before: Obj
    plan: Plan
    reset: bool


def update(call: Call, subscription: Obj, params: Mapping[str, Any]) -> Obj:
    """Change a subscription as validated ``SubscriptionUpdateParams`` say, and return it.

    Raises the 400s of parameters, and the 402 of ``payment_behavior=error_if_incomplete``.
    """
    check(subscription, params)
    if subscription["status"] in ENDED:
        return put(call, subscription_params.settle(call, subscription, params))
    behavior = params.get("payment_behavior", "allow_incomplete")
    if behavior == "pending_if_incomplete":
        pending_updates.check(dict(params))
    if subscription["_pending"] and _bills(params):
        pending_updates.discard(call, subscription)
        subscription = current(call, subscription)
    planned = prepare(call, subscription, params)
    off_session = params.get("off_session", False)
    if behavior == "pending_if_incomplete" and planned.plan.immediate:
        pending_updates.attempt(call, subscription, planned.plan, off_session=off_session)
        return current(call, subscription)
    perform(call, planned, params, behavior, off_session=off_session)
    return current(call, subscription)


def check(subscription: Obj, params: Mapping[str, Any]) -> None:
    """Refuse what the subscription's status does not allow, and what excludes each other."""
    if subscription["status"] in ENDED:
        _only(params, _AFTER_END, "A canceled subscription can only update its cancellation_details and metadata.")
    if subscription["status"] == "incomplete":
        _only(params, _WHILE_INCOMPLETE, "A subscription that is incomplete cannot be updated in this way.")
    for first, second in _EXCLUSIVE:
        if params.get(first) and params.get(second):
            raise exclusive(first, second)
    for name in ("trial_end", "trial_from_plan"):
        # https://docs.stripe.com/billing/subscriptions/trials/free-trials: "you must resume the subscription before
        # configuring a trial".
        if subscription["status"] == "paused" and params.get(name):
            raise invalid("The subscription is paused: resume it before configuring a trial.", name)
    for name in ("cancel_at", "cancel_at_period_end"):
        if subscription["schedule"] and name in params:
            # Observed.
            raise invalid(
                f"The subscription is managed by the subscription schedule `{subscription['schedule']}`, and updating "
                "any cancelation behavior directly is not allowed. Please update the schedule instead.",
                name,
            )
    if params.get("cancel_at") == "max_billed_until":
        raise not_modelled("`cancel_at=max_billed_until`, which needs billing schedules", "cancel_at")


def _only(params: Mapping[str, Any], allowed: frozenset[str], message: str) -> None:
    for name in sorted(params.keys() - allowed):
        raise invalid(message, name)


def _bills(params: Mapping[str, Any]) -> bool:
    return bool(params.keys() & {"items", "billing_cycle_anchor", "trial_end", "trial_from_plan"})


def prepare(call: Call, subscription: Obj, params: Mapping[str, Any]) -> Update:
    """Return what an update comes to; inline prices are the only thing it writes."""
    held = items_of(call, subscription)
    changes = [
        _with_discounts(call, subscription, change, params)
        for change in merge(call, subscription, held, params.get("items", ()))
    ]
    news = [change.new for change in changes if change.new]
    after = _discounted(call, subscription_params.settle(call, subscription, params), params)
    after |= _paused(call, params)
    after |= cancellation(call, after, news, params)
    after, reset = _retimed(call, subscription, after, changes, params)
    at = _prorated_at(call, subscription, params)
    terms = Terms(behavior=params.get("proration_behavior", "create_prorations"), at=call.now if reset else at)
    return Update(subscription, changing.plan(call, subscription, after, changes, terms, reset=reset), reset)


def _prorated_at(call: Call, subscription: Obj, params: Mapping[str, Any]) -> int:
    """Return the time of the prorations, now or the one given: within the period, or what was billed with it.

    Source: https://docs.stripe.com/billing/subscriptions/backdating, "Backdating an update".
    """
    at: int = params.get("proration_date", call.now)
    first, last = subscription["_period_start"], subscription["_period_end"]
    if first <= subscription["created"] < last:
        first = min(first, subscription["start_date"])
    if "proration_date" in params and not first <= at <= last:
        raise invalid("`proration_date` must be within the current billing period.", "proration_date")
    if at < subscription["_period_start"] and subscription["billing_mode"]["type"] == "classic":
        raise not_modelled("prorations of backdated time in classic billing mode", "proration_date")
    return at


def _paused(call: Call, params: Mapping[str, Any]) -> Obj:
    if "pause_collection" not in params:
        return {}
    given = params["pause_collection"]
    if given and given.get("resumes_at", call.now + 1) <= call.now:
        raise invalid("`resumes_at` must be in the future.", "pause_collection[resumes_at]")
    paused = {"behavior": given["behavior"], "resumes_at": given.get("resumes_at")} if given else None
    return {"pause_collection": paused}


def _retimed(
    call: Call, before: Obj, after: Obj, changes: Sequence[Change], params: Mapping[str, Any]
) -> tuple[Obj, bool]:
    """Return the subscription with another trial or anchor, and whether its periods begin anew."""
    news = [change.new for change in changes if change.new]
    trial_end = trial_end_of(call, news, params, call.now)
    if trial_end is not None and trial_end != before["trial_end"]:
        return _on_trial(call, before, after, trial_end), True
    running = before["status"] == "trialing"
    if params.get("trial_end") == "now" and running:
        anchor = {} if before["_anchored"] else {"billing_cycle_anchor": call.now}
        return {**after, **anchor, "status": "active", "trial_end": call.now, "_since": call.now}, True
    anchored = params.get("billing_cycle_anchor", {}).get("type") == "now"
    if before["status"] == "paused":
        return {**after, **({"billing_cycle_anchor": call.now} if anchored else {})}, False
    if (anchored or _resets(call, before, changes)) and not running:
        return {**after, "billing_cycle_anchor": call.now, "_since": call.now}, True
    if anchored:
        raise invalid("The billing cycle anchor of a trial is its end.", "billing_cycle_anchor")
    return after, False


def _on_trial(call: Call, before: Obj, after: Obj, trial_end: int) -> Obj:
    """Return the subscription on a trial from now, or on a longer or shorter one."""
    classic, running = before["billing_mode"]["type"] == "classic", before["status"] == "trialing"
    first = before["trial_start"] is None
    moves = after["trial_settings"]["end_behavior"]["billing_cycle_anchor"] == "now" and not before["_anchored"]
    return {
        **after,
        "billing_cycle_anchor": trial_end if moves else after["billing_cycle_anchor"],
        "status": "trialing",
        "trial_end": trial_end,
        # https://docs.stripe.com/billing/subscriptions/billing-mode/compare: the first trial's, or the latest one's.
        "trial_start": before["trial_start"] if running or (classic and not first) else call.now,
        "_since": call.now,
        "_warned": False,
    }


def _resets(call: Call, before: Obj, changes: Sequence[Change]) -> bool:
    """Tell whether classic mode begins new periods: another interval, or the first price that is not free."""
    if before["billing_mode"]["type"] != "classic":
        return False
    held = [change.old for change in changes if change.old]
    news = [change.new for change in changes if change.new]
    lengths = [{_interval(call, item) for item in items} for items in (held, news)]
    return lengths[0] != lengths[1] or (_is_free(call, held) and not _is_free(call, news))


def _interval(call: Call, item: Obj) -> tuple[str, int]:
    each = cycles.recurring(call, item)
    return each["interval"], each["interval_count"]


def _is_free(call: Call, items: Sequence[Obj]) -> bool:
    prices = [must(call, "price", item["price"]).body for item in items]
    return all(price["unit_amount"] == 0 and price["billing_scheme"] == "per_unit" for price in prices)


def perform(
    call: Call, planned: Update, params: Mapping[str, Any], behavior: str, *, off_session: bool, asked: bool = True
) -> None:
    """Write an update, and where it bills at once make and collect the invoice.

    ``asked`` says that a request does it, which is refused where there is nothing to pay with.
    """
    before, plan = planned.before, planned.plan
    seen = snapshot(call, before)
    customer = must(call, "customer", before["customer"]).body
    changing.apply(call, plan)
    _drop(call, *seen, plan)
    if "add_invoice_items" in params:
        added_items.add(call, current(call, before), customer, params["add_invoice_items"])
    ended_early = before["status"] == "trialing" and plan.subscription["status"] == "active"
    if ended_early:
        lifecycle.warn(call, current(call, before))
    if not plan.immediate:
        _warn_late(call, before)
        return
    subscription = current(call, before)
    period = (seen[0]["_period_start"], call.now)
    if not plan.charges and not lines.waiting_for(call, subscription):
        return
    row = invoice(call, subscription, plan.charges, reason="subscription_update", period=period, auto_advance=False)
    _collected(call, subscription, row.body["id"], behavior, off_session=off_session, asked=asked)
    _warn_late(call, before)


def _collected(
    call: Call, subscription: Obj, invoice_id: str, behavior: str, *, off_session: bool, asked: bool
) -> None:
    """Finalize and collect the invoice of an update, or set it aside where collection is paused."""
    before = snapshot(call, subscription)
    row = must(call, "invoice", invoice_id)
    if pause := subscription["pause_collection"]:
        lifecycle.set_aside(call, row, pause["behavior"])
        return
    announce(call, before)
    standing.settle_now(call, row, behavior, off_session=off_session, asked=asked)
    if behavior == "default_incomplete":
        standing.judge(call, current(call, subscription))


def _warn_late(call: Call, before: Obj) -> None:
    """Announce the end of a trial at once if less than three days of it are left."""
    subscription = current(call, before)
    late = subscription["status"] == "trialing" and not subscription["_warned"]
    if late and subscription["trial_end"] - lifecycle.TRIAL_WARNING <= call.now:
        lifecycle.warn(call, subscription)


def _discounted(call: Call, subscription: Obj, params: Mapping[str, Any]) -> Obj:
    """Return the subscription with new discounts: a list takes the place of the old one, ``''`` clears it."""
    if "discounts" not in params:
        return subscription
    customer = must(call, "customer", subscription["customer"]).body
    ids = discounts.attach(
        call,
        params["discounts"],
        customer=customer,
        currency=subscription["currency"],
        subscription=subscription["id"],
    )
    return {**subscription, "discounts": ids}


def _with_discounts(call: Call, subscription: Obj, change: Change, params: Mapping[str, Any]) -> Change:
    new = change.new
    given = params["items"][new["_given"]] if new and new["_given"] is not None else {}
    if new is None or "discounts" not in given:
        return change
    customer = must(call, "customer", subscription["customer"]).body
    return Change(change.old, redeemed(call, subscription, customer, new, given))


def _drop(call: Call, before: Obj, held: Sequence[Obj], plan: Plan) -> None:
    """End the discounts that an update has taken off."""
    had = {*before["discounts"], *(one for item in held for one in item["discounts"])}
    has = {*plan.subscription["discounts"], *(one for item in plan.items for one in item["discounts"])}
    for discount_id in sorted(had - has):
        discounts.detach(call, discount_id)


def migrate(call: Call, subscription: Obj, params: Mapping[str, Any]) -> Obj:
    """Move a classic subscription to flexible billing mode; there is no way back."""
    if subscription["billing_mode"]["type"] == "flexible":
        raise invalid("The subscription uses `billing_mode=flexible` already.", "billing_mode[type]")
    mode = subscription_params.billing_mode(params["billing_mode"])
    return put(call, {**subscription, "billing_mode": {**mode, "updated_at": call.now}})


def end_discounts(call: Call, subscription: Obj) -> Obj:
    """Take all discounts off a subscription, and return the first of them as deleted."""
    before = snapshot(call, subscription)
    write(call, {**subscription, "discounts": []})
    announce(call, before)
    ended = [discounts.detach(call, discount_id) for discount_id in subscription["discounts"]]
    return ended[0]
