"""Routes of operations: figures for Prometheus, and the document of the API."""

import asyncio
import hmac
import json

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from reconciler.service.guard import OPERATION
from reconciler.service.identity import require_operator
from reconciler.service.identity.keys import sha256_of
from reconciler.service.openapi import document
from reconciler.service.operations.health import routes as health
from reconciler.service.operations.metrics import CONTENT_TYPE
from reconciler.service.service import Service


def routes(service: Service) -> tuple[Route, ...]:
    """Return the routes of operations."""

    async def metrics(request: Request) -> Response:
        request.scope[OPERATION] = ("operations", "metrics")
        if not _scraper(service, request.headers.get("authorization", "")):
            require_operator(request)
        return Response(await asyncio.to_thread(service.metrics.text), media_type=CONTENT_TYPE)

    async def openapi(request: Request) -> Response:
        request.scope[OPERATION] = ("operations", "openapi")
        return Response(json.dumps(document()), media_type="application/json")

    return *health(service), Route("/metrics", metrics), Route("/openapi.json", openapi)


def _scraper(service: Service, authorization: str) -> bool:
    """Tell whether a request has the key that reads the figures and nothing else."""
    kind, _, secret = authorization.partition(" ")
    known = service.settings.metrics_key
    return known is not None and kind.lower() == "bearer" and hmac.compare_digest(sha256_of(secret), known)
