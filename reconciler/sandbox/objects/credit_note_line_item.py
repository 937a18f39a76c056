"""Lines of credit notes (https://docs.stripe.com/api/credit_notes/line_item)."""

from collections.abc import Iterable

from reconciler.sandbox.billing import crediting
from reconciler.sandbox.errors import out_of_range
from reconciler.sandbox.lists import DEFAULT_LIMIT, MAX_LIMIT, page
from reconciler.sandbox.objects.base import Call, Family, Route
from reconciler.sandbox.store import Term
from reconciler.sandbox.wire import Obj


def _list(call: Call) -> Obj:
    note = call.row(call.families["credit_note"]).body
    return page(call, FAMILY, ("credit_note", [note["id"]]), oldest_first=True)


def _preview(call: Call) -> Obj:
    """List the lines a note would have; they are not stored, so that no cursor can name one."""
    found = crediting.previewed(call).lines
    limit = call.params.get("limit", DEFAULT_LIMIT)
    if not 1 <= limit <= MAX_LIMIT:
        raise out_of_range("limit", limit, most=MAX_LIMIT) if limit > 1 else out_of_range("limit", limit, least=1)
    return {"object": "list", "url": call.url, "has_more": len(found) > limit, "data": found[:limit]}


def _terms(obj: Obj) -> Iterable[Term]:
    yield "credit_note", obj["_note"]
    if "invoice_line_item" in obj:
        yield "invoice_line_item", obj["invoice_line_item"]


FAMILY = Family(
    kind="credit_note_line_item",
    noun="credit note line item",
    emits_events=False,
    references={"discount_amounts.discount": "discount", "pretax_credit_amounts.discount": "discount"},
    embeds={"tax_rates": "tax_rate"},
    terms=_terms,
    template={
        "object": "credit_note_line_item",
        "amount": 0,
        "description": None,
        "discount_amount": 0,
        "discount_amounts": [],
        "livemode": False,
        "metadata": {},
        "pretax_credit_amounts": [],
        "quantity": 1,
        "tax_rates": [],
        "taxes": [],
        "type": "",
        "unit_amount": None,
        "unit_amount_decimal": None,
        "_own_discounts": [],
        "_spared": 0,
    },
    routes=(
        Route(
            "GET",
            "/v1/credit_notes/preview/lines",
            "CreditNotePreviewLinesListParams",
            _preview,
            lists=True,
            refused=frozenset({"ending_before", "shipping_cost", "starting_after"}),
            accepted=frozenset({"email_type"}),
        ),
        Route("GET", "/v1/credit_notes/{id}/lines", "CreditNoteLineItemListParams", _list, lists=True),
    ),
)
