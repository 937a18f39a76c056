"""Subscriptions (https://docs.stripe.com/api/subscriptions); what they do is in the billing rooms."""

from collections.abc import Iterable

from reconciler.sandbox.billing import ending, lifecycle, pausing, reacting, subscribing, updating
from reconciler.sandbox.billing.subscription_params import REFUSED, cancellation
from reconciler.sandbox.billing.subscription_store import ENDED, put
from reconciler.sandbox.errors import ApiError, no_such
from reconciler.sandbox.expand import show
from reconciler.sandbox.lists import Filter, filters_in, named_in, page
from reconciler.sandbox.objects.base import Call, Family, Nested, Route, flag, retrieve
from reconciler.sandbox.store import Term
from reconciler.sandbox.walks import moments
from reconciler.sandbox.wire import Obj

#: Where the times stand that a list can be bounded by.
_RANGES = {"current_period_end": "_period_end", "current_period_start": "_period_start"}


def _create(call: Call) -> Obj:
    return subscribing.start(call, subscribing.customer_of(call, call.params), call.params)


def _update(call: Call) -> Obj:
    subscription = call.row().body
    return updating.update(call.on_clock_of(subscription), subscription, call.params)


def _cancel(call: Call) -> Obj:
    """End a subscription; one that has ended is gone for this route (observed)."""
    subscription, params = call.row().body, call.params
    if subscription["status"] in ENDED:
        raise no_such(FAMILY.noun, subscription["id"], FAMILY.missing_param, status=404)
    call = call.on_clock_of(subscription)
    if "cancellation_details" in params:
        details = cancellation(call, subscription, params["cancellation_details"])
        subscription = put(call, {**subscription, "cancellation_details": details})
    return ending.cancel(
        call,
        subscription,
        prorate=params.get("prorate", False),
        invoice_now=params.get("invoice_now", False),
        reason="cancellation_requested",
    )


def _pause(call: Call) -> Obj:
    subscription = call.row().body
    return pausing.pause(call.on_clock_of(subscription), subscription, call.params)


def _resume(call: Call) -> Obj:
    subscription = call.row().body
    return pausing.resume(call.on_clock_of(subscription), subscription, call.params)


def _migrate(call: Call) -> Obj:
    subscription = call.row().body
    return updating.migrate(call.on_clock_of(subscription), subscription, call.params)


def _delete_discount(call: Call) -> Obj:
    subscription = call.row().body
    if not subscription["discounts"]:
        message = f"No active discount for subscription: {subscription['id']}"
        raise ApiError(404, message, code="resource_missing")
    ended = updating.end_discounts(call.on_clock_of(subscription), subscription)
    return show(call.tx, call.families, call.families["discount"], ended)


def _list(call: Call) -> Obj:
    params = call.params
    filters = named_in(call, "customer")
    if not filters and "test_clock" not in params:
        filters.append(("test_clock", [""]))
    if "test_clock" in params:
        clock = call.refer("test_helpers.test_clock", params["test_clock"], "test_clock")
        filters.append(("test_clock", [clock["id"]]))
    prices = [call.refer("price", params[name], name)["id"] for name in ("price", "plan") if name in params]
    filters += [("price", [price]) for price in prices]
    filters += _by_status(params.get("status"))
    filters += filters_in(params, "collection_method")
    if "automatic_tax" in params:
        filters.append(("automatic_tax", [flag(params["automatic_tax"]["enabled"])]))
    ranges = {field: params[name] for name, field in _RANGES.items() if name in params}
    return page(call, FAMILY, *filters, ranges=ranges)


def _by_status(wanted: str | None) -> list[Filter]:
    """Return the filters of a status; without one, all but canceled subscriptions are listed.

    ``ended`` stands for several, ``all`` for every one (docstring of the list's ``status``).
    """
    if wanted == "all":
        return []
    if wanted is None:
        return [("canceled", ["false"])]
    return [("ended", ["true"])] if wanted == "ended" else [("status", [wanted])]


def _terms(obj: Obj) -> Iterable[Term]:
    yield from ((name, obj[name]) for name in ("customer", "status", "collection_method"))
    yield "canceled", flag(obj["status"] == "canceled")
    yield "ended", flag(obj["status"] in ENDED)
    yield "test_clock", obj["test_clock"] or ""
    yield "automatic_tax", flag(obj["automatic_tax"]["enabled"])
    yield from (("price", price) for price in obj["_prices"])
    yield from moments(obj, _RANGES.values())
    if obj["status"] != "canceled":
        yield "current_of", obj["customer"]
    for name in ("default_payment_method", "pending_setup_intent"):
        if obj[name]:
            yield name, obj[name]


FAMILY = Family(
    kind="subscription",
    noun="subscription",
    stem="customer.subscription",
    references={
        "cancellation_details.feedback_option": "billing.feedback_option",
        "customer": "customer",
        "default_payment_method": "payment_method",
        "discounts": "discount",
        "invoice_settings.account_tax_ids": "tax_id",
        "latest_invoice": "invoice",
        "pending_setup_intent": "setup_intent",
        "schedule": "subscription_schedule",
        "test_clock": "test_helpers.test_clock",
    },
    embeds={
        "default_tax_rates": "tax_rate",
        "pending_update.subscription_items.price": "price",
        "pending_update.subscription_items.tax_rates": "tax_rate",
    },
    nested={
        "items": Nested("subscription_item", "subscription", "/v1/subscription_items?subscription={id}", first=20),
    },
    lengths={
        "cancellation_details[comment]": 5000,
        "description": 500,
        "invoice_settings[custom_fields][][name]": 40,
        "invoice_settings[custom_fields][][value]": 140,
    },
    terms=_terms,
    due_at=lifecycle.due_at,
    when_due=lifecycle.when_due,
    reacts={
        "customer.deleted": ending.with_customer,
        "customer.discount.deleted": reacting.on_discount_ended,
        "invoice.marked_uncollectible": reacting.on_given_up,
        "invoice.overdue": reacting.on_failed,
        "invoice.paid": reacting.on_paid,
        "invoice.payment_action_required": reacting.on_failed,
        "invoice.payment_failed": reacting.on_failed,
        "invoice.voided": reacting.on_voided,
        "payment_method.detached": reacting.on_detached,
        "setup_intent.succeeded": reacting.on_set_up,
    },
    template={
        "object": "subscription",
        #: Whether the anchor was chosen and not derived; for which period end the renewal has been announced.
        "_anchored": False,
        "_announced": None,
        "_expires_at": None,
        #: An update that waits for its payment, and a resumption that does.
        #: The discounts of the phase before, if a phase has begun with a renewal that is still to come.
        "_phase_before": None,
        "_pending": None,
        "_period_end": 0,
        "_period_start": 0,
        "_prices": [],
        "_resuming": None,
        #: When the present run of gapless periods began.
        "_since": 0,
        "_warned": False,
        "application": None,
        "application_fee_percent": None,
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_cycle_anchor": 0,
        "billing_cycle_anchor_config": None,
        "billing_mode": {},
        "billing_schedules": [],
        "billing_thresholds": None,
        "cancel_at": None,
        "cancel_at_period_end": False,
        "canceled_at": None,
        "cancellation_details": {"comment": None, "feedback": None, "reason": None},
        "collection_method": "charge_automatically",
        "created": 0,
        "currency": "",
        "customer": "",
        "customer_account": None,
        "days_until_due": None,
        "default_payment_method": None,
        "default_source": None,
        "default_tax_rates": [],
        "description": None,
        "discounts": [],
        "ended_at": None,
        "invoice_settings": {
            **dict.fromkeys(("account_tax_ids", "custom_fields", "description", "footer")),
            "issuer": {"type": "self"},
        },
        "latest_invoice": None,
        "livemode": False,
        "managed_payments": None,
        "metadata": {},
        "next_pending_invoice_item_invoice": None,
        "on_behalf_of": None,
        "pause_collection": None,
        "payment_settings": {
            "payment_method_options": None,
            "payment_method_types": None,
            "save_default_payment_method": "off",
        },
        "pending_invoice_item_interval": None,
        "pending_setup_intent": None,
        "pending_update": None,
        "schedule": None,
        "start_date": 0,
        "status": "incomplete",
        "status_details": None,
        "test_clock": None,
        "transfer_data": None,
        "trial_end": None,
        "trial_settings": {"end_behavior": {"billing_cycle_anchor": "now", "missing_payment_method": "create_invoice"}},
        "trial_start": None,
    },
    routes=(
        Route("POST", "/v1/subscriptions", "SubscriptionCreateParams", _create, refused=REFUSED),
        Route(
            "GET",
            "/v1/subscriptions",
            "SubscriptionListParams",
            _list,
            lists=True,
            refused=frozenset({"customer_account"}),
        ),
        Route("GET", "/v1/subscriptions/{id}", "SubscriptionRetrieveParams", retrieve),
        Route(
            "POST",
            "/v1/subscriptions/{id}",
            "SubscriptionUpdateParams",
            _update,
            refused=REFUSED - {"customer_account"},
        ),
        Route("DELETE", "/v1/subscriptions/{id}", "SubscriptionCancelParams", _cancel),
        Route("DELETE", "/v1/subscriptions/{id}/discount", "SubscriptionDeleteDiscountParams", _delete_discount),
        Route("POST", "/v1/subscriptions/{id}/migrate", "SubscriptionMigrateParams", _migrate),
        Route("POST", "/v1/subscriptions/{id}/pause", "SubscriptionPauseParams", _pause),
        Route("POST", "/v1/subscriptions/{id}/resume", "SubscriptionResumeParams", _resume),
    ),
)
