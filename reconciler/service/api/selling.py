"""Pages of Stripe on which a tenant pays: by ids of the files, never by a price, an amount or a customer."""

import logging
from collections.abc import Callable
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, model_validator

from reconciler.diagnostics import ReconcilerError
from reconciler.entitlements.periods import SECOND
from reconciler.provider.payments import Choice, Page, PageError, Payments, UnavailableError
from reconciler.service.api.answers import moment
from reconciler.service.api.model import Closed, Name, Url
from reconciler.service.api.operation import Asked, Operation
from reconciler.service.identity import Principal
from reconciler.service.problems import ProblemError, invalid
from reconciler.service.service import BusyError
from reconciler.service.settings import Settings

log = logging.getLogger("reconciler.service")
_MOST = 10**6
_LOCAL = frozenset({"127.0.0.1", "::1", "localhost"})
_HTTPS_PORT = 443

_NULL: dict[str, JsonValue] = {"type": "null"}


class Wanted(Closed):
    """What is bought: a plan, at one of its prices or that of an interval, or a credit pack: all ids of the files."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {"required": ["plan"], "properties": {"plan": {"not": _NULL}, "pack": _NULL}},
                {"required": ["pack"], "properties": {"pack": {"not": _NULL}, "plan": _NULL}},
            ]
        }
    )

    tenant: Name | None = Field(None, description="The tenant. An operator names it.")
    plan: Name | None = None
    price: Name | None = Field(None, description="Id of one of the plan's prices.")
    interval: Literal["day", "week", "month", "year"] | None = None
    pack: Name | None = None
    quantity: Annotated[int, Field(ge=1, le=_MOST)] | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.plan is None) == (self.pack is None):
            raise ValueError("name a plan or a pack")
        return self

    def choice(self) -> Choice:
        """Return it as the desk takes it."""
        return Choice(self.plan, self.price, self.interval, self.pack, self.quantity)


class CheckoutAsked(Wanted):
    """A purchase, and where its page leads back to."""

    success_url: Url
    cancel_url: Url | None = None


class PortalAsked(Closed):
    """Whose portal is opened, and where it leads back to."""

    tenant: Name | None = Field(None, description="The tenant. An operator names it.")
    return_url: Url | None = None


class PageAnswer(BaseModel):
    """A page of Stripe. ``simulated`` says that the sandbox is used: nothing is paid there."""

    id: str
    kind: Literal["checkout.session", "payment_link", "billing_portal.session"]
    url: str | None
    tenant: str
    sells: str | None
    state: str
    livemode: bool
    simulated: bool
    expires_at: AwareDatetime | None
    key: str | None
    notes: list[str]


def _page(found: Page) -> dict[str, Any]:
    kept = ("id", "kind", "url", "tenant", "sells", "state", "livemode", "simulated", "key")
    expires = None if found.expires_at is None else found.expires_at * SECOND
    return {
        **{name: getattr(found, name) for name in kept},
        "expires_at": moment(expires),
        "notes": list(found.notes),
    }


async def _checkout(asked: Asked) -> dict[str, Any]:
    body: CheckoutAsked = asked.body
    tenant = asked.tenant(body.tenant)
    for name, url in (("success_url", body.success_url), ("cancel_url", body.cancel_url)):
        if url is not None:
            check_return(asked.service.settings, url, f"/{name}")
    return await _sold(
        asked,
        lambda desk: desk.checkout(
            tenant, body.choice(), success_url=body.success_url, cancel_url=body.cancel_url, key=asked.key
        ),
    )


async def _link(asked: Asked) -> dict[str, Any]:
    body: Wanted = asked.body
    tenant = asked.tenant(body.tenant)
    return await _sold(asked, lambda desk: desk.link(tenant, body.choice()))


async def _portal(asked: Asked) -> dict[str, Any]:
    body: PortalAsked = asked.body
    tenant = asked.tenant(body.tenant)
    if body.return_url is not None:
        check_return(asked.service.settings, body.return_url, "/return_url")
    return await _sold(asked, lambda desk: desk.portal(tenant, return_url=body.return_url))


def check_return(settings: Settings, url: str, pointer: str) -> None:
    """Refuse an address a page may not lead back to: one of another origin than the allowed ones, or not https.

    This machine may be named with http.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise invalid("This is not an address.", pointer) from None
    host = (parts.hostname or "").lower()
    if not host or not url.isascii() or any(sign in url for sign in "\\ ") or "@" in parts.netloc:
        raise invalid("This is not an address.", pointer)
    if parts.scheme == "http" and settings.local_returns and host in _LOCAL:
        return
    shown = f"[{host}]" if ":" in host else host
    origin = f"{parts.scheme}://{shown}" + (f":{port}" if port not in (None, _HTTPS_PORT) else "")
    secure = parts.scheme == "https" or (parts.scheme == "http" and host in _LOCAL)
    if not secure or origin not in settings.return_origins:
        raise invalid("Pages do not lead back to this origin; the service allows others.", pointer)


async def _sold(asked: Asked, sell: Callable[[Payments], Page]) -> dict[str, Any]:
    """Let the desk sell, apart from the threads that read ledgers: Stripe may be slow."""
    service, desk = asked.service, asked.service.payments
    if desk is None:
        raise ProblemError(503, "payments_unavailable", "This service has no Stripe account.", title=_TITLES["none"])
    try:
        return _page(await service.slowly(asked.principal.name, lambda: sell(desk)))
    except BusyError:
        detail = "Too many pages are being made at once."
        raise ProblemError(503, "payments_unavailable", detail, headers={"Retry-After": "5"}) from None
    except ReconcilerError as error:
        raise _problem(error, asked.principal) from None


def _problem(error: ReconcilerError, principal: Principal) -> ProblemError:
    """Return what went wrong as a problem; what is between the operator and Stripe is told to operators only."""
    shown, headers = error.message, {}
    if isinstance(error, PageError) and error.conflict:
        status, code = 422, "key_conflict"
    elif isinstance(error, PageError) and error.ambiguous:
        status, code, headers = 503, "page_unknown", {"Retry-After": "5"}
    elif isinstance(error, UnavailableError):
        status, code, headers = 503, "payments_unavailable", {"Retry-After": "30"}
    else:
        status, code = _STATUS.get(error.code, (502, "payments_failed"))
        if code in _INTERNAL:
            log.error("nothing was sold: %s", error.message, extra={"code": error.code})
            shown = shown if principal.kind == "operator" else ""
    return ProblemError(status, code, shown, title=_TITLES[code], headers=headers, error_code=error.code)


_INTERNAL = frozenset({"not_applied", "several_customers", "payments_failed"})
_STATUS = {
    "E1402": (502, "page_refused"),
    "E1404": (409, "page_expired"),
    "E1405": (404, "not_for_sale"),
    "E1406": (409, "not_applied"),
    "E1407": (409, "several_customers"),
    "E1408": (409, "subscribed_already"),
    "E1409": (409, "no_customer"),
}
_TITLES = {
    "none": "Nothing is sold here",
    "key_conflict": "The key was used for another request",
    "not_for_sale": "Not for sale",
    "subscribed_already": "Subscribed already",
    "payments_unavailable": "Stripe does not answer",
    "page_unknown": "Whether the page was made is not known",
    "page_refused": "Stripe refuses to make the page",
    "page_expired": "The page has expired",
    "not_applied": "Not on sale at Stripe yet",
    "several_customers": "Several customers of one tenant",
    "no_customer": "The tenant has not bought anything yet",
    "payments_failed": "Stripe failed",
}


_PROBLEMS = (403, 404, 409, 422, 502, 503)
OPERATIONS = (
    Operation(
        "checkout",
        "POST",
        "/v1/checkout",
        "Open a page on which a tenant buys a plan or a pack",
        _checkout,
        PageAnswer,
        "payments",
        "checkout",
        body=CheckoutAsked,
        key="optional",
        problems=_PROBLEMS,
        description="The same key finds the same page for a day.",
    ),
    Operation(
        "paymentLink",
        "POST",
        "/v1/payment-links",
        "Give a tenant a payment link",
        _link,
        PageAnswer,
        "payments",
        "payment_link",
        body=Wanted,
        problems=_PROBLEMS,
    ),
    Operation(
        "portal",
        "POST",
        "/v1/portal",
        "Open a page on which a tenant looks after its subscription",
        _portal,
        PageAnswer,
        "payments",
        "portal",
        body=PortalAsked,
        problems=_PROBLEMS,
    ),
)
