"""Features attached to products (https://docs.stripe.com/api/product-feature); nested under the product."""

from collections.abc import Iterable

from reconciler.sandbox.errors import ApiError, invalid
from reconciler.sandbox.lists import page
from reconciler.sandbox.objects.base import Call, Family, Route
from reconciler.sandbox.settings import Settings
from reconciler.sandbox.store import Claim, Term
from reconciler.sandbox.wire import Obj


def _attach(call: Call) -> Obj:
    product = call.row(call.families["product"], "product").body["id"]
    feature = call.refer("entitlements.feature", call.params["entitlement_feature"], "entitlement_feature")
    if not feature["active"]:
        raise invalid("An archived feature cannot be attached to a product.", "entitlement_feature")
    attachment = call.fill(FAMILY, call.new_id("prodft_", 14), entitlement_feature=feature["id"], product=product)
    return call.create(FAMILY, attachment)


def _retrieve(call: Call) -> Obj:
    return call.owned("product").body


def _detach(call: Call) -> Obj:
    return call.delete(FAMILY, call.owned("product"))


def _list(call: Call) -> Obj:
    return page(call, FAMILY, ("product", [call.row(call.families["product"], "product").body["id"]]))


def _terms(obj: Obj) -> Iterable[Term]:
    yield "product", obj["product"]


def _claims(obj: Obj, settings: Settings) -> Iterable[Claim]:
    if settings.unique_attachment:
        yield "product_feature", f"{obj['product']} {obj['entitlement_feature']}"


def _collision(_claim: Claim, _holder: str) -> ApiError:
    return invalid("This feature is already attached to this product.", "entitlement_feature")


FAMILY = Family(
    kind="product_feature",
    noun="product feature",
    emits_events=False,
    hidden=frozenset({"product"}),
    embeds={"entitlement_feature": "entitlements.feature"},
    terms=_terms,
    claims=_claims,
    collision=_collision,
    template={"object": "product_feature", "entitlement_feature": "", "livemode": False, "product": ""},
    routes=(
        Route("POST", "/v1/products/{product}/features", "ProductFeatureCreateParams", _attach),
        Route("GET", "/v1/products/{product}/features", "ProductFeatureListParams", _list, lists=True),
        Route("GET", "/v1/products/{product}/features/{id}", "ProductFeatureRetrieveParams", _retrieve),
        Route("DELETE", "/v1/products/{product}/features/{id}", "ProductFeatureDeleteParams", _detach),
    ),
)
