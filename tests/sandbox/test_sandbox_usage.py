"""Meter events, adjustments and summaries: every unit counted once, where and when it belongs."""

import json
import threading
import time
from decimal import Decimal

import pytest
import stripe
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.sandbox import Fault, Request, Sandbox, Settings
from reconciler.sandbox.billing import usage
from tests.sandbox.conftest import idle

EVENTS, ADJUSTMENTS = "/v1/billing/meter_events", "/v1/billing/meter_event_adjustments"
HOUR, DAY = 3_600, 86_400
#: A midnight of UTC after the fixed clock's time, which is 1 800 000 000.
MIDNIGHT = 1_800_057_600


@pytest.fixture
def having(open_sandbox, account):
    """Return a factory of accounts in a sandbox with one setting."""
    return lambda **setting: account(open_sandbox(settings=Settings(**setting)))


@pytest.fixture
def meter(api):
    """Return a meter called ``calls`` that sums."""
    return api.meter()


def someone(api, **form):
    """Create a customer and return the id."""
    return api.post("/v1/customers", form)["id"]


def event(customer, value="1", **form):
    """Return the form of a meter event of ``calls``."""
    return {"event_name": "calls", "payload": {"stripe_customer_id": customer, "value": value}, **form}


def send(api, customer, value="1", **form):
    """Send a meter event."""
    return api.post(EVENTS, event(customer, value, **form))


def summaries(api, meter, customer, start, end, **form):
    """Return the summaries of a customer's usage."""
    window = {"customer": customer, "start_time": start, "end_time": end, "limit": 100, **form}
    return api.get(f"/v1/billing/meters/{meter['id']}/event_summaries", window)["data"]


def reports(api):
    """Return the thin events about usage, newest first."""
    thin = api.get("/v2/core/events", stripe_version=stripe.api_version)["data"]
    return [each for each in thin if each["snapshot_event"] is None]


def used(api, meter, customer, start=1_790_000_040, end=1_810_000_020):
    """Return the usage of a customer as one number, 0 where there is no summary."""
    return sum(each["aggregated_value"] for each in summaries(api, meter, customer, start, end))


def test_an_event_is_complete(api, now):
    """An event is answered with what was sent and what was made up, and has no id (docs: api/billing/meter-event)."""
    api.meter()
    customer = someone(api)
    sent = send(api, customer, "5", identifier="mine", timestamp=now - 60)
    assert sent == {
        "object": "billing.meter_event",
        "created": now,
        "event_name": "calls",
        "identifier": "mine",
        "livemode": False,
        "payload": {"stripe_customer_id": customer, "value": "5"},
        "timestamp": now - 60,
    }
    plain = send(api, customer)
    assert plain["timestamp"] == now
    assert len(plain["identifier"]) == 36
    assert plain["identifier"] != send(api, customer)["identifier"]


def test_usage_belongs_to_one_customer_and_one_meter(api, meter):
    """Another customer and another meter have usage of their own, each with the payload keys it was given."""
    mine, theirs = someone(api), someone(api)
    form = {"display_name": "T", "event_name": "tokens", "default_aggregation": {"formula": "sum"}}
    keys = {
        "customer_mapping": {"type": "by_id", "event_payload_key": "who"},
        "value_settings": {"event_payload_key": "n"},
    }
    tokens = api.post("/v1/billing/meters", {**form, **keys})
    send(api, mine, "3")
    send(api, theirs, "4")
    api.post(EVENTS, {"event_name": "tokens", "payload": {"who": mine, "n": "50", "region": "eu"}})
    assert [used(api, meter, each) for each in (mine, theirs)] == [3, 4]
    assert [used(api, tokens, each) for each in (mine, theirs)] == [50, 0]
    refusal = api.refused("POST", EVENTS, {"event_name": "tokens", "payload": {"stripe_customer_id": mine, "n": "1"}})
    assert refusal["param"] == "payload[who]"


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"event_name": "nope"}, "event_name"),
        ({"event_name": "x" * 101}, "event_name"),
        ({"payload": {"value": "1"}}, "payload[stripe_customer_id]"),
        ({"payload": {"stripe_customer_id": "cus_nope", "value": "1"}}, "payload[stripe_customer_id]"),
        ({"payload": {"stripe_customer_id": "CUSTOMER"}}, "payload[value]"),
        ({"payload": {"stripe_customer_id": "CUSTOMER", "value": "1e3"}}, "payload[value]"),
        ({"payload": {"stripe_customer_id": "CUSTOMER", "value": "1,000"}}, "payload[value]"),
        ({"payload": {"stripe_customer_id": "CUSTOMER", "value": "NaN"}}, "payload[value]"),
        ({"payload": {"stripe_customer_id": "CUSTOMER", "value": "1234567890123456"}}, "payload[value]"),
        ({"payload": {"stripe_customer_id": "CUSTOMER", "value": "1", "region": "x" * 101}}, "payload[region]"),
        ({"identifier": "x" * 101}, "identifier"),
        ({"timestamp": 1_800_000_301}, "timestamp"),
        ({"timestamp": 1_800_000_000 - 35 * DAY - 1}, "timestamp"),
    ],
)
def test_an_event_that_stripe_would_not_count_is_refused(api, meter, change, param):
    """The good event counts; the same event with one change is a 400 that names the parameter and counts nothing."""
    customer = someone(api)
    send(api, customer, "1")
    changed = json.loads(json.dumps({**event(customer), **change}).replace("CUSTOMER", customer))
    error = api.refused("POST", EVENTS, changed)
    assert (error["status"], error["type"], error["param"]) == (400, "invalid_request_error", param)
    assert used(api, meter, customer) == 1
    assert reports(api) == []


@pytest.mark.parametrize("at", [1_800_000_300, 1_800_000_000 - 35 * DAY])
@pytest.mark.parametrize("value", ["-5", "0", "123456789012345", "000000000000000001"])
def test_the_bounds_of_an_event_belong_to_it(api, meter, at, value):
    """35 days back, 5 minutes ahead, 15 digits and negative values are taken (docs: recording-usage-api)."""
    customer = someone(api)
    send(api, customer, value, timestamp=at)
    assert used(api, meter, customer) == int(value)


def test_an_archived_meter_takes_no_events(api, meter):
    """Events of an inactive meter are refused; reactivated it counts again, with what it had."""
    customer = someone(api)
    send(api, customer, "2")
    api.post(f"/v1/billing/meters/{meter['id']}/deactivate")
    assert api.refused("POST", EVENTS, event(customer))["param"] == "event_name"
    api.post(f"/v1/billing/meters/{meter['id']}/reactivate")
    send(api, customer, "3")
    assert used(api, meter, customer) == 5


def test_an_identifier_counts_once_a_day(open_sandbox, account):
    """A known identifier is a 400 that must not be retried, a day later it is free (langfuse/langfuse#16292)."""
    time_ = [1_800_000_000]
    api = account(open_sandbox(clock=lambda: time_[0]))
    meter, customer = api.meter(), someone(api)
    send(api, customer, "5", identifier="a")
    reply = api.send("POST", EVENTS, event(customer, "7", identifier="a"))
    error = json.loads(reply.body)["error"]
    assert (reply.status, error["type"]) == (400, "invalid_request_error")
    assert error["message"] == "An event already exists with identifier a."
    assert reply.headers["stripe-should-retry"] == "false"
    send(api, customer, "10", identifier="b")
    time_[0] += DAY - 1
    assert api.refused("POST", EVENTS, event(customer, identifier="a"))["status"] == 400
    time_[0] += 1
    send(api, customer, "20", identifier="a")
    assert api.refused("POST", EVENTS, event(customer, identifier="a"))["status"] == 400
    assert used(api, meter, customer) == 35


@pytest.mark.parametrize("per_name", [True, False])
def test_meter_identifier_per_event_name(having, per_name):
    """The same identifier for another meter is another event, or the same one."""
    api = having(meter_identifier_per_event_name=per_name)
    api.meter()
    api.meter("other")
    customer = someone(api)
    send(api, customer, identifier="a")
    assert api.send("POST", EVENTS, event(customer, identifier="a")).status == 400
    reply = api.send("POST", EVENTS, event(customer, event_name="other", identifier="a"))
    assert reply.status == (200 if per_name else 400)


@pytest.mark.parametrize("decimals", [True, False])
def test_decimal_usage(having, decimals):
    """Decimals count exactly, or are refused; whole numbers count either way."""
    api = having(decimal_usage=decimals)
    meter, customer = api.meter(), someone(api)
    for value in ("0.1", "0.2"):
        assert api.send("POST", EVENTS, event(customer, value)).status == (200 if decimals else 400)
    send(api, customer, "2")
    with api.sandbox._store.read(api.get("/v1/account")["id"]) as tx:
        total = usage.used(idle(api.sandbox, tx), meter["id"], customer, 0, 1 << 40)
    assert total == (Decimal("2.3") if decimals else 2)


@pytest.mark.parametrize("at_once", [True, False])
def test_meter_events_checked_at_once(having, at_once):
    """An event of an unknown meter or customer is a 400, or is taken and told of by a thin event; it never counts."""
    api = having(meter_events_checked_at_once=at_once)
    meter, customer = api.meter(), someone(api)
    for bad in (event(customer, event_name="nope"), event("cus_nope", identifier="x"), event(customer, "one")):
        assert api.send("POST", EVENTS, bad).status == (400 if at_once else 200)
    told = reports(api)
    kinds = [
        (each["type"], [error["code"] for error in each["data"]["reason"]["error_types"]], each["related_object"])
        for each in told[::-1]
    ]
    related = {"id": meter["id"], "type": "billing.meter", "url": f"/v1/billing/meters/{meter['id']}"}
    assert kinds == (
        []
        if at_once
        else [
            ("v1.billing.meter.no_meter_found", ["no_meter"], None),
            ("v1.billing.meter.error_report_triggered", ["meter_event_customer_not_found"], related),
            ("v1.billing.meter.error_report_triggered", ["meter_event_invalid_value"], related),
        ]
    )
    assert used(api, meter, customer) == 0
    send(api, customer, identifier="x")
    assert used(api, meter, customer) == 1


def test_an_adjustment_cancels_one_event(api, meter):
    """The named event counts no longer, another does; cancelling twice changes no more (docs: meters/configure)."""
    customer = someone(api)
    for identifier, value in (("a", "5"), ("b", "7")):
        send(api, customer, value, identifier=identifier)
    form = {"event_name": "calls", "type": "cancel", "cancel": {"identifier": "a"}}
    for _ in range(2):
        assert api.post(ADJUSTMENTS, form) == {
            "object": "billing.meter_event_adjustment",
            "cancel": {"identifier": "a"},
            "event_name": "calls",
            "livemode": False,
            "status": "pending",
            "type": "cancel",
        }
        assert used(api, meter, customer) == 7
    for bad in ({"cancel": None}, {"cancel": {"identifier": ""}}, {"type": "time_range"}):
        assert api.refused("POST", ADJUSTMENTS, {k: v for k, v in {**form, **bad}.items() if v})["status"] == 400


@pytest.mark.parametrize("at_once", [True, False])
def test_adjustments_checked_at_once(open_sandbox, account, at_once):
    """Cancelling an unknown event, one of another meter, or one of yesterday is a 400 or in vain."""
    time_ = [1_800_000_000]
    sandbox = open_sandbox(clock=lambda: time_[0], settings=Settings(adjustments_checked_at_once=at_once))
    api = account(sandbox)
    meter, _, customer = api.meter(), api.meter("other"), someone(api)
    send(api, customer, "5", identifier="a")
    form = {"event_name": "calls", "type": "cancel", "cancel": {"identifier": "a"}}
    bad = [{**form, "event_name": "other"}, {**form, "cancel": {"identifier": "nope"}}]
    assert [api.send("POST", ADJUSTMENTS, each).status for each in bad] == [400 if at_once else 200] * 2
    time_[0] += DAY
    assert api.send("POST", ADJUSTMENTS, form).status == (400 if at_once else 200)
    assert used(api, meter, customer) == 5


@pytest.mark.parametrize(("formula", "expected"), [("sum", 11), ("count", 3), ("last", 2)])
def test_each_formula_counts_its_way(api, formula, expected):
    """A meter adds values, counts events, or takes the value of the latest timestamp, however late it was sent."""
    form = {"display_name": "C", "event_name": "calls", "default_aggregation": {"formula": formula}}
    meter, customer = api.post("/v1/billing/meters", form), someone(api)
    for value, at in (("2", 300), ("4", 100), ("5", 200)):
        send(api, customer, value, timestamp=1_799_999_000 + at)
    assert used(api, meter, customer) == expected


def test_the_latest_of_one_second_is_the_one_received_last(api, now):
    """Of equal timestamps the event received last is the latest; fractions of a second count (v2)."""
    form = {"display_name": "C", "event_name": "calls", "default_aggregation": {"formula": "last"}}
    meter, customer = api.post("/v1/billing/meters", form), someone(api)
    for value in ("2", "3"):
        send(api, customer, value, timestamp=now)
    assert used(api, meter, customer) == 3
    headers = {**api.headers, "Stripe-Version": stripe.api_version}
    for value, fraction in (("7", 500), ("5", 250)):
        body = json.dumps(event(customer, value, timestamp=f"2027-01-15T08:00:00.{fraction}Z")).encode()
        assert api.sandbox.dispatch(Request("POST", "/v2/billing/meter_events", headers, body)).status == 200
    assert used(api, meter, customer) == 7


def test_a_meter_that_counts_needs_no_value(api):
    """An event of a counting meter counts as one whatever its payload says besides the customer."""
    form = {"display_name": "C", "event_name": "calls", "default_aggregation": {"formula": "count"}}
    meter, customer = api.post("/v1/billing/meters", form), someone(api)
    api.post(EVENTS, {"event_name": "calls", "payload": {"stripe_customer_id": customer}})
    send(api, customer, "many")
    assert used(api, meter, customer) == 2


@pytest.mark.parametrize(("window", "expected"), [("hour", 5 + 7 + 1), ("day", 7 + 1), (None, 3 + 5 + 7 + 1)])
def test_the_event_received_last_overwrites_its_hour_or_day(api, window, expected):
    """Of pre-aggregated events only the one received last counts in each UTC hour or day (docs: meters/configure)."""
    form = {"display_name": "C", "event_name": "calls", "default_aggregation": {"formula": "sum"}}
    meter = api.post("/v1/billing/meters", {**form, **({"event_time_window": window} if window else {})})
    customer, day = someone(api), MIDNIGHT - DAY
    send(api, customer, "3", timestamp=day + 30 * 60)
    send(api, customer, "5", timestamp=day + 10 * 60)
    send(api, customer, "7", timestamp=day + HOUR)
    send(api, customer, "1", timestamp=day - 1)
    assert used(api, meter, customer) == expected
    assert used(api, meter, customer, day, day + HOUR) == {"hour": 5, "day": 0, None: 8}[window]


def test_a_negative_total_is_shown_and_billed_as_nothing(api, meter):
    """Summaries show a negative total; what an invoice bills is 0 (docs: recording-usage-api, "Usage values")."""
    customer = someone(api)
    send(api, customer, "5")
    send(api, customer, "-8")
    assert used(api, meter, customer) == -3
    with api.sandbox._store.read(api.get("/v1/account")["id"]) as tx:
        call = idle(api.sandbox, tx)
        assert usage.billable(call, meter["id"], customer, 0, 1 << 40) == 0


@pytest.mark.parametrize(
    ("start", "end", "grouping", "param"),
    [
        (60, 120, None, None),
        (61, 120, None, "start_time"),
        (60, 121, None, "end_time"),
        (120, 120, None, "end_time"),
        (180, 120, None, "end_time"),
        (HOUR, 2 * HOUR, "hour", None),
        (HOUR + 60, 3 * HOUR, "hour", "start_time"),
        (DAY, 2 * DAY, "day", None),
        (DAY, 2 * DAY + HOUR, "day", "end_time"),
    ],
)
def test_the_bounds_of_a_summary_are_aligned(api, meter, start, end, grouping, param):
    """Whole minutes, with a grouping whole UTC hours or days (docs: api/billing/meter-event-summary/list)."""
    form = {"customer": someone(api), "start_time": start, "end_time": end}
    form |= {"value_grouping_window": grouping} if grouping else {}
    reply = api.send("GET", f"/v1/billing/meters/{meter['id']}/event_summaries", form)
    assert (reply.status, json.loads(reply.body).get("error", {}).get("param")) == (400 if param else 200, param)


def test_a_summary_is_of_something_that_exists(api, meter):
    """An unknown meter is a 404, an unknown customer a 400, a missing one too; the good request is answered."""
    path, window = f"/v1/billing/meters/{meter['id']}/event_summaries", {"start_time": 0, "end_time": 60}
    api.get(path, {**window, "customer": someone(api)})
    assert api.refused("GET", path, {**window, "customer": "cus_nope"})["param"] == "customer"
    assert api.refused("GET", path, window)["code"] == "parameter_missing"
    missing = api.refused("GET", "/v1/billing/meters/mtr_x/event_summaries", {**window, "customer": someone(api)})
    assert missing["status"] == 404


@pytest.mark.parametrize("newest_first", [True, False])
def test_summaries_newest_first(having, newest_first):
    """Hours come newest or oldest first, and both cursors lead through them page by page."""
    api = having(summaries_newest_first=newest_first)
    meter, customer, start = api.meter(), someone(api), MIDNIGHT - DAY
    for hour in range(5):
        send(api, customer, str(hour + 1), timestamp=start + hour * HOUR + hour)
    every = summaries(api, meter, customer, start, start + DAY, value_grouping_window="hour")
    expected = [(start + hour * HOUR, hour + 1) for hour in range(5)]
    shown = [(each["start_time"], each["aggregated_value"]) for each in every]
    assert shown == (expected[::-1] if newest_first else expected)
    assert all(each["end_time"] == each["start_time"] + HOUR and each["meter"] == meter["id"] for each in every)
    path = f"/v1/billing/meters/{meter['id']}/event_summaries"
    form = {"customer": customer, "start_time": start, "end_time": start + DAY, "value_grouping_window": "hour"}
    first = api.get(path, {**form, "limit": 2})
    second = api.get(path, {**form, "limit": 2, "starting_after": first["data"][-1]["id"]})
    third = api.get(path, {**form, "limit": 2, "starting_after": second["data"][-1]["id"]})
    assert first["data"] + second["data"] + third["data"] == every
    assert [page["has_more"] for page in (first, second, third)] == [True, True, False]
    back = api.get(path, {**form, "limit": 2, "ending_before": third["data"][0]["id"]})
    assert back["data"] == second["data"]
    other = {**form, "customer": someone(api), "starting_after": every[0]["id"]}
    for bad in (other, {**form, "starting_after": "x"}, {**form, "limit": 101}, {**form, "limit": 0}):
        assert api.refused("GET", path, bad)["status"] == 400


@pytest.mark.parametrize("skipped", [True, False])
def test_summaries_skip_empty_windows(having, skipped):
    """Hours without an event are left out, or are there with 0; a range without any has one summary of 0 or none."""
    api = having(summaries_skip_empty_windows=skipped)
    meter, customer, start = api.meter(), someone(api), MIDNIGHT - DAY
    send(api, customer, "7", timestamp=start + 2 * HOUR)
    hours = summaries(api, meter, customer, start, start + DAY, value_grouping_window="hour")
    values = [each["aggregated_value"] for each in hours]
    assert values == ([7] if skipped else [0] * 21 + [7, 0, 0])
    assert [each["aggregated_value"] for each in summaries(api, meter, customer, 0, 60)] == ([] if skipped else [0])


def test_summaries_lag_and_bills_do_not(open_sandbox, account):
    """With a lag the latest events and cancellations are not seen in summaries, and what is billed is exact."""
    time_ = [1_800_000_000]
    sandbox = open_sandbox(clock=lambda: time_[0])
    api = account(sandbox)
    meter, customer = api.meter(), someone(api)
    send(api, customer, "5", identifier="a")
    time_[0] += 100
    send(api, customer, "7")
    api.post(ADJUSTMENTS, {"event_name": "calls", "type": "cancel", "cancel": {"identifier": "a"}})
    sandbox.faults.add(Fault(kind="summary_lag", seconds=60))
    assert used(api, meter, customer) == 5
    with sandbox._store.read(api.get("/v1/account")["id"]) as tx:
        assert usage.used(idle(sandbox, tx), meter["id"], customer, 0, 1 << 40) == 7
    time_[0] += 60
    assert used(api, meter, customer) == 7


@pytest.mark.parametrize(("rate", "status"), [("sandbox", 429), ("live", 429), ("off", 200)])
def test_one_event_at_a_time_for_a_customer_and_meter(open_sandbox, account, rate, status):
    """While limits hold, a second request about a customer and meter is a 429; others pass (docs: rate-limits)."""
    sandbox = open_sandbox(rate=rate)
    api = account(sandbox)
    api.meter()
    api.meter("other")
    mine, theirs = someone(api), someone(api)
    sandbox.faults.add(Fault(kind="latency", seconds=0.5, path=EVENTS, nth=1))
    slow = threading.Thread(target=send, args=(api, mine))
    slow.start()
    while not sandbox._limiter._busy and rate != "off":
        time.sleep(0.001)
    reply = api.send("POST", EVENTS, event(mine))
    assert reply.status == status
    if status == 429:
        assert json.loads(reply.body)["error"]["code"] == "rate_limit"
    send(api, theirs)
    send(api, mine, event_name="other")
    slow.join()
    send(api, mine)


def test_live_meter_events_have_a_limit_of_their_own(open_sandbox, account):
    """A thousand events a second pass in live mode, beside the account's hundred requests (docs: rate-limits)."""
    api = account(open_sandbox(rate="live", monotonic=lambda: 0.0))
    api.meter()
    customer = someone(api)
    assert {api.send("POST", EVENTS, event(customer)).status for _ in range(200)} == {200}
    sandboxed = account(open_sandbox(rate="sandbox", monotonic=lambda: 0.0))
    statuses = [sandboxed.send("POST", EVENTS, event("x")).status for _ in range(26)]
    assert statuses == [400] * 25 + [429]


def test_the_sdk_sends_and_reads_usage(sandbox):
    """The SDK's own calls work from the meter to the pages of its summaries."""
    client = sandbox.client()
    meter = client.v1.billing.meters.create(
        {"display_name": "Calls", "event_name": "calls", "default_aggregation": {"formula": "sum"}}
    )
    customer = client.v1.customers.create({})
    for hour in range(12):
        payload = {"stripe_customer_id": customer.id, "value": str(hour)}
        stamp = MIDNIGHT - 2 * DAY + hour * HOUR
        client.v1.billing.meter_events.create({"event_name": "calls", "payload": payload, "timestamp": stamp})
    window = {"customer": customer.id, "start_time": MIDNIGHT - 2 * DAY, "end_time": MIDNIGHT}
    pages = client.v1.billing.meters.event_summaries.list(meter.id, {**window, "value_grouping_window": "hour"})
    assert sum(each.aggregated_value for each in pages.auto_paging_iter()) == sum(range(12))


VALUES = st.one_of(st.integers(-999, 999).map(str), st.decimals(-9, 9, places=3).map(lambda d: format(d, "f")))
SENT = st.lists(st.tuples(VALUES, st.integers(0, 3 * DAY), st.integers(0, 12), st.booleans()), min_size=1, max_size=12)


@settings(max_examples=40)
@given(sent=SENT, window=st.sampled_from([None, "hour", "day"]), cancelled=st.sets(st.integers(0, 12)))
def test_every_unit_is_counted_once(sent, window, cancelled):
    """Whatever the order, duplicates, windows and cancellations: days, hours, the whole range and what is billed agree.

    They come to the sum of the accepted events that no later one of their window overwrites and nobody cancelled.
    """
    with Sandbox(clock=MIDNIGHT) as sandbox:
        api = _account(sandbox)
        form = {"display_name": "C", "event_name": "calls", "default_aggregation": {"formula": "sum"}}
        meter = api("POST", "/v1/billing/meters", **form, **({"event_time_window": window} if window else {}))
        mine, theirs = (api("POST", "/v1/customers")["id"] for _ in range(2))
        accepted = {}
        for value, back, identifier, is_mine in sent:
            at = MIDNIGHT - 1 - back
            customer = mine if is_mine else theirs
            reply = api("POST", EVENTS, **event(customer, value, identifier=str(identifier), timestamp=at))
            assert ("error" in reply) == (identifier in accepted)
            accepted.setdefault(identifier, (at, Decimal(value), is_mine))
        for identifier in cancelled & accepted.keys():
            adjustment = {"event_name": "calls", "type": "cancel", "cancel": {"identifier": str(identifier)}}
            assert "error" not in api("POST", ADJUSTMENTS, **adjustment)
        step = {"hour": HOUR, "day": DAY}.get(window)
        counted = {}
        for identifier, (at, value, is_mine) in accepted.items():
            if is_mine and identifier not in cancelled:
                counted[at // step if step else ("each", identifier)] = value
        expected = sum(counted.values(), Decimal(0))
        path, span = f"/v1/billing/meters/{meter['id']}/event_summaries", (MIDNIGHT - 4 * DAY, MIDNIGHT)
        form = {"customer": mine, "start_time": span[0], "end_time": span[1], "limit": 100}
        for grouping in ({}, {"value_grouping_window": "day"}, {"value_grouping_window": "hour"}):
            data = api("GET", path, **form, **grouping)["data"]
            assert sum((round(Decimal(each["aggregated_value"]), 6) for each in data), Decimal(0)) == expected
        with sandbox._store.read(api("GET", "/v1/account")["id"]) as tx:
            assert usage.used(idle(sandbox, tx), meter["id"], mine, *span) == expected


def _account(sandbox):
    """Return a function that sends a request and returns the JSON of the reply, refusals included."""
    from urllib.parse import urlencode

    from tests.sandbox.conftest import flatten

    def send_(method, path, **form):
        query = urlencode(list(flatten(form)))
        target, body = (f"{path}?{query}", b"") if method == "GET" else (path, query.encode())
        headers = {"Authorization": "Bearer sk_test_sandbox"}
        return json.loads(sandbox.dispatch(Request(method, target, headers, body)).body)

    return send_
