"""Payment methods, of which the sandbox has cards (https://docs.stripe.com/api/payment_methods)."""

from collections.abc import Iterable

from reconciler.sandbox.billing import methods
from reconciler.sandbox.billing.stored import at_time_of, rows
from reconciler.sandbox.errors import invalid, missing, not_modelled
from reconciler.sandbox.lists import Filter, filters_in, named_in, page
from reconciler.sandbox.objects.base import Call, Family, Route, overlay, retrieve
from reconciler.sandbox.store import Term
from reconciler.sandbox.wire import Obj

_ONLY_CARDS = "payment methods other than cards"
_SHARED = frozenset({"allow_redisplay", "billing_details", "card", "expand", "metadata", "type"})


def _create(call: Call) -> Obj:
    params = call.params
    if "type" not in params:
        raise missing("type")
    for name in sorted(params.keys() - _SHARED):
        raise not_modelled(_ONLY_CARDS if params["type"] != "card" else f"the parameter `{name}`", name)
    if params["type"] != "card":
        raise not_modelled(_ONLY_CARDS, "type")
    if "card" not in params:
        raise missing("card")
    details = methods.from_params(call, params["card"])
    method = methods.build(call, methods.new_id(call), details)
    return call.insert(FAMILY, _described(call, method)).body


def _described(call: Call, method: Obj) -> Obj:
    """Return the method with what the request says of it."""
    params = call.params
    changed = overlay(method, params, ("allow_redisplay", "metadata"))
    if "billing_details" in params:
        changed["billing_details"] = methods.billing_details(method["billing_details"], params["billing_details"])
    if preferred := params.get("card", {}).get("networks", {}).get("preferred"):
        if preferred not in method["card"]["networks"]["available"]:
            raise invalid(f"This card is not of the network {preferred}.", "card[networks][preferred]")
        changed["card"] = {**method["card"], "networks": {**method["card"]["networks"], "preferred": preferred}}
    return changed


def _update(call: Call) -> Obj:
    row = call.row()
    if row.body["customer"] is None:
        raise invalid("You must save this PaymentMethod to a customer before you can update it.", "payment_method")
    changed = _described(call, row.body)
    given = call.params.get("card", {})
    changed["card"] = {
        **changed["card"],
        **{name: given[name] for name in ("exp_month", "exp_year") if name in given},
    }
    if {"exp_month", "exp_year"} & given.keys():
        methods.check_expiry(call, changed["card"], "card")
    return call.save(FAMILY, row, changed)


def _attach(call: Call) -> Obj:
    row = methods.resolve(call, call.ids["id"], "payment_method")
    customer = call.needed("customer")
    return methods.attach(call.on_clock_of(customer), row, customer["id"])


def _detach(call: Call) -> Obj:
    row = call.row()
    if row.body["customer"] is None:
        raise invalid("The payment method you provided is not attached to a customer.", "payment_method")
    return methods.detach(at_time_of(call, row.body["customer"]), row)


def _forget(call: Call, customer: Obj) -> None:
    """Take all methods from a customer that is deleted."""
    for row in rows(call, FAMILY.kind, ("customer", customer["id"])):
        methods.detach(call, row, silently=True)


def _list(call: Call) -> Obj:
    filters = named_in(call, "customer") or [("attached", ["true"])]
    return page(call, FAMILY, *filters, *_chosen(call))


def _chosen(call: Call) -> list[Filter]:
    return filters_in(call.params, "type", "allow_redisplay")


def _list_of_customer(call: Call) -> Obj:
    customer = call.row(call.families["customer"], "customer").body
    return page(call, FAMILY, ("customer", [customer["id"]]), *_chosen(call))


def _retrieve_of_customer(call: Call) -> Obj:
    return call.owned("customer").body


def _terms(obj: Obj) -> Iterable[Term]:
    yield "type", obj["type"]
    yield "allow_redisplay", obj["allow_redisplay"]
    if obj["customer"]:
        yield "customer", obj["customer"]
        yield "attached", "true"


FAMILY = Family(
    kind="payment_method",
    noun="PaymentMethod",
    missing_param="payment_method",
    references={"customer": "customer"},
    reacts={"customer.deleted": _forget},
    terms=_terms,
    template={
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": methods.NO_DETAILS,
        "card": {},
        "created": 0,
        "customer": None,
        "customer_account": None,
        "livemode": False,
        "metadata": {},
        "type": "card",
        "_cvc": False,
        "_number": "",
        "_set_up": False,
        "_spent": False,
    },
    routes=(
        Route(
            "POST",
            "/v1/payment_methods",
            "PaymentMethodCreateParams",
            _create,
            refused=frozenset({"customer", "payment_method", "radar_options"}),
        ),
        Route(
            "GET",
            "/v1/payment_methods",
            "PaymentMethodListParams",
            _list,
            lists=True,
            refused=frozenset({"customer_account"}),
        ),
        Route("GET", "/v1/payment_methods/{id}", "PaymentMethodRetrieveParams", retrieve),
        Route(
            "POST",
            "/v1/payment_methods/{id}",
            "PaymentMethodUpdateParams",
            _update,
            refused=frozenset({"us_bank_account"}),
        ),
        Route(
            "POST",
            "/v1/payment_methods/{id}/attach",
            "PaymentMethodAttachParams",
            _attach,
            refused=frozenset({"customer_account"}),
        ),
        Route("POST", "/v1/payment_methods/{id}/detach", "PaymentMethodDetachParams", _detach),
        Route(
            "GET",
            "/v1/customers/{customer}/payment_methods",
            "CustomerPaymentMethodListParams",
            _list_of_customer,
            lists=True,
        ),
        Route(
            "GET",
            "/v1/customers/{customer}/payment_methods/{id}",
            "CustomerPaymentMethodRetrieveParams",
            _retrieve_of_customer,
        ),
    ),
)
