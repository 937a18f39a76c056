"""Credit grants (https://docs.stripe.com/api/billing/credit-grant): money for metered prices, paid or promotional."""

from collections.abc import Iterable

from reconciler.money import MAX_MINOR_AMOUNT
from reconciler.sandbox.billing import credits  # noqa: A004  named for what it is; the site module's `credits` is not used
from reconciler.sandbox.errors import exclusive, invalid, missing, out_of_range
from reconciler.sandbox.lists import page, too_many
from reconciler.sandbox.objects.amounts import currency
from reconciler.sandbox.objects.base import Call, Family, Route, overlay, retrieve
from reconciler.sandbox.store import Row, Term
from reconciler.sandbox.wire import Obj

MAX_PRICES = 20
MAX_PRIORITY = 100
_GIVEN = ("category", "customer", "effective_at", "expires_at", "metadata", "name", "priority")
_NOT_MODELLED = frozenset({"customer_account"})


def _create(call: Call) -> Obj:
    params = call.params
    customer = call.needed("customer")
    call = call.on_clock_of(customer)
    amount = _amount(params["amount"])
    scope = _scope(call, params["applicability_config"]["scope"], "applicability_config[scope]")
    _check_times(call, params.get("effective_at", call.now), params.get("expires_at"))
    if not 0 <= params.get("priority", 0) <= MAX_PRIORITY:
        bound = {"least": 0} if params["priority"] < 0 else {"most": MAX_PRIORITY}
        raise out_of_range("priority", params["priority"], **bound)
    unused = [row for row in credits.grants_of(call, customer["id"]) if credits.is_unused(call, row.body)]
    if len(unused) >= credits.MAX_UNUSED:
        raise invalid(f"A customer can have at most {credits.MAX_UNUSED} unused credit grants.", "customer")
    grant = call.fill(
        FAMILY,
        call.new_id("credgr_test_61", 30),
        amount=amount,
        applicability_config={"scope": scope},
        effective_at=call.now,
        test_clock=customer.get("test_clock"),
        _balance=amount["monetary"]["value"],
        _expired=False,
    )
    created = call.create(FAMILY, overlay(grant, params, _GIVEN))
    credits.fund(call, created)
    return created


def _amount(given: Obj) -> Obj:
    if "monetary" not in given:
        raise missing("amount[monetary]")
    value = given["monetary"]["value"]
    if value < 1:
        raise out_of_range("amount[monetary][value]", value, least=1)
    if value > MAX_MINOR_AMOUNT:
        raise out_of_range("amount[monetary][value]", value, most=int(MAX_MINOR_AMOUNT))
    code = currency(given["monetary"]["currency"], "amount[monetary][currency]")
    return {"monetary": {"currency": code, "value": value}, "type": given["type"]}


def _scope(call: Call, given: Obj, at: str) -> Obj:
    """Return a scope: all metered prices, or up to 20 prices that are metered by a meter."""
    if "price_type" in given and "prices" in given:
        raise exclusive(f"{at}[price_type]", f"{at}[prices]")
    if "price_type" in given:
        return {"price_type": given["price_type"]}
    if not given.get("prices"):
        raise missing(f"{at}[price_type]")
    if len(given["prices"]) > MAX_PRICES:
        raise too_many(f"{at}[prices]", MAX_PRICES)
    for index, each in enumerate(given["prices"]):
        param = f"{at}[prices][{index}][id]"
        if not (call.refer("price", each["id"], param)["recurring"] or {}).get("meter"):
            raise invalid("Credit grants apply only to metered prices that have a meter.", param)
    return {"prices": [{"id": each["id"]} for each in given["prices"]]}


def _check_times(call: Call, effective_at: int, expires_at: int | None) -> None:
    if effective_at < call.now and call.settings.past_effective_at_refused:
        raise invalid("`effective_at` must be in the future.", "effective_at")
    if expires_at is not None and expires_at <= max(call.now, effective_at):
        raise invalid("`expires_at` must be in the future and after `effective_at`.", "expires_at")


def _update(call: Call) -> Obj:
    """Change when a grant expires, and its metadata; a grant that is over keeps its end."""
    row, params = call.row(), call.params
    call = call.on_clock_of(row.body)
    if "expires_at" in params:
        if credits.is_over(row.body):
            raise invalid("The expiration of an expired or voided credit grant cannot be changed.", "expires_at")
        if params["expires_at"] is not None:
            _check_times(call, max(call.now, row.body["effective_at"]), params["expires_at"])
    return call.save(FAMILY, row, overlay(row.body, params, ("expires_at", "metadata")))


def _expire(call: Call) -> Obj:
    row = _live(call)
    call = call.on_clock_of(row.body)
    return call.save(FAMILY, row, _ended(call, row.body, call.now))


def _ended(call: Call, grant: Obj, expires_at: int) -> Obj:
    return {**credits.write_off(call, grant, "credits_expired"), "expires_at": expires_at, "_expired": True}


def _void(call: Call) -> Obj:
    """Void a grant that no invoice has used ("Voided")."""
    row = _live(call)
    call = call.on_clock_of(row.body)
    if credits.was_applied(call, row.body):
        raise invalid("A credit grant that has been applied to an invoice cannot be voided.")
    emptied = credits.write_off(call, row.body, "credits_voided")
    return call.save(FAMILY, row, {**emptied, "voided_at": call.now})


def _live(call: Call) -> Row:
    row = call.row()
    if credits.is_over(row.body):
        raise invalid(f"This credit grant is already {'voided' if row.body['voided_at'] else 'expired'}.")
    return row


def _due_at(obj: Obj) -> int | None:
    return None if credits.is_over(obj) else obj["expires_at"]


def _lapse(call: Call, row: Row) -> None:
    """Expire what is left of a grant when its time comes."""
    call.replace(FAMILY, row, _ended(call, row.body, row.body["expires_at"]))


def _list(call: Call) -> Obj:
    return page(call, FAMILY, *([("customer", [call.params["customer"]])] if "customer" in call.params else []))


def _terms(obj: Obj) -> Iterable[Term]:
    yield "customer", obj["customer"]


FAMILY = Family(
    kind=credits.GRANTS,
    noun="credit grant",
    references={"customer": "customer", "test_clock": "test_helpers.test_clock"},
    lengths={"name": 100},
    terms=_terms,
    due_at=_due_at,
    when_due=_lapse,
    reacts={"invoice.voided": credits.reinstate},
    template={
        "object": credits.GRANTS,
        "amount": {},
        "applicability_config": {},
        "category": "paid",
        "created": 0,
        "customer": "",
        "customer_account": None,
        "effective_at": 0,
        "expires_at": None,
        "livemode": False,
        "metadata": {},
        "name": None,
        "priority": 50,
        "test_clock": None,
        "updated": 0,
        "voided_at": None,
    },
    routes=(
        Route("POST", "/v1/billing/credit_grants", "billing.CreditGrantCreateParams", _create, refused=_NOT_MODELLED),
        Route(
            "GET",
            "/v1/billing/credit_grants",
            "billing.CreditGrantListParams",
            _list,
            lists=True,
            refused=_NOT_MODELLED,
        ),
        Route("GET", "/v1/billing/credit_grants/{id}", "billing.CreditGrantRetrieveParams", retrieve),
        Route("POST", "/v1/billing/credit_grants/{id}", "billing.CreditGrantUpdateParams", _update),
        Route("POST", "/v1/billing/credit_grants/{id}/expire", "billing.CreditGrantExpireParams", _expire),
        Route("POST", "/v1/billing/credit_grants/{id}/void", "billing.CreditGrantVoidGrantParams", _void),
    ),
)
