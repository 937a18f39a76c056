"""Tax rates (https://docs.stripe.com/api/tax_rates); the read-only fields are as observed for percentage rates."""

import re
from collections.abc import Iterable
from decimal import Decimal

from reconciler.money import decimals
from reconciler.sandbox.errors import invalid, out_of_range
from reconciler.sandbox.lists import filters_in, page
from reconciler.sandbox.objects.base import Call, Family, Route, flag, json_number, overlay, retrieve
from reconciler.sandbox.store import Term
from reconciler.sandbox.wire import Obj

MAX_PERCENT_DECIMALS = 4
_COUNTRY = re.compile(r"[A-Z]{2}")
_MUTABLE = ("active", "country", "description", "display_name", "jurisdiction", "metadata", "state", "tax_type")


def _create(call: Call) -> Obj:
    percentage: Decimal = call.params["percentage"]
    if percentage < 0:
        raise out_of_range("percentage", str(percentage), least=0)
    if percentage > 100:  # noqa: PLR2004  a percentage
        raise out_of_range("percentage", str(percentage), most=100)
    if decimals(percentage) > MAX_PERCENT_DECIMALS:
        raise invalid(f"`percentage` can have at most {MAX_PERCENT_DECIMALS} decimal places.", "percentage")
    number = json_number(percentage)
    rate = call.fill(
        FAMILY,
        call.new_id("txr_1", 23),
        effective_percentage=number,
        inclusive=call.params["inclusive"],
        percentage=number,
    )
    return call.create(FAMILY, _described(call, rate))


def _update(call: Call) -> Obj:
    row = call.row()
    return call.save(FAMILY, row, _described(call, row.body))


def _described(call: Call, rate: Obj) -> Obj:
    country = call.params.get("country")
    if country is not None and not _COUNTRY.fullmatch(country):
        raise invalid("Country must be a two-letter ISO 3166-1 code.", "country")
    return overlay(rate, call.params, _MUTABLE)


def _list(call: Call) -> Obj:
    return page(call, FAMILY, *filters_in(call.params, "inclusive", "active"))


def _terms(obj: Obj) -> Iterable[Term]:
    yield from ((name, flag(obj[name])) for name in ("active", "inclusive"))


FAMILY = Family(
    kind="tax_rate",
    noun="tax rate",
    missing_param="tax_rate",
    lengths={"display_name": 50, "jurisdiction": 50, "state": 50},
    terms=_terms,
    template={
        "object": "tax_rate",
        "active": True,
        "country": None,
        "created": 0,
        "description": None,
        "display_name": "",
        "effective_percentage": None,
        "flat_amount": None,
        "inclusive": False,
        "jurisdiction": None,
        "jurisdiction_level": None,
        "livemode": False,
        "metadata": {},
        "percentage": 0,
        "rate_type": "percentage",
        "state": None,
        "tax_type": None,
    },
    routes=(
        Route("POST", "/v1/tax_rates", "TaxRateCreateParams", _create),
        Route("GET", "/v1/tax_rates", "TaxRateListParams", _list, lists=True),
        Route("GET", "/v1/tax_rates/{id}", "TaxRateRetrieveParams", retrieve),
        Route(
            "POST",
            "/v1/tax_rates/{id}",
            "TaxRateUpdateParams",
            _update,
            blanks=frozenset({"country", "description", "jurisdiction", "state"}),
        ),
    ),
)
