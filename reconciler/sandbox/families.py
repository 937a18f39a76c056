"""Every object family the sandbox has; adding one is a file in ``objects/`` and a line here."""

from collections.abc import Mapping
from types import MappingProxyType

from reconciler.sandbox.objects import (
    account,
    coupon,
    event,
    feature,
    meter,
    price,
    product,
    product_feature,
    promotion_code,
    tax_rate,
)
from reconciler.sandbox.objects.base import Family

_MODULES = (account, product, price, meter, feature, product_feature, tax_rate, coupon, promotion_code, event)

FAMILIES: Mapping[str, Family] = MappingProxyType({module.FAMILY.kind: module.FAMILY for module in _MODULES})
