"""What a payment link or a checkout session sells, line by line (https://docs.stripe.com/api/checkout/sessions/line_items).

The same object, ``item``, stands in links and in sessions; a session's lines carry the amounts the customer pays.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from reconciler.sandbox.errors import exclusive, invalid, missing, out_of_range
from reconciler.sandbox.lists import page, too_many
from reconciler.sandbox.objects import inline_price
from reconciler.sandbox.objects.base import Call, Family, Route, merge_metadata
from reconciler.sandbox.store import Term
from reconciler.sandbox.wire import Obj

#: Documented for links (``line_items``) and for each half of a subscription session.
MAX_ITEMS = 20
DEFAULT_MOST, MOST_QUANTITY = 99, 999_999


def build(call: Call, given: Mapping[str, Any], at: str, *, currency: str | None) -> tuple[Obj, Obj]:
    """Return a new line and its price, or refuse them; ``currency`` is what it must be sold in, if that is known.

    A metered price has no quantity (https://docs.stripe.com/api/checkout/sessions/create).
    """
    price = _price(call, given, at)
    if currency is not None:
        check_currency(price, currency, f"{at}[price]")
    metered = is_metered(price)
    quantity = None if metered else given.get("quantity", 1)
    if quantity is not None and quantity < 1:
        raise out_of_range(f"{at}[quantity]", quantity, least=1)
    adjustable = given.get("adjustable_quantity")
    if adjustable and adjustable["enabled"] and metered:
        raise invalid("The quantity of a metered price cannot be adjusted.", f"{at}[adjustable_quantity]")
    product = call.tx.find("product", price["product"])
    item = call.fill(
        FAMILY,
        call.new_id("li_1", 23),
        adjustable_quantity=adjustable_quantity(adjustable, at, quantity),
        currency=currency or price["currency"],
        description=product.body["name"] if product else None,
        metadata=merge_metadata({}, given.get("metadata", {})),
        price=price["id"],
        quantity=quantity,
    )
    return item, price


def _price(call: Call, given: Mapping[str, Any], at: str) -> Obj:
    if "price" in given and "price_data" in given:
        raise exclusive(f"{at}[price]", f"{at}[price_data]")
    if "price_data" in given:
        return inline_price.create(call, given["price_data"], f"{at}[price_data]")
    if "price" not in given:
        raise missing(f"{at}[price]")
    param = f"{at}[price]"
    price = call.refer("price", given["price"], param)
    if not price["active"]:
        # Observed, including the param.
        raise invalid("The price specified is inactive. This field only accepts active prices.", param)
    product = call.refer("product", price["product"], param)
    if not product["active"]:
        # stripe/stripe-node#2131: Checkout refuses an active price of an archived product.
        raise invalid(f"The product {product['id']} is marked as inactive, and new purchases are disabled.", param)
    return price


def check_currency(price: Obj, currency: str, param: str) -> None:
    """Refuse a price that is sold neither in a currency nor in an option of it (observed)."""
    if currency != price["currency"] and currency not in price["currency_options"]:
        raise invalid(
            f"The price specified only supports `{price['currency']}`. This doesn't match the expected currency: "
            f"`{currency}`.",
            param,
        )


def is_metered(price: Obj) -> bool:
    """Tell whether what a price costs is known only after it was used."""
    return bool(price["recurring"]) and price["recurring"]["usage_type"] == "metered"


def adjustable_quantity(given: Mapping[str, Any] | None, at: str, quantity: int | None) -> Obj | None:
    """Return the range a customer may choose a quantity from; ``None`` where the line says nothing of it."""
    if given is None:
        return None
    if not given["enabled"]:
        return {"enabled": False}
    path = f"{at}[adjustable_quantity]"
    least, most = given.get("minimum", 0), given.get("maximum", DEFAULT_MOST)
    if least < 0:
        raise out_of_range(f"{path}[minimum]", least, least=0)
    if most > MOST_QUANTITY:
        raise out_of_range(f"{path}[maximum]", most, most=MOST_QUANTITY)
    if most < max(least, 1):
        raise out_of_range(f"{path}[maximum]", most, least=max(least, 1))
    if quantity is not None and not least <= quantity <= most:
        raise invalid("`quantity` must be between the minimum and the maximum of its range.", f"{at}[quantity]")
    return {"enabled": True, "maximum": most, "minimum": least}


def check_prices(prices: Sequence[Obj], items: Sequence[Obj], at: str) -> None:
    """Refuse lines that cannot be sold together: different billing intervals, a chosen amount beside anything else.

    Sources: https://docs.stripe.com/billing/subscriptions/mixed-interval ("You currently can't create mixed interval
    subscriptions on Checkout Sessions") and https://docs.stripe.com/payments/checkout/pay-what-you-want.
    """
    cycles = [price["recurring"] for price in prices if price["recurring"]]
    if len({(each["interval"], each["interval_count"]) for each in cycles}) > 1:
        raise invalid("Recurring prices that are sold together must have one `interval` and `interval_count`.", at)
    for index, (price, item) in enumerate(zip(prices, items, strict=True)):
        if price["custom_unit_amount"] is None:
            continue
        param = f"{at}[{index}][price]"
        if len(prices) > 1:
            raise invalid("A price with `custom_unit_amount` must be the only line item.", param)
        if item["quantity"] != 1 or (item["adjustable_quantity"] or {"enabled": False})["enabled"]:
            raise invalid("A price with `custom_unit_amount` is sold with a quantity of 1.", param)


def at_most(given: Sequence[Any], count: int, param: str) -> None:
    """Refuse more lines than Stripe takes, or none at all."""
    if not given:
        raise missing(param)
    if len(given) > count:
        raise too_many(param, count)


def _of_link(call: Call) -> Obj:
    link = call.row(call.families["payment_link"])
    return page(call, FAMILY, ("payment_link", [link.body["id"]]), oldest_first=True)


def _of_session(call: Call) -> Obj:
    session = call.row(call.families["checkout.session"])
    return page(call, FAMILY, ("session", [session.body["id"]]), oldest_first=True)


def _terms(obj: Obj) -> Iterable[Term]:
    for owner in ("payment_link", "session"):
        if obj[f"_{owner}"]:
            yield owner, obj[f"_{owner}"]


FAMILY = Family(
    kind="item",
    noun="line item",
    emits_events=False,
    hidden=frozenset({"discounts", "taxes"}),
    embeds={"price": "price"},
    terms=_terms,
    template={
        "object": "item",
        "_amount": None,
        "_payment_link": None,
        "_session": None,
        "_tax_rates": [],
        "adjustable_quantity": None,
        "amount_discount": 0,
        "amount_subtotal": 0,
        "amount_tax": 0,
        "amount_total": 0,
        "currency": "",
        "description": None,
        "discounts": [],
        "metadata": {},
        "price": None,
        "quantity": None,
        "taxes": [],
    },
    routes=(
        Route("GET", "/v1/payment_links/{id}/line_items", "PaymentLinkListLineItemsParams", _of_link, lists=True),
        Route(
            "GET",
            "/v1/checkout/sessions/{id}/line_items",
            "checkout.SessionListLineItemsParams",
            _of_session,
            lists=True,
        ),
    ),
)
