"""What pays an invoice (https://docs.stripe.com/api/invoice-payment): made by the invoice, read here."""

from collections.abc import Iterable

from reconciler.sandbox.lists import filters_in, named_in, page
from reconciler.sandbox.objects.base import Call, Family, Route, retrieve
from reconciler.sandbox.store import Term
from reconciler.sandbox.wire import Obj


def _list(call: Call) -> Obj:
    params = call.params
    filters = named_in(call, "invoice")
    if "payment" in params:
        kind = params["payment"]["type"]
        filters.append(("payment", [params["payment"].get(kind, "")]))
    return page(call, FAMILY, *filters, *filters_in(params, "status"))


def _terms(obj: Obj) -> Iterable[Term]:
    yield "invoice", obj["invoice"]
    yield "status", obj["status"]
    yield "payment", obj["payment"][obj["payment"]["type"]]


FAMILY = Family(
    kind="invoice_payment",
    noun="invoice payment",
    missing_param="invoice_payment",
    references={"invoice": "invoice", "payment.charge": "charge", "payment.payment_intent": "payment_intent"},
    terms=_terms,
    template={
        "object": "invoice_payment",
        "amount_paid": None,
        "amount_requested": 0,
        "created": 0,
        "currency": "",
        "invoice": "",
        "is_default": True,
        "livemode": False,
        "payment": {},
        "status": "open",
        "status_transitions": {"canceled_at": None, "paid_at": None},
    },
    routes=(
        Route("GET", "/v1/invoice_payments", "InvoicePaymentListParams", _list, lists=True),
        Route("GET", "/v1/invoice_payments/{id}", "InvoicePaymentRetrieveParams", retrieve),
    ),
)
