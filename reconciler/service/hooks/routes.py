"""``POST /v1/webhooks/stripe``: the raw body is proven, kept, and only then acknowledged.

Stripe takes any 2xx for received and tries everything else again (https://docs.stripe.com/webhooks#behaviors).
"""

import asyncio

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from reconciler.diagnostics import UsageError
from reconciler.ledger.base import LedgerError
from reconciler.provider.webhooks.signature import NotAnEventError, SignatureError
from reconciler.service.guard import OPERATION
from reconciler.service.problems import ProblemError
from reconciler.service.service import Service

PATH = "/v1/webhooks/stripe"
_SIGNATURE = "stripe-signature"


def routes(service: Service) -> tuple[Route, ...]:
    """Return the route that Stripe posts to."""

    async def receive(request: Request) -> Response:
        request.scope[OPERATION] = ("webhooks", "receive")
        hooks = service.hooks
        if hooks is None or not hooks.receives:
            raise ProblemError(404, "not_found", "This service takes no webhooks: it has no secret to prove them with.")
        given = request.headers.getlist(_SIGNATURE)
        raw = await request.body()
        try:
            receipt = await asyncio.to_thread(hooks.inbox.receive, raw, given[0] if len(given) == 1 else None)
        except (SignatureError, NotAnEventError, UsageError) as error:
            raise ProblemError(400, "invalid_webhook", f"{error.message}.", title="Not a webhook of Stripe's") from None
        except LedgerError as error:
            detail = "The webhook was not kept; it has to come again."
            raise ProblemError(503, "store_unavailable", detail, headers={"Retry-After": "5"}) from error
        return JSONResponse({"id": receipt.id, "state": receipt.state, "duplicate": receipt.duplicate})

    return (Route(PATH, receive, methods=["POST"]),)
