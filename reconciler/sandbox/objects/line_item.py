"""Lines of invoices (https://docs.stripe.com/api/invoice-line-item); they come and go with their invoice."""

from collections.abc import Iterable

from reconciler.sandbox.billing import editing
from reconciler.sandbox.billing.drafts import recompute
from reconciler.sandbox.billing.stored import must
from reconciler.sandbox.lists import page
from reconciler.sandbox.objects.base import Call, Family, Route
from reconciler.sandbox.store import Term
from reconciler.sandbox.wire import Obj


def _list(call: Call) -> Obj:
    invoice = call.row(call.families["invoice"])
    return page(call, FAMILY, ("invoice", [invoice.body["id"]]), oldest_first=True)


def _update(call: Call) -> Obj:
    row = editing.draft_row(call, call.row(call.families["invoice"]).body["id"])
    invoice, call = row.body, call.on_clock_of(row.body)
    line = editing.line_of(call, invoice, call.ids["line"], FAMILY.missing_param, status=404)
    editing.change_line(call, invoice, line, call.params, "")
    recompute(call, row)
    return must(call, FAMILY.kind, line.body["id"]).body


def _terms(obj: Obj) -> Iterable[Term]:
    yield "invoice", obj["invoice"]


FAMILY = Family(
    kind="line_item",
    noun="line item",
    missing_param="line_item",
    emits_events=False,
    references={
        "discount_amounts.discount": "discount",
        "discounts": "discount",
        "pretax_credit_amounts.credit_balance_transaction": "billing.credit_balance_transaction",
        "pretax_credit_amounts.discount": "discount",
        "pricing.price_details.price": "price",
        "subscription": "subscription",
    },
    terms=_terms,
    template={
        "object": "line_item",
        "amount": 0,
        "currency": "",
        "description": None,
        "discount_amounts": [],
        "discountable": True,
        "discounts": [],
        "invoice": None,
        "livemode": False,
        "metadata": {},
        "parent": None,
        "period": {},
        "pretax_credit_amounts": [],
        "pricing": None,
        "quantity": 1,
        "quantity_decimal": "1",
        "subscription": None,
        "subtotal": 0,
        "taxes": [],
        "_spared": 0,
        "_tax_rates": [],
    },
    routes=(
        Route("GET", "/v1/invoices/{id}/lines", "InvoiceLineItemListParams", _list, lists=True),
        Route(
            "POST",
            "/v1/invoices/{id}/lines/{line}",
            "InvoiceLineItemUpdateParams",
            _update,
            blanks=frozenset({"description"}),
            refused=frozenset({"tax_amounts"}),
        ),
    ),
)
