"""Active entitlements (https://docs.stripe.com/billing/entitlements): the features of what a customer subscribes to.

A subscription has the features its products had when it took them up, or at the start of its present period: changes of
a product's features reach existing subscriptions with the next period.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from reconciler.sandbox import v2
from reconciler.sandbox.billing.stored import items_of, must, rows
from reconciler.sandbox.lists import page
from reconciler.sandbox.objects import active_entitlement_summary
from reconciler.sandbox.objects.base import Call, Family, Origin, Route, retrieve
from reconciler.sandbox.settings import Settings
from reconciler.sandbox.store import Row, Term
from reconciler.sandbox.wire import Obj

#: What each item of a customer's subscriptions gave when its period began; an object that no request shows.
BASIS = "entitlements.basis"
_ALWAYS = ("active", "trialing")
_THIN = f"v1.{active_entitlement_summary.FAMILY.kind}"


def entitles(subscription: Obj, settings: Settings) -> bool:
    """Tell whether a subscription gives its features, by its status, and by why it is paused.

    Source: https://docs.stripe.com/billing/subscriptions/pause (entitlements change with a pause and a resumption).
    """
    status = subscription["status"]
    if status == "paused":
        if subscription["status_details"]["paused"]["subscription"]["type"] == "pause_requested":
            return settings.requested_pause_keeps_entitlements
        return settings.trial_end_pause_keeps_entitlements
    return status in _ALWAYS or {
        "past_due": settings.past_due_keeps_entitlements,
        "unpaid": settings.unpaid_keeps_entitlements,
    }.get(status, False)


def _refresh(call: Call, subscription: Obj) -> None:
    """Bring a customer's entitlements in line with their subscriptions, and tell if that changes anything."""
    customer_id = subscription["customer"]
    row = call.tx.find(BASIS, customer_id)
    known: Mapping[str, Obj] = row.body["items"] if row else {}
    items = {item["id"]: _given(call, item, known.get(item["id"])) for item in _entitled_items(call, customer_id)}
    basis = {"id": customer_id, "object": BASIS, "items": items}
    if row is None:
        call.tx.insert(BASIS, basis, call.now, ())
    elif row.body != basis:
        call.tx.update(BASIS, row, basis, old_terms=(), new_terms=())
    features = dict.fromkeys(feature for item in items.values() for feature in item["features"])
    _settle(call, customer_id, list(features))


def _entitled_items(call: Call, customer_id: str) -> list[Obj]:
    subscriptions = (row.body for row in rows(call, "subscription", ("current_of", customer_id)))
    entitled = (each for each in subscriptions if entitles(each, call.settings))
    return [item for subscription in entitled for item in items_of(call, subscription)]


def _given(call: Call, item: Obj, known: Obj | None) -> Obj:
    """Return the features an item gives: those it had, unless its product or its period is another now."""
    product = must(call, "price", item["price"]).body["product"]
    key = {"product": product, "since": item["current_period_start"]}
    if known and {name: known[name] for name in key} == key:
        return known
    attached = rows(call, "product_feature", ("product", product))
    return {**key, "features": [row.body["entitlement_feature"] for row in attached]}


def _settle(call: Call, customer_id: str, features: list[str]) -> None:
    """Create and delete entitlements until they are the features; Stripe's own doing, no request's."""
    call = replace(call, origin=Origin(None, None))
    held = _held(call, customer_id)
    names = {row.body["feature"] for row in held}
    added = [feature for feature in features if feature not in names]
    removed = [row for row in held if row.body["feature"] not in features]
    if not added and not removed:
        return
    for feature in added:
        entitlement = call.fill(
            FAMILY,
            call.new_id("ent_test_61", 30),
            feature=feature,
            lookup_key=must(call, "entitlements.feature", feature).body["lookup_key"],
            _customer=customer_id,
        )
        call.create(FAMILY, entitlement)
    for row in removed:
        call.delete(FAMILY, row)
    before, after = (
        active_entitlement_summary.summary(customer_id, [row.body for row in each])
        for each in (held, _held(call, customer_id))
    )
    call.emit(active_entitlement_summary.FAMILY, "updated", after, before)
    for verb, count in (("entitlement_added", len(added)), ("entitlement_removed", len(removed))):
        for _ in range(count):
            v2.thin(call, f"{_THIN}.{verb}")


def _held(call: Call, customer_id: str) -> list[Row]:
    """Return the customer's entitlements, newest first."""
    return list(rows(call, FAMILY.kind, ("customer", customer_id)))[::-1]


def _list(call: Call) -> Obj:
    call.refer("customer", call.params["customer"], "customer")
    return page(call, FAMILY, ("customer", [call.params["customer"]]))


def _list_of_summary(call: Call) -> Obj:
    """Handle the address that a summary gives for its list, which no service of the SDK has."""
    return page(call, FAMILY, ("customer", [call.row(call.families["customer"], "customer").body["id"]]))


def _terms(obj: Obj) -> Iterable[Term]:
    yield "customer", obj["_customer"]


FAMILY = Family(
    kind="entitlements.active_entitlement",
    noun="active entitlement",
    emits_events=False,
    references={"feature": "entitlements.feature"},
    terms=_terms,
    reacts={
        f"customer.subscription.{verb}": _refresh for verb in ("created", "updated", "deleted", "paused", "resumed")
    },
    template={
        "object": "entitlements.active_entitlement",
        "feature": "",
        "livemode": False,
        "lookup_key": "",
    },
    routes=(
        Route(
            "GET",
            "/v1/entitlements/active_entitlements",
            "entitlements.ActiveEntitlementListParams",
            _list,
            lists=True,
        ),
        Route(
            "GET",
            "/v1/entitlements/active_entitlements/{id}",
            "entitlements.ActiveEntitlementRetrieveParams",
            retrieve,
        ),
        # The parameters are those of any list under a customer.
        Route("GET", "/v1/customer/{customer}/entitlements", "CustomerTaxIdListParams", _list_of_summary, lists=True),
    ),
)
