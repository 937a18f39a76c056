"""Usage alerts: once for each customer who reaches a threshold; and feedback options, which nothing else tests."""

import pytest

from reconciler.sandbox import Settings

ALERTS, EVENTS, OPTIONS = "/v1/billing/alerts", "/v1/billing/meter_events", "/v1/billing/feedback_options"


@pytest.fixture
def having(open_sandbox, account):
    """Return a factory of accounts in a sandbox with one setting."""
    return lambda **setting: account(open_sandbox(settings=Settings(**setting)))


def someone(api, **form):
    """Create a customer and return the id."""
    return api.post("/v1/customers", form)["id"]


def asked(meter, gte=10, customer=None, **form):
    """Return the form of an alert."""
    threshold = {"gte": gte, "meter": meter["id"], "recurrence": "one_time"}
    filters = [{"type": "customer", "customer": customer}] if customer else None
    threshold |= {"filters": filters} if filters else {}
    return {"alert_type": "usage_threshold", "title": "Much", "usage_threshold": threshold, **form}


def alert(api, meter, gte=10, customer=None, **form):
    """Create an alert."""
    return api.post(ALERTS, asked(meter, gte, customer, **form))


def use(api, customer, value, event_name="calls", **form):
    """Send a meter event."""
    payload = {"stripe_customer_id": customer, "value": str(value)}
    return api.post(EVENTS, {"event_name": event_name, "payload": payload, **form})


def told(api):
    """Return alert, customer and value of every time an alert has triggered, oldest first."""
    triggered = (each["data"]["object"] for each in api.events(type="billing.alert.triggered"))
    return [(each["alert"]["id"], each["customer"], each["value"]) for each in triggered]


def test_an_alert_is_complete(api):
    """Every field of the documented object is there (docs: api/billing/alert)."""
    meter, customer = api.meter(), someone(api)
    made = alert(api, meter, customer=customer)
    assert made == {
        "id": made["id"],
        "object": "billing.alert",
        "alert_type": "usage_threshold",
        "livemode": False,
        "status": "active",
        "title": "Much",
        "usage_threshold": {
            "filters": [{"customer": customer, "type": "customer"}],
            "gte": 10,
            "meter": meter["id"],
            "recurrence": "one_time",
        },
    }
    grown = api.get(f"{ALERTS}/{made['id']}", {"expand": ["usage_threshold.meter"]})
    assert grown["usage_threshold"]["meter"] == meter
    assert alert(api, meter)["usage_threshold"]["filters"] == []


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"usage_threshold": None}, "usage_threshold"),
        ({"title": "x" * 257}, "title"),
        ({"alert_type": "spend"}, "alert_type"),
        ({"gte": 0}, "usage_threshold[gte]"),
        ({"meter": "mtr_nope"}, "usage_threshold[meter]"),
        ({"recurrence": "monthly"}, "usage_threshold[recurrence]"),
        ({"filters": [{"type": "customer"}]}, "usage_threshold[filters][0][customer]"),
        ({"filters": [{"type": "customer", "customer": "x"}]}, "usage_threshold[filters][0][customer]"),
        ({"filters": [{"type": "customer", "customer": "x"}] * 2}, "usage_threshold[filters]"),
    ],
)
def test_an_alert_that_stripe_would_not_take_is_refused(api, change, param):
    """The good form makes an alert; the same form with one change is a 400 that names the parameter."""
    form = asked(api.meter(), 1, title="x" * 256)
    api.post(ALERTS, form)
    outer = {key: value for key, value in change.items() if key in form}
    inner = {key: value for key, value in change.items() if key not in form}
    bad = {**form, "usage_threshold": {**form["usage_threshold"], **inner}, **outer}
    error = api.refused("POST", ALERTS, {key: value for key, value in bad.items() if value is not None})
    assert (error["status"], error["param"]) == (400, param)


def test_an_alert_triggers_once_for_each_customer(api, now):
    """It triggers with the event that reaches the threshold, earlier usage included, and never again (docs: alerts)."""
    meter, other = api.meter(), api.meter("other")
    mine, theirs = someone(api), someone(api)
    use(api, mine, 6)
    every, single = alert(api, meter), alert(api, meter, customer=theirs)
    decoys = [alert(api, meter, 100), alert(api, other), alert(api, meter, customer=someone(api))]
    assert told(api) == []
    use(api, mine, 3)
    assert told(api) == []
    use(api, mine, 1)
    use(api, mine, 50)
    assert told(api) == [(every["id"], mine, 10)]
    use(api, theirs, 12)
    assert told(api)[1:] == [(every["id"], theirs, 12), (single["id"], theirs, 12)]
    assert not {decoy["id"] for decoy in decoys} & {each for each, _, _ in told(api)}
    event = api.events(type="billing.alert.triggered")[0]
    assert event["data"]["object"] == {
        "object": "billing.alert_triggered",
        "alert": every,
        "created": now,
        "customer": mine,
        "livemode": False,
        "value": 10,
    }


def test_an_event_of_the_past_triggers_now(api, now):
    """The event that tells of an alert is of now, not of the usage's time."""
    meter, customer = api.meter(), someone(api)
    alert(api, meter)
    use(api, customer, 10, timestamp=now - 1000)
    event = api.events(type="billing.alert.triggered")[0]
    assert (event["created"], event["data"]["object"]["created"]) == (now, now)


def test_alerts_do_not_work_with_test_clocks(api, now):
    """Usage of a customer on a test clock triggers nothing, that of another does (docs: alerts, "Limitations")."""
    meter = api.meter()
    clock = api.post("/v1/test_helpers/test_clocks", {"frozen_time": now})["id"]
    clocked, plain = someone(api, test_clock=clock), someone(api)
    made = alert(api, meter)
    use(api, clocked, 10)
    use(api, plain, 10)
    assert told(api) == [(made["id"], plain, 10)]


@pytest.mark.parametrize("rearms", [True, False])
def test_alert_activation_rearms(having, rearms):
    """An inactive alert is silent; activated it triggers for whom it had not, and again for the others or not."""
    api = having(alert_activation_rearms=rearms)
    meter, old, new = api.meter(), someone(api), someone(api)
    made = alert(api, meter)
    path = f"{ALERTS}/{made['id']}"
    use(api, old, 10)
    assert api.post(f"{path}/deactivate")["status"] == "inactive"
    assert api.refused("POST", f"{path}/deactivate")["status"] == 400
    use(api, new, 10)
    assert told(api) == [(made["id"], old, 10)]
    assert api.post(f"{path}/activate") == made
    assert api.refused("POST", f"{path}/activate")["status"] == 400
    use(api, new, 1)
    use(api, old, 1)
    again = [(made["id"], old, 11)] if rearms else []
    assert told(api)[1:] == [(made["id"], new, 11), *again]


def test_an_archived_alert_is_gone(api):
    """Its last state is archived, then no request finds it and nothing triggers it; another one stays (docs: api)."""
    meter, customer = api.meter(), someone(api)
    gone, kept = alert(api, meter), alert(api, meter, 20)
    assert api.post(f"{ALERTS}/{gone['id']}/archive") == {**gone, "status": "archived"}
    for method, path in (("GET", ""), ("POST", "/activate"), ("POST", "/deactivate"), ("POST", "/archive")):
        assert api.refused(method, f"{ALERTS}/{gone['id']}{path}")["status"] == 404
    assert api.ids(ALERTS) == [kept["id"]]
    use(api, customer, 30)
    assert told(api) == [(kept["id"], customer, 30)]


def test_alerts_are_listed_by_meter_and_type(api):
    """A filter leaves the alerts of another meter out; the newest comes first."""
    meter, other = api.meter(), api.meter("other")
    first, second, decoy = alert(api, meter), alert(api, meter), alert(api, other)
    assert api.ids(ALERTS, {"meter": meter["id"]}) == [second["id"], first["id"]]
    assert api.ids(ALERTS, {"alert_type": "usage_threshold"}) == [decoy["id"], second["id"], first["id"]]


def test_a_meter_has_at_most_25_alerts_for_a_customer(api):
    """The 26th is refused, one for another customer, for all, or after archiving is not (docs: alerts)."""
    meter, mine, theirs = api.meter(), someone(api), someone(api)
    made = [alert(api, meter, customer=mine) for _ in range(25)]
    assert api.refused("POST", ALERTS, asked(meter, customer=mine))["status"] == 400
    alert(api, meter, customer=theirs)
    alert(api, meter)
    api.post(f"{ALERTS}/{made[0]['id']}/archive")
    alert(api, meter, customer=mine)


def test_a_feedback_option_is_kept_renamed_and_deactivated(api, now):
    """Every field of the SDK's class is there; a status filters the list; deactivation is for good."""
    first, second = (api.post(OPTIONS, {"description": text}) for text in ("Too dear", "Unused"))
    assert first == {
        "id": first["id"],
        "object": "billing.feedback_option",
        "description": "Too dear",
        "livemode": False,
        "status": "active",
        "status_transitions": {"deactivated_at": None},
    }
    path = f"{OPTIONS}/{first['id']}"
    assert api.post(path, {"description": "Too expensive"})["description"] == "Too expensive"
    off = api.post(f"{path}/deactivate")
    assert (off["status"], off["status_transitions"]) == ("inactive", {"deactivated_at": now})
    assert api.get(path) == off
    assert api.refused("POST", f"{path}/deactivate")["status"] == 400
    assert api.ids(OPTIONS, {"status": "active"}) == [second["id"]]
    assert api.ids(OPTIONS) == [second["id"], first["id"]]
    assert api.refused("POST", OPTIONS, {"description": "x" * 101})["param"] == "description"
    assert api.refused("POST", OPTIONS)["code"] == "parameter_missing"
