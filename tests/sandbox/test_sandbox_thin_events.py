"""Thin events of v1's objects: twins of snapshot events, and the words for what a change means.

Sources: https://docs.stripe.com/webhooks/migrate-snapshot-to-thin-events and Stripe's changelog of 2026-09-30 ("thin
events for API v1 resources") and 2026-10-28 ("semantic thin events").
"""

import json

import pytest
import stripe

from reconciler.sandbox import Settings, Webhooks
from reconciler.sandbox.billing import discounts
from tests.sandbox.billing_world import DAY, World, at
from tests.sandbox.conftest import idle

SUBSCRIPTION = "v1.customer.subscription."
DESTINATION = {
    "name": "Mine",
    "type": "webhook_endpoint",
    "event_payload": "thin",
    "webhook_endpoint": {"url": "http://127.0.0.1:9/hook"},
}


def thin(api, **form):
    """Return the thin events, oldest first."""
    return api.get("/v2/core/events", {"limit": 100, **form}, stripe_version=stripe.api_version)["data"][::-1]


def words(api, obj, prefix="", group=SUBSCRIPTION):
    """Return the last parts of the types of an object's thin events of a group, but not its twins."""
    types = [each["type"] for each in thin(api, object_id=obj["id"]) if each["snapshot_event"] is None]
    found = [each.removeprefix(group) for each in types if each.startswith(group)]
    return [each for each in found if each.startswith(prefix)]


@pytest.fixture
def world(api, now):
    """Return a customer who pays, on a test clock."""
    return World(api, now)


def test_every_snapshot_has_its_twin(api):
    """Each event of v1 has a thin one named after it that names the snapshot, its object and what has changed."""
    product = api.product(metadata={"kept": "1", "gone": "2"})
    other = api.product(name="Other")
    api.post(f"/v1/products/{product['id']}", {"name": "New", "metadata": {"gone": "", "come": "3"}})
    snapshots = api.events()
    twins = [each for each in thin(api) if each["snapshot_event"]]
    assert [(each["type"], each["snapshot_event"]) for each in twins] == [
        (f"v1.{each['type']}", each["id"]) for each in snapshots
    ]
    url = f"/v1/products/{product['id']}"
    assert [each["related_object"] for each in thin(api, object_id=product["id"])] == [
        {"id": product["id"], "type": "product", "url": url}
    ] * 2
    assert [each["related_object"]["id"] for each in thin(api, object_id=other["id"])] == [other["id"]]
    assert [each["changes"] for each in twins] == [
        None,
        None,
        {
            "before": {"name": "Pro", "metadata": {"gone": "2", "come": None}},
            "after": {"name": "New", "metadata": {"gone": None, "come": "3"}},
        },
    ]


def test_twins_stand_among_the_other_thin_events(api):
    """Pages lead through twins and words together, both ways and by type; a twin is found by its own id and no other.

    Each twin stands right before the words of its change; ids of snapshots, of none and of others' twins find nothing.
    """
    product = api.product()
    for active in (False, True, False):
        api.post(f"/v1/products/{product['id']}", {"active": active})
    every = [each["type"].removeprefix("v1.product.") for each in thin(api)]
    assert every == ["created", "updated", "deactivated", "updated", "activated", "updated", "deactivated"]
    for types in (None, ["v1.product.updated", "v1.product.activated"], ["v1.product.updated"], ["product.updated"]):
        form = {"limit": 2, **({"types": types} if types else {})}
        page = api.get("/v2/core/events", form, stripe_version=stripe.api_version)
        down, up = list(page["data"]), []
        while page["next_page_url"]:
            page = api.get(page["next_page_url"], stripe_version=stripe.api_version)
            down += page["data"]
        while page["previous_page_url"]:
            page = api.get(page["previous_page_url"], stripe_version=stripe.api_version)
            up = [*page["data"], *up] if up else page["data"]
        wanted = [word for word in reversed(every) if types is None or f"v1.product.{word}" in types]
        assert [each["type"].removeprefix("v1.product.") for each in down] == wanted
        assert [each["id"] for each in up] == [each["id"] for each in down][: len(up)]
    twin, other = thin(api)[0]["id"], thin(api)[1]["id"]
    path = "/v2/core/events/"
    assert api.get(path + twin, stripe_version=stripe.api_version)["type"] == "v1.product.created"
    for wrong in (api.events()[0]["id"], f"{twin[:-7]}{other[-7:]}", twin[:-1], f"evt_test_61{'0' * 30}"):
        assert api.refused("GET", path + wrong, stripe_version=stripe.api_version)["status"] == 404


def test_a_twin_is_sent_to_who_came_later(open_sandbox, account):
    """A twin that nobody was told of can be sent to a destination made since, by its id."""
    posts = []
    api = account(open_sandbox(webhooks=Webhooks(post=lambda *post: posts.append(post) or 200)))
    api.product()
    twin = thin(api)[0]
    made = api.sandbox.client().v2.core.event_destinations.create({**DESTINATION, "enabled_events": [twin["type"]]})
    (delivery,) = api.sandbox.resend(twin["id"], made.id)
    api.sandbox.deliver()
    assert (delivery["event"], json.loads(posts[0][2])["id"]) == (twin["id"], twin["id"])


def test_a_request_is_the_reason_of_twins(api):
    """A twin names the request and its idempotency key, as its snapshot does."""
    api.post("/v1/products", {"name": "x"}, idempotency_key="k")
    snapshot, twin = api.events()[0], thin(api)[0]
    assert twin["reason"] == {"type": "request", "request": snapshot["request"]}
    assert snapshot["request"]["idempotency_key"] == "k"


def test_a_thin_destination_is_told_of_what_it_asks_for(open_sandbox, account):
    """A thin destination gets the types it names and no others; the SDK reads them and fetches the rest."""
    posts = []
    api = account(open_sandbox(webhooks=Webhooks(post=lambda *post: posts.append(post) or 200)))
    client = api.sandbox.client()
    wanted = ["v1.price.updated", "v1.price.lookup_key_changed"]
    made = client.v2.core.event_destinations.create(
        {**DESTINATION, "enabled_events": wanted, "include": ["webhook_endpoint.signing_secret"]}
    )
    price = api.price(api.product()["id"])
    api.post(f"/v1/prices/{price['id']}", {"lookup_key": "k", "nickname": "n"})
    api.sandbox.deliver()
    told = [
        client.parse_event_notification(post[2], post[1]["Stripe-Signature"], made.webhook_endpoint.signing_secret)
        for post in posts
    ]
    assert [each.type for each in told] == wanted
    assert not {"changes", "snapshot_event"} & json.loads(posts[0][2]).keys()
    assert told[0].fetch_related_object().lookup_key == "k"
    fetched = told[0].fetch_event()
    assert fetched.changes.to_dict()["before"] == {"lookup_key": None, "nickname": None}
    assert api.get(f"/v1/events/{fetched.snapshot_event}")["type"] == "price.updated"


def test_changes_of_the_catalogue_have_words(api):
    """Products and prices tell what has changed of them; what has no word is only told by the twin."""
    product = api.product()
    price = api.price(product["id"])
    tax_code = "txcd_10000000"
    for form in (
        {"active": False},
        {"active": True, "default_price": price["id"]},
        {"name": "x"},
        {"tax_code": tax_code},
    ):
        api.post(f"/v1/products/{product['id']}", form)
    assert words(api, product, group="v1.product.") == [
        "deactivated",
        "activated",
        "default_price_changed",
        "tax_code_changed",
    ]
    for form in ({"lookup_key": "k"}, {"nickname": "x"}, {"tax_behavior": "exclusive"}):
        api.post(f"/v1/prices/{price['id']}", form)
    api.post(f"/v1/products/{product['id']}", {"default_price": ""})
    api.post(f"/v1/prices/{price['id']}", {"active": False})
    api.post(f"/v1/prices/{price['id']}", {"active": True})
    assert words(api, price, group="v1.price.") == [
        "lookup_key_changed",
        "tax_behavior_changed",
        "deactivated",
        "activated",
    ]


def test_items_of_subscriptions_have_words(api, world):
    """Items added, removed, of another price, quantity or tax each have an event; a changed price object has none."""
    basic, pro, extra, seat = (world.price(amount) for amount in (1000, 2000, 300, 400))
    rate = api.post("/v1/tax_rates", {"display_name": "VAT", "percentage": 20, "inclusive": False})["id"]
    subscription = world.subscribe(basic, seat)
    decoy = world.subscribe(basic)
    first, second = (item["id"] for item in subscription["items"]["data"])
    world.update(subscription, items=[{"id": first, "price": pro}, {"id": second, "quantity": 3}])
    world.update(subscription, items=[{"id": second, "deleted": True}, {"price": extra}])
    world.update(subscription, items=[{"id": first, "tax_rates": [rate]}])
    api.post(f"/v1/prices/{pro}", {"nickname": "new"})
    world.update(subscription, items=[{"id": first, "metadata": {"a": "b"}}])
    api.post("/v1/subscription_items", {"subscription": subscription["id"], "price": seat, "quantity": 2})
    assert words(api, subscription, "item_") == [
        "item_price_changed",
        "item_quantity_changed",
        "item_added",
        "item_removed",
        "item_tax_rates_changed",
        "item_added",
    ]
    assert words(api, decoy, "item_") == []


def test_a_subscription_tells_its_life(api):
    """Each status it takes on is told, and when it is to end and what it is paid with; another one tells nothing."""
    world = World(api, at(2027, 1, 1))
    price = world.price()
    subscription, decoy = world.subscribe(price, trial_period_days=3), world.subscribe(price)
    world.advance(at(2027, 1, 4) + DAY)
    world.update(subscription, cancel_at_period_end=True)
    world.update(subscription, cancel_at_period_end=False)
    card = api.post("/v1/payment_methods/pm_card_chargeCustomerFail/attach", {"customer": world.customer})["id"]
    world.update(subscription, default_payment_method=card)
    world.advance(at(2027, 2, 4) + DAY)
    assert words(api, subscription) == [
        "trialing",
        "active",
        "cancel_at_changed",
        "cancel_at_changed",
        "default_payment_method_changed",
        "past_due",
    ]
    assert words(api, decoy) == ["incomplete", "active"]


@pytest.mark.parametrize("tells", [True, False])
def test_new_subscription_tells_status(open_sandbox, account, now, tells):
    """A subscription's first status has its own thin event, or only ``created`` has; later ones always have theirs."""
    world = World(account(open_sandbox(settings=Settings(new_subscription_tells_status=tells))), now)
    subscription = world.subscribe(world.price(), trial_period_days=3)
    assert words(world.api, subscription) == ["trialing"] * tells
    world.update(subscription, trial_end="now")
    assert words(world.api, subscription) == [*["trialing"] * tells, "active"]


def test_discounts_of_invoices_have_words(api, customer):
    """A discount put on a draft invoice, and one taken off it, are told."""
    coupon = api.coupon()["id"]
    api.post("/v1/invoiceitems", {"customer": customer, "amount": 1000, "currency": "usd"})
    invoice = api.post("/v1/invoices", {"customer": customer})
    api.post(f"/v1/invoices/{invoice['id']}", {"description": "x"})
    api.post(f"/v1/invoices/{invoice['id']}", {"discounts": [{"coupon": coupon}]})
    api.post(f"/v1/invoices/{invoice['id']}", {"discounts": ""})
    assert words(api, invoice, group="v1.invoice.") == ["discount_added", "discount_removed"]


@pytest.fixture
def customer(api):
    """Return the id of a customer."""
    return api.customer()["id"]


def test_a_discount_is_read_where_its_event_says(api, customer):
    """The discount of a customer is a singleton with an address; that of a subscription has none, and no thin event.

    Source: Stripe's OpenAPI document (``GetCustomersCustomerDiscount``) and the SDK's ``RelatedSingletonObject``.
    """
    coupon = [{"coupon": api.coupon(duration="forever")["id"]}]
    path = f"/v1/customers/{customer}/discount"
    world = World(api, at(2027, 2, 1))
    world.subscribe(world.price(), discounts=coupon)
    assert [each["type"] for each in api.events(type="customer.discount.*")] == ["customer.discount.created"]
    assert api.refused("GET", path)["status"] == 404
    with api.sandbox._store.write(api.get("/v1/account")["id"]) as tx:
        call = idle(api.sandbox, tx)
        discounts.attach(call, coupon, customer=call.refer("customer", customer, "customer"))
    told = [each for each in thin(api) if each["type"].startswith("v1.customer.discount.")]
    assert [each["related_object"] for each in told] == [{"type": "discount", "url": path}]
    assert api.get(path) == api.get(f"/v1/customers/{customer}")["discount"]
