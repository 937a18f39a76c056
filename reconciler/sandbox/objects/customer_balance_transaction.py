"""Customer balance transactions (https://docs.stripe.com/api/customer_balance_transactions)."""

from collections.abc import Iterable

from reconciler.sandbox.billing.balance import adjust
from reconciler.sandbox.lists import filters_in, page
from reconciler.sandbox.objects.amounts import currency
from reconciler.sandbox.objects.base import Call, Family, Route, merge_metadata, overlay
from reconciler.sandbox.store import Term
from reconciler.sandbox.wire import Obj


def _create(call: Call) -> Obj:
    customer, params = call.row(call.families["customer"], "customer").body, call.params
    return adjust(
        call.on_clock_of(customer),
        customer["id"],
        params["amount"],
        currency(params["currency"]),
        "adjustment",
        description=params.get("description"),
        metadata=merge_metadata({}, params.get("metadata")),
    )


def _retrieve(call: Call) -> Obj:
    return call.owned("customer").body


def _update(call: Call) -> Obj:
    row = call.owned("customer")
    return call.save(FAMILY, row, overlay(row.body, call.params, ("description", "metadata")))


def _list(call: Call) -> Obj:
    customer = call.row(call.families["customer"], "customer").body
    return page(call, FAMILY, ("customer", [customer["id"]]), *filters_in(call.params, "invoice"))


def _terms(obj: Obj) -> Iterable[Term]:
    yield "customer", obj["customer"]
    if obj["invoice"]:
        yield "invoice", obj["invoice"]


FAMILY = Family(
    kind="customer_balance_transaction",
    noun="customer balance transaction",
    missing_param="transaction",
    emits_events=False,
    references={
        "checkout_session": "checkout.session",
        "credit_note": "credit_note",
        "customer": "customer",
        "invoice": "invoice",
    },
    lengths={"description": 350},
    terms=_terms,
    template={
        "object": "customer_balance_transaction",
        "amount": 0,
        "checkout_session": None,
        "created": 0,
        "credit_note": None,
        "currency": "",
        "customer": "",
        "customer_account": None,
        "description": None,
        "ending_balance": 0,
        "invoice": None,
        "livemode": False,
        "metadata": {},
        "type": "adjustment",
    },
    routes=(
        Route(
            "POST",
            "/v1/customers/{customer}/balance_transactions",
            "CustomerBalanceTransactionCreateParams",
            _create,
        ),
        Route(
            "GET",
            "/v1/customers/{customer}/balance_transactions",
            "CustomerBalanceTransactionListParams",
            _list,
            lists=True,
        ),
        Route(
            "GET",
            "/v1/customers/{customer}/balance_transactions/{id}",
            "CustomerBalanceTransactionRetrieveParams",
            _retrieve,
        ),
        Route(
            "POST",
            "/v1/customers/{customer}/balance_transactions/{id}",
            "CustomerBalanceTransactionUpdateParams",
            _update,
            blanks=frozenset({"description"}),
        ),
    ),
)
