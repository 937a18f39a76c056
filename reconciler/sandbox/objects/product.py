"""Products (https://docs.stripe.com/api/products)."""

from collections.abc import Iterable

from reconciler.sandbox.errors import exclusive, invalid
from reconciler.sandbox.lists import Filter, at_most, filters_in, page
from reconciler.sandbox.objects import price, product_feature
from reconciler.sandbox.objects.base import Call, Family, Route, flag, retrieve
from reconciler.sandbox.objects.product_fields import describe, lay_over
from reconciler.sandbox.store import Term, Window
from reconciler.sandbox.walks import ID
from reconciler.sandbox.wire import Obj

#: Ids of deleted products, remembered where they may not be used again.
DELETED = "product.deleted"
MAX_IDS = 100


def _create(call: Call) -> Obj:
    """Create the product, then its default price; the product's event already names the price (observed)."""
    product = describe(call, FAMILY, call.params)
    data = call.params.get("default_price_data")
    if data is None:
        return call.create(FAMILY, product)
    default = price.build(call, data, product["id"], price.new_id(call))
    created = call.create(FAMILY, {**product, "default_price": default["id"]})
    call.create(price.FAMILY, default)
    return created


def _update(call: Call) -> Obj:
    row, params = call.row(), call.params
    if params.get("default_price"):
        default = call.refer("price", params["default_price"], "default_price")
        if default["product"] != row.body["id"]:
            raise invalid(f"The price {default['id']} belongs to another product.", "default_price")
        if not default["active"]:
            raise invalid(f"The price {default['id']} is inactive; a default price must be active.", "default_price")
    return call.save(FAMILY, row, lay_over(row.body, params))


def _delete(call: Call) -> Obj:
    """Delete a product without prices (stripe/stripe-python#658); with features it is a setting."""
    row = call.row()
    one = Window(1)
    if call.tx.page("price", [("product", row.body["id"])], one):
        raise invalid("This product cannot be deleted because it has one or more user-created prices.")
    while attached := call.tx.page(product_feature.FAMILY.kind, [("product", row.body["id"])], one):
        if not call.settings.product_delete_with_features:
            raise invalid("This product cannot be deleted because it has one or more features attached.")
        call.delete(product_feature.FAMILY, attached[0])
    if not call.settings.deleted_id_reusable:
        call.tx.claim((DELETED, row.body["id"]), row.body["id"])
    return call.delete(FAMILY, row, {**row.body, "active": False})


def _list(call: Call) -> Obj:
    params = call.params
    filters: list[Filter] = []
    if "ids" in params:
        for cursor in ("starting_after", "ending_before"):
            if cursor in params:
                raise exclusive("ids", cursor)
        filters.append((ID, at_most(params["ids"], MAX_IDS, "ids")))
    return page(call, FAMILY, *filters, *filters_in(params, "url", "type", "shippable", "active"))


def _terms(obj: Obj) -> Iterable[Term]:
    yield from ((name, flag(obj[name])) for name in ("active", "shippable"))
    yield "type", obj["type"]
    if obj["url"]:
        yield "url", obj["url"]


FAMILY = Family(
    kind="product",
    noun="product",
    references={"default_price": "price"},
    lengths={
        "description": 40_000,
        "id": 255,
        "marketing_features[][name]": 80,
        "statement_descriptor": 22,
        "unit_label": 12,
        "url": 2048,
    },
    terms=_terms,
    template={
        "object": "product",
        "active": True,
        "created": 0,
        "default_price": None,
        "description": None,
        "images": [],
        "livemode": False,
        "marketing_features": [],
        "metadata": {},
        "name": "",
        "package_dimensions": None,
        "shippable": None,
        "statement_descriptor": None,
        "tax_code": None,
        "tax_details": None,
        "type": "service",
        "unit_label": None,
        "updated": 0,
        "url": None,
    },
    routes=(
        Route("POST", "/v1/products", "ProductCreateParams", _create),
        Route("GET", "/v1/products", "ProductListParams", _list, lists=True),
        Route("GET", "/v1/products/{id}", "ProductRetrieveParams", retrieve),
        Route(
            "POST",
            "/v1/products/{id}",
            "ProductUpdateParams",
            _update,
            clears=frozenset({"default_price"}),
            blanks=frozenset({"statement_descriptor"}),
        ),
        Route("DELETE", "/v1/products/{id}", "ProductDeleteParams", _delete),
    ),
)
