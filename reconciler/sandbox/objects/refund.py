"""Refunds (https://docs.stripe.com/api/refunds)."""

from reconciler.sandbox.billing import charging, refunds
from reconciler.sandbox.billing.stored import first, rewritten
from reconciler.sandbox.errors import exclusive, invalid, no_such
from reconciler.sandbox.objects import of_charge
from reconciler.sandbox.objects.base import Call, Family, Route, merge_metadata, overlay, retrieve
from reconciler.sandbox.store import Row
from reconciler.sandbox.wire import Obj

_UNMODELLED = frozenset("currency customer instructions_email origin refund_application_fee reverse_transfer".split())


def _create(call: Call) -> Obj:
    params = call.params
    row = _charge(call)
    call = call.on_clock_of(row.body)
    fields = {"metadata": merge_metadata({}, params.get("metadata")), "reason": params.get("reason")}
    if row.body["_expires"] is not None and row.body["payment_intent"] is None:
        return _released(call, row)
    if "reason" in params and params["reason"] == "fraudulent":
        row = rewritten(call, "charge", row, fraud_details={"user_report": "fraudulent"})
    return refunds.refund(call, row, params.get("amount"), **fields)


def _charge(call: Call) -> Row:
    """Return the charge to refund: the one named, or the one that paid an intent."""
    params = call.params
    if "charge" in params and "payment_intent" in params:
        raise exclusive("charge", "payment_intent")
    if "charge" in params:
        charge_id = call.refer("charge", params["charge"], "charge")["id"]
    elif "payment_intent" in params:
        intent = call.refer("payment_intent", params["payment_intent"], "payment_intent")
        if intent["status"] != "succeeded":
            message = f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund."
            raise invalid(message, "payment_intent")
        charge_id = intent["latest_charge"]
    else:
        raise invalid("One of the following params should be provided for this request: payment_intent or charge.")
    row = call.tx.find("charge", charge_id)
    if row is None:
        raise no_such("charge", charge_id, "charge")
    return row


def _released(call: Call, row: Row) -> Obj:
    """Refund a charge that was only held: all of it, which lets it go."""
    if call.params.get("amount", row.body["amount"]) != row.body["amount"]:
        raise invalid("A charge that has not been captured can only be refunded as a whole.", "amount")
    charging.let_go(call, row)
    made = first(call, FAMILY.kind, ("charge", row.body["id"]))
    if made is None:
        # Where a release leaves no refund behind, what it would have been is still the answer.
        return refunds.describe(call, row.body, row.body["amount"], status="succeeded")
    described = overlay({**made.body, "reason": call.params.get("reason")}, call.params, ("metadata",))
    return rewritten(call, FAMILY.kind, made, **described).body


def _update(call: Call) -> Obj:
    row = call.row()
    return call.save(FAMILY, row, overlay(row.body, call.params, ("metadata",)))


def _cancel(call: Call) -> Obj:
    """Refuse to cancel: only refunds that wait for a customer's action can be, and those of cards never do."""
    refund = call.row().body
    message = f"The refund {refund['id']} has a status of {refund['status']}; only requires_action can be canceled."
    raise invalid(message, "refund")


def _due_at(obj: Obj) -> int | None:
    due: int | None = obj["_settles"]
    return due


def _settle(call: Call, row: Row) -> None:
    refunds.settle(call, row)


FAMILY = Family(
    kind="refund",
    noun="refund",
    missing_param="refund",
    references={
        "balance_transaction": "balance_transaction",
        "charge": "charge",
        "customer": "customer",
        "failure_balance_transaction": "balance_transaction",
        "payment_intent": "payment_intent",
        "payment_method": "payment_method",
    },
    terms=of_charge.terms,
    due_at=_due_at,
    when_due=_settle,
    template={
        "object": "refund",
        "amount": 0,
        "balance_transaction": None,
        "charge": None,
        "created": 0,
        "currency": "",
        "customer": None,
        "customer_account": None,
        "destination_details": {},
        "metadata": {},
        "payment_intent": None,
        "payment_method": None,
        "reason": None,
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "succeeded",
        "transfer_reversal": None,
        "_clock": None,
        "_fails": False,
        "_settles": None,
    },
    routes=(
        Route("POST", "/v1/refunds", "RefundCreateParams", _create, refused=_UNMODELLED),
        Route("GET", "/v1/refunds", "RefundListParams", of_charge.listed, lists=True),
        Route("GET", "/v1/refunds/{id}", "RefundRetrieveParams", retrieve),
        Route("POST", "/v1/refunds/{id}", "RefundUpdateParams", _update),
        Route("POST", "/v1/refunds/{id}/cancel", "RefundCancelParams", _cancel),
    ),
)
