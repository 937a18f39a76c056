"""Updates that wait for their payment (https://docs.stripe.com/billing/subscriptions/pending-updates-reference)."""

from reconciler.sandbox.billing import changing, invoicing, standing
from reconciler.sandbox.billing.changing import Plan
from reconciler.sandbox.billing.stored import must
from reconciler.sandbox.billing.subscription_store import announce, current, invoice, note, remember, snapshot, write
from reconciler.sandbox.errors import not_modelled
from reconciler.sandbox.expand import visible
from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.wire import Obj

#: What an update with ``payment_behavior=pending_if_incomplete`` may contain.
SUPPORTED = frozenset(
    {
        "add_invoice_items",
        "billing_cycle_anchor",
        "expand",
        "items",
        "off_session",
        "payment_behavior",
        "price",
        "price_data",
        "proration_behavior",
        "proration_date",
        "quantity",
        "subscription",
        "trial_end",
        "trial_from_plan",
    }
)
#: What an update of this kind can change of the subscription itself.
_FIELDS = ("billing_cycle_anchor", "trial_end", "trial_start", "status", "_since", "_warned")


def check(params: Obj) -> None:
    """Refuse attributes that cannot wait for a payment."""
    for name in sorted(params.keys() - SUPPORTED):
        raise not_supported(name)
    for index, item in enumerate(params.get("items", ())):
        for name in sorted(item.keys() - {"id", "price", "price_data", "quantity"}):
            raise not_supported(f"items[{index}][{name}]")


def not_supported(param: str) -> Exception:
    """Return the refusal of a parameter that Stripe does not take with ``pending_if_incomplete``."""
    return not_modelled(f"`{param}` with `payment_behavior=pending_if_incomplete`, as Stripe does not", param)


def attempt(call: Call, before: Obj, planned: Plan, *, off_session: bool) -> None:
    """Charge for a change first, and make it only once that is paid."""
    seen = snapshot(call, before)
    charges = [*planned.prorations, *planned.charges]
    period = (before["_period_start"], call.now)
    row = invoice(call, before, charges, reason="subscription_update", period=period, auto_advance=False)
    held = {
        "invoice": row.body["id"],
        "items": list(planned.items),
        "removed": [item["id"] for item in planned.removed],
        "subscription": {name: planned.subscription[name] for name in _FIELDS},
    }
    note(call, {**current(call, before), "_pending": held})
    standing.settle_now(call, row, "allow_incomplete", off_session=off_session)
    now = current(call, before)
    if now["_pending"]:
        write(call, {**now, "pending_update": _shown(call, before, planned)})
    announce(call, seen)


def _shown(call: Call, before: Obj, planned: Plan) -> Obj:
    """Return what the subscription shows of a waiting update."""
    ends = [end for end in (before["trial_end"], before["_period_end"]) if end is not None and end > call.now]
    after = planned.subscription
    changed = {name: after[name] if after[name] != before[name] else None for name in _FIELDS[:2]}
    return {
        "billing_cycle_anchor": changed["billing_cycle_anchor"],
        "cancel_at_period_end": None,
        "discount": None,
        "discounts": None,
        "expires_at": min([*ends, call.now + standing.GRACE]),
        "metadata": None,
        "subscription_items": [
            {name: value for name, value in visible(item).items() if name != "billed_until"} for item in planned.items
        ],
        "trial_end": changed["trial_end"],
        "trial_from_plan": None,
    }


def fulfil(call: Call, subscription: Obj) -> None:
    """Make a change whose invoice has been paid."""
    held = subscription["_pending"]
    was_shown = subscription["pending_update"] is not None
    plan = Plan(
        subscription={**subscription, **held["subscription"], "pending_update": None, "_pending": None},
        items=tuple(held["items"]),
        removed=tuple(must(call, "subscription_item", item_id).body for item_id in held["removed"]),
    )
    changing.apply(call, plan)
    remember(call, subscription, {"id": held["invoice"]})
    if was_shown:
        call.emit(call.families["subscription"], "pending_update_applied", current(call, subscription))


def discard(call: Call, subscription: Obj) -> None:
    """Drop a waiting update, because its time is over or another change takes its place, and void its invoice."""
    held = subscription["_pending"]
    before = snapshot(call, subscription)
    write(call, {**current(call, subscription), "pending_update": None, "_pending": None})
    announce(call, before)
    row = must(call, "invoice", held["invoice"])
    if row.body["status"] == "open":
        invoicing.void(call, row)
    call.emit(call.families["subscription"], "pending_update_expired", current(call, subscription))
