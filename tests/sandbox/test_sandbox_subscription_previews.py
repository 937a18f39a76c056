"""Previews of subscription invoices are what the real requests then make (https://docs.stripe.com/api/invoices/create_preview)."""

import pytest

from tests.sandbox.billing_world import DAY, World, at, plus

START = at(2027, 4, 1)


@pytest.fixture
def world(api):
    """Return a customer with a card on a test clock."""
    return World(api, START)


def preview(world, **form):
    """Preview an invoice of the world's customer."""
    return world.api.post("/v1/invoices/create_preview", {"customer": world.customer, **form})


def lines_of(invoice):
    """Return amounts and periods of an invoice's lines, in order of amount."""
    return sorted((line["amount"], line["period"]["start"], line["period"]["end"]) for line in invoice["lines"]["data"])


def test_the_next_renewal_is_previewed(world):
    """Seats ahead, usage so far, pending items; then the renewal itself is the same, and nothing was stored."""
    subscription = world.subscribe({"price": world.price(1000), "quantity": 2}, world.metered(10))
    world.use(5)
    world.api.post("/v1/invoiceitems", {"customer": world.customer, "amount": 70, "currency": "usd"})
    shown = preview(world, subscription=subscription["id"])
    assert len(world.invoices()) == 1
    world.advance(plus(START, "month", 1))
    assert (shown["total"], lines_of(shown)) == (2120, lines_of(world.invoices()[-1]))


@pytest.mark.parametrize(
    "form",
    [
        {"items": [{"quantity": 3}], "proration_behavior": "always_invoice"},
        {"billing_cycle_anchor": {"type": "now"}},
        {"items": [{"quantity": 3}], "proration_behavior": "always_invoice", "proration_date": START + 5 * DAY},
    ],
)
def test_an_update_that_bills_at_once_is_previewed(world, form):
    """The preview has the lines of the invoice that the same update then makes."""
    subscription = world.subscribe(world.price(3000))
    item = subscription["items"]["data"][0]["id"]
    form = {**form, **({"items": [{"id": item, **form["items"][0]}]} if "items" in form else {})}
    world.advance(START + 10 * DAY)
    shown = preview(world, subscription=subscription["id"], subscription_details=form)
    assert world.get(subscription)["items"]["data"][0]["quantity"] == 1
    world.update(subscription, **form)
    assert lines_of(shown) == lines_of(world.invoices()[-1])


def test_an_update_that_waits_is_previewed_with_the_renewal(world):
    """Prorations and the next period together, as the next renewal then bills them."""
    subscription = world.subscribe(world.price(3000))
    form = {"items": [{"id": subscription["items"]["data"][0]["id"], "quantity": 2}]}
    world.advance(START + 10 * DAY)
    shown = preview(world, subscription=subscription["id"], subscription_details=form)
    assert world.pending() == []
    world.update(subscription, **form)
    world.advance(plus(START, "month", 1))
    assert (shown["total"], lines_of(shown)) == (8000, lines_of(world.invoices()[-1]))


def test_a_new_subscription_is_previewed(world):
    """Without a subscription the items make the first invoice, a trial one of nothing."""
    items = [{"price": world.price(1000), "quantity": 4}]
    assert preview(world, subscription_details={"items": items})["total"] == 4000
    trial = {"items": items, "trial_end": START + 5 * DAY}
    assert preview(world, subscription_details=trial)["total"] == 0
    assert world.api.ids("/v1/subscriptions", {"customer": world.customer, "status": "all"}) == []


def test_a_cancellation_is_previewed(world):
    """``cancel_now`` credits unused time and bills usage, as the cancellation with both options then does."""
    subscription = world.subscribe(world.price(3000), world.metered(10))
    world.use(8)
    world.advance(START + 10 * DAY)
    shown = preview(world, subscription=subscription["id"], subscription_details={"cancel_now": True})
    world.api.ok("DELETE", f"/v1/subscriptions/{subscription['id']}", {"prorate": True, "invoice_now": True})
    assert (shown["total"], lines_of(shown)) == (-1920, lines_of(world.invoices()[-1]))


def test_an_end_without_anything_open_has_no_invoice(world):
    """404 ``invoice_upcoming_none``; with an item of usage there is one, for what may yet be reported.

    Nor has the end of a trial one, however much was used.
    """
    seats, used = world.subscribe(world.price(1000)), world.subscribe(world.price(1000), world.metered(10))
    trial = world.subscribe(world.metered(10, "mails"), trial_period_days=7)
    details = {"cancel_at_period_end": True}
    for subscription in (seats, trial):
        form = {"customer": world.customer, "subscription": subscription["id"], "subscription_details": details}
        error = world.api.refused("POST", "/v1/invoices/create_preview", form)
        assert (error["status"], error["code"]) == (404, "invoice_upcoming_none")
        world.use(2, event_name="mails")
    assert lines_of(preview(world, subscription=used["id"], subscription_details=details))[0][0] == 0
    world.use(3)
    assert preview(world, subscription=used["id"], subscription_details=details)["total"] == 30


def test_a_pause_and_a_resumption_are_previewed(world):
    """A pause that is invoiced, and the invoice of a resumption now (docs: subscriptions/pause)."""
    subscription = world.subscribe(world.price(3000))
    world.advance(START + 10 * DAY)
    pause = {"invoicing_behavior": "invoice"}
    shown = preview(world, subscription=subscription["id"], subscription_details={"pause": pause})
    assert shown["total"] == -2000
    waiting = {"customer": world.customer, "subscription": subscription["id"]}
    silent = {**waiting, "subscription_details": {"pause": {"invoicing_behavior": "pending_invoice_item"}}}
    assert world.api.refused("POST", "/v1/invoices/create_preview", silent)["status"] == 404
    world.api.post(f"/v1/subscriptions/{subscription['id']}/pause", pause)
    again = preview(world, subscription=subscription["id"], subscription_details={"resume_at": "now"})
    assert lines_of(again) == [(3000, world.now, plus(world.now, "month", 1))]


def test_a_schedule_is_previewed(world):
    """Before it starts its first invoice; while it runs the next renewal, with the phase that begins by then."""
    small, large = world.price(1000), world.price(2500)
    month = {"interval": "month"}
    phases = [{"items": [{"price": price}], "duration": month} for price in (small, large)]
    form = {"customer": world.customer, "start_date": START + DAY, "phases": phases}
    schedule = world.api.post("/v1/subscription_schedules", form)["id"]
    assert preview(world, schedule=schedule)["total"] == 1000
    world.advance(START + 2 * DAY)
    assert preview(world, schedule=schedule)["total"] == 2500
    world.advance(plus(START + DAY, "month", 1))
    assert world.invoices()[-1]["total"] == 2500


def test_the_customer_alone_names_the_subscription_that_bills_next(world):
    """Of two subscriptions the one whose period ends first is previewed."""
    world.subscribe(world.price(9000, "year"))
    world.subscribe(world.price(1000))
    assert preview(world)["total"] == 1000


@pytest.mark.parametrize("of", ["subscription", "item"])
@pytest.mark.parametrize(("months", "total"), [(1, 3000), (2, 1500)])
def test_a_discount_that_ends_before_the_next_invoice_is_not_on_it(world, of, months, total):
    """Previews and the announcement of a renewal have the discounts of its time, not of the present.

    A preview shows "all upcoming invoice charges" (https://docs.stripe.com/api/invoices/create_preview).
    """
    coupon = world.api.coupon(percent_off=50, duration="repeating", duration_in_months=months)["id"]
    given = {"discounts": [{"coupon": coupon}]}
    item = {"price": world.price(3000), **(given if of == "item" else {})}
    subscription = world.subscribe(item, **(given if of == "subscription" else {}))
    shown = preview(world, subscription=subscription["id"])
    world.advance(plus(START, "month", 1))
    announced = world.api.events(type="invoice.upcoming")[-1]["data"]["object"]
    assert [shown["total"], announced["total"], world.invoices()[-1]["total"]] == [total] * 3


def test_credits_that_begin_or_end_before_the_next_invoice_are_counted_as_they_are_then(world):
    """A grant that begins within the period pays, one that expires within it does not (docs: billing-credits)."""
    for effective, expires in ((START + 10 * DAY, None), (START, START + 10 * DAY)):
        form = {
            "customer": world.customer,
            "amount": {"type": "monetary", "monetary": {"currency": "usd", "value": 400 if expires else 100}},
            "applicability_config": {"scope": {"price_type": "metered"}},
            "effective_at": effective,
            **({"expires_at": expires} if expires else {}),
        }
        world.api.post("/v1/billing/credit_grants", form)
    subscription = world.subscribe(world.metered(10))
    world.use(50)
    shown = preview(world, subscription=subscription["id"])
    world.advance(plus(START, "month", 1) + 3600)
    assert (shown["total"], world.invoices()[-1]["total"]) == (400, 400)


@pytest.mark.parametrize("mode", ["classic", "flexible"])
def test_the_end_of_a_trial_is_previewed(world, mode):
    """The lines that say what was on trial are there too."""
    form = {"trial_period_days": 10, "billing_mode": {"type": mode}}
    subscription = world.subscribe(world.price(3000), world.metered(10), **form)
    world.use(5)
    shown = preview(world, subscription=subscription["id"])
    world.advance(START + 10 * DAY)
    billed = world.invoices()[-1]
    assert (lines_of(shown), shown["total"]) == (lines_of(billed), 3000)
    assert [line["description"] for line in shown["lines"]["data"]] == [
        line["description"] for line in billed["lines"]["data"]
    ]


@pytest.mark.parametrize("form", [{"billing_cycle_anchor": "phase_start"}, {"trial": True}, {}])
def test_a_phase_is_previewed_with_all_it_bills(world, form):
    """A phase that begins a period anew, or on trial, or with single charges: its invoice is what was previewed."""
    once = world.api.price(world.product, unit_amount=400)["id"]
    first = {"items": [{"price": world.price(1000)}], "end_date": START + 15 * DAY}
    second = {"items": [{"price": world.price(3000)}], "add_invoice_items": [{"price": once}], **form}
    schedule = {"customer": world.customer, "start_date": "now", "phases": [first, second]}
    made = world.api.post("/v1/subscription_schedules", schedule)["id"]
    shown = world.api.post("/v1/invoices/create_preview", {"schedule": made})
    world.advance(plus(START, "month", 1))
    assert lines_of(shown) == lines_of(world.invoices()[1])
