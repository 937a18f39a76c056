"""Setup intents (https://docs.stripe.com/api/setup_intents)."""

from collections.abc import Iterable, Mapping
from typing import Any

from reconciler.sandbox.billing import payments, setups
from reconciler.sandbox.billing.intents import unexpected
from reconciler.sandbox.billing.stored import at_time_of
from reconciler.sandbox.errors import invalid, not_modelled
from reconciler.sandbox.lists import filters_in, page
from reconciler.sandbox.objects.base import Call, Family, Route, overlay, retrieve, unmodelled
from reconciler.sandbox.objects.payment_intent import automatic, chosen_method, only_cards
from reconciler.sandbox.store import Term
from reconciler.sandbox.wire import Obj

_UNMODELLED = frozenset(
    """attach_to_self customer_account excluded_payment_method_types flow_directions payment_method_configuration
    payment_method_data""".split()
)
_UNMODELLED_AT_CREATE = _UNMODELLED | {"confirmation_token", "on_behalf_of", "single_use"}
_UNMODELLED_AT_CONFIRM = frozenset({"confirmation_token", "payment_method_data"})
_CONFIRM_ONLY = ("mandate_data", "return_url", "use_stripe_sdk")


def _create(call: Call) -> Obj:
    params = call.params
    call = at_time_of(call, params.get("customer"))
    intent = setups.blank(call, automatic_payment_methods=automatic(params.get("automatic_payment_methods")))
    intent = overlay(_described(call, intent), params, ("usage",))
    if intent["payment_method"]:
        intent["status"] = "requires_confirmation"
    call.create(FAMILY, intent)
    if params.get("confirm"):
        return setups.confirm(call, intent["id"], payment_method=None, return_url=params.get("return_url"))
    for name in _CONFIRM_ONLY:
        if name in params:
            raise invalid(f"`{name}` can be used only with `confirm=true`.", name)
    return intent


def _described(call: Call, intent: Obj) -> Obj:
    """Return the intent with what the request says of it."""
    params = call.params
    if "customer" in params:
        call.refer("customer", params["customer"], "customer")
    changed = overlay(intent, params, ("customer", "description", "metadata"))
    if params.get("allowed_payment_method_types"):
        changed["allowed_payment_method_types"] = only_cards(params["allowed_payment_method_types"])
    if "payment_method_options" in params:
        changed["payment_method_options"] = _options(intent, params["payment_method_options"])
    if method := chosen_method(call, changed["customer"]):
        changed["payment_method"] = method
    return changed


def _options(intent: Obj, given: Mapping[str, Any]) -> Obj:
    """Return options per payment method type: those given over those the intent has."""
    for kind, options in given.items():
        if kind != "card":
            raise not_modelled("payment methods other than cards", f"payment_method_options[{kind}]")
        for name in sorted(set(options or {}) - {"request_three_d_secure"}):
            raise not_modelled(f"the parameter `{name}`", f"payment_method_options[card][{name}]")
    return {"card": {**intent["payment_method_options"]["card"], **(given.get("card") or {})}}


def _confirm(call: Call) -> Obj:
    row = call.row()
    changed = _described(call, row.body)
    call.replace(FAMILY, row, changed)
    return setups.confirm(call, changed["id"], payment_method=None, return_url=call.params.get("return_url"))


def _update(call: Call) -> Obj:
    row = call.row()
    intent = row.body
    if intent["status"] not in payments.CONFIRMABLE and call.params.keys() - {"description", "metadata", "expand"}:
        raise unexpected(call, intent, "updated", payments.CONFIRMABLE)
    changed = _described(call, intent)
    if changed["payment_method"] != intent["payment_method"]:
        changed |= {"status": "requires_confirmation", "next_action": None}
    call.replace(FAMILY, row, changed)
    return changed


def _cancel(call: Call) -> Obj:
    return setups.cancel(call, call.row().body["id"], call.params.get("cancellation_reason"))


def _list(call: Call) -> Obj:
    params = call.params
    return page(call, FAMILY, *filters_in(params, "payment_method", "customer"))


def _terms(obj: Obj) -> Iterable[Term]:
    yield from ((name, obj[name]) for name in ("customer", "payment_method") if obj[name])


FAMILY = Family(
    kind="setup_intent",
    noun="setupintent",
    missing_param="intent",
    references={"customer": "customer", "latest_attempt": "setup_attempt", "payment_method": "payment_method"},
    addresses=payments.addresses,
    lengths={"description": 1000},
    terms=_terms,
    template={
        "object": "setup_intent",
        "allowed_payment_method_types": None,
        "application": None,
        "automatic_payment_methods": None,
        "cancellation_reason": None,
        "client_secret": None,
        "created": 0,
        "customer": None,
        "customer_account": None,
        "description": None,
        "excluded_payment_method_types": None,
        "flow_directions": None,
        "last_setup_error": None,
        "latest_attempt": None,
        "livemode": False,
        "managed_payments": None,
        "mandate": None,
        "metadata": {},
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": {
            "card": {"mandate_options": None, "network": None, "request_three_d_secure": "automatic"}
        },
        "payment_method_types": ["card"],
        "single_use_mandate": None,
        "status": "requires_payment_method",
        "usage": "off_session",
    },
    routes=(
        Route(
            "POST",
            "/v1/setup_intents",
            "SetupIntentCreateParams",
            _create,
            refused=_UNMODELLED_AT_CREATE,
            accepted=frozenset({"mandate_data", "use_stripe_sdk"}),
        ),
        Route(
            "GET",
            "/v1/setup_intents",
            "SetupIntentListParams",
            _list,
            lists=True,
            refused=frozenset({"attach_to_self", "customer_account"}),
        ),
        Route(
            "GET",
            "/v1/setup_intents/{id}",
            "SetupIntentRetrieveParams",
            retrieve,
            accepted=frozenset({"client_secret"}),
        ),
        Route("POST", "/v1/setup_intents/{id}", "SetupIntentUpdateParams", _update, refused=_UNMODELLED),
        Route(
            "POST",
            "/v1/setup_intents/{id}/confirm",
            "SetupIntentConfirmParams",
            _confirm,
            refused=_UNMODELLED_AT_CONFIRM,
            accepted=frozenset({"mandate_data", "use_stripe_sdk"}),
        ),
        Route("POST", "/v1/setup_intents/{id}/cancel", "SetupIntentCancelParams", _cancel),
        Route(
            "POST",
            "/v1/setup_intents/{id}/verify_microdeposits",
            "SetupIntentVerifyMicrodepositsParams",
            unmodelled,
        ),
    ),
)
