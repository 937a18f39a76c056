"""The balance of a customer's credit grants (https://docs.stripe.com/api/billing/credit-balance-summary)."""

from collections.abc import Callable

from reconciler.sandbox.billing import credits  # noqa: A004  named for what it is; the site module's `credits` is not used
from reconciler.sandbox.errors import exclusive, missing, no_such
from reconciler.sandbox.objects.base import Call, Family, Route
from reconciler.sandbox.wire import Obj


def _retrieve(call: Call) -> Obj:
    """Add up the grants that the filter names; nothing of them is pending, so that both balances are the same."""
    params = call.params
    customer = call.needed("customer")
    call = call.on_clock_of(customer)
    matches = _filter(call, params["filter"])
    balances: dict[str, int] = {}
    for row in credits.grants_of(call, customer["id"]):
        if matches(row.body):
            code = row.body["amount"]["monetary"]["currency"]
            balances[code] = balances.get(code, 0) + credits.ledger(call, row.body)
    shown = [
        {name: {"monetary": {"currency": code, "value": value}, "type": "monetary"} for name in _BALANCES}
        for code, value in balances.items()
    ]
    return {**FAMILY.template, "balances": shown, "customer": customer["id"]}


_BALANCES = ("available_balance", "ledger_balance")


def _filter(call: Call, given: Obj) -> Callable[[Obj], bool]:
    """Return which grants a filter counts."""
    if given["type"] not in given:
        raise missing(f"filter[{given['type']}]")
    if given["type"] == "credit_grant":
        grant = call.refer(credits.GRANTS, given["credit_grant"], "filter[credit_grant]")
        if grant["customer"] != call.params["customer"]:
            raise no_such("credit grant", grant["id"], "filter[credit_grant]")
        return lambda each: bool(each["id"] == grant["id"])
    return _of_scope(call, given["applicability_scope"])


def _of_scope(call: Call, scope: Obj) -> Callable[[Obj], bool]:
    at = "filter[applicability_scope]"
    if "price_type" in scope and "prices" in scope:
        raise exclusive(f"{at}[price_type]", f"{at}[prices]")
    if "price_type" not in scope and not scope.get("prices"):
        raise missing(f"{at}[price_type]")
    wanted = {each["id"] for each in scope.get("prices", ())}
    for index, each in enumerate(scope.get("prices", ())):
        call.refer("price", each["id"], f"{at}[prices][{index}][id]")
    if call.settings.credit_summary_scope_exact:
        return lambda grant: _prices(grant) == wanted
    return lambda grant: not wanted or any(credits.covers(grant, price) for price in wanted)


def _prices(grant: Obj) -> set[str]:
    return {each["id"] for each in grant["applicability_config"]["scope"].get("prices", ())}


FAMILY = Family(
    kind="billing.credit_balance_summary",
    noun="credit balance summary",
    emits_events=False,
    references={"customer": "customer"},
    template={
        "object": "billing.credit_balance_summary",
        "balances": [],
        "customer": "",
        "customer_account": None,
        "livemode": False,
    },
    routes=(
        Route(
            "GET",
            "/v1/billing/credit_balance_summary",
            "billing.CreditBalanceSummaryRetrieveParams",
            _retrieve,
            refused=frozenset({"customer_account"}),
        ),
    ),
)
