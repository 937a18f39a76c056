"""Balance transactions of the account (https://docs.stripe.com/api/balance_transactions)."""

from collections.abc import Iterable

from reconciler.sandbox.lists import filters_in, page
from reconciler.sandbox.objects.base import Call, Family, Route, retrieve
from reconciler.sandbox.store import Row, Term
from reconciler.sandbox.wire import Obj


def _due_at(obj: Obj) -> int | None:
    return obj["available_on"] if obj["status"] == "pending" else None


def _arrive(call: Call, row: Row) -> None:
    """Make funds available when their time has come."""
    call.replace(FAMILY, row, {**row.body, "status": "available"})


def _list(call: Call) -> Obj:
    params = call.params
    return page(call, FAMILY, *filters_in(params, "source", "type", "currency"))


def _terms(obj: Obj) -> Iterable[Term]:
    yield from ((name, obj[name]) for name in ("source", "type", "currency"))


FAMILY = Family(
    kind="balance_transaction",
    noun="balance transaction",
    emits_events=False,
    terms=_terms,
    due_at=_due_at,
    when_due=_arrive,
    template={
        "object": "balance_transaction",
        "amount": 0,
        "available_on": 0,
        "balance_type": "payments",
        "created": 0,
        "currency": "",
        "description": None,
        "exchange_rate": None,
        "fee": 0,
        "fee_details": [],
        "net": 0,
        "reporting_category": "",
        "source": None,
        "status": "pending",
        "type": "charge",
        "_clock": None,
    },
    routes=(
        Route(
            "GET",
            "/v1/balance_transactions",
            "BalanceTransactionListParams",
            _list,
            lists=True,
            refused=frozenset({"payout"}),
        ),
        Route("GET", "/v1/balance_transactions/{id}", "BalanceTransactionRetrieveParams", retrieve),
    ),
)
