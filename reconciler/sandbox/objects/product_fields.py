"""What a product may say of itself; shared by products and by prices that bring their product along."""

import re
from collections.abc import Mapping
from typing import Any

from reconciler.sandbox.errors import ApiError, invalid, no_such, out_of_range
from reconciler.sandbox.lists import too_many
from reconciler.sandbox.objects.base import Call, Family, json_number, overlay
from reconciler.sandbox.wire import Obj

_FIELDS = (
    "active",
    "default_price",
    "description",
    "images",
    "marketing_features",
    "metadata",
    "name",
    "package_dimensions",
    "shippable",
    "statement_descriptor",
    "tax_code",
    "tax_details",
    "type",
    "unit_label",
    "url",
)
MAX_IMAGES, MAX_MARKETING_FEATURES = 8, 15

_URL = re.compile(r"https?://[^\s/$.?#][^\s]*", re.IGNORECASE)
_TAX_CODE = re.compile(r"txcd_[0-9]{8}")


def describe(call: Call, family: Family, params: Obj) -> Obj:
    """Return the complete new product a request describes; a chosen id that is taken or was refused is an error."""
    chosen = params.get("id")
    if chosen and (call.tx.find(family.kind, chosen) or call.tx.holder((f"{family.kind}.deleted", chosen))):
        raise already_exists("Product")
    return lay_over(call.fill(family, chosen or call.new_id("prod_", 14)), params)


def lay_over(product: Obj, params: Obj) -> Obj:
    """Return the product with what a request sets, or refuse it."""
    _check(params)
    changed = overlay(product, params, _FIELDS)
    if params.get("package_dimensions"):
        changed["package_dimensions"] = {k: json_number(v) for k, v in params["package_dimensions"].items()}
    if params.get("tax_details"):
        changed["tax_details"] = {"performance_location": None, "tax_code": None, **params["tax_details"]}
    return changed


def is_url(text: str) -> bool:
    """Tell whether a text is the address of a page: ``http`` or ``https``, with a host."""
    return _URL.fullmatch(text) is not None


def already_exists(noun: str) -> ApiError:
    """Return the refusal of a chosen id that is taken (observed for coupons)."""
    return invalid(f"{noun} already exists.", "id", "resource_already_exists")


def _check(params: Mapping[str, Any]) -> None:
    """Refuse values outside the limits of https://docs.stripe.com/api/products/create."""
    for name, count in (("images", MAX_IMAGES), ("marketing_features", MAX_MARKETING_FEATURES)):
        if len(params.get(name) or ()) > count:
            raise too_many(name, count)
    for url in (*(params.get("images") or ()), *filter(None, [params.get("url")])):
        if not is_url(url):
            raise invalid("Not a valid URL", "url" if url == params.get("url") else "images", "url_invalid")
    descriptor = params.get("statement_descriptor")
    if descriptor is not None and (not any(map(str.isalpha, descriptor)) or set(descriptor) & set("<>\\'\"*")):
        raise invalid(
            "The statement descriptor must contain a letter and none of < > \\ ' \" *", "statement_descriptor"
        )
    if (tax_code := params.get("tax_code")) and not _TAX_CODE.fullmatch(tax_code):
        raise no_such("tax code", tax_code, "tax_code")
    for name, size in (params.get("package_dimensions") or {}).items():
        if size <= 0:
            raise out_of_range(f"package_dimensions[{name}]", str(size), least=0.01)
