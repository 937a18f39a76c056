"""The ledger of credit grants (https://docs.stripe.com/api/billing/credit-balance-transaction): written once."""

from collections.abc import Iterable

from reconciler.sandbox.billing import credits  # noqa: A004  named for what it is; the site module's `credits` is not used
from reconciler.sandbox.lists import filters_in, page
from reconciler.sandbox.objects.base import Call, Family, Route, retrieve
from reconciler.sandbox.store import Term
from reconciler.sandbox.wire import Obj


def _list(call: Call) -> Obj:
    return page(call, FAMILY, *filters_in(call.params, "credit_grant", "customer"))


def _terms(obj: Obj) -> Iterable[Term]:
    yield "credit_grant", obj["credit_grant"]
    yield "customer", obj["_customer"]
    if obj["debit"] and obj["debit"]["credits_applied"]:
        yield "applied to", obj["debit"]["credits_applied"]["invoice"]


FAMILY = Family(
    kind=credits.TRANSACTIONS,
    noun="credit balance transaction",
    references={
        "credit.credits_application_invoice_voided.invoice": "invoice",
        "credit_grant": credits.GRANTS,
        "debit.credits_applied.invoice": "invoice",
        "test_clock": "test_helpers.test_clock",
    },
    terms=_terms,
    template={
        "object": credits.TRANSACTIONS,
        "created": 0,
        "credit": None,
        "credit_grant": "",
        "debit": None,
        "effective_at": 0,
        "livemode": False,
        "test_clock": None,
        "type": "credit",
    },
    routes=(
        Route(
            "GET",
            "/v1/billing/credit_balance_transactions",
            "billing.CreditBalanceTransactionListParams",
            _list,
            lists=True,
            refused=frozenset({"customer_account"}),
        ),
        Route(
            "GET",
            "/v1/billing/credit_balance_transactions/{id}",
            "billing.CreditBalanceTransactionRetrieveParams",
            retrieve,
        ),
    ),
)
