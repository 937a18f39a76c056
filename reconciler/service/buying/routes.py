"""Routes of a purchase: the page is made by whoever looks, the session at Stripe only when somebody goes on to pay."""

import hashlib
import logging

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from reconciler.diagnostics import ReconcilerError
from reconciler.provider.payments import Choice, NotForSaleError, Page, PageError
from reconciler.service.buying import pages
from reconciler.service.buying.tokens import PATH, Shop, Wanted
from reconciler.service.service import BusyError, Service

log = logging.getLogger("reconciler.service")
_EXPIRED = "E1404"
#: Pages of a token and day that may be paid before another day has to come.
_MOST = 20
_OVER = "This link is not valid any more"


def routes(service: Service) -> tuple[Route, ...]:
    """Return the routes of the pages; none where nobody said where the public reaches the service."""
    if service.shop is None:
        return ()
    desk = _Desk(service, service.shop)
    return (
        Route(f"{PATH}/{{token}}", desk.look, methods=["GET"]),
        Route(f"{PATH}/{{token}}", desk.go, methods=["POST"]),
        Route(f"{PATH}/{{token}}/done", desk.done, methods=["GET"]),
    )


class _Desk:
    """Answers the addresses a shop writes."""

    def __init__(self, service: Service, shop: Shop) -> None:
        self._service = service
        self._shop = shop
        self._read = shop.tokens.read

    async def look(self, request: Request) -> Response:
        wanted = self._read(request.path_params["token"])
        found = pages.offer(self._service.runtime.policy, wanted) if wanted is not None else None
        if found is None:
            return _page(pages.refused(_OVER, "Make the call again: its refusal names what helps now."), 404)
        return _page(found)

    async def done(self, request: Request) -> Response:
        if self._read(request.path_params["token"]) is None:
            return _page(pages.refused(_OVER, "There is nothing left to do here."), 404)
        return _page(pages.thanks())

    async def go(self, request: Request) -> Response:
        token = request.path_params["token"]
        wanted = self._read(token)
        if wanted is None:
            return _page(pages.refused(_OVER, "Make the call again: its refusal names what helps now."), 404)
        try:
            page = await self._service.slowly(f"buy/{wanted.tenant}", lambda: self._open(token, wanted))
        except BusyError:
            return _page(pages.refused("The payment page cannot be opened", "Try again in a moment."), 503)
        except NotForSaleError as error:
            return _page(pages.refused("This cannot be bought now", error.message), 409)
        except ReconcilerError as error:
            # Anybody may look here: what is between the operator and Stripe, ids among it, stays in the log.
            log.error("no payment page: %s", error.message, extra={"code": error.code})  # noqa: TRY400  no traceback
            return _page(pages.refused("The payment page cannot be opened", "Try again in a moment."), 503)
        return RedirectResponse(page.url or "", 303)

    def _open(self, token: str, wanted: Wanted) -> Page:
        """Return the open page of today's purchase: the same again until it is paid, then the next."""
        payments = self._service.payments
        if payments is None:
            raise NotForSaleError("E1405", "nothing is sold here: the service has no account to sell through")
        here = self._shop.address(token)
        choice = Choice(pack=wanted.id) if wanted.kind == "pack" else Choice(plan=wanted.id)
        for number in range(_MOST):
            key = f"{PATH}/{hashlib.sha256(f'{self._shop.tokens.day} {here} {number}'.encode()).hexdigest()}"
            try:
                page = payments.checkout(wanted.tenant, choice, success_url=f"{here}/done", cancel_url=here, key=key)
            except PageError as error:
                # Of another price than today's, or over: neither is what is bought now.
                if error.code != _EXPIRED and not error.conflict:
                    raise
                continue
            if page.url is not None:
                return page
        raise NotForSaleError("E1405", f"this was bought {_MOST} times today")


def _page(text: str, status: int = 200) -> HTMLResponse:
    # A form's answer may lead to Stripe; browsers hold redirects to the policy of the page they began on.
    policy = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self' https: http:; frame-ancestors 'none'"
    return HTMLResponse(text, status, {"Content-Security-Policy": policy})
