"""The published statement of what the sandbox does: complete, true to the code, equal to the committed file."""

from dataclasses import fields
from pathlib import Path

import pytest

from reconciler.sandbox import Settings, fidelity
from reconciler.sandbox.families import FAMILIES
from reconciler.sandbox.objects.base import unmodelled
from reconciler.sandbox.params import schema

STATEMENT = Path(__file__).parents[2] / "docs" / "sandbox-fidelity.md"
ENTRIES = [entry for group in fidelity.entries().values() for entry in group]


def test_no_route_is_missing():
    """Every request that the SDK's service classes can make for these objects has a route."""
    assert [f"{entry.method} {entry.path}" for entry in fidelity.missing()] == []
    assert len(ENTRIES) > 200


def test_a_missing_route_would_be_named(monkeypatch):
    """Positive control: without one family its routes are missing, and those alone."""
    fidelity._own_routes.cache_clear()
    monkeypatch.setattr(fidelity, "FAMILIES", {kind: FAMILIES[kind] for kind in FAMILIES if kind != "coupon"})
    lost = {(entry.method, entry.path) for entry in fidelity.missing()}
    fidelity._own_routes.cache_clear()
    assert lost == {
        ("POST", "/v1/coupons"),
        ("GET", "/v1/coupons"),
        *((method, "/v1/coupons/{coupon}") for method in ("GET", "POST", "DELETE")),
    }


def test_every_service_has_requests():
    """The names of the services are those of the SDK: each one's requests are found."""
    assert all(fidelity.entries().values())


@pytest.mark.parametrize("entry", [entry for entry in ENTRIES if entry.modelled], ids=lambda e: f"{e.method} {e.path}")
def test_a_parameter_is_said_once(entry):
    """Implemented, accepted and refused share nothing and are the route's parameters."""
    said = [*entry.implemented, *entry.accepted, *entry.refused]
    assert len(said) == len(set(said))
    route = fidelity._own_routes()[entry.method, fidelity._ID.sub("{}", entry.path)]
    assert set(said) | fidelity._EVERYWHERE >= set(schema(route.params).members)


def test_refused_routes_are_said_to_be():
    """A route whose handler refuses everything is not called implemented."""
    refusing = sum(route.handler is unmodelled for family in FAMILIES.values() for route in family.routes)
    assert refusing >= sum(not entry.modelled for entry in ENTRIES) > 0


def test_every_setting_is_explained():
    """Each open point stands in the statement with its default and its meaning."""
    rows = [line for line in fidelity.statement().splitlines() if line.startswith("| `") and line.count("|") == 4]
    named = {line.split("`")[1] for line in rows}
    assert named == {field.name for field in fields(Settings)}


def test_the_statement_is_the_committed_one(request):
    """``docs/sandbox-fidelity.md`` is what the code says; write it anew with ``--update-expected``."""
    if request.config.getoption("--update-expected"):
        STATEMENT.write_text(fidelity.statement(), encoding="utf-8")
    assert STATEMENT.read_text(encoding="utf-8") == fidelity.statement()
