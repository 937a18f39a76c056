"""Prices that a request brings along as ``price_data``: made for one line, inactive, in no list.

Sources: https://docs.stripe.com/products-prices/how-products-and-prices-work#inline-pricing and the SDK's docstring of
``GET /v1/prices`` ("excluding inline prices").
"""

from reconciler.sandbox.errors import ApiError, exclusive, missing
from reconciler.sandbox.objects import price
from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.objects.product_fields import describe
from reconciler.sandbox.wire import Obj


def create(call: Call, data: Obj, at: str) -> Obj:
    """Return the new price of a ``price_data``, with a new product where it brings ``product_data``; ``at`` names it.

    Raises the 400s of a price that could not be created, with the parameter's path.
    """
    if "product" in data and "product_data" in data:
        raise exclusive(f"{at}[product]", f"{at}[product_data]")
    if "product" not in data and "product_data" not in data:
        raise missing(f"{at}[product]")
    if "unit_amount" not in data and "unit_amount_decimal" not in data:
        raise missing(f"{at}[unit_amount]")
    if "product" in data:
        product_id = call.refer("product", data["product"], f"{at}[product]")["id"]
    else:
        product_id = _product(call, data["product_data"], f"{at}[product_data]")
    try:
        built = price.build(call, data, product_id, price.new_id(call))
    except ApiError as error:
        raise _inside(at, error) from None
    return call.create(price.FAMILY, {**built, "active": False, "_inline": True})


def _product(call: Call, data: Obj, at: str) -> str:
    family = call.families["product"]
    try:
        product: Obj = call.create(family, describe(call, family, data))
    except ApiError as error:
        raise _inside(at, error) from None
    return str(product["id"])


def _inside(at: str, error: ApiError) -> ApiError:
    """Name the parameter by its whole path: ``unit_amount`` in ``line_items[0][price_data]``."""
    head, bracket, rest = (error.param or "").partition("[")
    error.param = f"{at}[{head}]{bracket}{rest}" if head else at
    return error
