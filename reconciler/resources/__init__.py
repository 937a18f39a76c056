"""Stripe resource kinds as field tables, and what the files ask of each.

A new kind is one file here and one entry in :data:`KINDS`; there is no create, update or delete code per kind.
"""

from dataclasses import replace

from reconciler.config.catalog import Catalog
from reconciler.resources import (
    coupon,
    credit_grant,
    customer,
    feature,
    meter,
    payment_link,
    portal_configuration,
    price,
    product,
    product_feature,
    promotion_code,
    subscription,
    tax_rate,
    webhook_endpoint,
)
from reconciler.resources.model import Kind, Resource

__all__ = ["BY_NAME", "KINDS", "Kind", "Resource", "desire"]

#: Every managed kind, in the order in which objects are matched: what is referred to comes before what refers to it.
KINDS: tuple[Kind, ...] = (
    meter.KIND,
    feature.KIND,
    tax_rate.KIND,
    product.KIND,
    product_feature.KIND,
    price.KIND,
    coupon.KIND,
    promotion_code.KIND,
    payment_link.KIND,
    portal_configuration.KIND,
    webhook_endpoint.KIND,
    customer.KIND,
    subscription.KIND,
    credit_grant.KIND,
)

BY_NAME = {kind.name: kind for kind in KINDS}


def desire(catalog: Catalog) -> list[Resource]:
    """Return every resource the files ask for, ordered by kind and address; addresses are unique."""
    found = [
        resource for kind in KINDS for resource in sorted(kind.desire(catalog), key=lambda resource: resource.address)
    ]
    named = catalog.imports
    return [replace(each, imported=named[each.address]) if each.address in named else each for each in found]
