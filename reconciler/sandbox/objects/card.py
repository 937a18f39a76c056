"""Cards as payment sources, the way before payment methods (https://docs.stripe.com/api/cards).

Each is a payment method under the same id too, so that it can pay for everything a payment method can.
"""

from collections.abc import Iterable

from reconciler.sandbox.billing import methods
from reconciler.sandbox.billing.stored import first, rows
from reconciler.sandbox.errors import not_modelled
from reconciler.sandbox.lists import page
from reconciler.sandbox.objects.base import Call, Family, Route, overlay, unmodelled
from reconciler.sandbox.store import Row, Term
from reconciler.sandbox.wire import Obj

#: Brands as sources spell them.
_BRANDS = {
    "amex": "American Express",
    "diners": "Diners Club",
    "discover": "Discover",
    "jcb": "JCB",
    "mastercard": "MasterCard",
    "unionpay": "UnionPay",
    "visa": "Visa",
}
_ADDRESS = {
    "address_city": "city",
    "address_country": "country",
    "address_line1": "line1",
    "address_line2": "line2",
    "address_state": "state",
    "address_zip": "postal_code",
}
_MUTABLE = (*_ADDRESS, "metadata", "name")


def look(call: Call, card_id: str, details: methods.Details) -> Obj:
    """Return the complete card of somebody's typing, nobody's yet."""
    card = details.card
    return call.fill(
        FAMILY,
        card_id,
        brand=_BRANDS[card.brand],
        country=card.country,
        cvc_check="unchecked" if details.cvc else None,
        exp_month=details.month,
        exp_year=details.year,
        fingerprint=methods.fingerprint(call, card),
        funding=card.funding,
        last4=card.last4,
    )


def new_id(call: Call) -> str:
    """Return a fresh id."""
    return call.new_id("card_1", 23)


def add(call: Call, customer_id: str, token: str) -> Obj:
    """Make a token's card a source of a customer, its default if it has none; the bank may refuse it."""
    if token.startswith(("pm_", "src_", "btok_")):
        raise not_modelled("sources other than cards", "source")
    details = methods.from_token(call, token, "source")
    card_id = new_id(call)
    method = {**methods.build(call, card_id, details), "customer": customer_id}
    if decline := methods.refusal_of(method):
        raise methods.card_error(decline)
    method["card"] = methods.checked(method)
    call.insert(call.families["payment_method"], method)
    checks = method["card"]["checks"]
    card = {**look(call, card_id, details), "customer": customer_id, "cvc_check": checks["cvc_check"]}
    call.create(FAMILY, card)
    customer = call.tx.find("customer", customer_id)
    if customer and customer.body["default_source"] is None:
        call.save(call.families["customer"], customer, {**customer.body, "default_source": card_id})
    return card


def replace_default(call: Call, customer_id: str, token: str) -> None:
    """Make a token's card the default source in the place of the one before, which is deleted.

    Source: https://docs.stripe.com/api/customers/update#update_customer-source.
    """
    card = add(call, customer_id, token)
    customer = call.tx.find("customer", customer_id)
    before = customer.body["default_source"] if customer else None
    if customer and before != card["id"]:
        call.save(call.families["customer"], customer, {**customer.body, "default_source": card["id"]})
        if before and (row := call.tx.find(FAMILY.kind, before)):
            remove(call, row)


def remove(call: Call, row: Row) -> Obj:
    """Delete a source; the customer's default becomes the newest of the others."""
    card = row.body
    deleted = call.delete(FAMILY, row)
    if method := call.tx.find("payment_method", card["id"]):
        methods.detach(call, method, silently=True)
    customer = call.tx.find("customer", card["customer"])
    if customer and customer.body["default_source"] == card["id"]:
        other = first(call, FAMILY.kind, ("customer", card["customer"]))
        heir = other.body["id"] if other else None
        call.save(call.families["customer"], customer, {**customer.body, "default_source": heir})
    return deleted


def _create(call: Call) -> Obj:
    customer = call.row(call.families["customer"], "customer").body
    call = call.on_clock_of(customer)
    card = add(call, customer["id"], call.params["source"])
    row = call.tx.find(FAMILY.kind, card["id"])
    changed = overlay(card, call.params, ("metadata",))
    if row and changed != card:
        call.replace(FAMILY, row, changed)
    return changed


def _retrieve(call: Call) -> Obj:
    return call.owned("customer").body


def _update(call: Call) -> Obj:
    row, params = call.owned("customer"), call.params
    changed = overlay(row.body, params, _MUTABLE)
    for name in {"exp_month", "exp_year"} & params.keys():
        methods.check_digits(params[name], name)
        changed[name] = int(params[name])
    methods.check_expiry(call, changed, "card")
    if method := call.tx.find("payment_method", changed["id"]):
        address = {inner: changed[outer] for outer, inner in _ADDRESS.items()}
        billed = {**method.body["billing_details"], "address": address, "name": changed["name"]}
        expiry = {name: changed[name] for name in ("exp_month", "exp_year")}
        shown = {**method.body["card"], **expiry}
        call.replace(call.families["payment_method"], method, {**method.body, "billing_details": billed, "card": shown})
    return call.save(FAMILY, row, changed)


def _delete(call: Call) -> Obj:
    return remove(call, call.owned("customer"))


def _list(call: Call) -> Obj:
    customer = call.row(call.families["customer"], "customer").body
    kind = call.params.get("object", "card")
    return page(call, FAMILY, ("customer", [customer["id"]]), ("object", [kind]))


def _follow(call: Call, method: Obj) -> None:
    """Delete the source when its payment method is detached."""
    if row := call.tx.find(FAMILY.kind, method["id"]):
        remove(call, row)


def _forget(call: Call, customer: Obj) -> None:
    """Delete the sources of a deleted customer."""
    for row in rows(call, FAMILY.kind, ("customer", customer["id"])):
        remove(call, row)


def _terms(obj: Obj) -> Iterable[Term]:
    yield "customer", obj["customer"]
    yield "object", "card"


FAMILY = Family(
    kind="card",
    noun="source",
    stem="customer.source",
    references={"customer": "customer"},
    reacts={"customer.deleted": _forget, "payment_method.detached": _follow},
    terms=_terms,
    template={
        "object": "card",
        **dict.fromkeys(("address_city", "address_country", "address_line1", "address_line1_check")),
        **dict.fromkeys(("address_line2", "address_state", "address_zip", "address_zip_check")),
        "allow_redisplay": "unspecified",
        "brand": "",
        "country": None,
        "currency": None,
        "customer": None,
        "cvc_check": None,
        "dynamic_last4": None,
        "exp_month": 0,
        "exp_year": 0,
        "fingerprint": None,
        "funding": "credit",
        "last4": "",
        "metadata": {},
        "name": None,
        "regulated_status": "unregulated",
        "tokenization_method": None,
    },
    routes=(
        Route(
            "POST",
            "/v1/customers/{customer}/sources",
            "CustomerPaymentSourceCreateParams",
            _create,
            accepted=frozenset({"validate"}),
        ),
        Route("GET", "/v1/customers/{customer}/sources", "CustomerPaymentSourceListParams", _list, lists=True),
        Route("GET", "/v1/customers/{customer}/sources/{id}", "CustomerPaymentSourceRetrieveParams", _retrieve),
        Route(
            "POST",
            "/v1/customers/{customer}/sources/{id}",
            "CustomerPaymentSourceUpdateParams",
            _update,
            refused=frozenset({"account_holder_name", "account_holder_type", "owner"}),
        ),
        Route("DELETE", "/v1/customers/{customer}/sources/{id}", "CustomerPaymentSourceDeleteParams", _delete),
        Route("POST", "/v1/customers/{customer}/sources/{id}/verify", "CustomerPaymentSourceVerifyParams", unmodelled),
    ),
)
