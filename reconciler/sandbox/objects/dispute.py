"""Disputes (https://docs.stripe.com/api/disputes), opened by test cards (https://docs.stripe.com/testing#disputes)."""

from collections.abc import Mapping
from typing import Any

from reconciler.sandbox.billing import cards, funds
from reconciler.sandbox.billing.stored import rewritten
from reconciler.sandbox.errors import invalid, not_modelled
from reconciler.sandbox.objects import of_charge
from reconciler.sandbox.objects.base import Call, Family, Route, overlay, retrieve
from reconciler.sandbox.store import Row
from reconciler.sandbox.wire import Obj

#: A card network waits at least this long for evidence (https://docs.stripe.com/disputes/responding).
RESPONSE_SECONDS = 7 * 86_400
#: The network's codes of the reasons test cards give.
_CODES = {"fraudulent": "10.4", "product_not_received": "13.1"}
_OPEN = ("needs_response", "warning_needs_response")
_REVIEWED = {"needs_response": "under_review", "warning_needs_response": "warning_under_review"}
_WON = {"under_review": "won", "warning_under_review": "warning_closed"}
_LOST = {"under_review": "lost", "warning_under_review": "lost", "needs_response": "lost"}
_FILES = frozenset(
    """cancellation_policy customer_communication customer_signature duplicate_charge_documentation receipt
    refund_policy service_documentation shipping_documentation uncategorized_file""".split()
)
_TEXTS = frozenset(
    """access_activity_log billing_address cancellation_policy_disclosure cancellation_rebuttal customer_email_address
    customer_name customer_purchase_ip duplicate_charge_explanation duplicate_charge_id product_description
    refund_policy_disclosure refund_refusal_explanation service_date shipping_address shipping_carrier shipping_date
    shipping_tracking_number uncategorized_text""".split()
)


def _open(call: Call, charge: Obj) -> None:
    """Dispute a charge whose card is made for it; an inquiry takes no money yet."""
    card = cards.by_number(charge["_number"])
    if card is None or not card.dispute or not charge["captured"]:
        return
    asks = card.dispute == "inquiry"
    reason = "fraudulent" if asks else card.dispute
    details = {
        "brand": card.brand,
        "case_type": "inquiry" if asks else "chargeback",
        "network_reason_code": _CODES[reason],
    }
    dispute = call.fill(
        FAMILY,
        call.new_id("du_1", 23),
        amount=charge["amount_captured"],
        charge=charge["id"],
        currency=charge["currency"],
        evidence_details={**FAMILY.template["evidence_details"], "due_by": call.now + RESPONSE_SECONDS},
        is_charge_refundable=asks,
        payment_intent=charge["payment_intent"],
        payment_method_details={"card": details, "type": "card"},
        reason=reason,
        status="warning_needs_response" if asks else "needs_response",
        _clock=charge["_clock"],
    )
    row = call.insert(FAMILY, dispute)
    _on_charge(call, charge["id"], disputed=True, refundable=asks)
    call.emit(FAMILY, "created", dispute)
    if not asks:
        _move(call, row, -dispute["amount"], "funds_withdrawn")


def _on_charge(call: Call, charge_id: str, *, disputed: bool, refundable: bool) -> None:
    if row := call.tx.find("charge", charge_id):
        changed = {**row.body, "disputed": disputed, "_refundable_while_disputed": refundable}
        call.replace(call.families["charge"], row, changed)


def _move(call: Call, row: Row, amount: int, verb: str) -> Row:
    """Let the disputed money and the fee leave the account or come back, and say so."""
    dispute = row.body
    fee = funds.dispute_fee(dispute["currency"])
    text = "Chargeback withdrawal for " if amount < 0 else "Chargeback reversal for "
    moved = funds.move(
        call, "adjustment", amount, dispute, fee=fee if amount < 0 else -fee, description=text + dispute["charge"]
    )
    row = rewritten(call, FAMILY.kind, row, balance_transactions=[*dispute["balance_transactions"], moved["id"]])
    call.emit(FAMILY, verb, row.body)
    return row


def _update(call: Call) -> Obj:
    row, params = call.row(), call.params
    call = call.on_clock_of(row.body)
    if row.body["status"] not in _OPEN:
        message = f"This dispute has a status of {row.body['status']} and takes no more evidence."
        raise invalid(message, "dispute")
    changed = overlay(row.body, params, ("metadata",))
    given = _evidence(params.get("evidence", {}))
    changed["evidence"] = {**changed["evidence"], **given}
    has_evidence = any(changed["evidence"][name] is not None for name in _FILES | _TEXTS)
    changed["evidence_details"] = {**changed["evidence_details"], "has_evidence": has_evidence}
    if not has_evidence or not params.get("submit", "evidence" in params):
        return call.save(FAMILY, row, changed)
    return _submitted(call, row, changed)


def _evidence(given: Mapping[str, Any]) -> Obj:
    for name in sorted(given.keys() - _TEXTS):
        raise not_modelled("files as evidence" if name in _FILES else f"`{name}` as evidence", f"evidence[{name}]")
    return dict(given)


def _submitted(call: Call, row: Row, changed: Obj) -> Obj:
    """Send evidence to the bank, which decides at once where the text says how."""
    details = changed["evidence_details"]
    changed["evidence_details"] = {**details, "submission_count": details["submission_count"] + 1}
    changed["status"] = _REVIEWED[changed["status"]]
    call.save(FAMILY, row, changed)
    row = Row(row.seq, row.created, changed)
    match changed["evidence"]["uncategorized_text"]:
        case "winning_evidence":
            return _ended(call, row, won=True)
        case "losing_evidence":
            return _ended(call, row, won=False)
    return changed


def _ended(call: Call, row: Row, *, won: bool, **fields: Any) -> Obj:
    """Close a dispute; money that was taken comes back when it is won."""
    taken = bool(row.body["balance_transactions"])
    status = (_WON if won else _LOST).get(row.body["status"], "warning_closed")
    row = rewritten(call, FAMILY.kind, row, **fields, is_charge_refundable=False, status=status)
    call.emit(FAMILY, "closed", row.body)
    if won and taken:
        row = _move(call, row, row.body["amount"], "funds_reinstated")
    _on_charge(call, row.body["charge"], disputed=True, refundable=False)
    return row.body


def _close(call: Call) -> Obj:
    """Give a dispute up, which loses it."""
    row = call.row()
    call = call.on_clock_of(row.body)
    if row.body["status"] not in _OPEN:
        message = f"This dispute has a status of {row.body['status']} and cannot be closed."
        raise invalid(message, "dispute")
    return _ended(call, row, won=False)


def _due_at(obj: Obj) -> int | None:
    return obj["evidence_details"]["due_by"] if obj["status"] in _OPEN else None


def _lapse(call: Call, row: Row) -> None:
    """Lose a dispute, or end an inquiry, that nobody answered in time."""
    details = {**row.body["evidence_details"], "past_due": True}
    _ended(call, row, won=False, evidence_details=details)


FAMILY = Family(
    kind="dispute",
    noun="dispute",
    missing_param="dispute",
    stem="charge.dispute",
    references={"charge": "charge", "payment_intent": "payment_intent"},
    embeds={"balance_transactions": "balance_transaction"},
    reacts={"charge.captured": _open, "charge.succeeded": _open},
    lengths={f"evidence[{name}]": 150_000 for name in _TEXTS if name.endswith(("_log", "_disclosure", "_text"))},
    terms=of_charge.terms,
    due_at=_due_at,
    when_due=_lapse,
    template={
        "object": "dispute",
        "amount": 0,
        "balance_transactions": [],
        "charge": "",
        "created": 0,
        "currency": "",
        "enhanced_eligibility_types": [],
        "evidence": {**dict.fromkeys(sorted(_FILES | _TEXTS)), "enhanced_evidence": {}},
        "evidence_details": {
            "due_by": None,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
        },
        "is_charge_refundable": False,
        "livemode": False,
        "metadata": {},
        "payment_intent": None,
        "payment_method_details": {},
        "reason": "",
        "status": "needs_response",
        "_clock": None,
    },
    routes=(
        Route("GET", "/v1/disputes", "DisputeListParams", of_charge.listed, lists=True),
        Route("GET", "/v1/disputes/{id}", "DisputeRetrieveParams", retrieve),
        Route(
            "POST",
            "/v1/disputes/{id}",
            "DisputeUpdateParams",
            _update,
            refused=frozenset({"intended_submission_method"}),
        ),
        Route("POST", "/v1/disputes/{id}/close", "DisputeCloseParams", _close),
    ),
)
