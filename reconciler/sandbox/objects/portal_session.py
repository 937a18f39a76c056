"""Portal sessions: the address at which one customer manages their subscriptions (https://docs.stripe.com/api/customer_portal/sessions)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from reconciler.sandbox.acting import act
from reconciler.sandbox.billing.stored import rows
from reconciler.sandbox.errors import ApiError, invalid, missing, not_modelled
from reconciler.sandbox.lists import too_many
from reconciler.sandbox.objects import selling
from reconciler.sandbox.objects.base import Call, Family, Route
from reconciler.sandbox.objects.portal_configuration import DEFAULT
from reconciler.sandbox.store import Row, Term
from reconciler.sandbox.wire import Obj

#: Published below this path is a session's page.
PAGE = "/p/session/"
_FLOWS = ("subscription_cancel", "subscription_pause", "subscription_update", "subscription_update_confirm")
#: Which feature of the configuration a flow leads through.
FEATURE = {
    "customer_update": "customer_update",
    "payment_method_update": "payment_method_update",
    "subscription_cancel": "subscription_cancel",
    "subscription_pause": "subscription_pause",
    "subscription_update": "subscription_update",
    "subscription_update_confirm": "subscription_update",
}
#: Statuses of subscriptions that are over.
ENDED = frozenset({"canceled", "incomplete_expired"})


def _create(call: Call) -> Obj:
    params = call.params
    customer = call.needed("customer")
    configuration = _configuration(call, params.get("configuration"))
    return open_session(
        call,
        customer=customer["id"],
        configuration=configuration,
        flow=_flow(call, params["flow_data"], customer, configuration) if "flow_data" in params else None,
        locale=params.get("locale"),
        return_url=selling.url(params["return_url"], "return_url") if "return_url" in params else None,
    )


def open_session(call: Call, *, customer: str, configuration: Obj, **fields: Any) -> Obj:
    """Store a session and publish its page; without a return address it has its configuration's."""
    slug = call.new_id("test_", 32)
    session = call.fill(
        FAMILY, call.new_id("bps_1", 23), configuration=configuration["id"], customer=customer, _slug=slug, **fields
    )
    session["return_url"] = session["return_url"] or configuration["default_return_url"]
    call.tx.publish(PAGE + slug)
    return call.create(FAMILY, session)


def _configuration(call: Call, given: str | None) -> Obj:
    found = given or call.tx.holder(DEFAULT)
    if found is None:
        # Observed, without the address of the dashboard.
        raise invalid(
            "No configuration provided and your test mode default configuration has not been created. Provide a "
            "configuration or create your default by saving your customer portal settings in test mode."
        )
    configuration = call.refer("billing_portal.configuration", found, "configuration")
    if not configuration["active"]:
        raise invalid(f"The configuration {found} is inactive.", "configuration")
    return configuration


def _flow(call: Call, given: Mapping[str, Any], customer: Obj, configuration: Obj) -> Obj:
    """Return the one thing the customer is led to do (https://docs.stripe.com/customer-management/portal-deep-links)."""
    kind = given["type"]
    for name in _FLOWS:
        if name in given and name != kind:
            raise invalid(f"`{name}` can be set only with `type={name}`.", f"flow_data[{name}]")
    if kind in _FLOWS and kind not in given:
        raise missing(f"flow_data[{kind}]")
    if not configuration["features"][FEATURE[kind]]["enabled"]:
        feature = FEATURE[kind].replace("_", " ")
        # Observed for updates.
        raise invalid(
            f"This flow cannot be used because the {feature} feature in the portal configuration is disabled.",
            "flow_data[type]",
        )
    details = _details(call, given[kind], customer, kind) if kind in _FLOWS else None
    return {
        "after_completion": _after(given.get("after_completion", {"type": "portal_homepage"})),
        "customer_update": {} if kind == "customer_update" else None,
        **dict.fromkeys(_FLOWS),
        **({kind: details} if details else {}),
        "type": kind,
    }


def _details(call: Call, given: Mapping[str, Any], customer: Obj, kind: str) -> Obj:
    at = f"flow_data[{kind}]"
    subscription = call.refer("subscription", given["subscription"], f"{at}[subscription]")
    if subscription["customer"] != customer["id"]:
        raise invalid("The subscription belongs to another customer.", f"{at}[subscription]")
    if subscription["status"] in ENDED:
        raise invalid(f"The subscription is {subscription['status']} already.", f"{at}[subscription]")
    if kind == "subscription_cancel":
        return _cancel(given, subscription, at)
    if kind == "subscription_update_confirm":
        return _confirm(call, given, at)
    return dict(given)


def _cancel(given: Mapping[str, Any], subscription: Obj, at: str) -> Obj:
    if subscription["cancel_at_period_end"] or subscription["cancel_at"]:
        raise invalid("The subscription is already set to be canceled.", f"{at}[subscription]")
    if given.get("retention"):
        raise not_modelled("coupons offered to customers who cancel", f"{at}[retention]")
    return {"retention": None, "subscription": subscription["id"]}


def _confirm(call: Call, given: Mapping[str, Any], at: str) -> Obj:
    items: Sequence[Obj] = given["items"]
    if len(items) > 1:
        # "Currently, only up to one may be specified" (docstring of the session's flow).
        raise too_many(f"{at}[items]", 1)
    if given.get("discounts"):
        raise not_modelled("discounts of a confirmed change", f"{at}[discounts]")
    for index, item in enumerate(items):
        call.refer("subscription_item", item["id"], f"{at}[items][{index}][id]")
        if "price" in item:
            call.refer("price", item["price"], f"{at}[items][{index}][price]")
    return {
        "discounts": None,
        "items": [{"price": None, **item} for item in items],
        "subscription": given["subscription"],
    }


def _after(given: Mapping[str, Any]) -> Obj:
    kind = given["type"]
    for name in ("hosted_confirmation", "redirect"):
        if name in given and name != kind:
            raise invalid(f"`{name}` can be set only with `type={name}`.", f"flow_data[after_completion][{name}]")
    if kind == "redirect":
        if "redirect" not in given:
            raise missing("flow_data[after_completion][redirect]")
        selling.url(given["redirect"]["return_url"], "flow_data[after_completion][redirect][return_url]")
    hosted = {"custom_message": None, **given.get("hosted_confirmation", {})} if kind == "hosted_confirmation" else None
    return {"hosted_confirmation": hosted, "redirect": given.get("redirect"), "type": kind}


def _use_card(call: Call, intent: Obj) -> None:
    """React to a setup intent of a portal page that succeeded: its card pays from now on."""
    if not intent.get("_portal"):
        return
    method = intent["payment_method"]
    act(call, "POST", "/v1/customers/{id}", intent["customer"], invoice_settings={"default_payment_method": method})
    for row in rows(call, "subscription", ("customer", intent["customer"])):
        if row.body["status"] not in ENDED and row.body["default_payment_method"]:
            act(call, "POST", "/v1/subscriptions/{id}", row.body["id"], default_payment_method=method)


def find(call: Call, slug: str) -> Row:
    """Return the session whose page has a name."""
    for row in rows(call, FAMILY.kind, ("slug", slug)):
        return row
    raise ApiError(404, "There is no such page.")


def _terms(obj: Obj) -> Iterable[Term]:
    yield "slug", obj["_slug"]


def _addresses(obj: Obj, base_url: str) -> Obj:
    return {"url": base_url + PAGE + obj["_slug"]}


FAMILY = Family(
    kind="billing_portal.session",
    noun="billing_portal.session",
    references={"configuration": "billing_portal.configuration"},
    lengths={"flow_data[after_completion][hosted_confirmation][custom_message]": 500},
    terms=_terms,
    addresses=_addresses,
    reacts={"setup_intent.succeeded": _use_card},
    template={
        "object": "billing_portal.session",
        "_seen": None,
        "_slug": "",
        "after_expiration": None,
        "configuration": "",
        "created": 0,
        "customer": "",
        "customer_account": None,
        "flow": None,
        "livemode": False,
        "locale": None,
        "on_behalf_of": None,
        "return_url": None,
    },
    routes=(
        Route(
            "POST",
            "/v1/billing_portal/sessions",
            "billing_portal.SessionCreateParams",
            _create,
            refused=frozenset({"after_expiration", "customer_account", "on_behalf_of"}),
            accepted=frozenset({"locale"}),
        ),
    ),
)
