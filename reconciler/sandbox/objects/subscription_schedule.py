"""Subscription schedules: changes of subscriptions planned in phases (https://docs.stripe.com/api/subscription_schedules)."""

from collections.abc import Iterable, Mapping
from typing import Any

from reconciler.sandbox.billing import phases, scheduling
from reconciler.sandbox.billing.stored import items_of, must, rows
from reconciler.sandbox.billing.subscription_params import billing_mode
from reconciler.sandbox.billing.subscription_store import ENDED, put
from reconciler.sandbox.errors import exclusive, invalid, not_modelled
from reconciler.sandbox.lists import filters_in, named_in, page
from reconciler.sandbox.objects.base import Call, Family, Route, flag, merge_metadata, overlay, retrieve
from reconciler.sandbox.store import Term
from reconciler.sandbox.walks import moments
from reconciler.sandbox.wire import Obj

_REFUSED = frozenset({"customer_account", "pause_schedules"})
_RANGES = ("canceled_at", "completed_at", "released_at")
_DEFAULTS: Obj = {
    "application_fee_percent": None,
    "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
    "billing_cycle_anchor": "automatic",
    "billing_thresholds": None,
    "collection_method": "charge_automatically",
    "default_payment_method": None,
    "description": None,
    "invoice_settings": {**phases.NO_INVOICE_SETTINGS, "issuer": {"type": "self"}},
    "on_behalf_of": None,
    "transfer_data": None,
}
_REFUSED_DEFAULTS = ("application_fee_percent", "billing_thresholds", "on_behalf_of", "transfer_data")
_PLAIN_DEFAULTS = ("billing_cycle_anchor", "collection_method", "default_payment_method", "description")


def _create(call: Call) -> Obj:
    params = call.params
    _check_end(params)
    if "from_subscription" in params:
        return _from_subscription(call)
    customer = call.needed("customer")
    call = call.on_clock_of(customer)
    begins = params.get("start_date", call.now)
    begins = call.now if begins == "now" else begins
    schedule = call.fill(
        FAMILY,
        call.new_id("sub_sched_1", 23),
        billing_mode=billing_mode(params.get("billing_mode")),
        customer=customer["id"],
        default_settings=_defaults(call, _DEFAULTS, params.get("default_settings", {})),
        end_behavior=params.get("end_behavior", "release"),
        metadata=merge_metadata({}, params.get("metadata", {})),
        phases=phases.build(call, params.get("phases", ()), begins, customer=customer),
        test_clock=customer["test_clock"],
    )
    if begins > call.now:
        return call.create(FAMILY, schedule)
    call.insert(FAMILY, schedule)
    call.emit(FAMILY, "created", schedule)
    scheduling.begin(call, schedule)
    return call.refer(FAMILY.kind, schedule["id"], "id")


def _check_end(params: Mapping[str, Any]) -> None:
    """Refuse the two ends that the documentation does not describe any more."""
    if params.get("end_behavior") in {"none", "renew"}:
        raise not_modelled(f"`end_behavior={params['end_behavior']}`", "end_behavior")


def _from_subscription(call: Call) -> Obj:
    """Put a running subscription under a new schedule that mirrors it until the end of its period."""
    for name in sorted(call.params.keys() - {"expand", "from_subscription"}):
        raise exclusive("from_subscription", name)
    subscription = call.refer("subscription", call.params["from_subscription"], "from_subscription")
    call = call.on_clock_of(subscription)
    if subscription["schedule"]:
        # Observed.
        raise invalid(
            f"You cannot migrate a subscription that is already attached to a schedule: `{subscription['schedule']}`.",
            "from_subscription",
        )
    if subscription["status"] in {*ENDED, "incomplete", "paused"}:
        raise invalid(f"A subscription that is {subscription['status']} cannot have a schedule.", "from_subscription")
    phase = phases.of_subscription(subscription, items_of(call, subscription))
    settings = {name: subscription[name] for name in ("collection_method", "default_payment_method", "description")}
    invoices = {**_DEFAULTS["invoice_settings"], "days_until_due": subscription["days_until_due"]}
    schedule = call.fill(
        FAMILY,
        call.new_id("sub_sched_1", 23),
        billing_mode=subscription["billing_mode"],
        current_phase={"end_date": phase["end_date"], "start_date": phase["start_date"]},
        customer=subscription["customer"],
        default_settings={**_DEFAULTS, **settings, "invoice_settings": invoices},
        end_behavior="cancel" if subscription["cancel_at"] == phase["end_date"] else "release",
        phases=[phase],
        status="active",
        subscription=subscription["id"],
        test_clock=subscription["test_clock"],
    )
    call.create(FAMILY, schedule)
    put(call, {**subscription, "schedule": schedule["id"]})
    return schedule


def _defaults(call: Call, held: Obj, given: Mapping[str, Any]) -> Obj:
    for name in _REFUSED_DEFAULTS:
        if given.get(name) is not None:
            raise not_modelled(f"the parameter `default_settings[{name}]`", f"default_settings[{name}]")
    if given.get("automatic_tax", {}).get("enabled"):
        raise not_modelled("tax computed by Stripe (`automatic_tax`)", "default_settings[automatic_tax][enabled]")
    if given.get("default_payment_method"):
        at = "default_settings[default_payment_method]"
        call.refer("payment_method", given["default_payment_method"], at)
    changed = overlay(held, dict(given), _PLAIN_DEFAULTS)
    settings = phases.invoice_settings(given.get("invoice_settings"), "default_settings")
    if settings is not None:
        changed["invoice_settings"] = {**settings, "issuer": {"type": "self"}}
    return changed


def _update(call: Call) -> Obj:
    params = call.params
    _check_end(params)
    schedule = scheduling.checked(call.row().body, "update")
    call = call.on_clock_of(schedule)
    changed = overlay(schedule, params, ("end_behavior", "metadata"))
    if "default_settings" in params:
        changed["default_settings"] = _defaults(call, schedule["default_settings"], params["default_settings"])
    if "phases" not in params:
        return scheduling.save(call, changed)
    current = schedule["current_phase"] or schedule["phases"][0]
    wanted = phases.build(
        call,
        params["phases"],
        current["start_date"],
        customer=must(call, "customer", schedule["customer"]).body,
        subscription=schedule["subscription"],
        held=schedule["phases"],
    )
    return scheduling.replan(call, changed, wanted, params)


def _cancel(call: Call) -> Obj:
    schedule, params = scheduling.checked(call.row().body, "cancel"), call.params
    invoice_now, prorate = params.get("invoice_now", True), params.get("prorate", True)
    return scheduling.cancel(call.on_clock_of(schedule), schedule, prorate=prorate, invoice_now=invoice_now)


def _release(call: Call) -> Obj:
    schedule = scheduling.checked(call.row().body, "release")
    preserve = call.params.get("preserve_cancel_date", False)
    return scheduling.release(call.on_clock_of(schedule), schedule, preserve_cancel_date=preserve)


def _list(call: Call) -> Obj:
    params = call.params
    filters = named_in(call, "customer") or [("test_clock", [""])]
    filters += filters_in(params, "scheduled")
    return page(call, FAMILY, *filters, ranges={name: params[name] for name in _RANGES if name in params})


def _terms(obj: Obj) -> Iterable[Term]:
    yield "customer", obj["customer"]
    yield "scheduled", flag(obj["status"] == "not_started")
    yield "test_clock", obj["test_clock"] or ""
    yield from moments(obj, _RANGES)


def _with_customer(call: Call, customer: Obj) -> None:
    scheduling.on_customer_deleted(call, [row.body for row in rows(call, FAMILY.kind, ("customer", customer["id"]))])


FAMILY = Family(
    kind="subscription_schedule",
    noun="subscription schedule",
    missing_param="schedule",
    references={
        "customer": "customer",
        "default_settings.default_payment_method": "payment_method",
        "phases.add_invoice_items.price": "price",
        "phases.default_payment_method": "payment_method",
        "phases.items.price": "price",
        "subscription": "subscription",
        "test_clock": "test_helpers.test_clock",
    },
    embeds={
        "phases.add_invoice_items.tax_rates": "tax_rate",
        "phases.default_tax_rates": "tax_rate",
        "phases.items.tax_rates": "tax_rate",
    },
    terms=_terms,
    due_at=scheduling.due_at,
    when_due=scheduling.when_due,
    rank=-10,
    reacts={
        "customer.deleted": _with_customer,
        "customer.subscription.deleted": scheduling.on_subscription_ended,
    },
    template={
        "object": "subscription_schedule",
        #: Whether the schedule has set the end of its subscription, and whether its own end has been announced.
        "_cancels": False,
        "_warned": False,
        "application": None,
        "billing_mode": {},
        "canceled_at": None,
        "completed_at": None,
        "created": 0,
        "current_phase": None,
        "customer": "",
        "customer_account": None,
        "default_settings": {},
        "end_behavior": "release",
        "livemode": False,
        "metadata": {},
        "pause_schedules": [],
        "phases": [],
        "released_at": None,
        "released_subscription": None,
        "status": "not_started",
        "subscription": None,
        "test_clock": None,
    },
    routes=(
        Route("POST", "/v1/subscription_schedules", "SubscriptionScheduleCreateParams", _create, refused=_REFUSED),
        Route(
            "GET",
            "/v1/subscription_schedules",
            "SubscriptionScheduleListParams",
            _list,
            lists=True,
            refused=frozenset({"customer_account"}),
        ),
        Route("GET", "/v1/subscription_schedules/{id}", "SubscriptionScheduleRetrieveParams", retrieve),
        Route(
            "POST",
            "/v1/subscription_schedules/{id}",
            "SubscriptionScheduleUpdateParams",
            _update,
            refused=frozenset({"pause_schedules"}),
        ),
        Route("POST", "/v1/subscription_schedules/{id}/cancel", "SubscriptionScheduleCancelParams", _cancel),
        Route("POST", "/v1/subscription_schedules/{id}/release", "SubscriptionScheduleReleaseParams", _release),
    ),
)
