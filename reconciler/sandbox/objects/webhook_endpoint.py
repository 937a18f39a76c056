"""Webhook endpoints (https://docs.stripe.com/api/webhook_endpoints): who is told of which events.

Stripe refuses addresses of the loopback; the sandbox takes them, because it delivers to nothing else unless told so.
"""

from urllib.parse import urlsplit

from reconciler.sandbox.delivery import forget, tell
from reconciler.sandbox.errors import invalid, missing, not_modelled
from reconciler.sandbox.lists import page
from reconciler.sandbox.objects.base import Call, Family, Route, overlay, retrieve
from reconciler.sandbox.store import EVERYTHING, Window
from reconciler.sandbox.version import API_VERSION
from reconciler.sandbox.wire import Obj

#: "Register up to 16 webhook endpoints on each Stripe account" (https://docs.stripe.com/webhooks).
MAX_ENDPOINTS = 16
_MUTABLE = ("description", "enabled_events", "metadata", "url")
_ALL = Window(MAX_ENDPOINTS, from_oldest=True)


def check_url(url: str, param: str) -> None:
    """Refuse what is no address of the web; without a scheme it is ``url_invalid`` (https://docs.stripe.com/error-codes)."""
    try:
        parts = urlsplit(url)
        whole = parts.scheme in {"http", "https"} and parts.hostname and (parts.port or 1)
    except ValueError:
        whole = False
    if not whole or any(not character.isprintable() or character == " " for character in url):
        raise invalid('Invalid URL: it must be complete and begin with "http://" or "https://".', param, "url_invalid")


def _check(call: Call) -> None:
    params = call.params
    if "url" in params:
        check_url(params["url"], "url")
    if params.get("enabled_events") == []:
        raise missing("enabled_events")
    if params.get("connect"):
        raise not_modelled("connected accounts, so no endpoint can be told of theirs", "connect")
    if params.get("api_version", API_VERSION) != API_VERSION:
        raise not_modelled(f"API versions other than {API_VERSION}", "api_version")


def _create(call: Call) -> Obj:
    """Create an endpoint; its secret is shown in this reply only."""
    _check(call)
    if len(call.tx.page(FAMILY.kind, [EVERYTHING], _ALL)) >= MAX_ENDPOINTS:
        raise invalid(f"You have reached the maximum of {MAX_ENDPOINTS} webhook endpoints.")
    secret = call.new_id("whsec_", 32)
    empty = call.fill(FAMILY, call.new_id("we_1", 23), _secret=secret, api_version=call.params.get("api_version"))
    return {**call.create(FAMILY, overlay(empty, call.params, _MUTABLE)), "secret": secret}


def _update(call: Call) -> Obj:
    _check(call)
    row = call.row()
    changed = overlay(row.body, call.params, _MUTABLE)
    if "disabled" in call.params:
        changed["status"] = "disabled" if call.params["disabled"] else "enabled"
    return call.save(FAMILY, row, changed)


def _delete(call: Call) -> Obj:
    row = call.row()
    forget(call.tx, row.body)
    return call.delete(FAMILY, row)


def _list(call: Call) -> Obj:
    return page(call, FAMILY)


FAMILY = Family(
    kind="webhook_endpoint",
    noun="webhook endpoint",
    missing_param="webhook_endpoint",
    emits_events=False,
    reacts={"event.created": tell, "v2.core.event.created": tell},
    template={
        "object": "webhook_endpoint",
        "api_version": None,
        "application": None,
        "created": 0,
        "description": None,
        "enabled_events": [],
        "livemode": False,
        "metadata": {},
        "status": "enabled",
        "url": "",
    },
    routes=(
        Route("POST", "/v1/webhook_endpoints", "WebhookEndpointCreateParams", _create),
        Route("GET", "/v1/webhook_endpoints", "WebhookEndpointListParams", _list, lists=True),
        Route("GET", "/v1/webhook_endpoints/{id}", "WebhookEndpointRetrieveParams", retrieve),
        Route("POST", "/v1/webhook_endpoints/{id}", "WebhookEndpointUpdateParams", _update),
        Route("DELETE", "/v1/webhook_endpoints/{id}", "WebhookEndpointDeleteParams", _delete),
    ),
)
