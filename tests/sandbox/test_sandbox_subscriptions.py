"""Subscriptions and their items: the objects, what is refused, the lists (https://docs.stripe.com/api/subscriptions)."""

import pytest

from reconciler.sandbox.settings import Settings
from tests.sandbox.billing_world import DAY, World, at, plus

START = at(2027, 3, 10, 12)


@pytest.fixture
def world(api):
    """Return a customer with a card on a test clock."""
    return World(api, START)


def test_a_subscription_is_complete(world):
    """Every field of the documented object is there, periods on the item, the first invoice paid."""
    price = world.price()
    subscription = world.subscribe(price, metadata={"k": "v"})
    item = subscription["items"]["data"][0]
    assert item == {
        "id": item["id"],
        "object": "subscription_item",
        "billing_thresholds": None,
        "created": START,
        "current_period_end": plus(START, "month", 1),
        "current_period_start": START,
        "current_trial": None,
        "discounts": [],
        "metadata": {},
        "price": world.api.get(f"/v1/prices/{price}"),
        "quantity": 1,
        "subscription": subscription["id"],
        "tax_rates": [],
    }
    assert subscription == {
        "id": subscription["id"],
        "object": "subscription",
        "application": None,
        "application_fee_percent": None,
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_cycle_anchor": START,
        "billing_cycle_anchor_config": None,
        "billing_mode": {"flexible": {"proration_discounts": "included"}, "type": "flexible"},
        "billing_schedules": [],
        "billing_thresholds": None,
        "cancel_at": None,
        "cancel_at_period_end": False,
        "canceled_at": None,
        "cancellation_details": {"comment": None, "feedback": None, "reason": None},
        "collection_method": "charge_automatically",
        "created": START,
        "currency": "usd",
        "customer": world.customer,
        "customer_account": None,
        "days_until_due": None,
        "default_payment_method": None,
        "default_source": None,
        "default_tax_rates": [],
        "description": None,
        "discounts": [],
        "ended_at": None,
        "invoice_settings": {
            "account_tax_ids": None,
            "custom_fields": None,
            "description": None,
            "footer": None,
            "issuer": {"type": "self"},
        },
        "items": {
            "object": "list",
            "data": [item],
            "has_more": False,
            "url": f"/v1/subscription_items?subscription={subscription['id']}",
        },
        "latest_invoice": world.invoices()[0]["id"],
        "livemode": False,
        "managed_payments": None,
        "metadata": {"k": "v"},
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
        "start_date": START,
        "status": "active",
        "status_details": None,
        "test_clock": world.clock,
        "transfer_data": None,
        "trial_end": None,
        "trial_settings": {"end_behavior": {"billing_cycle_anchor": "now", "missing_payment_method": "create_invoice"}},
        "trial_start": None,
    }
    assert len(subscription["id"]) == len("sub_") + 24
    assert len(item["id"]) == len("si_") + 14


def test_expansion_goes_through_the_items(world):
    """The product of an item's price, the customer and the invoice show as objects where they are asked for."""
    subscription = world.subscribe(world.price())
    shown = world.get(subscription, expand=["items.data.price.product", "customer", "latest_invoice"])
    assert shown["items"]["data"][0]["price"]["product"]["id"] == world.product
    assert (shown["customer"]["id"], shown["latest_invoice"]["total"]) == (world.customer, 1000)


def test_a_new_subscription_is_told_by_events(world):
    """It is created incomplete and becomes active with its first payment."""
    world.subscribe(world.price())
    events = world.api.events(type="customer.subscription.*")
    assert [event["type"].rpartition(".")[2] for event in events] == ["created", "updated", "updated"]
    assert [event["data"]["object"]["status"] for event in events] == ["incomplete", "incomplete", "active"]
    assert events[-1]["data"]["previous_attributes"] == {"status": "incomplete"}


def test_a_metered_item_has_no_quantity_and_bills_nothing_at_the_start(world):
    """Flexible mode makes no invoice for metered items alone, classic one of a zero line (billing-mode/compare)."""
    price = world.metered()
    flexible = world.subscribe(price)
    assert flexible["status"] == "active"
    assert flexible["latest_invoice"] is None
    assert "quantity" not in flexible["items"]["data"][0]
    classic = world.subscribe(price, billing_mode={"type": "classic"})
    lines = world.lines()
    assert [(line["amount"], line["quantity"]) for line in lines] == [(0, 0)]
    assert classic["status"] == "active"
    assert world.refused({"price": price, "quantity": 2})["param"] == "items[0][quantity]"


REFUSALS = [
    ({"cancel_at": at(2027, 3, 20), "cancel_at_period_end": True}, "cancel_at"),
    ({"cancel_at": START}, "cancel_at"),
    ({"trial_end": START - 1}, "trial_end"),
    ({"trial_end": plus(START, "year", 2) + 1}, "trial_end"),
    ({"trial_end": START + DAY, "trial_period_days": 1}, "trial_end"),
    ({"trial_period_days": 1, "trial_from_plan": True}, "trial_period_days"),
    ({"billing_cycle_anchor": START}, "billing_cycle_anchor"),
    ({"billing_cycle_anchor": plus(START, "month", 1) + 1}, "billing_cycle_anchor"),
    ({"billing_cycle_anchor_config": {"day_of_month": 32}}, "billing_cycle_anchor_config[day_of_month]"),
    ({"billing_cycle_anchor_config": {"day_of_month": 1, "hour": 24}}, "billing_cycle_anchor_config[hour]"),
    ({"backdate_start_date": START + 1}, "backdate_start_date"),
    ({"currency": "eur"}, "currency"),
    ({"days_until_due": 3}, "days_until_due"),
    ({"collection_method": "send_invoice", "days_until_due": -1}, "days_until_due"),
    ({"payment_behavior": "pending_if_incomplete"}, "payment_behavior"),
    ({"default_payment_method": "pm_nope"}, "default_payment_method"),
    ({"default_tax_rates": ["txr_nope"]}, "default_tax_rates[0]"),
    ({"discounts": [{"coupon": "nope"}]}, "discounts[0][coupon]"),
    (
        {"pending_invoice_item_interval": {"interval": "year", "interval_count": 2}},
        "pending_invoice_item_interval[interval_count]",
    ),
    ({"billing_mode": {"type": "classic", "flexible": {"proration_discounts": "included"}}}, "billing_mode[flexible]"),
    ({"add_invoice_items": [{"quantity": 1}]}, "add_invoice_items[0][price]"),
]


@pytest.mark.parametrize(("form", "param"), REFUSALS)
def test_what_stripe_would_not_take_is_refused(world, form, param):
    """The form alone makes a subscription; with one thing more it is a 400 that names the parameter."""
    price = world.price()
    error = world.refused(price, **form)
    assert (error["status"], error["param"]) == (400, param)
    assert world.subscribe(price)["status"] == "active"


@pytest.mark.parametrize(
    "name", ["application_fee_percent", "on_behalf_of", "transfer_data[destination]", "billing_thresholds[amount_gte]"]
)
def test_what_is_not_modelled_is_refused_and_not_ignored(world, name):
    """Connect and thresholds answer a 400 of the sandbox's own code."""
    assert world.refused(world.price(), **{name: 1})["code"] == "sandbox_not_modelled"


def test_tax_by_stripe_is_refused_and_its_absence_taken(world):
    """``automatic_tax[enabled]`` must be false."""
    price = world.price()
    assert world.refused(price, automatic_tax={"enabled": True})["code"] == "sandbox_not_modelled"
    assert world.subscribe(price, automatic_tax={"enabled": False})["automatic_tax"]["enabled"] is False


def test_prices_must_be_recurring_active_and_of_one_currency(world):
    """Each wrong price is refused by the parameter that names it (texts observed); the right one beside it is not."""
    good = world.price()
    once = world.api.price(world.product)["id"]
    archived = world.price()
    world.api.post(f"/v1/prices/{archived}", {"active": False})
    euro = world.api.price(world.product, currency="eur", recurring={"interval": "month"})["id"]
    assert world.refused(good, once)["param"] == "items[1][price]"
    assert world.refused(good, archived)["param"] == "items[1][price]"
    assert world.refused(good, "price_nope")["code"] == "resource_missing"
    assert "usd" in world.refused(good, euro)["message"]
    assert world.refused({"price": good, "quantity": -1})["param"] == "items[0][quantity]"
    assert world.subscribe(good)["status"] == "active"


def test_a_price_can_be_described_in_the_request(world):
    """``price_data`` makes an inactive price that no list shows."""
    data = {"currency": "usd", "product": world.product, "recurring": {"interval": "week"}, "unit_amount": 700}
    subscription = world.subscribe({"price_data": data, "quantity": 2})
    price = subscription["items"]["data"][0]["price"]
    assert (price["unit_amount"], price["recurring"]["interval"], price["active"]) == (700, "week", False)
    assert world.invoices()[0]["total"] == 1400
    assert price["id"] not in world.api.ids("/v1/prices", {"active": False})


def test_a_subscription_needs_items_and_a_customer(world):
    """Either missing is named; a deleted customer cannot subscribe."""
    assert world.refused()["param"] == "items"
    error = world.api.refused("POST", "/v1/subscriptions", {"items": [{"price": world.price()}]})
    assert (error["code"], error["param"]) == ("parameter_missing", "customer")
    price = world.price()
    world.api.ok("DELETE", f"/v1/customers/{world.customer}")
    assert world.refused(price)["param"] == "customer"


@pytest.mark.parametrize(
    ("first", "second", "fits"),
    [
        (("month", 1), ("month", 3), True),
        (("month", 1), ("year", 1), True),
        (("day", 1), ("week", 1), True),
        (("day", 1), ("month", 3), True),
        (("day", 1), ("year", 2), True),
        (("week", 2), ("week", 4), True),
        (("week", 1), ("day", 14), True),
        (("year", 1), ("month", 6), True),
        (("month", 2), ("month", 3), False),
        (("week", 1), ("month", 1), False),
        (("week", 1), ("year", 1), False),
        (("day", 2), ("month", 1), False),
        (("month", 4), ("month", 6), False),
    ],
)
def test_intervals_may_differ_where_they_align(world, first, second, fits):
    """Documented combinations (billing/subscriptions/mixed-interval, "Interval alignment"); classic mode takes none."""
    prices = [world.price(interval=interval, count=count) for interval, count in (first, second)]
    if fits:
        assert world.subscribe(*prices)["status"] == "active"
    else:
        assert world.refused(*prices)["param"] == "items"
    assert world.refused(*prices, billing_mode={"type": "classic"})["param"] == "items"


def test_intervals_that_align(world):
    """Three lengths that are multiples of the shortest go together; each item has its own period."""
    prices = [world.price(interval="month", count=count) for count in (2, 4, 6)]
    subscription = world.subscribe(*prices)
    ends = [item["current_period_end"] for item in subscription["items"]["data"]]
    assert ends == [plus(START, "month", count) for count in (2, 4, 6)]


@pytest.mark.parametrize("limited", [True, False])
def test_twenty_subscription_items(open_sandbox, account, limited):
    """Twenty items are taken, the twenty-first only where the setting says that the limit was raised."""
    world = World(account(open_sandbox(settings=Settings(twenty_subscription_items=limited))), START)
    prices = [world.price(100 + index) for index in range(21)]
    assert world.subscribe(*prices[:20])["items"]["has_more"] is False
    if limited:
        assert world.refused(*prices)["param"] == "items"
    else:
        shown = world.subscribe(*prices)
        assert (len(shown["items"]["data"]), shown["items"]["has_more"]) == (20, True)


@pytest.mark.parametrize("unique", [True, False])
def test_unique_item_prices(open_sandbox, account, unique):
    """Two items with one price are refused, or taken where the setting says so."""
    world = World(account(open_sandbox(settings=Settings(unique_item_prices=unique))), START)
    price = world.price()
    if unique:
        assert world.refused(price, price)["param"] == "items"
    else:
        assert len(world.subscribe(price, price)["items"]["data"]) == 2


@pytest.mark.parametrize("needed", [True, False])
def test_send_invoice_needs_days_until_due(open_sandbox, account, needed):
    """Without days until due an invoice is refused as the way to collect, or taken where the setting says so."""
    world = World(account(open_sandbox(settings=Settings(send_invoice_needs_days_until_due=needed))), START)
    price = world.price()
    if needed:
        assert world.refused(price, collection_method="send_invoice")["param"] == "days_until_due"
    else:
        assert world.subscribe(price, collection_method="send_invoice")["status"] == "active"
    assert world.subscribe(price, collection_method="send_invoice", days_until_due=3)["days_until_due"] == 3


def test_an_invoice_to_be_sent_activates_at_once_and_is_final_after_an_hour(world):
    """The subscription is active before anything is paid (docs: billing/invoices/subscription)."""
    subscription = world.subscribe(world.price(), collection_method="send_invoice", days_until_due=3)
    assert subscription["status"] == "active"
    assert [invoice["status"] for invoice in world.invoices()] == ["draft"]
    world.advance(START + 3600)
    invoice = world.invoices()[0]
    assert (invoice["status"], invoice["due_date"]) == ("open", START + 3 * DAY)


def test_a_customer_has_at_most_500_subscriptions(world, monkeypatch):
    """The limit counts those that have not ended (docs of the create route); a canceled one makes room."""
    monkeypatch.setattr("reconciler.sandbox.billing.starting.MAX_SUBSCRIPTIONS", 2)
    price = world.price()
    first, _ = world.subscribe(price), world.subscribe(price)
    assert world.refused(price)["param"] == "customer"
    world.api.ok("DELETE", f"/v1/subscriptions/{first['id']}")
    world.subscribe(price)


def test_lists_are_filtered(world):
    """Each filter finds its subscription and not the decoy that differs in that one thing."""
    mine = World(world.api, START)
    price = mine.price()
    found = mine.subscribe(price, collection_method="send_invoice", days_until_due=1)["id"]
    decoy = world.subscribe(world.price(interval="year"))["id"]
    both = {"test_clock": mine.clock}
    period = {"current_period_end": plus(START, "month", 1)}
    assert mine.api.ids("/v1/subscriptions", {"customer": mine.customer}) == [found]
    assert mine.api.ids("/v1/subscriptions", both) == [found]
    assert mine.api.ids("/v1/subscriptions", {"price": price, **both}) == [found]
    other = {"customer": world.customer}
    assert mine.api.ids("/v1/subscriptions", {"collection_method": "send_invoice", **other}) == []
    assert mine.api.ids("/v1/subscriptions", {**other, "collection_method": "charge_automatically"}) == [decoy]
    assert mine.api.ids("/v1/subscriptions", {**other, **period}) == []
    assert mine.api.ids("/v1/subscriptions", {"customer": mine.customer, **period}) == [found]
    late = {"current_period_end": {"gt": plus(START, "month", 1)}}
    assert mine.api.ids("/v1/subscriptions", {**other, **late}) == [decoy]
    assert mine.api.ids("/v1/subscriptions", {**other, "current_period_start": {"lt": START}}) == []
    assert mine.api.ids("/v1/subscriptions", {**other, "automatic_tax": {"enabled": False}}) == [decoy]
    assert mine.api.ids("/v1/subscriptions", {**other, "automatic_tax": {"enabled": True}}) == []
    assert mine.api.ids("/v1/subscriptions", {**other, "created": {"gt": START}}) == []


def test_clock_subscriptions_are_hidden_from_a_plain_list(world):
    """Only the one without a test clock is listed when neither clock nor customer is given (docs of the list)."""
    price = world.price()
    world.subscribe(price)
    free = world.api.post("/v1/customers", {"payment_method": "pm_card_visa"})["id"]
    method = world.api.get(f"/v1/customers/{free}/payment_methods")["data"][0]["id"]
    form = {"customer": free, "items": [{"price": price}], "default_payment_method": method}
    plain = world.api.post("/v1/subscriptions", form)["id"]
    assert world.api.ids("/v1/subscriptions") == [plain]


def test_canceled_subscriptions_are_listed_only_when_asked_for(world):
    """Without ``status`` they are left out; ``all`` has every one, ``ended`` those that ended, a status its own."""
    price = world.price()
    gone, kept = world.subscribe(price)["id"], world.subscribe(price)["id"]
    world.api.ok("DELETE", f"/v1/subscriptions/{gone}")
    own = {"customer": world.customer}
    assert world.api.ids("/v1/subscriptions", own) == [kept]
    assert world.api.ids("/v1/subscriptions", {**own, "status": "all"}) == [kept, gone]
    assert world.api.ids("/v1/subscriptions", {**own, "status": "ended"}) == [gone]
    assert world.api.ids("/v1/subscriptions", {**own, "status": "canceled"}) == [gone]
    assert world.api.ids("/v1/subscriptions", {**own, "status": "active"}) == [kept]


def test_items_can_be_added_changed_and_removed_on_their_own(world):
    """The item routes change the subscription; a list has the items of one subscription, oldest first."""
    price, other = world.price(), world.price(500)
    subscription, decoy = world.subscribe(price), world.subscribe(price)
    first = subscription["items"]["data"][0]["id"]
    form = {"subscription": subscription["id"], "price": other, "quantity": 3, "proration_behavior": "none"}
    added = world.api.post("/v1/subscription_items", form)
    assert (added["quantity"], added["price"]["id"], added["subscription"]) == (3, other, subscription["id"])
    path = "/v1/subscription_items"
    listed = world.api.get(path, {"subscription": subscription["id"]})
    assert [item["id"] for item in listed["data"]] == [first, added["id"]]
    assert decoy["items"]["data"][0]["id"] not in {item["id"] for item in listed["data"]}
    changed = world.api.post(f"{path}/{added['id']}", {"quantity": 5, "metadata": {"a": "b"}})
    assert (changed["quantity"], changed["metadata"]) == (5, {"a": "b"})
    assert world.api.get(f"{path}/{added['id']}") == changed
    reply = world.api.ok("DELETE", f"{path}/{added['id']}")
    assert reply == {"id": added["id"], "object": "subscription_item", "deleted": True}
    assert [item["id"] for item in world.get(subscription)["items"]["data"]] == [first]
    assert world.api.refused("DELETE", f"{path}/{first}")["param"] == "items"
    assert world.api.refused("GET", f"{path}/{added['id']}")["status"] == 404


def test_a_new_price_sets_the_quantity_to_one(world):
    """Unless one is given (docs of the update route); a patch without a price keeps it."""
    small, large = world.price(), world.price(2000)
    subscription = world.subscribe({"price": small, "quantity": 7})
    item = subscription["items"]["data"][0]["id"]
    kept = world.update(subscription, items=[{"id": item, "metadata": {"a": "b"}}])
    assert kept["items"]["data"][0]["quantity"] == 7
    changed = world.update(subscription, items=[{"id": item, "price": large}])
    assert changed["items"]["data"][0]["quantity"] == 1
    given = world.update(subscription, items=[{"id": item, "price": small, "quantity": 4}])
    assert given["items"]["data"][0]["quantity"] == 4


def test_items_are_patched_by_id_and_added_without_one(world):
    """A member without ``id`` adds, ``deleted`` removes, an unknown id is refused, an unnamed item stays."""
    first, second, third = world.price(100), world.price(200), world.price(300)
    subscription = world.subscribe(first, second)
    ids = [item["id"] for item in subscription["items"]["data"]]
    changed = world.update(subscription, items=[{"id": ids[0], "deleted": True}, {"price": third}])
    assert [item["price"]["id"] for item in changed["items"]["data"]] == [second, third]
    path = f"/v1/subscriptions/{subscription['id']}"
    error = world.api.refused("POST", path, {"items": [{"id": ids[0]}]})
    assert (error["code"], error["param"]) == ("resource_missing", "items[0][id]")
    everything = [{"id": item["id"], "deleted": True} for item in changed["items"]["data"]]
    assert world.api.refused("POST", path, {"items": everything})["param"] == "items"


def test_settings_are_kept_as_given(world):
    """Description, metadata, invoice and payment settings are shown, merged, and cleared with ``''``."""
    rate = world.api.post("/v1/tax_rates", {"display_name": "VAT", "inclusive": False, "percentage": 20})["id"]
    subscription = world.subscribe(
        world.price(),
        description="Seats",
        default_tax_rates=[rate],
        invoice_settings={"footer": "Thanks", "custom_fields": [{"name": "PO", "value": "7"}]},
        payment_settings={"save_default_payment_method": "on_subscription"},
        metadata={"a": "1", "b": "2"},
    )
    assert subscription["default_tax_rates"][0]["id"] == rate
    assert world.invoices()[0]["total"] == 1200
    assert subscription["invoice_settings"]["custom_fields"] == [{"name": "PO", "value": "7"}]
    changed = world.update(subscription, description="", metadata={"a": "", "c": "3"}, default_tax_rates="")
    assert (changed["description"], changed["metadata"], changed["default_tax_rates"]) == (
        None,
        {"b": "2", "c": "3"},
        [],
    )
    assert changed["invoice_settings"]["footer"] == "Thanks"


def test_what_has_paid_becomes_the_default_where_that_is_wanted(world):
    """``save_default_payment_method=on_subscription`` keeps the card of the first payment, ``off`` does not."""
    price = world.price()
    kept = world.subscribe(price, payment_settings={"save_default_payment_method": "on_subscription"})
    other = world.subscribe(price)
    assert kept["default_payment_method"] is not None
    assert other["default_payment_method"] is None


def test_single_charges_go_on_the_first_invoice(world):
    """``add_invoice_items`` adds one-time prices, whose period is the item's unless it is given."""
    once = world.api.price(world.product, unit_amount=500)["id"]
    world.subscribe(world.price(), add_invoice_items=[{"price": once, "quantity": 2}])
    invoice = world.invoices()[0]
    assert invoice["total"] == 2000
    periods = {line["amount"]: line["period"] for line in invoice["lines"]["data"]}
    assert len(periods) == 1
    assert {line["period"]["end"] for line in invoice["lines"]["data"]} == {plus(START, "month", 1)}


def test_a_subscription_discount_is_redeemed_once(world):
    """A coupon of one use takes its share off the first invoice and is gone from the subscription."""
    coupon = world.api.coupon(percent_off=25, duration="once")["id"]
    subscription = world.subscribe(world.price(), discounts=[{"coupon": coupon}])
    assert world.invoices()[0]["total"] == 750
    assert subscription["discounts"] == []
    lasting = world.api.coupon(percent_off=50, duration="forever")["id"]
    second = world.subscribe(world.price(), discounts=[{"coupon": lasting}])
    assert len(second["discounts"]) == 1
    reply = world.api.ok("DELETE", f"/v1/subscriptions/{second['id']}/discount")
    assert (reply["object"], reply["deleted"]) == ("discount", True)
    assert world.get(second)["discounts"] == []
    assert world.api.refused("DELETE", f"/v1/subscriptions/{second['id']}/discount")["status"] == 404


def test_an_item_discount_is_the_items_alone(world):
    """Only the line of the item with the coupon is cheaper."""
    coupon = world.api.coupon(percent_off=50, duration="forever")["id"]
    first, second = world.price(1000), world.price(300)
    subscription = world.subscribe({"price": first, "discounts": [{"coupon": coupon}]}, second)
    assert [len(item["discounts"]) for item in subscription["items"]["data"]] == [1, 0]
    assert world.invoices()[0]["total"] == 800


def test_an_ended_subscription_takes_little(world):
    """After cancellation metadata can still change, items cannot; deleting it again finds nothing."""
    subscription = world.subscribe(world.price())
    path = f"/v1/subscriptions/{subscription['id']}"
    world.api.ok("DELETE", path, {"cancellation_details": {"comment": "Bye", "feedback": "unused"}})
    ended = world.update(subscription, metadata={"why": "moved"})
    assert ended["metadata"] == {"why": "moved"}
    details = {"comment": "Bye", "feedback": "unused", "reason": "cancellation_requested"}
    assert ended["cancellation_details"] == details
    assert world.api.refused("POST", path, {"cancel_at_period_end": False})["param"] == "cancel_at_period_end"
    assert world.api.refused("DELETE", path)["status"] == 404
