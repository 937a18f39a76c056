"""Active entitlements: the features of what a customer subscribes to, and the events that tell of them."""

from collections import Counter

import pytest
import stripe

from reconciler.sandbox import Settings
from tests.sandbox.conftest import idle

LIST, SUMMARY = "/v1/entitlements/active_entitlements", "entitlements.active_entitlement_summary.updated"
DAY = 86_400


@pytest.fixture
def having(open_sandbox, account):
    """Return a factory of accounts in a sandbox with one setting."""
    return lambda **setting: account(open_sandbox(settings=Settings(**setting)))


def someone(api, **form):
    """Create a customer and return the id."""
    return api.post("/v1/customers", form)["id"]


def offer(api, *features):
    """Create a product with features and return the id of its free monthly price."""
    product = api.product()["id"]
    for feature in features:
        attach(api, product, feature)
    return api.price(product, unit_amount=0, recurring={"interval": "month"})["id"]


def attach(api, product, feature):
    """Attach a feature to a product and return the attachment's address."""
    made = api.post(f"/v1/products/{product}/features", {"entitlement_feature": feature["id"]})
    return f"/v1/products/{product}/features/{made['id']}"


def subscribe(api, customer, *prices):
    """Subscribe a customer to prices."""
    return api.post("/v1/subscriptions", {"customer": customer, "items": [{"price": price} for price in prices]})


def keys(api, customer):
    """Return the lookup keys of what a customer is entitled to, sorted."""
    return sorted(each["lookup_key"] for each in api.get(LIST, {"customer": customer, "limit": 100})["data"])


def summaries(api):
    """Return customer and lookup keys of every summary event, oldest first."""
    told = (each["data"]["object"] for each in api.events(type=SUMMARY))
    return [(each["customer"], sorted(item["lookup_key"] for item in each["entitlements"]["data"])) for each in told]


def put(api, subscription, **changes):
    """Change a subscription as its own rules would, past the API."""
    with api.sandbox._store.write(api.get("/v1/account")["id"]) as tx:
        call = idle(api.sandbox, tx)
        row = tx.find("subscription", subscription["id"])
        call.save(call.families["subscription"], row, {**row.body, **changes})


def test_a_subscription_entitles_its_customer(api):
    """Each feature of its products is one entitlement, shown whole; another customer has none (docs: entitlements)."""
    one, two = api.feature("one"), api.feature("two")
    customer, other = someone(api), someone(api)
    subscribe(api, customer, offer(api, one, two), offer(api, two))
    assert keys(api, customer) == ["one", "two"]
    assert keys(api, other) == []
    entitlement = next(each for each in api.get(LIST, {"customer": customer})["data"] if each["lookup_key"] == "one")
    assert entitlement == {
        "id": entitlement["id"],
        "object": "entitlements.active_entitlement",
        "feature": one["id"],
        "livemode": False,
        "lookup_key": "one",
    }
    assert entitlement["id"].startswith("ent_test_")
    assert api.get(f"{LIST}/{entitlement['id']}") == entitlement
    assert api.get(f"{LIST}/{entitlement['id']}", {"expand": ["feature"]})["feature"] == one
    assert api.refused("GET", LIST)["code"] == "parameter_missing"
    assert api.refused("GET", LIST, {"customer": "cus_nope"})["param"] == "customer"
    assert api.refused("GET", f"{LIST}/ent_nope")["status"] == 404


def test_a_change_is_told_whole(api):
    """The event has all that is left and what was before, from no request, as documented (docs: entitlements)."""
    customer = someone(api)
    subscription = subscribe(api, customer, offer(api, api.feature("one"), api.feature("two")))
    granted = api.get(LIST, {"customer": customer})
    api.ok("DELETE", f"/v1/subscriptions/{subscription['id']}")
    first, last = api.events(type=SUMMARY)
    url = f"/v1/customer/{customer}/entitlements"
    entitlements = {"object": "list", "data": granted["data"], "has_more": False, "url": url}
    whole = {"object": "entitlements.active_entitlement_summary", "customer": customer, "livemode": False}
    assert first["data"] == {
        "object": {**whole, "entitlements": entitlements},
        "previous_attributes": {"entitlements": {"data": []}},
    }
    assert last["data"] == {
        "object": {**whole, "entitlements": {**entitlements, "data": []}},
        "previous_attributes": {"entitlements": {"data": granted["data"]}},
    }
    assert first["request"] == {"id": None, "idempotency_key": None}
    thin = api.get("/v2/core/events", stripe_version=stripe.api_version)["data"]
    verbs = Counter(each["type"].rpartition(".")[2] for each in thin if "entitlement_summary" in each["type"])
    assert (verbs["entitlement_added"], verbs["entitlement_removed"]) == (2, 2)


def test_a_feature_lasts_as_long_as_one_subscription_has_it(api):
    """Canceling one of two subscriptions with a feature changes nothing and tells nothing; canceling both does."""
    feature, customer = api.feature("one"), someone(api)
    both = [subscribe(api, customer, offer(api, feature)) for _ in range(2)]
    entitlement = api.ids(LIST, {"customer": customer})
    api.ok("DELETE", f"/v1/subscriptions/{both[0]['id']}")
    assert api.ids(LIST, {"customer": customer}) == entitlement
    assert summaries(api) == [(customer, ["one"])]
    api.ok("DELETE", f"/v1/subscriptions/{both[1]['id']}")
    assert summaries(api)[1:] == [(customer, [])]


def test_an_upgrade_changes_features_at_once(api):
    """An item with a price of another product has that product's features, in the same request (docs: entitlements)."""
    old, new, both = (api.feature(name) for name in ("old", "new", "both"))
    customer = someone(api)
    subscription = subscribe(api, customer, offer(api, old, both))
    kept = next(each["id"] for each in api.get(LIST, {"customer": customer})["data"] if each["lookup_key"] == "both")
    item = subscription["items"]["data"][0]["id"]
    better = {"items": [{"id": item, "price": offer(api, new, both)}]}
    api.post(f"/v1/subscriptions/{subscription['id']}", better)
    assert keys(api, customer) == ["both", "new"]
    assert kept in api.ids(LIST, {"customer": customer})
    assert summaries(api) == [(customer, ["both", "old"]), (customer, ["both", "new"])]


def test_changes_of_a_product_wait_for_the_next_period(api, now):
    """Attaching and detaching reach a subscription with its next period, a new one at once (docs: entitlements)."""
    gone, added = api.feature("gone"), api.feature("added")
    clock = api.post("/v1/test_helpers/test_clocks", {"frozen_time": now})["id"]
    customer, later = someone(api, test_clock=clock), someone(api)
    price = offer(api)
    product = api.get(f"/v1/prices/{price}")["product"]
    attachment = attach(api, product, gone)
    subscription = subscribe(api, customer, price)
    attach(api, product, added)
    api.ok("DELETE", attachment)
    api.post(f"/v1/subscriptions/{subscription['id']}", {"metadata": {"a": "b"}})
    assert keys(api, customer) == ["gone"]
    subscribe(api, later, price)
    assert keys(api, later) == ["added"]
    api.post(f"/v1/test_helpers/test_clocks/{clock}/advance", {"frozen_time": now + 32 * DAY})
    assert keys(api, customer) == ["added"]


def test_an_archived_feature_still_entitles(api):
    """Archiving keeps entitlements and makes new ones where it is attached (docs: entitlements)."""
    feature, early, late = api.feature("one"), someone(api), someone(api)
    price = offer(api, feature)
    subscribe(api, early, price)
    api.post(f"/v1/entitlements/features/{feature['id']}", {"active": False})
    subscribe(api, late, price)
    assert keys(api, early) == keys(api, late) == ["one"]


@pytest.mark.parametrize("status", ["active", "trialing", "incomplete", "incomplete_expired", "canceled"])
def test_the_status_of_a_subscription_entitles_or_not(api, status):
    """Active and trialing subscriptions entitle, those that never were or are no longer active do not."""
    customer = someone(api)
    subscription = subscribe(api, customer, offer(api, api.feature("one")))
    put(api, subscription, status="incomplete")
    assert keys(api, customer) == []
    put(api, subscription, status=status, trial_end=1_800_000_000 + DAY if status == "trialing" else None)
    assert keys(api, customer) == (["one"] if status in {"active", "trialing"} else [])


def _keeps(having, status, setting=None, *, keeps, **more):
    """See whether a customer keeps an entitlement while a subscription has a status; another's is not touched."""
    api = having(**{setting or f"{status}_keeps_entitlements": keeps})
    customer, other, price = someone(api), someone(api), offer(api, api.feature("one"))
    subscription, _ = subscribe(api, customer, price), subscribe(api, other, price)
    put(api, subscription, status=status, **more)
    assert keys(api, customer) == (["one"] if keeps else [])
    assert keys(api, other) == ["one"]
    put(api, subscription, status="active")
    assert keys(api, customer) == ["one"]


@pytest.mark.parametrize("keeps", [True, False])
def test_past_due_keeps_entitlements(having, keeps):
    """A subscription that is past due still entitles, or does not."""
    _keeps(having, "past_due", keeps=keeps)


def _paused(reason):
    """Return what a paused subscription says of why it is."""
    return {"paused": {"subscription": {"type": reason}, "transitioned_at": 0, "type": "subscription"}}


@pytest.mark.parametrize("keeps", [True, False])
def test_requested_pause_keeps_entitlements(having, keeps):
    """A subscription that was paused on request still entitles, or does not until it is resumed."""
    setting = "requested_pause_keeps_entitlements"
    _keeps(having, "paused", setting, keeps=keeps, status_details=_paused("pause_requested"))


@pytest.mark.parametrize("keeps", [True, False])
def test_trial_end_pause_keeps_entitlements(having, keeps):
    """A subscription that was paused at the end of its trial still entitles, or does not."""
    setting = "trial_end_pause_keeps_entitlements"
    _keeps(having, "paused", setting, keeps=keeps, status_details=_paused("trial_end_without_payment_method"))


def test_a_requested_pause_takes_entitlements_away_until_it_is_resumed(api):
    """By default pause and resumption change them, with an event for either; another customer's stay.

    Source: https://docs.stripe.com/billing/subscriptions/pause (``entitlements.active_entitlement_summary.updated``).
    """
    customer, other, price = someone(api), someone(api), offer(api, api.feature("one"))
    subscription, _ = subscribe(api, customer, price), subscribe(api, other, price)
    api.post(f"/v1/subscriptions/{subscription['id']}/pause", {"type": "subscription"})
    assert (keys(api, customer), keys(api, other)) == ([], ["one"])
    api.post(f"/v1/subscriptions/{subscription['id']}/resume")
    assert keys(api, customer) == ["one"]
    assert [features for owner, features in summaries(api) if owner == customer] == [["one"], [], ["one"]]


@pytest.mark.parametrize("keeps", [True, False])
def test_unpaid_keeps_entitlements(having, keeps):
    """An unpaid subscription still entitles, or does not."""
    _keeps(having, "unpaid", keeps=keeps)


def test_a_summary_holds_ten_and_says_where_the_rest_is(sandbox, api):
    """The event cuts its list at ten; its address pages through all of them (docs: entitlements)."""
    customer = someone(api)
    subscribe(api, customer, offer(api, *(api.feature(f"f{number}") for number in range(12))))
    subscribe(api, someone(api), offer(api, api.feature("decoy")))
    entitlements = api.events(type=SUMMARY)[0]["data"]["object"]["entitlements"]
    assert (len(entitlements["data"]), entitlements["has_more"]) == (10, True)
    assert sorted(item["lookup_key"] for item in api.get(entitlements["url"], {"limit": 100})["data"]) == keys(
        api, customer
    )
    event = sandbox.client().v1.events.list({"type": SUMMARY}).data[-1]
    assert len(list(event.data.object.entitlements.auto_paging_iter())) == 12
    assert api.refused("GET", "/v1/customer/cus_nope/entitlements")["status"] == 404


def test_a_deleted_customer_has_nothing(api):
    """Deleting a customer cancels what entitled them, and tells so."""
    customer = someone(api)
    subscribe(api, customer, offer(api, api.feature("one")))
    api.ok("DELETE", f"/v1/customers/{customer}")
    assert summaries(api) == [(customer, ["one"]), (customer, [])]


def test_the_sdk_reads_entitlements(sandbox, api):
    """The SDK's own calls list and retrieve them, and page through many."""
    customer = someone(api)
    subscribe(api, customer, offer(api, *(api.feature(f"f{number}") for number in range(3))))
    listed = sandbox.client().v1.entitlements.active_entitlements.list({"customer": customer, "limit": 1})
    found = list(listed.auto_paging_iter())
    assert sorted(each.lookup_key for each in found) == ["f0", "f1", "f2"]
    assert sandbox.client().v1.entitlements.active_entitlements.retrieve(found[0].id).feature == found[0].feature
