"""Figures, health and the document of the API."""

import json
import re
from typing import Any

import jsonschema
from starlette.routing import Route

from reconciler.service.api.table import OPERATIONS
from reconciler.service.hooks.routes import PATH
from reconciler.service.identity.keys import sha256_of
from reconciler.service.openapi import document
from reconciler.service.operations.gauges import Gauge
from tests.service.world import Served


def figures(served: Served) -> dict[str, float]:
    """Return all figures by name and labels."""
    text = served.operator.get("/metrics").body.decode()
    pairs = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


def test_figures_of_what_was_answered(served: Served) -> None:
    """Answers are counted by what was asked and status, decisions by reason, charges by unit; no tenant is named."""
    served.acme.post("/v1/consume", {"tool": "big"}, once="k")
    served.acme.post("/v1/consume", {"tool": "big"}, once="k")
    served.acme.post("/v1/consume", {"tool": "big", "quantity": 9})
    served.stranger.get("/nothing")
    found = figures(served)
    asked = 'reconciler_operations_total{action="consume",resource="entitlements",status="%s"}'
    assert (found[asked % 200], found[asked % 402]) == (2, 1)
    assert found['reconciler_operations_total{action="other",resource="other",status="404"}'] == 1
    assert found['reconciler_decisions_total{action="consume",reason="insufficient_credits"}'] == 1
    assert found['reconciler_charged_total{unit="credit"}'] == 10
    assert not [name for name in found if "acme" in name]


def test_figures_of_the_ledger(served: Served) -> None:
    """What is held, what there is and what waits for Stripe are read from the ledger."""
    served.acme.post("/v1/reservations", {"tool": "big"}, once="r")
    served.operator.post("/v1/consume", {"tenant": "quiet", "tool": "any"})
    while served.runtime.seal(2**40):
        pass
    served.clock.set("2027-01-01T02:00:00")
    found = figures(served)
    assert (found["reconciler_held_credits"], found["reconciler_credits"], found["reconciler_tenants"]) == (10, 20, 2)
    assert found['reconciler_outbox_exports{state="pending"}'] == 1
    assert found['reconciler_outbox_age_seconds{state="pending"}'] == 7200
    assert found["reconciler_lease_stranded_calls"] == 0


def test_figures_of_other_rooms(served: Served) -> None:
    """A room adds its own figures by a function that is asked when somebody looks."""
    served.service.metrics.look(lambda: [Gauge("reconciler_inbox_events", "Waiting.", 3, {"state": "new"})])
    assert figures(served)['reconciler_inbox_events{state="new"}'] == 3


def test_who_reads_the_figures() -> None:
    """Figures are for operators and for a key that reads nothing else; not for tenants, nor for strangers."""
    served = Served(metrics_key=sha256_of("scrape-me"))
    assert served.stranger.get("/metrics", key="scrape-me").status == 200
    assert served.stranger.get("/v1/tenants", key="scrape-me").status == 401
    assert [each.get("/metrics").status for each in (served.stranger, served.acme, served.operator)] == [401, 403, 200]
    served.close()


def test_readiness_misses_a_worker(served: Served) -> None:
    """A worker that was seen in time is fine; one that is overdue makes the service not ready, and is named."""
    served.service.beat("usage", 60)
    assert served.stranger.get("/readyz").json["workers"] == {"usage": "ok"}
    served.service.beat("inbox", -1)
    found = served.stranger.get("/readyz")
    assert (found.status, found.json["workers"]["inbox"]) == (503, "missed")


def test_the_document_has_every_route(served: Served) -> None:
    """Every path below /v1 is in the document, but the one that Stripe alone posts to; and nothing else is."""
    routes = {route.path.replace(":path", "") for route in served.app.routes if isinstance(route, Route)}
    ours = {path for path in routes if path.startswith("/v1/") and path != PATH}
    assert ours == set(document()["paths"])
    names = [each.name for each in OPERATIONS]
    assert len(names) == len(set(names))


def references(value: Any) -> set[str]:
    """Return all references below a value."""
    return set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(value)))


def test_the_document_is_whole(served: Served) -> None:
    """The served document is JSON Schema throughout, every reference leads somewhere, and nothing leads outside."""
    found = served.stranger.get("/openapi.json").json
    assert found["openapi"] == "3.1.0"
    for schema in found["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    for reference in references(found):
        assert reference.removeprefix("#/components/schemas/") in found["components"]["schemas"]


def test_answers_are_as_documented(served: Served) -> None:
    """An answer and a refusal of each kind satisfy the schemas they are documented with; a wrong one does not."""
    found = document()

    def check(name: str, body: Any) -> None:
        schema = {"$ref": f"#/components/schemas/{name}", "components": found["components"]}
        jsonschema.Draft202012Validator(schema).validate(body)

    call, tools = {"tool": "big"}, ("big", "report", "basic")
    check("DecisionAnswer", served.acme.post("/v1/check", call).json)
    check("BatchAnswer", served.acme.post("/v1/check/batch", {"calls": [{"tool": each} for each in tools]}).json)
    check("ReservationAnswer", served.acme.post("/v1/reservations", call, once="r").json)
    check("ReleaseAnswer", served.acme.post("/v1/reservations/r/release", {}).json)
    check("BalanceAnswer", served.acme.get("/v1/balance").json)
    check("BalanceAnswer", served.rival.get("/v1/balance").json)
    check("EntriesAnswer", served.acme.get("/v1/entries").json)
    check("CatalogAnswer", served.acme.get("/v1/catalog").json)
    check("TenantsAnswer", served.operator.get("/v1/tenants").json)
    for refused in (
        served.acme.post("/v1/consume", {**call, "quantity": 99}),
        served.rival.post("/v1/consume", call),
        served.acme.post("/v1/consume", b"{"),
        served.stranger.get("/v1/balance"),
        served.acme.get("/nothing"),
    ):
        check("Problem", refused.json)
    try:
        check("DecisionAnswer", {**served.acme.post("/v1/check", call).json, "cost": 10})
    except jsonschema.ValidationError:
        return
    raise AssertionError("a number passed for a decimal")
