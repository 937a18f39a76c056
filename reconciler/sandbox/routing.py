"""Where a request leads: method and path to a family, a route and the ids in the path."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from reconciler.sandbox.errors import unrecognized_url
from reconciler.sandbox.families import FAMILIES
from reconciler.sandbox.objects.base import Family, Route


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request leads."""

    family: Family
    route: Route
    ids: Mapping[str, str]


def _routes() -> list[tuple[str, re.Pattern[str], Family, Route]]:
    """Return the routes, those without ids first: ``/v1/products/search`` is not the product called search."""
    routes = [
        (route.method, re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", route.pattern)), family, route)
        for family in FAMILIES.values()
        for route in family.routes
    ]
    return sorted(routes, key=lambda each: each[3].pattern.count("{"))


_ROUTES = _routes()


def find(method: str, path: str) -> Target:
    """Return where a request leads; raise Stripe's 404 if nowhere."""
    for route_method, pattern, family, route in _ROUTES:
        if route_method == method and (match := pattern.fullmatch(path)):
            return Target(family, route, {name: unquote(value) for name, value in match.groupdict().items()})
    raise unrecognized_url(method, path)
