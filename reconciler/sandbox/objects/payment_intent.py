"""Payment intents (https://docs.stripe.com/api/payment_intents)."""

from collections.abc import Iterable, Mapping
from typing import Any

from reconciler.sandbox.billing import methods, payments
from reconciler.sandbox.billing.limits import check_amount
from reconciler.sandbox.billing.stored import at_time_of
from reconciler.sandbox.errors import ApiError, exclusive, invalid, not_modelled
from reconciler.sandbox.lists import filters_in, page
from reconciler.sandbox.objects.amounts import currency
from reconciler.sandbox.objects.base import Call, Family, Route, overlay, retrieve, unmodelled
from reconciler.sandbox.store import Term
from reconciler.sandbox.wire import Obj

_PLAIN = (
    "description",
    "metadata",
    "receipt_email",
    "setup_future_usage",
    "shipping",
    "statement_descriptor_suffix",
    "transfer_group",
)
#: What can still be changed once the payment has been made.
_ALWAYS = frozenset({"description", "metadata", "receipt_email", "expand"})
_CARD_OPTIONS = frozenset({"capture_method", "request_three_d_secure", "setup_future_usage"})
_ONLY_CARDS = "payment methods other than cards"

_UNMODELLED = frozenset(
    """amount_details application_fee_amount customer_account excluded_payment_method_types hooks
    payment_details payment_method_configuration payment_method_data transfer_data""".split()
)
_UNMODELLED_AT_CREATE = _UNMODELLED | {"confirmation_token", "mandate", "on_behalf_of", "radar_options"}
_UNMODELLED_AT_CONFIRM = frozenset(
    """amount_details amount_to_confirm confirmation_token excluded_payment_method_types hooks mandate payment_details
    payment_method_data radar_options""".split()
)
_UNMODELLED_AT_CAPTURE = frozenset(
    "amount_details application_fee_amount final_capture hooks payment_details transfer_data".split()
)


def _create(call: Call) -> Obj:
    params = call.params
    code = currency(params["currency"])
    check_amount(params["amount"], code)
    call = at_time_of(call, params.get("customer"))
    intent_id = payments.new_id(call)
    intent = call.fill(
        FAMILY,
        intent_id,
        amount=params["amount"],
        automatic_payment_methods=automatic(params.get("automatic_payment_methods")),
        capture_method=params.get("capture_method", "automatic_async"),
        client_secret=payments.secret(call, intent_id),
        confirmation_method=params.get("confirmation_method", "automatic"),
        currency=code,
    )
    intent = _described(call, intent)
    if intent["payment_method"]:
        intent["status"] = "requires_confirmation"
    if not params.get("confirm"):
        _refuse_without_confirming(params)
        return call.create(FAMILY, intent)
    call.create(FAMILY, intent)
    return _confirmed(call, intent["id"])


def _refuse_without_confirming(params: Obj) -> None:
    """Refuse what only a confirmation can use (the parameters' descriptions say so)."""
    for name in ("error_on_requires_action", "mandate_data", "off_session", "return_url", "use_stripe_sdk"):
        if name in params:
            raise invalid(f"`{name}` can be used only with `confirm=true`.", name)


def automatic(given: Mapping[str, Any] | None) -> Obj | None:
    """Return the choice of payment methods: automatic since 2023-08-16 unless switched off."""
    choice = given or {"enabled": True}
    return {"allow_redirects": choice.get("allow_redirects", "always"), "enabled": True} if choice["enabled"] else None


def _described(call: Call, intent: Obj) -> Obj:
    """Return the intent with what the request says of it."""
    params = call.params
    payments.refuse_descriptor(params)
    if "customer" in params:
        call.refer("customer", params["customer"], "customer")
    changed = overlay(intent, params, (*_PLAIN, "capture_method", "customer"))
    if "allowed_payment_method_types" in params:
        changed["allowed_payment_method_types"] = only_cards(params["allowed_payment_method_types"])
    if "payment_method_options" in params:
        changed["payment_method_options"] = _options(intent, params["payment_method_options"])
    if method := chosen_method(call, changed["customer"]):
        authenticated = intent["_authenticated"] and method == intent["payment_method"]
        changed |= {"payment_method": method, "_authenticated": authenticated}
    return changed


def only_cards(types: list[str], param: str = "allowed_payment_method_types") -> list[str]:
    """Return a choice of payment method types, which must leave cards in."""
    if set(types) != {"card"}:
        raise not_modelled(_ONLY_CARDS, param)
    return types


def _options(intent: Obj, given: Mapping[str, Any] | None) -> Obj:
    """Return options per payment method type: those given over those the intent has."""
    for kind, options in (given or {}).items():
        if kind != "card":
            raise not_modelled(_ONLY_CARDS, f"payment_method_options[{kind}]")
        for name in sorted(set(options or {}) - _CARD_OPTIONS):
            raise not_modelled(f"the parameter `{name}`", f"payment_method_options[card][{name}]")
    before = (intent["payment_method_options"] or {}).get("card", {})
    card = {**before, **((given or {}).get("card") or {})}
    always = {"installments": None, "mandate_options": None, "network": None, "request_three_d_secure": "automatic"}
    return {"card": {**always, **{name: value for name, value in card.items() if value is not None}}}


def chosen_method(call: Call, customer: str | None) -> str | None:
    """Return the id of the payment method a request names, or ``None``."""
    if "payment_method" not in call.params:
        return None
    row = methods.resolve(call, call.params["payment_method"], "payment_method")
    methods.usable(row, customer, "payment_method")
    return str(row.body["id"])


def _confirmed(call: Call, intent_id: str) -> Obj:
    """Attempt the payment as the request says; a refusal is raised with what it left behind."""
    params = call.params
    if params.get("off_session") and params.get("setup_future_usage"):
        raise exclusive("off_session", "setup_future_usage")
    outcome = payments.confirm(
        call,
        intent_id,
        payment_method=None,
        off_session=params.get("off_session", False) is not False,
        terms=payments.Terms(one_go=params.get("error_on_requires_action", False), return_url=params.get("return_url")),
    )
    if outcome.error:
        raise outcome.error
    return outcome.intent


def _confirm(call: Call) -> Obj:
    row = call.row()
    changed = _described(call, row.body)
    call.replace(FAMILY, row, changed)
    return _confirmed(call, changed["id"])


def _update(call: Call) -> Obj:
    row, params = call.row(), call.params
    intent = row.body
    if intent["status"] not in payments.CONFIRMABLE:
        for name in params.keys() - _ALWAYS:
            raise _unchangeable(intent, name)
    changed = _described(call, intent)
    changed = overlay(changed, params, ("amount", "currency"))
    changed["currency"] = currency(changed["currency"])
    if {"amount", "currency"} & params.keys():
        check_amount(changed["amount"], changed["currency"])
    if changed["payment_method"] != intent["payment_method"]:
        changed |= {"status": "requires_confirmation", "next_action": None}
    call.replace(FAMILY, row, changed)
    return changed


def _unchangeable(intent: Obj, name: str) -> ApiError:
    message = (
        f"This PaymentIntent's {name} could not be updated because it has a status of {intent['status']}. You may only "
        f"update the {name} of a PaymentIntent with one of the following statuses: {', '.join(payments.CONFIRMABLE)}."
    )
    return invalid(message, name, "payment_intent_unexpected_state")


def _capture(call: Call) -> Obj:
    row = call.row()
    payments.refuse_descriptor(call.params)
    described = overlay(row.body, call.params, ("metadata", "statement_descriptor_suffix"))
    call.replace(FAMILY, row, described)
    return payments.capture(call, row.body["id"], call.params.get("amount_to_capture"))


def _cancel(call: Call) -> Obj:
    row = call.row()
    if row.body["_invoice"] and row.body["status"] != "requires_capture":
        message = "A PaymentIntent of an invoice cannot be canceled; void the invoice instead."
        raise invalid(message, None, "payment_intent_unexpected_state")
    return payments.cancel(call, row.body["id"], call.params.get("cancellation_reason"))


def _list(call: Call) -> Obj:
    return page(call, FAMILY, *filters_in(call.params, "customer"))


def _terms(obj: Obj) -> Iterable[Term]:
    if obj["customer"]:
        yield "customer", obj["customer"]
    if obj["_invoice"]:
        yield "invoice", obj["_invoice"]


FAMILY = Family(
    kind="payment_intent",
    noun="payment_intent",
    missing_param="intent",
    references={
        "customer": "customer",
        "latest_charge": "charge",
        "payment_method": "payment_method",
    },
    addresses=payments.addresses,
    lengths={"description": 1000, "statement_descriptor_suffix": 22},
    terms=_terms,
    reacts={"customer.deleted": payments.abandon},
    template={
        "object": "payment_intent",
        "allowed_payment_method_types": None,
        "amount": 0,
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": None,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": "automatic",
        "client_secret": None,
        "confirmation_method": "automatic",
        "created": 0,
        "currency": "",
        "customer": None,
        "customer_account": None,
        "description": None,
        "excluded_payment_method_types": None,
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "managed_payments": None,
        "metadata": {},
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": {
            "card": {
                "installments": None,
                "mandate_options": None,
                "network": None,
                "request_three_d_secure": "automatic",
            }
        },
        "payment_method_types": ["card"],
        "payment_record": None,
        "processing": None,
        "receipt_email": None,
        "review": None,
        "setup_future_usage": None,
        "shipping": None,
        "source": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": "requires_payment_method",
        "transfer_data": None,
        "transfer_group": None,
        "_authenticated": False,
        "_invoice": None,
        "_return_url": None,
    },
    routes=(
        Route(
            "POST",
            "/v1/payment_intents",
            "PaymentIntentCreateParams",
            _create,
            refused=_UNMODELLED_AT_CREATE,
            accepted=frozenset({"mandate_data", "use_stripe_sdk"}),
        ),
        Route(
            "GET",
            "/v1/payment_intents",
            "PaymentIntentListParams",
            _list,
            lists=True,
            refused=frozenset({"customer_account"}),
        ),
        Route(
            "GET",
            "/v1/payment_intents/{id}",
            "PaymentIntentRetrieveParams",
            retrieve,
            accepted=frozenset({"client_secret"}),
        ),
        Route("POST", "/v1/payment_intents/{id}", "PaymentIntentUpdateParams", _update, refused=_UNMODELLED),
        Route(
            "POST",
            "/v1/payment_intents/{id}/confirm",
            "PaymentIntentConfirmParams",
            _confirm,
            refused=_UNMODELLED_AT_CONFIRM,
            accepted=frozenset({"mandate_data", "use_stripe_sdk"}),
        ),
        Route(
            "POST",
            "/v1/payment_intents/{id}/capture",
            "PaymentIntentCaptureParams",
            _capture,
            refused=_UNMODELLED_AT_CAPTURE,
        ),
        Route("POST", "/v1/payment_intents/{id}/cancel", "PaymentIntentCancelParams", _cancel),
        Route(
            "POST",
            "/v1/payment_intents/{id}/apply_customer_balance",
            "PaymentIntentApplyCustomerBalanceParams",
            unmodelled,
        ),
        Route(
            "POST",
            "/v1/payment_intents/{id}/increment_authorization",
            "PaymentIntentIncrementAuthorizationParams",
            unmodelled,
        ),
        Route(
            "POST",
            "/v1/payment_intents/{id}/verify_microdeposits",
            "PaymentIntentVerifyMicrodepositsParams",
            unmodelled,
        ),
        Route(
            "GET",
            "/v1/payment_intents/{id}/amount_details_line_items",
            "PaymentIntentAmountDetailsLineItemListParams",
            unmodelled,
        ),
    ),
)
