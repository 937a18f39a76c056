"""Event destinations of the v2 API, and the thin events they are told of.

Source: https://docs.stripe.com/api/v2/core/event-destinations and https://docs.stripe.com/event-destinations.
"""

import json

import pytest
import stripe

from reconciler.sandbox import Request, Settings, Webhooks

PATH = "/v2/core/event_destinations"
HOOK = "http://127.0.0.1:9/hook"
URL, SECRET = "webhook_endpoint.url", "webhook_endpoint.signing_secret"
THIN = {
    "name": "Mine",
    "type": "webhook_endpoint",
    "event_payload": "thin",
    "enabled_events": ["v1.billing.meter.error_report_triggered"],
    "webhook_endpoint": {"url": HOOK},
}
SNAPSHOT = {**THIN, "event_payload": "snapshot", "enabled_events": ["product.created"]}


@pytest.fixture
def posts():
    """Return what is posted: URL, headers and body."""
    return []


@pytest.fixture
def api(open_sandbox, account, posts):
    """Return an account whose webhooks are kept in ``posts``."""
    return account(open_sandbox(webhooks=Webhooks(post=lambda *post: posts.append(post) or 200)))


@pytest.fixture
def client(api):
    """Return the SDK's client of the account."""
    return api.sandbox.client()


def send(api, method, path, data=None):
    """Send a v2 request and return status and JSON."""
    headers = {**api.headers, "Stripe-Version": stripe.api_version, "Content-Type": "application/json"}
    reply = api.sandbox.dispatch(Request(method, path, headers, json.dumps(data).encode() if data else b""))
    return reply.status, json.loads(reply.body)


def create(api, data=THIN, **more):
    """Create a destination."""
    status, made = send(api, "POST", PATH, {**data, **more})
    assert status == 200, made
    return made


def report(api):
    """Cause a thin event: usage of a meter nobody has, streamed."""
    token = api.sandbox.client().v2.billing.meter_event_session.create().authentication_token
    stream = api.sandbox.client(token).v2.billing.meter_event_stream
    event = {"event_name": "none", "payload": {"stripe_customer_id": "cus_1", "value": "1"}}
    stream.create({"events": [event]})


def test_a_destination_shows_address_and_secret_on_request(api):
    """A new destination has every field; its address and its secret are null unless ``include`` names them."""
    made = create(api, description="d", metadata={"a": "b"})
    assert made == {
        "id": made["id"],
        "object": "v2.core.event_destination",
        "created": "2027-01-15T08:00:00.000Z",
        "description": "d",
        "enabled_events": ["v1.billing.meter.error_report_triggered"],
        "event_payload": "thin",
        "events_from": ["@self"],
        "livemode": False,
        "metadata": {"a": "b"},
        "name": "Mine",
        "snapshot_api_version": None,
        "status": "enabled",
        "status_details": None,
        "type": "webhook_endpoint",
        "updated": "2027-01-15T08:00:00.000Z",
        "webhook_endpoint": {"signing_secret": None, "url": None},
    }
    shown = create(api, include=[URL, SECRET])["webhook_endpoint"]
    assert (shown["url"], shown["signing_secret"][:6]) == (HOOK, "whsec_")
    assert send(api, "GET", f"{PATH}/{made['id']}")[1] == made
    with_url = send(api, "GET", f"{PATH}/{made['id']}?include[0]={URL}")[1]
    assert with_url["webhook_endpoint"] == {"signing_secret": None, "url": HOOK}
    assert create(api, SNAPSHOT)["snapshot_api_version"] == stripe.api_version


def test_a_destination_changes_and_goes(api):
    """Name, description, events, metadata and address change; it is disabled, enabled, deleted, and unknown then."""
    made = create(api, metadata={"a": "1", "b": "2"})["id"]
    new = {"name": "New", "description": "d", "enabled_events": ["v1.billing.meter.no_meter_found"]}
    more = {"metadata": {"a": None, "c": "3"}, "webhook_endpoint": {"url": "https://example.com/x"}, "include": [URL]}
    changed = send(api, "POST", f"{PATH}/{made}", {**new, **more})[1]
    assert {name: changed[name] for name in new} == new
    assert changed["metadata"] == {"b": "2", "c": "3"}
    assert changed["webhook_endpoint"]["url"] == "https://example.com/x"
    disabled = send(api, "POST", f"{PATH}/{made}/disable")[1]
    assert (disabled["status"], disabled["status_details"]) == ("disabled", {"disabled": {"reason": "user"}})
    enabled = send(api, "POST", f"{PATH}/{made}/enable")[1]
    assert (enabled["status"], enabled["status_details"]) == ("enabled", None)
    assert send(api, "DELETE", f"{PATH}/{made}") == (200, {"id": made, "object": "v2.core.event_destination"})
    for method, path in (("GET", ""), ("POST", ""), ("DELETE", ""), ("POST", "/ping"), ("POST", "/enable")):
        status, error = send(api, method, f"{PATH}/{made}{path}")
        assert (status, error["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    "change",
    [
        {"type": "amazon_eventbridge", "amazon_eventbridge": {"aws_account_id": "1", "aws_region": "x"}},
        {"events_from": ["@accounts"]},
        {"enabled_events": []},
        {"enabled_events": ["product.created"]},
        {"enabled_events": ["v1.nothing.happened"]},
        {"webhook_endpoint": {"url": "example.com"}},
        {"snapshot_api_version": stripe.api_version},
        {"event_payload": "fat"},
        {"event_payload": "snapshot"},
        {"bogus": 1},
    ],
)
def test_a_destination_that_cannot_be_is_refused(api, change):
    """A destination is a webhook of this account, for events of its own form, at a whole address."""
    assert send(api, "POST", PATH, {**THIN, **change})[0] == 400
    assert create(api, THIN)["status"] == "enabled"
    wrong = {**SNAPSHOT, "snapshot_api_version": "2020-08-27"}
    assert send(api, "POST", PATH, wrong)[0] == 400
    assert (
        send(api, "POST", PATH, {name: value for name, value in THIN.items() if name != "webhook_endpoint"})[0] == 400
    )


def test_a_thin_destination_is_told_of_thin_events(api, client, posts):
    """A thin event arrives without its data, and the SDK parses it and fetches the rest; other types are not told."""
    made = create(api, enabled_events=["v1.billing.meter.no_meter_found"], include=[SECRET])
    create(api)
    create(api, SNAPSHOT)
    report(api)
    assert api.sandbox.deliver() == 1
    ((url, headers, body),) = posts
    assert url == HOOK
    assert not {"data", "changes"} & set(json.loads(body))
    secret = made["webhook_endpoint"]["signing_secret"]
    notification = client.parse_event_notification(body, headers["Stripe-Signature"], secret)
    assert notification.type == "v1.billing.meter.no_meter_found"
    assert client.v2.core.events.retrieve(notification.id).data.reason.error_count == 1
    with pytest.raises(ValueError, match="thin"):
        stripe.Webhook.construct_event(body, headers["Stripe-Signature"], secret)


def test_a_snapshot_destination_is_told_of_snapshots(api, posts):
    """A snapshot destination gets v1's events as an endpoint does, counted in ``pending_webhooks``; a thin one none."""
    secret = create(api, SNAPSHOT, include=[SECRET])["webhook_endpoint"]["signing_secret"]
    create(api)
    product = api.product()["id"]
    assert api.events()[0]["pending_webhooks"] == 1
    assert api.sandbox.deliver() == 1
    event = stripe.Webhook.construct_event(posts[0][2], posts[0][1]["Stripe-Signature"], secret)
    assert event.data.object.id == product
    assert api.events()[0]["pending_webhooks"] == 0


def test_a_ping_reaches_its_destination_alone(api, client, posts):
    """A ping is a thin event about the destination, sent to it whatever it is told of otherwise, and to no other."""
    one, two = create(api, include=[SECRET]), create(api, enabled_events=["*"])
    event = client.v2.core.event_destinations.ping(one["id"])
    assert (event.type, event.related_object.id) == ("v2.core.event_destination.ping", one["id"])
    assert [each["endpoint"] for each in api.sandbox.deliveries()] == [one["id"]]
    assert two["id"] != one["id"]
    assert api.sandbox.deliver() == 1
    secret = one["webhook_endpoint"]["signing_secret"]
    told = client.parse_event_notification(posts[0][2], posts[0][1]["Stripe-Signature"], secret)
    assert told.fetch_related_object().id == one["id"]


def test_a_disabled_destination_is_told_of_nothing(api):
    """A disabled destination is not told; enabled again, it is."""
    made = create(api, SNAPSHOT)["id"]
    send(api, "POST", f"{PATH}/{made}/disable")
    api.product()
    send(api, "POST", f"{PATH}/{made}/enable")
    told = api.product()["id"]
    (delivery,) = api.sandbox.deliveries()
    assert api.get(f"/v1/events/{delivery['event']}")["data"]["object"]["id"] == told


def test_the_sdk_lists_destinations(api, client):
    """The SDK pages through the destinations, newest first; addresses are included on request."""
    made = [create(api, name=str(number))["id"] for number in range(3)]
    listed = client.v2.core.event_destinations.list({"limit": 2, "include": [URL]})
    assert [each.id for each in listed.auto_paging_iter()] == made[::-1]
    assert listed.data[0].webhook_endpoint.url == HOOK


@pytest.mark.parametrize("takes", [True, False])
def test_thin_destinations_take_all(open_sandbox, account, takes):
    """A thin destination may ask for ``*``, or has to name each type; a snapshot destination may either way."""
    api = account(open_sandbox(settings=Settings(thin_destinations_take_all=takes)))
    assert send(api, "POST", PATH, {**THIN, "enabled_events": ["*"]})[0] == (200 if takes else 400)
    assert send(api, "POST", PATH, {**SNAPSHOT, "enabled_events": ["*"]})[0] == 200
    create(api)
