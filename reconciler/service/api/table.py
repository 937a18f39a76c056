"""All operations of the API, in the order in which routes are tried."""

from starlette.routing import Route

from reconciler.service.api import entitlements, figures, operator, reports, selling, webhooks, working
from reconciler.service.api.operation import Operation, routes_of
from reconciler.service.service import Service

OPERATIONS: tuple[Operation, ...] = (
    *entitlements.OPERATIONS,
    *operator.OPERATIONS,
    *selling.OPERATIONS,
    *reports.OPERATIONS,
    *working.OPERATIONS,
    *webhooks.OPERATIONS,
    *figures.OPERATIONS,
)


def routes(service: Service) -> tuple[Route, ...]:
    """Return the routes of the API."""
    return routes_of(service, OPERATIONS)
