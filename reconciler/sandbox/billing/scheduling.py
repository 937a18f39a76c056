"""Subscription schedules at work: they start subscriptions, carry them from phase to phase, and let go of them.

Source: https://docs.stripe.com/billing/subscriptions/subscription-schedules.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from reconciler.sandbox.billing import billables, discounts, ending, lifecycle, pending_updates, starting, updating
from reconciler.sandbox.billing.periods import DAY_SECONDS
from reconciler.sandbox.billing.planned_discounts import Place, redeemable
from reconciler.sandbox.billing.stored import items_of, must
from reconciler.sandbox.billing.subscription_store import ENDED, announce, current, note, put, snapshot, write
from reconciler.sandbox.errors import invalid
from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.store import Row
from reconciler.sandbox.wire import Obj

#: ``subscription_schedule.expiring`` comes so long before the end (https://docs.stripe.com/api/events/types).
EXPIRING = 7 * DAY_SECONDS
OPEN = ("not_started", "active")
KIND = "subscription_schedule"


def due_at(schedule: Obj) -> int | None:
    """Return when a schedule next does something: it starts, a phase ends, its end is announced."""
    if schedule["status"] == "not_started":
        start: int = schedule["phases"][0]["start_date"]
        return start
    if schedule["status"] != "active":
        return None
    end: int = schedule["current_phase"]["end_date"]
    return min(end, end if schedule["_warned"] else _expires_at(schedule))


def _expires_at(schedule: Obj) -> int:
    return int(schedule["phases"][-1]["end_date"]) - EXPIRING


def when_due(call: Call, row: Row) -> None:
    """Do what is due: announce the end, start, go on to the next phase, or finish."""
    schedule = row.body
    if schedule["status"] == "not_started":
        begin(call, schedule, asked=False)
    elif schedule["current_phase"]["end_date"] > call.now:
        store(call, {**schedule, "_warned": True})
        call.emit(call.families[KIND], "expiring", must(call, KIND, schedule["id"]).body)
    else:
        following = phase_at(schedule, call.now)
        if following is None:
            _finish(call, schedule)
        else:
            enter(call, schedule, following, behavior=following["proration_behavior"], asked=False)


def store(call: Call, schedule: Obj) -> Obj:
    """Store a schedule without an event."""
    call.replace(call.families[KIND], must(call, KIND, schedule["id"]), schedule)
    return schedule


def save(call: Call, schedule: Obj, verb: str = "updated") -> Obj:
    """Store a schedule with its event; only an update says what was before."""
    family = call.families[KIND]
    if verb == "updated":
        return call.save(family, must(call, KIND, schedule["id"]), schedule)
    store(call, schedule)
    call.emit(family, verb, schedule)
    return schedule


def phase_at(schedule: Obj, at: int) -> Obj | None:
    """Return the phase of a time."""
    found = [phase for phase in schedule["phases"] if phase["start_date"] <= at < phase["end_date"]]
    return found[0] if found else None


def begin(call: Call, schedule: Obj, *, asked: bool = True) -> None:
    """Start the subscription of a schedule in its first phase; its first invoice waits as a draft like any other.

    ``asked`` says that a request does it, which is refused where its time is not: discounts that have been lost.
    """
    phase = phase_at(schedule, call.now) or schedule["phases"][-1]
    if not asked:
        phase = without_lost(call, schedule, phase)
    customer = must(call, "customer", schedule["customer"]).body
    started = starting.start(call, customer, creation(schedule, phase, call.now), at_once=False)
    put(call, {**current(call, started), "schedule": schedule["id"]})
    running = {**schedule, "status": "active", "subscription": started["id"], "_cancels": _cancels(schedule, phase)}
    save(call, {**running, **_current(phase)})


def creation(schedule: Obj, phase: Obj, now: int) -> Obj:
    """Return the parameters with which a schedule starts its subscription in a phase."""
    mode = {name: value for name, value in schedule["billing_mode"].items() if value is not None}
    params: Obj = {
        **_wanted(schedule, phase),
        "add_invoice_items": additions(phase),
        "billing_mode": mode,
        "currency": phase["currency"],
        "discounts": _entries(phase["discounts"]),
        "items": [_as_given(item) for item in phase["items"]],
    }
    if phase["start_date"] < now:
        params["backdate_start_date"] = phase["start_date"]
    if phase["trial_end"]:
        params["trial_end"] = phase["trial_end"]
    if _cancels(schedule, phase):
        params["cancel_at"] = phase["end_date"]
    return params


def _current(phase: Obj) -> Obj:
    return {"current_phase": {"end_date": phase["end_date"], "start_date": phase["start_date"]}}


def _cancels(schedule: Obj, phase: Obj) -> bool:
    """Tell whether a phase is the last one of a schedule that ends its subscription."""
    last = schedule["phases"][-1]
    return bool(schedule["end_behavior"] == "cancel" and phase["start_date"] == last["start_date"])


def without_lost(call: Call, schedule: Obj, phase: Obj) -> Obj:
    """Return a phase that begins without the discounts that can no longer be redeemed.

    Those a subscription has already, redeemed in the phase before, are not redeemed again.
    """
    customer = must(call, "customer", schedule["customer"]).body
    place = Place(customer=customer, currency=phase["currency"], subscription=schedule["subscription"])
    running = must(call, "subscription", schedule["subscription"]).body if schedule["subscription"] else None
    kept = running is not None and _has_discounts(call, running, phase)
    lists = {
        name: [{**each, "discounts": redeemable(call, each["discounts"], place)} for each in phase[name]]
        for name in ("add_invoice_items", "items")
    }
    return {**phase, **lists, "discounts": phase["discounts"] if kept else redeemable(call, phase["discounts"], place)}


def _wanted(schedule: Obj, phase: Obj) -> Obj:
    """Return what a phase sets on the subscription, the schedule's defaults where it says nothing."""
    defaults, settings = schedule["default_settings"], phase["invoice_settings"] or {}
    both = {name: phase[name] or defaults[name] for name in ("collection_method", "default_payment_method")}
    wanted = {name: value for name, value in both.items() if value is not None}
    if phase["description"] or defaults["description"]:
        wanted["description"] = phase["description"] or defaults["description"]
    days = settings.get("days_until_due") or defaults["invoice_settings"].get("days_until_due")
    if days is not None and wanted.get("collection_method") == "send_invoice":
        wanted["days_until_due"] = days
    wanted["default_tax_rates"] = phase["default_tax_rates"]
    wanted["metadata"] = {key: value or None for key, value in phase["metadata"].items()}
    return wanted


def _as_given(item: Obj) -> Obj:
    given: Obj = {name: item[name] for name in ("price", "quantity") if name in item}
    metadata = {key: value or None for key, value in item["metadata"].items()}
    own = {"metadata": metadata, "tax_rates": item["tax_rates"], "discounts": _entries(item["discounts"])}
    return {**given, **own, "_planned": True}


def _entries(discounts: Sequence[Obj]) -> list[Obj]:
    return [{form: value for form, value in entry.items() if value is not None} for entry in discounts]


def additions(phase: Obj) -> list[Obj]:
    """Return the parameters of a phase's single charges, its own beginning and end as times."""
    ends = {"phase_end": phase["end_date"], "phase_start": phase["start_date"]}
    added = [{name: value for name, value in item.items() if value is not None} for item in phase["add_invoice_items"]]
    return [
        {
            **item,
            "_planned": True,
            "discounts": _entries(item["discounts"]),
            "period": {
                name: {"type": "timestamp", "timestamp": ends[end["type"]]} if end["type"] in ends else end
                for name, end in item["period"].items()
            },
        }
        for item in added
    ]


def _has_discounts(call: Call, subscription: Obj, phase: Obj) -> bool:
    """Tell whether a subscription has the discounts of a phase already, so that none is redeemed again."""
    held = [must(call, "discount", discount_id).body for discount_id in subscription["discounts"]]
    wanted = phase["discounts"]
    return len(held) == len(wanted) and all(_is(one, entry) for one, entry in zip(held, wanted, strict=True))


def _is(discount: Obj, entry: Obj) -> bool:
    if entry["discount"] is not None:
        return bool(entry["discount"] == discount["id"])
    if entry["promotion_code"] is not None:
        return bool(entry["promotion_code"] == discount["promotion_code"])
    return bool(entry["coupon"] == discount["source"]["coupon"] and discount["promotion_code"] is None)


def enter(call: Call, schedule: Obj, phase: Obj, *, behavior: str, added: bool = True, asked: bool = True) -> None:
    """Make a subscription what a phase says; ``added`` also adds the phase's single charges.

    An update that waits for its payment is dropped
    (https://docs.stripe.com/billing/subscriptions/pending-updates, "Pending updates and subscription schedules").
    """
    subscription = must(call, "subscription", schedule["subscription"]).body
    if not asked:
        phase = without_lost(call, schedule, phase)
    if added and subscription["_pending"]:
        pending_updates.discard(call, subscription)
        subscription = current(call, subscription)
    if not asked and subscription["billing_mode"]["type"] == "classic":
        subscription = _billed(call, subscription, phase)
    subscription = noted(call, subscription)
    params = changes(call, schedule, subscription, phase, behavior)
    if added and phase["add_invoice_items"]:
        params["add_invoice_items"] = additions(phase)
    planned = updating.prepare(call, subscription, params)
    updating.perform(call, planned, params, "allow_incomplete", off_session=True, asked=asked)
    save(call, {**schedule, **_current(phase), "_cancels": _cancels(schedule, phase)})


def _billed(call: Call, subscription: Obj, phase: Obj) -> Obj:
    """Bill usage as classic mode does when time begins a phase: apart from the renewal, as the phase before has it.

    Of a phase that begins within a period that is what it removes or prices otherwise; at the end of a period it is
    everything, which makes "two invoices" (https://docs.stripe.com/billing/subscriptions/billing-mode/compare,
    "Consolidated invoicing" and "Bill for unbilled usage").
    """
    prices = {item["price"] for item in phase["items"]}
    due = [
        item
        for item in items_of(call, subscription)
        if item["current_period_end"] <= call.now or item["price"] not in prices
    ]
    charges = [charge for item in due for charge in billables.behind(call, subscription, item, call.now)]
    ends = subscription["_period_end"] <= call.now
    if subscription["status"] == "trialing" or not (charges if ends else any(charge.amount for charge in charges)):
        return subscription
    before = snapshot(call, subscription)
    lifecycle.invoice_cycle(call, subscription, charges, (subscription["_period_start"], call.now))
    write(call, current(call, subscription), [{**item, "_segments": [], "_used_from": call.now} for item in due])
    announce(call, before)
    return current(call, subscription)


def noted(call: Call, subscription: Obj) -> Obj:
    """Let a subscription that is about to renew remember its discounts, for the usage of the phase that ends.

    Source: https://docs.stripe.com/billing/subscriptions/billing-mode/compare, "Consolidated invoicing", of flexible
    billing mode.
    """
    if subscription["billing_mode"]["type"] == "classic" or subscription["_period_end"] > call.now:
        return subscription
    own = {item["id"]: item["discounts"] for item in items_of(call, subscription)}
    before = {"items": own, "wide": discounts.live(call, subscription["discounts"])}
    note(call, {**subscription, "_phase_before": before})
    return current(call, subscription)


def changes(call: Call, schedule: Obj, subscription: Obj, phase: Obj, behavior: str) -> Obj:
    """Return the update that makes a subscription what a phase says."""
    held = items_of(call, subscription)
    params: Obj = {**_wanted(schedule, phase), "items": _patches(held, phase), "proration_behavior": behavior}
    if not _has_discounts(call, subscription, phase):
        params["discounts"] = _entries(phase["discounts"])
    if phase["billing_cycle_anchor"] == "phase_start":
        params["billing_cycle_anchor"] = {"type": "now"}
    if phase["trial_end"] and phase["trial_end"] > call.now:
        params["trial_end"] = phase["trial_end"]
    if _cancels(schedule, phase):
        params["cancel_at"] = phase["end_date"]
    elif schedule["_cancels"]:
        params["cancel_at"] = None
    return params


def _patches(held: Sequence[Obj], phase: Obj) -> list[Obj]:
    """Return the ``items`` that turn the items held into those of a phase.

    Items keep their place by price; what is left of both sides is paired in order, then removed or added.
    """
    by_price = {item["price"]: item["id"] for item in held}
    wanted = [_as_given(item) for item in phase["items"]]
    kept = {item["price"] for item in wanted} & by_price.keys()
    free = [item["id"] for item in held if item["price"] not in kept]
    patches = []
    for item in wanted:
        if item["price"] in kept:
            known = {name: value for name, value in item.items() if name not in {"price", "discounts"}}
            patches.append({"id": by_price[item["price"]], **known})
        else:
            patches.append({**({"id": free.pop(0)} if free else {}), **item})
    return [*patches, *({"id": item_id, "deleted": True} for item_id in free)]


def _finish(call: Call, schedule: Obj) -> None:
    """End a schedule after its last phase: its subscription goes on without it, or ends with it."""
    if schedule["end_behavior"] == "cancel":
        save(call, {**schedule, "status": "completed", "completed_at": call.now, "current_phase": None}, "completed")
    elif call.settings.finished_schedule_is_released:
        release(call, schedule, preserve_cancel_date=True)
    else:
        _detach(call, schedule)
        done = {**schedule, "status": "completed", "completed_at": call.now, "current_phase": None}
        save(call, done, "completed")


def _detach(call: Call, schedule: Obj) -> None:
    subscription = must(call, "subscription", schedule["subscription"]).body
    put(call, {**subscription, "schedule": None})


def release(call: Call, schedule: Obj, *, preserve_cancel_date: bool) -> Obj:
    """Let go of a subscription, which stays as it is; an end the schedule has set for it is taken back."""
    if schedule["subscription"]:
        before = must(call, "subscription", schedule["subscription"]).body
        seen = snapshot(call, before)
        changed = {**before, "schedule": None}
        if schedule["_cancels"] and not preserve_cancel_date:
            changed |= starting.cancellation(call, changed, seen[1], {"cancel_at": None})
        write(call, changed)
        announce(call, seen)
    released = {
        **schedule,
        "current_phase": None,
        "released_at": call.now,
        "released_subscription": schedule["subscription"],
        "status": "released",
        "subscription": None,
    }
    return save(call, released, "released")


def cancel(call: Call, schedule: Obj, *, prorate: bool, invoice_now: bool) -> Obj:
    """End a schedule and its subscription at once."""
    canceled = {**schedule, "canceled_at": call.now, "current_phase": None, "status": "canceled"}
    store(call, canceled)
    if schedule["subscription"]:
        subscription = must(call, "subscription", schedule["subscription"]).body
        if subscription["status"] not in ENDED:
            reason = "cancellation_requested"
            ending.cancel(call, subscription, prorate=prorate, invoice_now=invoice_now, reason=reason)
    call.emit(call.families[KIND], "canceled", canceled)
    return canceled


def on_subscription_ended(call: Call, subscription: Obj) -> None:
    """React to the end of a subscription: its schedule ends too, aborted if the customer did not pay."""
    row = call.tx.find(KIND, subscription["schedule"]) if subscription["schedule"] else None
    if row is None or row.body["status"] not in OPEN:
        return
    canceled = {**row.body, "canceled_at": call.now, "current_phase": None, "status": "canceled"}
    failed = subscription["cancellation_details"]["reason"] == "payment_failed"
    save(call.on_clock_of(subscription), canceled, "aborted" if failed else "canceled")


def on_customer_deleted(call: Call, schedules: Sequence[Obj]) -> None:
    """End the schedules of a deleted customer that have not started."""
    for schedule in schedules:
        if schedule["status"] == "not_started":
            cancel(call, schedule, prorate=False, invoice_now=False)


def checked(schedule: Obj, verb: str) -> Obj:
    """Return a schedule that can still be changed, or refuse to."""
    if schedule["status"] not in OPEN:
        raise invalid(f"You cannot {verb} a subscription schedule that is {schedule['status']}.")
    return schedule


def replan(call: Call, schedule: Obj, phases: Sequence[Obj], params: Mapping[str, Any]) -> Obj:
    """Give a schedule new present and future phases; the subscription follows the present one at once."""
    past = [phase for phase in schedule["phases"] if phase["end_date"] <= call.now]
    past = [phase for phase in past if phase["start_date"] < phases[0]["start_date"]]
    changed = {**schedule, "phases": [*past, *phases], "_warned": False}
    if schedule["status"] == "not_started":
        return save(call, changed)
    present = phase_at(changed, call.now)
    if present is None:
        raise invalid("The phases must include the one that is current.", "phases")
    same = present["start_date"] == schedule["current_phase"]["start_date"]
    behavior = params.get("proration_behavior", "create_prorations") if same else present["proration_behavior"]
    enter(call, changed, present, behavior=behavior, added=not same)
    return must(call, KIND, schedule["id"]).body
