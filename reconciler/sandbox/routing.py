"""Where a request leads: method and path to a family, a route and the ids in the path."""

import re
from collections import defaultdict
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


_Entry = tuple[re.Pattern[str], Family, Route]


def _routes() -> Mapping[tuple[str, int], list[_Entry]]:
    """Return the routes by method and number of slashes, those with the fewest ids first.

    So ``/v1/products/search`` is not the product called search.
    """
    routes: dict[tuple[str, int], list[_Entry]] = defaultdict(list)
    every = [(family, route) for family in FAMILIES.values() for route in family.routes]
    for family, route in sorted(every, key=lambda each: each[1].pattern.count("{")):
        pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", route.pattern))
        routes[route.method, route.pattern.count("/")].append((pattern, family, route))
    return routes


_ROUTES = _routes()


def find(method: str, path: str) -> Target:
    """Return where a request leads; raise Stripe's 404 if nowhere."""
    for pattern, family, route in _ROUTES.get((method, path.count("/")), ()):
        if match := pattern.fullmatch(path):
            return Target(family, route, {name: unquote(value) for name, value in match.groupdict().items()})
    raise unrecognized_url(method, path)
