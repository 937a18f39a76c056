"""Tax ids of customers and of the account itself (https://docs.stripe.com/api/tax_ids)."""

import re
from collections.abc import Iterable

from reconciler.sandbox.billing.stored import rows
from reconciler.sandbox.errors import invalid, not_modelled
from reconciler.sandbox.lists import page
from reconciler.sandbox.objects.base import Call, Family, Route, retrieve
from reconciler.sandbox.store import Term
from reconciler.sandbox.wire import Obj

#: Types Stripe verifies with the authority that gives them out (https://docs.stripe.com/billing/customer/tax-ids).
_VERIFIED = frozenset({"au_abn", "eu_vat", "gb_vat"})
#: Magic numbers of test mode (https://docs.stripe.com/billing/customer/tax-ids#testing).
_MAGIC = {"000000000": "verified", "111111111": "unverified", "222222222": "pending"}
_FORMS = {
    "au_abn": re.compile(r"\d{11}"),
    "eu_vat": re.compile(r"[A-Z]{2}[A-Z0-9+*]{2,12}"),
    "gb_vat": re.compile(r"GB(\d{9}|\d{12}|GD\d{3}|HA\d{3})"),
}
_NO_COUNTRY = frozenset({"eu_oss_vat"})


def add(call: Call, kind: str, value: str, customer: str | None, param: str) -> Obj:
    """Store a tax id, the account's own if no customer is named; refuse one of the wrong form."""
    text = value.replace(" ", "")
    form = _FORMS.get(kind)
    if text not in _MAGIC and form and not form.fullmatch(text):
        raise invalid(f"Invalid value for {kind}.", param, "tax_id_invalid")
    status = _MAGIC.get(text, "pending" if kind in _VERIFIED else "unavailable")
    verified = status == "verified"
    owner: Obj = {"customer": customer, "type": "customer"} if customer else {"type": "self"}
    tax_id = call.fill(
        FAMILY,
        call.new_id("txi_1", 23),
        country=_country(kind, text),
        customer=customer,
        owner=owner,
        type=kind,
        value=value,
        verification={
            "status": status,
            "verified_address": "123 TEST STREET" if verified else None,
            "verified_name": "TEST" if verified else None,
        },
    )
    return call.create(FAMILY, tax_id)


def _country(kind: str, text: str) -> str | None:
    if kind == "eu_vat":
        return text[:2] if text[:2].isalpha() else None
    return None if kind in _NO_COUNTRY else kind[:2].upper()


def _create(call: Call) -> Obj:
    owner = call.params.get("owner", {"type": "self"})
    customer = _owner(call, owner)
    return add(call, call.params["type"], call.params["value"], customer, "value")


def _owner(call: Call, owner: Obj) -> str | None:
    """Return the customer who owns a tax id, ``None`` for the account itself; other owners are not modelled."""
    if owner["type"] not in {"customer", "self"}:
        raise not_modelled(f"tax ids of an {owner['type']}", "owner[type]")
    for name in ("account", "customer_account"):
        if name in owner:
            raise not_modelled(f"the parameter `{name}`", f"owner[{name}]")
    if owner["type"] == "self":
        return None
    if "customer" not in owner:
        raise invalid("`owner[customer]` is needed with `owner[type]=customer`.", "owner[customer]")
    return str(call.refer("customer", owner["customer"], "owner[customer]")["id"])


def _create_for_customer(call: Call) -> Obj:
    customer = call.row(call.families["customer"], "customer").body
    return add(call.on_clock_of(customer), call.params["type"], call.params["value"], customer["id"], "value")


def _retrieve_of_customer(call: Call) -> Obj:
    return call.owned("customer").body


def _delete_of_customer(call: Call) -> Obj:
    return call.delete(FAMILY, call.owned("customer"))


def _delete(call: Call) -> Obj:
    return call.delete(FAMILY, call.row())


def _list(call: Call) -> Obj:
    owner = call.params.get("owner", {"type": "self"})
    return page(call, FAMILY, ("owner", [_owner(call, owner) or "self"]))


def _list_of_customer(call: Call) -> Obj:
    return page(call, FAMILY, ("owner", [call.row(call.families["customer"], "customer").body["id"]]))


def _forget(call: Call, customer: Obj) -> None:
    """Delete the tax ids of a deleted customer."""
    for row in rows(call, FAMILY.kind, ("owner", customer["id"])):
        call.delete(FAMILY, row)


def _terms(obj: Obj) -> Iterable[Term]:
    yield "owner", obj["customer"] or "self"


FAMILY = Family(
    kind="tax_id",
    noun="tax id",
    stem="customer.tax_id",
    references={"customer": "customer", "owner.customer": "customer"},
    reacts={"customer.deleted": _forget},
    terms=_terms,
    template={
        "object": "tax_id",
        "country": None,
        "created": 0,
        "customer": None,
        "customer_account": None,
        "livemode": False,
        "owner": None,
        "type": "",
        "value": "",
        "verification": None,
    },
    routes=(
        Route("POST", "/v1/tax_ids", "TaxIdCreateParams", _create),
        Route("GET", "/v1/tax_ids", "TaxIdListParams", _list, lists=True),
        Route("GET", "/v1/tax_ids/{id}", "TaxIdRetrieveParams", retrieve),
        Route("DELETE", "/v1/tax_ids/{id}", "TaxIdDeleteParams", _delete),
        Route("POST", "/v1/customers/{customer}/tax_ids", "CustomerTaxIdCreateParams", _create_for_customer),
        Route("GET", "/v1/customers/{customer}/tax_ids", "CustomerTaxIdListParams", _list_of_customer, lists=True),
        Route("GET", "/v1/customers/{customer}/tax_ids/{id}", "CustomerTaxIdRetrieveParams", _retrieve_of_customer),
        Route("DELETE", "/v1/customers/{customer}/tax_ids/{id}", "CustomerTaxIdDeleteParams", _delete_of_customer),
    ),
)
