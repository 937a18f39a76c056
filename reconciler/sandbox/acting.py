"""Doing what a person asks for through the same routes that the API has, so that both mean the same."""

from dataclasses import replace
from typing import Any

from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.wire import Obj


def act(call: Call, method: str, pattern: str, object_id: str, **params: Any) -> Obj:
    """Execute a route by its method and pattern (``/v1/subscriptions/{id}``) with validated parameters."""
    for family in call.families.values():
        for route in family.routes:
            if (route.method, route.pattern) == (method, pattern):
                url = pattern.replace("{id}", object_id)
                return route.handler(replace(call, family=family, params=params, ids={"id": object_id}, url=url))
    raise LookupError(f"there is no route {method} {pattern}")
