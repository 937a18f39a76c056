"""The ASGI app: every room's routes, behind one outer layer."""

from starlette.routing import BaseRoute, Router

from reconciler.service.api import table
from reconciler.service.buying import routes as buying
from reconciler.service.dashboard import routes as dashboard
from reconciler.service.guard import Guard
from reconciler.service.hooks import routes as hooks
from reconciler.service.limits import Receive, Scope, Send
from reconciler.service.operations import pages
from reconciler.service.problems import ProblemError
from reconciler.service.service import Service


class ServiceApp:
    """An ASGI app, to be run by itself or mounted under a prefix of another one.

    Mounted, ``service.start()`` and ``service.stop()`` are the outer app's to call.
    """

    def __init__(self, service: Service) -> None:
        self.service = service
        self.routes = routes_of(service)
        self._router = Router(self.routes, redirect_slashes=False, default=_nothing)
        self._guard = Guard(self._route, service)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or take part in the life of the server."""
        await self._guard(scope, receive, send)

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        # A route that does not know a method raises then, where otherwise it would answer in its own way.
        scope["app"] = self
        scope.pop("router", None)
        await self._router(scope, receive, send)


def routes_of(service: Service) -> list[BaseRoute]:
    """Return all routes of the service, a line for each room."""
    return [
        *hooks.routes(service),
        *table.routes(service),
        *pages.routes(service),
        *buying.routes(service),
        *dashboard.routes(service),
    ]


def create_app(service: Service) -> ServiceApp:
    """Return the app of a service."""
    return ServiceApp(service)


async def _nothing(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise ProblemError(404, "not_found", "There is nothing at this path.")
