"""Accounts as people make them in the dashboard, drawn at random: every shape of price, archived, foreign objects."""

from collections.abc import Callable, Mapping
from typing import Any

import stripe
from hypothesis import strategies as st

from .world import World

names = st.one_of(
    st.sampled_from(
        ["Pro", "Pro Plan", "pro", "Basic", "1,000 credits", "Credits 5k", "500", "yes", "プロ", "Größe L", "on"]
    ),
    st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=20),
    st.text(min_size=1, max_size=6),
).filter(lambda text: bool(text.strip()) and text == text.strip())
metadata = st.dictionaries(
    st.one_of(st.sampled_from(["line", "owner_email", "credits", "max_users", "address", "é"]), names),
    st.one_of(names, st.sampled_from(["12", "jane@example.com", "+49 30 1234567"])),
    max_size=2,
)
MINOR = {"usd": 100, "eur": 100, "jpy": 1, "kwd": 1000}
currencies = st.sampled_from(["usd", "usd", "usd", "eur", "jpy", "kwd"])
behaviors = st.sampled_from([None, None, "exclusive", "inclusive", "unspecified"])


@st.composite
def amounts(draw: st.DrawFn, currency: str) -> dict[str, Any]:
    """Draw an amount in whole minor units, which may have to end in a zero, or with decimals of one."""
    if draw(st.booleans()):
        step = 10 if currency == "kwd" else 1
        return {"unit_amount": draw(st.integers(0, 99_999)) * step}
    places = draw(st.integers(1, 12))
    return {"unit_amount_decimal": f"{draw(st.integers(0, 999))}.{draw(st.integers(0, 10**places - 1)):0{places}d}"}


@st.composite
def brackets(draw: st.DrawFn, currency: str, bounds: list[int], *, free: bool) -> list[dict[str, Any]]:
    """Draw tiers with these bounds; ``free`` makes the first cost nothing."""
    tiers = [{"up_to": bound, **draw(amounts(currency))} for bound in [*bounds, "inf"]]
    for tier in tiers:
        if draw(st.integers(0, 3)) == 0:
            tier["flat_amount"] = draw(st.integers(0, 999)) * 10
    if free:
        tiers[0] = {"up_to": tiers[0]["up_to"], "unit_amount": 0}
    return tiers


@st.composite
def prices(draw: st.DrawFn, meters: int) -> dict[str, Any]:
    """Draw the parameters of a price; ``meter`` is a number in place of an id."""
    currency = draw(currencies)
    price: dict[str, Any] = {"currency": currency}
    form = draw(st.sampled_from(["flat", "flat", "once", "custom", "tiers", "package"]))
    metered = meters > 0 and form not in ("once", "custom") and draw(st.booleans())
    others = draw(st.sets(st.sampled_from(sorted(set(MINOR) - {currency})), max_size=2))
    if form == "custom":
        bounds = dict(
            zip(
                ("minimum", "preset", "maximum"),
                sorted(draw(st.sets(st.integers(60, 9000), min_size=3, max_size=3))),
                strict=True,
            )
        )
        price["custom_unit_amount"] = {"enabled": True, **bounds}
        others = set()
    elif form == "tiers":
        edges = sorted(draw(st.sets(st.integers(1, 10**6), max_size=3)))
        free = draw(st.booleans())
        price |= {"billing_scheme": "tiered", "tiers_mode": draw(st.sampled_from(["graduated", "volume"]))}
        price["tiers"] = draw(brackets(currency, edges, free=free))
        options: dict[str, Any] = {
            other: {"tiers": draw(brackets(other, edges, free=free))} for other in sorted(others)
        }
    else:
        price |= draw(amounts(currency))
        options = {other: draw(amounts(other)) for other in sorted(others)}
    if form == "package":
        price["transform_quantity"] = {
            "divide_by": draw(st.integers(2, 1000)),
            "round": draw(st.sampled_from(["up", "down"])),
        }
    if others:
        price["currency_options"] = options
    if form not in ("once", "custom"):
        price["recurring"] = {
            "interval": draw(st.sampled_from(["month", "month", "year", "week"])),
            "interval_count": draw(st.sampled_from([1, 1, 1, 3])),
        }
    if metered:
        price["recurring"] |= {"usage_type": "metered", "meter": draw(st.integers(0, meters - 1))}
    extra = {"tax_behavior": draw(behaviors), "nickname": draw(st.one_of(st.none(), names)), "metadata": draw(metadata)}
    price |= {name: value for name, value in extra.items() if value}
    return price | {"keyed": draw(st.booleans()), "archived": draw(st.integers(0, 5)) == 0}


@st.composite
def products(draw: st.DrawFn, meters: int, features: int) -> dict[str, Any]:
    """Draw the parameters of a product, its prices, which of them is the default one, and what is attached."""
    product: dict[str, Any] = {"name": draw(names), "metadata": draw(metadata)}
    optional = {
        "description": names,
        "unit_label": st.text("abc ", min_size=1, max_size=12).map(str.strip).filter(bool),
        "tax_code": st.just("txcd_10103001"),
        "url": st.just("https://example.com/x"),
        "images": st.just(["https://example.com/a.png"]),
        "statement_descriptor": st.just("ACME PRO"),
        "shippable": st.booleans(),
        "package_dimensions": st.just({"height": 1.5, "length": 2, "weight": 3, "width": 4.25}),
        "marketing_features": st.lists(names, max_size=2).map(lambda texts: [{"name": text} for text in texts]),
    }
    product |= {name: draw(each) for name, each in optional.items() if draw(st.integers(0, 4)) == 0}
    own = draw(st.lists(prices(meters), max_size=4))
    return {
        "params": product,
        "prices": own,
        "default": draw(st.one_of(st.none(), st.integers(0, len(own) - 1))) if own else None,
        "attached": sorted(draw(st.sets(st.integers(0, features - 1)))) if features else [],
        "chosen": draw(st.booleans()),
        "foreign": draw(st.integers(0, 5)) == 0,
        "archived": draw(st.integers(0, 5)) == 0,
    }


@st.composite
def coupons(draw: st.DrawFn, products: int) -> dict[str, Any]:
    """Draw the parameters of a coupon, and the numbers of the products it is limited to."""
    duration = draw(st.sampled_from(["once", "forever", "repeating"]))
    coupon: dict[str, Any] = {"duration": duration, "metadata": draw(metadata)}
    coupon |= {"duration_in_months": 3} if duration == "repeating" else {}
    if draw(st.booleans()):
        coupon["percent_off"] = draw(st.sampled_from([10, 12.5, 33.33, 100]))
    else:
        coupon |= {"amount_off": draw(st.integers(1, 999)) * 10, "currency": draw(currencies)}
    extra = {"name": names, "redeem_by": st.sampled_from([1_924_992_000, 1_924_992_001]), "max_redemptions": st.just(5)}
    coupon |= {name: draw(each) for name, each in extra.items() if draw(st.booleans())}
    limited = sorted(draw(st.sets(st.integers(0, products - 1), max_size=2))) if products else []
    return {"params": coupon, "products": limited, "chosen": draw(st.booleans()), "codes": draw(st.integers(0, 2))}


@st.composite
def accounts(draw: st.DrawFn) -> dict[str, Any]:
    """Draw everything of an account as plain data."""
    meters = draw(st.integers(0, 2))
    features = draw(st.integers(0, 2))
    sold = draw(st.lists(products(meters, features), max_size=4))
    return {
        "meters": [
            {"formula": draw(st.sampled_from(["sum", "count", "last"])), "off": draw(st.integers(0, 5)) == 0}
            for _ in range(meters)
        ],
        "features": [{"name": draw(names), "metadata": draw(metadata)} for _ in range(features)],
        "products": sold,
        "coupons": draw(st.lists(coupons(len(sold)), max_size=2)),
        "rates": draw(st.lists(st.sampled_from([21, 19.5, 0]), max_size=2)),
    }


def build(world: World, account: Mapping[str, Any]) -> None:
    """Make an account in the dashboard; what Stripe refuses is not there."""
    v1: Any = world.dashboard.v1
    meters, features, made = [], [], []
    for index, each in enumerate(account["meters"]):
        params = {
            "display_name": f"Meter {index}",
            "event_name": f"meter.{index}",
            "default_aggregation": {"formula": each["formula"]},
        }
        meters.append(v1.billing.meters.create(params).id)
    for index, each in enumerate(account["features"]):
        features.append(
            _tried(
                lambda each=each, index=index: v1.entitlements.features.create(
                    {**each, "lookup_key": f"feature_{index}"}
                )
            )
        )
    for number, each in enumerate(account["products"]):
        made.append(_product(world, number, each, meters, features))
    for number, each in enumerate(account["coupons"]):
        _coupon(world, number, each, made)
    for number, percentage in enumerate(account["rates"]):
        v1.tax_rates.create({"display_name": f"Tax {number}", "percentage": percentage, "inclusive": bool(number)})
    for meter, each in zip(meters, account["meters"], strict=True):
        if each["off"]:
            v1.billing.meters.deactivate(meter)
    for product, each in zip(made, account["products"], strict=True):
        if product and each["archived"]:
            v1.products.update(product, {"active": False})


def _product(
    world: World, number: int, each: Mapping[str, Any], meters: list[str], features: list[str | None]
) -> str | None:
    v1: Any = world.dashboard.v1
    params = each["params"] | ({"id": f"own_{number}"} if each["chosen"] else {})
    if each["foreign"]:
        params["metadata"] = {**params["metadata"], "managed_by": "reconciler/other", "address": "plans.theirs"}
    product = _tried(lambda: v1.products.create(params))
    if product is None:
        return None
    ids = [
        _tried(lambda price=price, index=index: _price(v1, product, price, f"key-{number}-{index}", meters))
        for index, price in enumerate(each["prices"])
    ]
    default = ids[each["default"]] if each["default"] is not None else None
    if default:
        _tried(lambda: v1.products.update(product, {"default_price": default}))
    for price, drawn in zip(ids, each["prices"], strict=True):
        if price and drawn["archived"] and price != default:
            v1.prices.update(price, {"active": False})
    for index in each["attached"]:
        if features[index]:
            v1.products.features.create(product, {"entitlement_feature": features[index]})
    return product


def _price(v1: Any, product: str, drawn: Mapping[str, Any], key: str, meters: list[str]) -> Any:
    params = {name: value for name, value in drawn.items() if name not in ("keyed", "archived")} | {"product": product}
    if "meter" in params.get("recurring", {}):
        params["recurring"] = {**params["recurring"], "meter": meters[params["recurring"]["meter"]]}
    return v1.prices.create(params | ({"lookup_key": key} if drawn["keyed"] else {}))


def _coupon(world: World, number: int, each: Mapping[str, Any], products: list[str | None]) -> None:
    v1: Any = world.dashboard.v1
    limited = [products[index] for index in each["products"] if products[index]]
    params = each["params"] | ({"id": f"COUPON{number}"} if each["chosen"] else {})
    params |= {"applies_to": {"products": limited}} if limited else {}
    coupon = _tried(lambda: v1.coupons.create(params))
    for index in range(each["codes"] if coupon else 0):
        code = {"promotion": {"type": "coupon", "coupon": coupon}, "code": f"CODE-{number}-{index}"}
        _tried(lambda code=code: v1.promotion_codes.create(code))


def _tried(create: Callable[[], Any]) -> str | None:
    try:
        return str(create().id)
    except stripe.InvalidRequestError:
        return None


def dump(world: World) -> dict[str, Any]:
    """Return every object of the managed kinds as Stripe shows it, archived ones included, by kind and id."""
    v1: Any = world.dashboard.v1
    expand = {"expand": ["data.tiers", "data.currency_options"], "limit": 100}
    pages = {
        "meter": [v1.billing.meters.list({"limit": 100})],
        "feature": [v1.entitlements.features.list({"limit": 100, "archived": each}) for each in (False, True)],
        "product": [v1.products.list({"limit": 100})],
        "price": [v1.prices.list(expand)],
        "coupon": [v1.coupons.list({"limit": 100, "expand": ["data.applies_to", "data.currency_options"]})],
        "promotion_code": [v1.promotion_codes.list({"limit": 100})],
        "tax_rate": [v1.tax_rates.list({"limit": 100})],
    }
    return {
        (kind, each.id): each.to_dict()
        for kind, lists in pages.items()
        for page in lists
        for each in page.auto_paging_iter()
    }
