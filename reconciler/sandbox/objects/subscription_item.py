"""Subscription items: one price of a subscription each (https://docs.stripe.com/api/subscription_items)."""

from collections.abc import Iterable

from reconciler.sandbox.billing import updating
from reconciler.sandbox.billing.stored import items_of, must
from reconciler.sandbox.lists import page
from reconciler.sandbox.objects.base import Call, Family, Route, retrieve
from reconciler.sandbox.store import Term
from reconciler.sandbox.wire import Obj

_OF_ITEM = ("discounts", "metadata", "plan", "price", "price_data", "quantity", "tax_rates")
_OF_UPDATE = ("off_session", "payment_behavior", "proration_behavior", "proration_date")
_REFUSED = frozenset({"billing_thresholds", "current_trial"})


def _create(call: Call) -> Obj:
    """Add an item through an update of its subscription, which says how that is prorated and paid."""
    subscription = call.refer("subscription", call.params["subscription"], "subscription")
    before = {item["id"] for item in items_of(call, subscription)}
    _update_with(call, subscription, {})
    return next(item for item in items_of(call, subscription) if item["id"] not in before)


def _update(call: Call) -> Obj:
    item = call.row().body
    _update_with(call, must(call, "subscription", item["subscription"]).body, {"id": item["id"]})
    return call.row().body


def _delete(call: Call) -> Obj:
    item = call.row().body
    _update_with(call, must(call, "subscription", item["subscription"]).body, {"id": item["id"], "deleted": True})
    return {"id": item["id"], "object": FAMILY.kind, "deleted": True}


def _update_with(call: Call, subscription: Obj, patch: Obj) -> None:
    call = call.on_clock_of(subscription)
    wanted = {**{name: call.params[name] for name in _OF_ITEM if name in call.params}, **patch}
    shared = {name: call.params[name] for name in _OF_UPDATE if name in call.params}
    updating.update(call, subscription, {**shared, "items": [wanted]})


def _list(call: Call) -> Obj:
    subscription = call.refer("subscription", call.params["subscription"], "subscription")
    return page(call, FAMILY, ("subscription", [subscription["id"]]), oldest_first=True)


def _terms(obj: Obj) -> Iterable[Term]:
    yield "subscription", obj["subscription"]


FAMILY = Family(
    kind="subscription_item",
    noun="subscription item",
    missing_param="item",
    emits_events=False,
    hidden=frozenset({"billed_until"}),
    embeds={"price": "price", "tax_rates": "tax_rate"},
    references={"discounts": "discount"},
    terms=_terms,
    template={
        "object": "subscription_item",
        #: What was charged for which time, to be given back where it was charged for too much.
        "_debits": [],
        "_given": None,
        #: Stretches of usage at earlier prices, and since when the present price's usage counts.
        "_segments": [],
        "_used_from": 0,
        "billed_until": None,
        "billing_thresholds": None,
        "created": 0,
        "current_period_end": 0,
        "current_period_start": 0,
        "current_trial": None,
        "discounts": [],
        "metadata": {},
        "price": "",
        "quantity": 1,
        "subscription": "",
        "tax_rates": [],
    },
    routes=(
        Route("POST", "/v1/subscription_items", "SubscriptionItemCreateParams", _create, refused=_REFUSED),
        Route("GET", "/v1/subscription_items", "SubscriptionItemListParams", _list, lists=True),
        Route("GET", "/v1/subscription_items/{id}", "SubscriptionItemRetrieveParams", retrieve),
        Route("POST", "/v1/subscription_items/{id}", "SubscriptionItemUpdateParams", _update, refused=_REFUSED),
        Route(
            "DELETE",
            "/v1/subscription_items/{id}",
            "SubscriptionItemDeleteParams",
            _delete,
            accepted=frozenset({"clear_usage"}),
        ),
    ),
)
