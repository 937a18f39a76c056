"""The v2 namespace: JSON, times as text, its own errors, pages, idempotency; meter events sent and streamed there."""

import json
import threading
import time

import pytest
import stripe

from reconciler.sandbox import Fault, Request
from reconciler.sandbox.v2 import instant, iso, notification

EVENTS, STREAM, SESSION = (
    f"/v2/billing/{name}" for name in ("meter_events", "meter_event_stream", "meter_event_session")
)
THIN = "/v2/core/events"
DAY = 86_400


class Caller:
    """One account of a sandbox that speaks JSON to the v2 namespace."""

    def __init__(self, api):
        self.api = api

    def send(self, method, path, body=None, *, raw=None, **headers):
        """Return status and JSON of the reply; header names are written with underscores."""
        given = {"Stripe-Version": stripe.api_version, "Content-Type": "application/json", **self.api.headers}
        given |= {name.replace("_", "-").title(): value for name, value in headers.items()}
        given = {name: value for name, value in given.items() if value is not None}
        content = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        self.reply = self.api.sandbox.dispatch(Request(method, path, given, content))
        return self.reply.status, json.loads(self.reply.body)

    def ok(self, method, path, body=None, **headers):
        """Return the JSON of a reply that must be a success."""
        status, reply = self.send(method, path, body, **headers)
        assert status == 200, reply
        return reply

    def refused(self, method, path, body=None, **headers):
        """Return status, type and code of a refusal in v2's envelope."""
        status, reply = self.send(method, path, body, **headers)
        assert status >= 400, reply
        error = reply["error"]
        assert error.keys() <= {"code", "doc_url", "message", "type", "user_message"}
        assert error["message"]
        return status, error["type"], error["code"]


@pytest.fixture
def v2(api):
    """Return the caller of an account with a meter called ``calls``."""
    caller = Caller(api)
    caller.meter = api.meter()
    caller.customer = api.post("/v1/customers")["id"]
    return caller


def event(customer, value="1", **form):
    """Return a meter event of ``calls``."""
    return {"event_name": "calls", "payload": {"stripe_customer_id": customer, "value": value}, **form}


def used(v2, customer=None):
    """Return the usage of a customer."""
    form = {"customer": customer or v2.customer, "start_time": 1_790_000_040, "end_time": 1_810_000_020}
    data = v2.api.get(f"/v1/billing/meters/{v2.meter['id']}/event_summaries", form)["data"]
    return sum(each["aggregated_value"] for each in data)


@pytest.mark.parametrize("text", ["2024-06-01T12:00:00Z", "2024-06-01T14:00:00.000+02:00", "2024-06-01t12:00:00.000z"])
def test_times_are_rfc_3339(text):
    """Any offset and any fraction is read; what is written is UTC with milliseconds."""
    assert instant(text, "t") == (1_717_243_200, 0)
    assert iso(1_717_243_200) == "2024-06-01T12:00:00.000Z"
    assert instant("1969-12-31T23:59:59.250000Z", "t") == (-1, 250_000)


def test_an_event_is_complete(v2, now):
    """An event is answered with its times as text and a made-up identifier, and counts with those of v1."""
    sent = v2.ok("POST", EVENTS, event(v2.customer, "25", identifier="a", timestamp="2027-01-15T07:00:00.500+00:00"))
    assert sent == {
        "object": "v2.billing.meter_event",
        "created": iso(now),
        "event_name": "calls",
        "identifier": "a",
        "livemode": False,
        "payload": {"stripe_customer_id": v2.customer, "value": "25"},
        "timestamp": "2027-01-15T07:00:00.500Z",
    }
    assert len(v2.ok("POST", EVENTS, event(v2.customer))["identifier"]) == 36
    v2.api.post("/v1/billing/meter_events", event(v2.customer, "4"))
    assert used(v2) == 30
    error = v2.api.refused("POST", "/v1/billing/meter_events", event(v2.customer, identifier="a"))
    assert error["message"] == "An event already exists with identifier a."


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"event_name": "nope"}, "no_meter"),
        ({"identifier": "taken"}, "duplicate_meter_event"),
        ({"payload": {"stripe_customer_id": "CUSTOMER", "value": "x"}}, "payload_invalid_value"),
        ({"payload": {"stripe_customer_id": "CUSTOMER"}}, "payload_no_value_defined"),
        ({"payload": {"value": "1"}}, "payload_no_customer_defined"),
        ({"payload": {"stripe_customer_id": "cus_nope", "value": "1"}}, "meter_event_customer_not_found"),
        ({"timestamp": "2027-01-15T08:05:01Z"}, "timestamp_in_future"),
        ({"timestamp": "2026-12-11T07:59:59Z"}, "timestamp_too_far_in_past"),
        ({"timestamp": "2027-01-15T08:00:00"}, "invalid_request"),
        ({"timestamp": "2027-13-15T08:00:00Z"}, "invalid_request"),
        ({"timestamp": 1_800_000_000}, "invalid_request"),
        ({"payload": {"stripe_customer_id": "CUSTOMER", "value": 1}}, "invalid_request"),
        ({"payload": "x"}, "invalid_request"),
        ({"payload": ["x"]}, "invalid_request"),
        ({"event_name": None}, "parameter_invalid_empty"),
        ({"nope": 1}, "parameter_unknown"),
    ],
)
def test_an_event_that_stripe_would_not_count_is_refused(v2, change, code):
    """The good event counts; with one change it is a 400 with a documented code (docs: api/v2/billing/meter-event)."""
    v2.ok("POST", EVENTS, event(v2.customer, identifier="taken"))
    bad = json.loads(json.dumps({**event(v2.customer), **change}).replace("CUSTOMER", v2.customer))
    assert v2.refused("POST", EVENTS, bad) == (400, "invalid_request_error", code)
    assert used(v2) == 1


def test_an_archived_meter_is_named_so(v2):
    """The meter must be active (docs: api/v2/billing/meter-event/create, ``archived_meter``)."""
    v2.api.post(f"/v1/billing/meters/{v2.meter['id']}/deactivate")
    assert v2.refused("POST", EVENTS, event(v2.customer))[2] == "archived_meter"


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"{", 400),
        (b"[]", 400),
        (b"\xff", 400),
        (b'{"event_name": NaN}', 400),
        (b'{"a":' * 100_000, 400),
        (b" " * ((1 << 20) + 1), 413),
        (json.dumps({"cancel": [[[[[[[[[1]]]]]]]]]}).encode(), 400),
    ],
)
def test_what_is_not_a_json_object_is_refused(v2, raw, status):
    """Broken, oversized and too deep bodies are refused in the envelope, never a failure of the server."""
    assert v2.refused("POST", EVENTS, raw=raw)[:2] == (status, "invalid_request_error")


def test_requests_name_their_version_and_speak_json(v2):
    """A request without ``Stripe-Version`` or with a form is refused (docs: api-v2-overview)."""
    v2.ok("GET", THIN)
    assert v2.refused("GET", THIN, stripe_version=None)[0] == 400
    assert v2.refused("GET", THIN, stripe_version="2020-08-27")[0] == 400
    form = {"content_type": "application/x-www-form-urlencoded"}
    assert v2.refused("POST", EVENTS, raw=b"event_name=calls", **form)[0] == 400
    assert v2.refused("GET", THIN, authorization="Bearer nope")[0] == 401
    assert v2.refused("GET", "/v2/nope")[::2] == (404, "not_found")
    assert v2.refused("GET", f"{THIN}/evt_nope")[::2] == (404, "not_found")


def test_a_success_is_replayed_for_thirty_days(open_sandbox, account):
    """A key's success is answered again and done once; a failure is tried again; 30 days later all is new."""
    time_ = [1_800_000_000]
    caller = Caller(account(open_sandbox(clock=lambda: time_[0])))
    caller.meter, caller.customer = caller.api.meter(), caller.api.post("/v1/customers")["id"]
    first = caller.ok("POST", EVENTS, event(caller.customer), idempotency_key="k")
    time_[0] += 29 * DAY
    assert caller.ok("POST", EVENTS, event(caller.customer), idempotency_key="k") == first
    assert used(caller) == 1
    changed = caller.refused("POST", EVENTS, event(caller.customer, "2"), idempotency_key="k")
    assert changed == (400, "idempotency_error", "idempotency_error")
    assert caller.ok("POST", SESSION, {}, idempotency_key="k")["object"] == "v2.billing.meter_event_session"
    missing = event(caller.customer, event_name="later")
    assert caller.refused("POST", EVENTS, missing, idempotency_key="f")[2] == "no_meter"
    caller.api.meter("later")
    assert caller.ok("POST", EVENTS, missing, idempotency_key="f")["event_name"] == "later"
    time_[0] += DAY + 1
    caller.ok("POST", EVENTS, event(caller.customer), idempotency_key="k")
    assert used(caller) == 2


def test_a_lost_success_is_found_again(v2):
    """Work that was done before the answer failed is not done again: the retry is told of its success."""
    v2.api.sandbox.faults.add(Fault(kind="error", status=500, when="after", path=EVENTS, nth=1))
    assert v2.refused("POST", EVENTS, event(v2.customer, identifier="a"), idempotency_key="k")[0] == 500
    assert v2.ok("POST", EVENTS, event(v2.customer, identifier="a"), idempotency_key="k")["identifier"] == "a"
    assert used(v2) == 1


def test_an_adjustment_cancels_one_event(v2, now):
    """The named event counts no longer, another does; an unknown one is ``invalid_cancel_configuration``."""
    for identifier, value in (("a", "5"), ("b", "7")):
        v2.ok("POST", EVENTS, event(v2.customer, value, identifier=identifier))
    form = {"event_name": "calls", "type": "cancel", "cancel": {"identifier": "a"}}
    path = "/v2/billing/meter_event_adjustments"
    done = v2.ok("POST", path, form)
    assert {**form, "object": "v2.billing.meter_event_adjustment", "created": iso(now)}.items() <= done.items()
    assert used(v2) == 7
    assert v2.refused("POST", path, {**form, "cancel": {"identifier": "x"}})[2] == "invalid_cancel_configuration"
    assert v2.refused("POST", path, {"event_name": "calls", "type": "cancel"})[2] == "parameter_missing"


def test_a_stream_takes_the_token_of_a_session(open_sandbox, account):
    """For 15 minutes the token, and nothing else, streams for its own account only (docs: recording-usage-api)."""
    time_ = [1_800_000_000]
    sandbox = open_sandbox(clock=lambda: time_[0])
    mine, other = Caller(account(sandbox)), Caller(account(sandbox, "sk_test_other"))
    mine.meter, mine.customer = mine.api.meter(), mine.api.post("/v1/customers")["id"]
    session = mine.ok("POST", SESSION, {})
    assert instant(session["expires_at"], "")[0] - instant(session["created"], "")[0] == 900
    token = {"authorization": f"Bearer {session['authentication_token']}"}
    body = {"events": [event(mine.customer, "5")]}
    assert mine.ok("POST", STREAM, body, **token) == {}
    assert used(mine) == 5
    theirs = {"authorization": f"Bearer {other.ok('POST', SESSION, {})['authentication_token']}"}
    mine.ok("POST", STREAM, body, **theirs)
    assert used(mine) == 5
    for bad in ({}, {"authorization": "Bearer x"}, {"authorization": token["authorization"][:-1] + "?"}):
        assert mine.refused("POST", STREAM, body, **bad)[0] == 401
    assert mine.refused("GET", THIN, **token)[0] == 401
    time_[0] += 900
    expired = (401, "temporary_session_expired", "billing_meter_event_session_expired")
    assert mine.refused("POST", STREAM, body, **token) == expired


def streamed(v2, *events):
    """Stream events and return the reply."""
    token = v2.ok("POST", SESSION, {})["authentication_token"]
    return v2.send("POST", STREAM, {"events": list(events)}, authorization=f"Bearer {token}")


def test_what_is_wrong_in_a_stream_is_told_by_thin_events(v2, now):
    """The good events count; one report for each meter and one for no meter name codes and identifiers of the rest."""
    bad = [event(v2.customer, "x", identifier="v"), event("cus_x", identifier="c"), event(v2.customer, event_name="no")]
    good = [event(v2.customer, "5", identifier="a"), event(v2.customer, "5", identifier="a"), event(v2.customer, "2")]
    assert streamed(v2, *bad, *good) == (200, {})
    assert used(v2) == 7
    nowhere, report = v2.ok("GET", THIN)["data"][:2]
    assert v2.ok("GET", f"{THIN}/{report['id']}") == report
    assert (nowhere["type"], nowhere["related_object"]) == ("v1.billing.meter.no_meter_found", None)
    assert nowhere["data"]["reason"]["error_types"][0]["code"] == "no_meter"
    assert report["type"] == "v1.billing.meter.error_report_triggered"
    url = f"/v1/billing/meters/{v2.meter['id']}"
    assert report["related_object"] == {"id": v2.meter["id"], "type": "billing.meter", "url": url}
    assert report["created"] == report["data"]["validation_end"] == iso(now)
    assert report["data"]["developer_message_summary"] == "There are 2 invalid events"
    assert report["data"]["reason"]["error_count"] == 2
    found = {
        (error["code"], error["error_count"], sample["request"]["identifier"])
        for error in report["data"]["reason"]["error_types"]
        for sample in error["sample_errors"]
    }
    assert found == {("meter_event_invalid_value", 1, "v"), ("meter_event_customer_not_found", 1, "c")}
    told = notification(report)
    assert told.keys() == report.keys() - {"data", "changes", "snapshot_event"}


def test_a_stream_takes_a_hundred_events(v2):
    """A hundred events pass, one more is a 400 that counts nothing; a shape that is wrong is refused at once."""
    assert streamed(v2, *[event(v2.customer)] * 100)[0] == 200
    assert used(v2) == 100
    assert streamed(v2, *[event(v2.customer)] * 101)[0] == 400
    assert streamed(v2, event(v2.customer), event(v2.customer, timestamp="x"))[0] == 400
    assert used(v2) == 100


def test_one_event_at_a_time_for_a_customer_and_meter(open_sandbox, account):
    """While limits hold, a second request about them is ``too_many_concurrent_requests`` (docs: meter-event/create)."""
    sandbox = open_sandbox(rate="live")
    caller, slow = (Caller(account(sandbox)) for _ in range(2))
    caller.api.meter()
    customer = caller.api.post("/v1/customers")["id"]
    sandbox.faults.add(Fault(kind="latency", seconds=0.5, path=EVENTS, nth=1))
    thread = threading.Thread(target=slow.ok, args=("POST", EVENTS, event(customer)))
    thread.start()
    while not sandbox._limiter._busy:
        time.sleep(0.001)
    status, _, code = caller.refused("POST", EVENTS, event(customer))
    thread.join()
    assert (status, code) == (409, "too_many_concurrent_requests")
    caller.ok("POST", EVENTS, event(customer))


def test_thin_events_are_listed_in_pages(open_sandbox, account):
    """Newest first, both ways by address, filtered by type, object and time; 30 days back (docs: v2/core/events)."""
    time_ = [1_800_000_000]
    caller = Caller(account(open_sandbox(clock=lambda: time_[0])))
    caller.meter, caller.customer = caller.api.meter(), caller.api.post("/v1/customers")["id"]
    streamed(caller, event(caller.customer, event_name="no"))
    for _ in range(5):
        time_[0] += 10
        streamed(caller, event(caller.customer, "x"))
    every = caller.ok("GET", THIN)["data"]
    words = [each["type"].rpartition(".")[2] for each in every]
    assert words == ["error_report_triggered"] * 5 + ["no_meter_found", "created", "created"]
    kind = "?types[0]=v1.billing.meter.error_report_triggered&limit=2"
    first = caller.ok("GET", THIN + kind)
    second = caller.ok("GET", first["next_page_url"])
    third = caller.ok("GET", second["next_page_url"])
    assert first["data"] + second["data"] + third["data"] == every[:5]
    assert (first["previous_page_url"], third["next_page_url"]) == (None, None)
    assert caller.ok("GET", third["previous_page_url"])["data"] == second["data"]
    assert caller.ok("GET", second["previous_page_url"])["data"] == first["data"]
    assert caller.refused("GET", first["next_page_url"].replace("error_report_triggered", "no_meter_found"))[0] == 400
    assert caller.refused("GET", f"{THIN}?page=x")[0] == 400
    assert caller.refused("GET", f"{THIN}?limit=101")[0] == 400
    assert caller.ok("GET", f"{THIN}?object_id={caller.meter['id']}")["data"] == [*every[:5], every[-1]]
    assert caller.ok("GET", f"{THIN}?object_id=mtr_x")["data"] == []
    assert caller.ok("GET", f"{THIN}?created[gte]={iso(1_800_000_050)}")["data"] == every[:1]
    assert caller.ok("GET", f"{THIN}?created[lt]=2027-01-15T08:00:10.5Z")["data"] == every[4:]
    assert caller.refused("GET", f"{THIN}?created[gt]=1800000000")[0] == 400
    time_[0] += 30 * DAY
    assert caller.ok("GET", THIN)["data"] == every[:1]
    caller.ok("GET", f"{THIN}/{every[0]['id']}")
    time_[0] += 1
    assert caller.refused("GET", f"{THIN}/{every[0]['id']}")[0] == 404


def test_the_sdk_speaks_v2(v2):
    """The SDK's own calls work: events, the stream with its expiry, pages of thin events and their objects."""
    client = v2.api.sandbox.client()
    assert client.v2.billing.meter_events.create(event(v2.customer, "3")).payload["value"] == "3"
    session = client.v2.billing.meter_event_session.create()
    streaming = v2.api.sandbox.client(session.authentication_token)
    streaming.v2.billing.meter_event_stream.create({"events": [event(v2.customer, "4"), event(v2.customer, "x")]})
    assert used(v2) == 7
    kind = "v1.billing.meter.error_report_triggered"
    (report,) = list(client.v2.core.events.list({"limit": 1, "types": [kind]}).auto_paging_iter())
    assert report.data.reason.error_types[0].code == "meter_event_invalid_value"
    assert client.v2.core.events.retrieve(report.id).fetch_related_object().id == v2.meter["id"]
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v2.billing.meter_events.create(event(v2.customer, event_name="no"))
    assert caught.value.error.code == "no_meter"
    expired = session.authentication_token.replace("1800000900", "1700000000")
    with pytest.raises(stripe.AuthenticationError):
        v2.api.sandbox.client(expired).v2.billing.meter_event_stream.create({"events": []})
