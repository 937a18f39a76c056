"""What Stripe has and the sandbox does not model is refused, never ignored."""

from dataclasses import replace

import pytest

from reconciler.sandbox import routing
from reconciler.sandbox.families import FAMILIES
from reconciler.sandbox.objects.base import unmodelled
from reconciler.sandbox.params import schema

ROUTES = [route for family in FAMILIES.values() for route in family.routes]


@pytest.fixture
def product_creation(monkeypatch):
    """Return a function that changes the route that creates products."""

    def change(**fields):
        find, target = routing.find, routing.find("POST", "/v1/products")
        changed = replace(target, route=replace(target.route, **fields))
        monkeypatch.setattr(routing, "find", lambda *asked: changed if (found := find(*asked)) == target else found)

    return change


def test_a_refused_parameter_is_named(api, product_creation):
    """A parameter that is not modelled is a 400 that names it, nothing is stored; without it the request works."""
    product_creation(refused=frozenset({"url"}))
    error = api.refused("POST", "/v1/products", {"name": "x", "url": "https://example.com"}, idempotency_key="k")
    assert (error["status"], error["code"], error["param"]) == (400, "sandbox_not_modelled", "url")
    assert api.ids("/v1/products") == []
    assert api.post("/v1/products", {"name": "x"}, idempotency_key="k")["url"] is None


def test_an_unknown_parameter_comes_before_a_refused_one(api, product_creation):
    """What Stripe does not have is refused as Stripe does, whatever else is in the request."""
    product_creation(refused=frozenset({"url"}))
    error = api.refused("POST", "/v1/products", {"name": "x", "url": "https://example.com", "nope": "1"})
    assert error["code"] == "parameter_unknown"


def test_a_route_that_is_not_modelled_is_refused(api, product_creation):
    """A whole request that is not modelled says so, and is not an unknown URL."""
    product_creation(handler=unmodelled)
    error = api.refused("POST", "/v1/products", {"name": "x"})
    assert (error["status"], error["code"]) == (400, "sandbox_not_modelled")


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.pattern}")
def test_declared_names_are_parameters_of_their_route(route):
    """Refused and accepted names are parameters of the installed SDK's type, and none is both."""
    members = schema(route.params).members
    assert route.refused <= members.keys()
    assert route.accepted <= members.keys()
    assert not route.refused & route.accepted
