"""Charges (https://docs.stripe.com/api/charges)."""

from collections.abc import Iterable

from reconciler.sandbox.billing import cards, charging, methods, payments
from reconciler.sandbox.billing.limits import check_amount
from reconciler.sandbox.billing.stored import at_time_of, rewritten
from reconciler.sandbox.errors import invalid, missing, no_such, out_of_range
from reconciler.sandbox.lists import filters_in, page
from reconciler.sandbox.objects import card
from reconciler.sandbox.objects.amounts import currency
from reconciler.sandbox.objects.base import Call, Family, Nested, Route, overlay, retrieve
from reconciler.sandbox.store import Row, Term
from reconciler.sandbox.wire import Obj

_UNMODELLED = frozenset(
    "application_fee application_fee_amount destination on_behalf_of radar_options transfer_data".split()
)
_PLAIN = ("description", "metadata", "receipt_email", "shipping", "transfer_group")


def _create(call: Call) -> Obj:
    """Charge a token or a customer's source, the way before payment intents; the bank cannot ask its customer here."""
    params = call.params
    for name in ("amount", "currency"):
        if name not in params:
            raise missing(name)
    payments.refuse_descriptor(params)
    code = currency(params["currency"])
    check_amount(params["amount"], code)
    call = at_time_of(call, params.get("customer"))
    method = _source(call)
    names = (*_PLAIN, "amount", "customer", "statement_descriptor_suffix")
    described = overlay(dict(FAMILY.template), params, names)
    fields = {**{name: described[name] for name in names}, "currency": code}
    decline = methods.decline_of(method)
    if payments.needs_customer(methods.card_of(method), method, payments.Terms()):
        decline = cards.AUTHENTICATION
    if decline:
        charge = charging.fail(call, method, decline, **fields)
        raise methods.card_error(decline, kept=True, charge=charge["id"])
    return charging.succeed(call, method, capture=params.get("capture", True), **fields)


def _source(call: Call) -> Obj:
    """Return what pays: the customer's named or default source, or a token's card."""
    params = call.params
    if "customer" in params:
        customer = call.refer("customer", params["customer"], "customer")
        source = params.get("source", customer["default_source"])
        if source is None:
            message = "Cannot charge a customer that has no active card"
            raise invalid(message, "card", "missing")
        method = call.tx.find("payment_method", source)
        if method is None or method.body["customer"] != customer["id"]:
            raise no_such("source", source, "source")
        return method.body
    if "source" not in params:
        raise invalid("Must provide source or customer.", code="parameter_missing")
    details = methods.from_token(call, params["source"], "source")
    method_obj = {**methods.build(call, card.new_id(call), details), "_spent": True}
    return call.insert(call.families["payment_method"], method_obj).body


def _update(call: Call) -> Obj:
    row, params = call.row(), call.params
    changed = overlay(row.body, params, _PLAIN)
    if "customer" in params:
        if row.body["customer"] is not None:
            raise invalid("The customer of a charge can be set only once.", "customer")
        changed["customer"] = call.refer("customer", params["customer"], "customer")["id"]
    if "fraud_details" in params:
        report = params["fraud_details"]["user_report"]
        changed["fraud_details"] = {"user_report": report} if report else {}
    return call.save(FAMILY, row, changed)


def _capture(call: Call) -> Obj:
    row, params = call.row(), call.params
    call = call.on_clock_of(row.body)
    payments.refuse_descriptor(params)
    if row.body["payment_intent"] is not None:
        message = "This charge belongs to a PaymentIntent; capture the PaymentIntent instead."
        raise invalid(message, "charge")
    if row.body["captured"] or row.body["status"] != "succeeded":
        message = f"Charge {row.body['id']} has already been captured."
        raise invalid(message, "charge", "charge_already_captured")
    if row.body["_expires"] is None:
        message = f"Charge {row.body['id']} has been released and can no longer be captured."
        raise invalid(message, "charge", "charge_expired_for_capture")
    amount: int = params["amount"] if "amount" in params else row.body["amount"]
    if amount < 1:
        raise out_of_range("amount", amount, least=1)
    if amount > row.body["amount"]:
        raise invalid("The amount to capture is greater than the amount that is held.", "amount", "amount_too_large")
    given = overlay(row.body, params, ("receipt_email", "transfer_group", "statement_descriptor_suffix"))
    return charging.capture(call, rewritten(call, FAMILY.kind, row, **given), amount)


def _due_at(obj: Obj) -> int | None:
    due: int | None = obj["_expires"]
    return due


def _expire(call: Call, row: Row) -> None:
    """Let held money go back when the bank holds it no longer."""
    if row.body["payment_intent"]:
        payments.cancel(call, row.body["payment_intent"], "automatic", expired=True)
    else:
        charging.let_go(call, row, expired=True)


def _list(call: Call) -> Obj:
    return page(call, FAMILY, *filters_in(call.params, "payment_intent", "customer", "transfer_group"))


def _terms(obj: Obj) -> Iterable[Term]:
    yield from ((name, obj[name]) for name in ("customer", "payment_intent", "transfer_group") if obj[name])


FAMILY = Family(
    kind="charge",
    noun="charge",
    missing_param="charge",
    references={
        "balance_transaction": "balance_transaction",
        "customer": "customer",
        "failure_balance_transaction": "balance_transaction",
        "payment_intent": "payment_intent",
    },
    nested={"refunds": Nested("refund", "charge", "/v1/charges/{id}/refunds", hidden=True)},
    lengths={"description": 40_000, "statement_descriptor_suffix": 22},
    terms=_terms,
    due_at=_due_at,
    when_due=_expire,
    template={
        "object": "charge",
        "amount": 0,
        "amount_captured": 0,
        "amount_refunded": 0,
        "application": None,
        "application_fee": None,
        "application_fee_amount": None,
        "authorization_code": None,
        "balance_transaction": None,
        "billing_details": methods.NO_DETAILS,
        "calculated_statement_descriptor": None,
        "captured": False,
        "created": 0,
        "currency": "",
        "customer": None,
        "description": None,
        "disputed": False,
        "failure_balance_transaction": None,
        "failure_code": None,
        "failure_message": None,
        "fraud_details": {},
        "livemode": False,
        "metadata": {},
        "on_behalf_of": None,
        "outcome": None,
        "paid": False,
        "payment_intent": None,
        "payment_method": None,
        "payment_method_details": None,
        "radar_options": {},
        "receipt_email": None,
        "receipt_number": None,
        "receipt_url": None,
        "refunded": False,
        "review": None,
        "shipping": None,
        "source": None,
        "source_transfer": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": "pending",
        "transfer_data": None,
        "transfer_group": None,
        "_clock": None,
        "_expires": None,
        "_invoice": None,
        "_number": "",
        "_refundable_while_disputed": False,
        "_returned": 0,
    },
    routes=(
        Route("POST", "/v1/charges", "ChargeCreateParams", _create, refused=_UNMODELLED),
        Route("GET", "/v1/charges", "ChargeListParams", _list, lists=True),
        Route("GET", "/v1/charges/{id}", "ChargeRetrieveParams", retrieve),
        Route("POST", "/v1/charges/{id}", "ChargeUpdateParams", _update),
        Route(
            "POST",
            "/v1/charges/{id}/capture",
            "ChargeCaptureParams",
            _capture,
            refused=frozenset({"application_fee", "application_fee_amount", "transfer_data"}),
        ),
    ),
)
