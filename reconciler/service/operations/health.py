"""Whether the process lives, and whether it can do its work."""

import asyncio
import time
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from reconciler.ledger.base import LedgerError
from reconciler.service.guard import OPERATION
from reconciler.service.service import Service

#: Seconds the ledger has to answer in.
_PATIENCE = 2.0


def routes(service: Service) -> tuple[Route, ...]:
    """Return the routes of health."""

    async def healthz(request: Request) -> Response:
        request.scope[OPERATION] = ("operations", "healthz")
        return JSONResponse({"status": "ok"})

    async def readyz(request: Request) -> Response:
        request.scope[OPERATION] = ("operations", "readyz")
        found = await readiness(service)
        status = HTTPStatus.OK if found["status"] == "ok" else HTTPStatus.SERVICE_UNAVAILABLE
        return JSONResponse(found, status)

    return Route("/healthz", healthz), Route("/readyz", readyz)


async def readiness(service: Service) -> dict[str, Any]:
    """Return ``ok`` or what is wrong: the ledger does not answer, a worker is missed, the service is ending."""
    ledger = "ok"
    try:
        async with asyncio.timeout(_PATIENCE):
            await asyncio.to_thread(service.runtime.ledger.store.balance, "reconciler")
    except (LedgerError, TimeoutError):
        ledger = "unavailable"
    now = time.monotonic()
    workers = {name: "ok" if now - beat.at <= beat.within else "missed" for name, beat in service.beats.items()}
    ending = service.stopping.is_set()
    good = ledger == "ok" and "missed" not in workers.values() and not ending
    return {
        "status": "ok" if good else "unavailable",
        "ledger": ledger,
        "policy": service.runtime.policy.revision,
        "workers": workers,
        "ending": ending,
    }
