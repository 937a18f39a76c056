"""The cash balance of a customer: always empty, for the sandbox receives no bank transfers.

Source: https://docs.stripe.com/api/cash_balance.
"""

from reconciler.sandbox.lists import page
from reconciler.sandbox.objects.base import Call, Family, Route, retrieve, unmodelled
from reconciler.sandbox.objects.customer_fields import reconciled
from reconciler.sandbox.wire import Obj


def _retrieve(call: Call) -> Obj:
    balance: Obj = call.row(call.families["customer"], "customer").body["cash_balance"]
    return balance


def _update(call: Call) -> Obj:
    row = call.row(call.families["customer"], "customer")
    mode = call.params.get("settings", {}).get("reconciliation_mode")
    balance: Obj = row.body["cash_balance"]
    if mode is not None:
        balance = reconciled(balance, mode)
        call.save(call.families["customer"], row, {**row.body, "cash_balance": balance})
    return balance


def _list(call: Call) -> Obj:
    customer = call.row(call.families["customer"], "customer").body
    return page(call, FAMILY, ("customer", [customer["id"]]))


FAMILY = Family(
    kind="customer_cash_balance_transaction",
    noun="customer cash balance transaction",
    missing_param="transaction",
    emits_events=False,
    routes=(
        Route("GET", "/v1/customers/{customer}/cash_balance", "CustomerCashBalanceRetrieveParams", _retrieve),
        Route("POST", "/v1/customers/{customer}/cash_balance", "CustomerCashBalanceUpdateParams", _update),
        Route(
            "GET",
            "/v1/customers/{customer}/cash_balance_transactions",
            "CustomerCashBalanceTransactionListParams",
            _list,
            lists=True,
        ),
        Route(
            "GET",
            "/v1/customers/{customer}/cash_balance_transactions/{id}",
            "CustomerCashBalanceTransactionRetrieveParams",
            retrieve,
        ),
        Route(
            "POST",
            "/v1/customers/{customer}/funding_instructions",
            "CustomerFundingInstructionsCreateParams",
            unmodelled,
        ),
    ),
)
