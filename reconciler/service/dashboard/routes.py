"""The routes of the pages, below the root of the app."""

from collections.abc import Mapping
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from reconciler.ledger.entry import well_named
from reconciler.service.dashboard import reading
from reconciler.service.dashboard.acts import DONE, Acts
from reconciler.service.dashboard.catalogue import catalogue_page
from reconciler.service.dashboard.desk import Desk, Visit, WrongError, form_of, html, own_origin
from reconciler.service.dashboard.overview import overview_page
from reconciler.service.dashboard.places import history_page, inbox_page, signin_page
from reconciler.service.dashboard.sessions import COOKIE, LASTS
from reconciler.service.dashboard.tenant import tenant_page
from reconciler.service.dashboard.tenants import tenants_page
from reconciler.service.figures.listing import SORTS, Order, Place
from reconciler.service.guard import OPERATION
from reconciler.service.service import Service

_QUERY = 100
_LARGEST = 2**62


def routes(service: Service) -> tuple[Route, ...]:
    """Return the routes of the dashboard."""
    desk = Desk(service)
    pages, acts = Pages(desk), Acts(desk)
    return (
        Route("/", desk.page("overview", pages.overview), methods=["GET"]),
        Route("/signin", pages.signin, methods=["GET", "POST"]),
        Route("/signout", desk.act("signout", pages.signed_out), methods=["POST"]),
        Route("/tenants", desk.page("tenants", pages.tenants), methods=["GET"]),
        Route("/tenant", desk.page("tenant", pages.tenant), methods=["GET"]),
        Route("/tenant/grant", desk.act("grant", acts.grant), methods=["POST"]),
        Route("/tenant/adjust", desk.act("adjust", acts.adjust), methods=["POST"]),
        Route("/webhooks", desk.page("webhooks", pages.webhooks), methods=["GET"]),
        Route("/webhooks/replay", desk.act("replay", acts.replay), methods=["POST"]),
        Route("/history", desk.page("history", pages.history), methods=["GET"]),
        Route("/catalogue", desk.page("catalogue", pages.catalogue), methods=["GET"]),
    )


class Pages:
    """Answers with pages that are read."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._service = desk.service

    def overview(self, visit: Visit) -> Response:
        """Answer with the first page."""
        known = reading.overview(self._desk.figures, reading.more_states(self._service))
        return html(overview_page(visit.seat, known))

    def tenants(self, visit: Visit) -> Response:
        """Answer with a page of tenants."""
        order, after = _order(visit.query), _place(visit.query)
        query = "".join(filter(str.isprintable, visit.query.get("q", ""))).strip()[:_QUERY]
        return html(tenants_page(visit.seat, reading.tenants_of(self._desk.figures, order, query, after)))

    def tenant(self, visit: Visit) -> Response:
        """Answer with a tenant's page."""
        name, before = visit.query.get("id", ""), _number(visit.query.get("before"))
        done = DONE.get(visit.query.get("done", ""), "")
        service, store = self._service, self._desk.figures
        known = well_named(name)
        view = reading.tenant(service.runtime, store, service.catalog, name, before, done) if known else None
        if view is None:
            raise WrongError(404, "No such tenant", "Neither the files nor the ledger know this tenant.")
        return html(tenant_page(visit.seat, view))

    def catalogue(self, visit: Visit) -> Response:
        """Answer with the page of the catalogue."""
        catalog = self._service.catalog
        digest = self._service.runtime.policy.config_digest
        file = None if catalog is None else catalog.file
        return html(catalogue_page(visit.seat, file, digest, reading.account_states(self._desk.figures)))

    def webhooks(self, visit: Visit) -> Response:
        """Answer with a page of the inbox."""
        done = DONE.get(visit.query.get("done", ""), "")
        before = _number(visit.query.get("before"))
        return html(inbox_page(visit.seat, reading.inbox(self._service, before, done)))

    def history(self, visit: Visit) -> Response:
        """Answer with the applies of the files."""
        return html(history_page(visit.seat, reading.applies(self._service.settings.history)))

    async def signin(self, request: Request) -> Response:
        """Show the form that takes an operator's key, or take one and begin a session."""
        request.scope[OPERATION] = ("dashboard", "signin")
        seat = self._desk.seat(request)
        if request.method != "POST":
            return html(signin_page(seat))
        try:
            own_origin(request)
        except WrongError as wrong:
            return html(signin_page(seat, wrong.words), wrong.status)
        key = (await form_of(request)).get("key", "").strip()
        found = self._service.credentials.by_key(key) if key else None
        if found is None or found.kind != "operator":
            return html(signin_page(seat, "This is not the key of an operator."), HTTPStatus.FORBIDDEN)
        token = self._desk.sessions.open(found.key_id)
        answer = RedirectResponse(seat.to(""), HTTPStatus.SEE_OTHER)
        secure = request.url.scheme == "https" or request.headers.get("x-forwarded-proto") == "https"
        answer.set_cookie(
            COOKIE,
            token,
            max_age=LASTS // 1_000_000,
            path=seat.root or "/",
            secure=secure,
            httponly=True,
            samesite="strict",
        )
        return answer

    def signed_out(self, visit: Visit) -> Response:
        """End the session."""
        self._desk.sessions.end(visit.token)
        answer = RedirectResponse(visit.seat.to("signin"), HTTPStatus.SEE_OTHER)
        answer.delete_cookie(COOKIE, visit.seat.root or "/")
        return answer


def _order(query: Mapping[str, str]) -> Order:
    by = query.get("sort", "tenant")
    return Order(by if by in SORTS else "tenant", query.get("dir") == "down")


def _place(query: Mapping[str, str]) -> Place | None:
    """Return the place a page begins behind; a value that is none begins it anew."""
    if "after" not in query:
        return None
    by, value, currency = query.get("sort", "tenant"), query.get("at"), query.get("currency", "")
    if not all(map(str.isprintable, (query["after"], value or "", currency))):
        return None
    if by in ("tenant", "plan"):
        return Place(query["after"], value)
    number = _number(value)
    return None if number is None else Place(query["after"], number, currency)


def _number(text: str | None) -> int | None:
    digits = (text or "").removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > len(str(_LARGEST)):
        return None
    return max(min(int(text or ""), _LARGEST), -_LARGEST)
