"""Credit notes (https://docs.stripe.com/api/credit_notes); what they do is in the billing room."""

from collections.abc import Iterable

from reconciler.sandbox.billing import crediting
from reconciler.sandbox.billing.stored import must
from reconciler.sandbox.lists import named_in, page
from reconciler.sandbox.objects.base import Call, Family, Nested, Route, overlay, retrieve
from reconciler.sandbox.store import Term
from reconciler.sandbox.wire import Obj

_REFUSED = frozenset({"shipping_cost"})
_ACCEPTED = frozenset({"email_type"})


def _create(call: Call) -> Obj:
    invoice = call.refer("invoice", call.params["invoice"], "invoice")
    call = call.on_clock_of(invoice)
    draft = crediting.compose(call, invoice, call.params, call.new_id)
    return crediting.issue(call, must(call, "invoice", invoice["id"]), draft, call.params)


def _preview(call: Call) -> Obj:
    draft = crediting.previewed(call)
    return {**draft.note, "lines": draft.lines}


def _update(call: Call) -> Obj:
    row = call.row()
    return call.on_clock_of(row.body).save(FAMILY, row, overlay(row.body, call.params, ("memo", "metadata")))


def _void(call: Call) -> Obj:
    row = call.row()
    return crediting.void(call.on_clock_of(must(call, "invoice", row.body["invoice"]).body), row)


def _list(call: Call) -> Obj:
    return page(call, FAMILY, *named_in(call, "invoice", "customer"))


def _terms(obj: Obj) -> Iterable[Term]:
    yield "invoice", obj["invoice"]
    yield "customer", obj["customer"]


def _addresses(obj: Obj, base_url: str) -> Obj:
    return {"pdf": f"{base_url}/credit_notes/{obj['id']}/pdf"}


FAMILY = Family(
    kind="credit_note",
    noun="credit note",
    missing_param="id",
    references={
        "customer": "customer",
        "customer_balance_transaction": "customer_balance_transaction",
        "discount_amounts.discount": "discount",
        "invoice": "invoice",
        "pretax_credit_amounts.discount": "discount",
        "refunds.refund": "refund",
    },
    nested={"lines": Nested("credit_note_line_item", "credit_note", "/v1/credit_notes/{id}/lines")},
    addresses=_addresses,
    terms=_terms,
    template={
        "object": "credit_note",
        "amount": 0,
        "amount_shipping": 0,
        "created": 0,
        "currency": "",
        "customer": "",
        "customer_account": None,
        "customer_balance_transaction": None,
        "discount_amount": 0,
        "discount_amounts": [],
        "effective_at": None,
        "invoice": "",
        "livemode": False,
        "memo": None,
        "metadata": {},
        "number": "",
        "out_of_band_amount": None,
        "post_payment_amount": 0,
        "pre_payment_amount": 0,
        "pretax_credit_amounts": [],
        "reason": None,
        "refunds": [],
        "shipping_cost": None,
        "status": "issued",
        "subtotal": 0,
        "subtotal_excluding_tax": 0,
        "total": 0,
        "total_excluding_tax": 0,
        "total_taxes": [],
        "type": "pre_payment",
        "voided_at": None,
        "_clock": None,
    },
    routes=(
        Route("POST", "/v1/credit_notes", "CreditNoteCreateParams", _create, refused=_REFUSED, accepted=_ACCEPTED),
        Route(
            "GET",
            "/v1/credit_notes",
            "CreditNoteListParams",
            _list,
            lists=True,
            refused=frozenset({"customer_account"}),
        ),
        Route(
            "GET",
            "/v1/credit_notes/preview",
            "CreditNotePreviewParams",
            _preview,
            refused=_REFUSED,
            accepted=_ACCEPTED,
        ),
        Route("GET", "/v1/credit_notes/{id}", "CreditNoteRetrieveParams", retrieve),
        Route("POST", "/v1/credit_notes/{id}", "CreditNoteUpdateParams", _update),
        Route("POST", "/v1/credit_notes/{id}/void", "CreditNoteVoidCreditNoteParams", _void),
    ),
)
