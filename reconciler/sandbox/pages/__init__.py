"""The pages a person sees: payment links, checkout, invoices, the customer portal, the bank's question.

They speak HTML and forms, need no script, and do their work in one transaction like any request. Whoever knows a page's
name may use it; a form is taken only with the token that its page carries.
"""

import re
from collections.abc import Mapping

from reconciler.sandbox.billing import checkout as sessions
from reconciler.sandbox.billing.payments import CHALLENGE
from reconciler.sandbox.errors import ApiError
from reconciler.sandbox.objects import payment_link, portal_configuration, portal_session
from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.pages import challenge, checkout, invoice, link, login, portal
from reconciler.sandbox.pages.html import notice
from reconciler.sandbox.pages.visit import Page, Visit, read
from reconciler.sandbox.wire import Request, Response

PAGES: Mapping[str, Page] = {
    payment_link.PAGE: link.page,
    sessions.PAGE: checkout.page,
    sessions.INVOICE_PAGE: invoice.page,
    portal_session.PAGE: portal.page,
    portal_configuration.LOGIN: login.page,
    CHALLENGE: challenge.page,
}
_METHODS = ("GET", "POST")
_PATH = re.compile(rf"({'|'.join(map(re.escape, PAGES))})([A-Za-z0-9_]+)(/pdf)?")
_TITLES = {403: "This form has expired", 404: "Page not found", 405: "Not possible"}


def published(path: str) -> str | None:
    """Return the name under which a page's account is found, ``None`` for a path that is no page's."""
    match = _PATH.fullmatch(path)
    return match[1] + match[2] if match else None


def respond(call: Call, request: Request, query: str) -> Response:
    """Answer a request for a published page (``call.url`` is its path); refusals become pages too."""
    match = _PATH.fullmatch(call.url)
    if match is None or (match[3] and match[1] != sessions.INVOICE_PAGE):
        return refused(ApiError(404, "There is no such page."))
    if request.method not in _METHODS:
        return refused(ApiError(405, "Pages are read and posted to only."))
    answer = invoice.pdf if match[3] else PAGES[match[1]]
    try:
        with call.tx.attempt():
            return answer(Visit(call, request.method, match[2], read(request, query)))
    except ApiError as error:
        return refused(error)


def refused(error: ApiError) -> Response:
    """Return the page of a refusal."""
    return notice(_TITLES.get(error.status, "Something went wrong"), error.message, status=error.status)
