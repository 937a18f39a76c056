"""Requests for pages: who asks, by cookie or key; what a form says; and answers as HTML, whatever is wrong."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from reconciler.diagnostics import ReconcilerError
from reconciler.ledger.annex import AnnexStore
from reconciler.ledger.base import StoreUnavailableError
from reconciler.service.dashboard.places import wrong_page
from reconciler.service.dashboard.sessions import COOKIE, Session, Sessions, same
from reconciler.service.dashboard.shell import Seat
from reconciler.service.dashboard.style import POLICY
from reconciler.service.figures.tables import prepared
from reconciler.service.guard import OPERATION
from reconciler.service.identity import require_operator
from reconciler.service.service import Service

_FIELDS, _FORM = 20, 16 * 1024
_URLENCODED = "application/x-www-form-urlencoded"


class WrongError(Exception):
    """A request that cannot be answered as asked, with what to tell the person."""

    def __init__(self, status: int, title: str, words: str) -> None:
        super().__init__(words)
        self.status = status
        self.title = title
        self.words = words


@dataclass(frozen=True)
class Visit:
    """A request of an operator: from where it looks, who it is, what it asks, and what a form of it says."""

    seat: Seat
    operator: str
    query: Mapping[str, str]
    form: Mapping[str, str]
    token: str = ""


#: Makes an answer of a visit; it may read and write, and runs in a thread.
Answer = Callable[[Visit], Response]
Endpoint = Callable[[Request], Awaitable[Response]]


class Desk:
    """Lets operators in, and nobody else."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.store = service.runtime.ledger.store

    @cached_property
    def sessions(self) -> Sessions:
        """The sessions; their table is made when the first page is asked for."""
        return Sessions(self.store)

    @cached_property
    def figures(self) -> AnnexStore:
        """The store with the tables of figures, made as above."""
        return prepared(self.store)

    def page(self, name: str, answer: Answer) -> Endpoint:
        """Return the endpoint of a page that is read."""
        return self._endpoint(name, answer, writes=False)

    def act(self, name: str, answer: Answer) -> Endpoint:
        """Return the endpoint of a form that changes something."""
        return self._endpoint(name, answer, writes=True)

    def _endpoint(self, name: str, answer: Answer, *, writes: bool) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            request.scope[OPERATION] = ("dashboard", name)
            form = await form_of(request) if writes else {}
            return await asyncio.to_thread(self._answered, request, form, answer, writes=writes)

        return endpoint

    def _answered(self, request: Request, form: Mapping[str, str], answer: Answer, *, writes: bool) -> Response:
        seat = self.seat(request)
        try:
            found = self._who(request, form, writes=writes)
            if found is None:
                return RedirectResponse(seat.to("signin"), HTTPStatus.SEE_OTHER)
            seat = seat._replace(csrf=found.csrf)
            token = request.cookies.get(COOKIE, "")
            return answer(Visit(seat, found.operator, dict(request.query_params), form, token))
        except WrongError as wrong:
            return html(wrong_page(seat, wrong.title, wrong.words, signed_in=bool(seat.csrf)), wrong.status)
        except StoreUnavailableError:
            words = "The ledger cannot be reached at the moment. Whether something was written is not known."
            return html(wrong_page(seat, "Not available", words, signed_in=False), HTTPStatus.SERVICE_UNAVAILABLE)
        except ReconcilerError as error:
            return html(wrong_page(seat, "Not possible", error.message, signed_in=bool(seat.csrf)), HTTPStatus.CONFLICT)

    def _who(self, request: Request, form: Mapping[str, str], *, writes: bool) -> Session | None:
        """Return who asks; a form has to be of a page of that session, unless a key stands for the request itself."""
        if "authorization" in request.headers:
            return Session(require_operator(request).key_id, "")
        found = self.sessions.find(request.cookies.get(COOKIE, ""))
        if found is not None and found.operator not in self.service.settings.operator_keys:
            return None
        if found is not None and writes:
            own_origin(request)
            if not same(form.get("csrf", ""), found.csrf):
                raise WrongError(
                    403, "Not sent", "The form is not one of this session. Load the page again, and send it."
                )
        return found

    def seat(self, request: Request) -> Seat:
        """Return from where a request looks."""
        return Seat(request.scope.get("root_path", ""), "", self.store.now())


def own_origin(request: Request) -> None:
    """Refuse a form that another place has sent; browsers say so, in one header or the other."""
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site", "same-origin")
    if site not in ("same-origin", "none") or (
        origin is not None and urlsplit(origin).netloc != request.headers.get("host")
    ):
        raise WrongError(403, "Not sent", "The form was sent from another place.")


async def form_of(request: Request) -> Mapping[str, str]:
    """Return the fields of a form, each once; a page that says so for anything else."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await request.body()
    if kind != _URLENCODED or len(body) > _FORM:
        return {}
    try:
        return dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=_FIELDS, errors="strict"))
    except ValueError:
        return {}


def html(text: str, status: int = 200) -> HTMLResponse:
    """Answer with a page, under the policy of all pages."""
    # Without a referrer browsers send forms as from nowhere (``Origin: null``), which no page of ours is.
    headers = {"content-security-policy": POLICY, "referrer-policy": "same-origin"}
    return HTMLResponse(text, status, headers)
