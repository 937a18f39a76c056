"""What an offer's prices are at Stripe, by lookup key and owner mark, and what a page says of what it sells."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from reconciler.config.catalog import Catalog
from reconciler.provider.gateway import Gateway
from reconciler.provider.payments.errors import NotForSaleError, PaymentError
from reconciler.provider.payments.offer import Offer
from reconciler.provider.reads import LOOKUP_KEYS, Reader
from reconciler.resources import BY_NAME, Resource
from reconciler.resources.mark import Mark, read_mark

_NOT_APPLIED = "E1406"
MADE_BY = "made_by"
OURS = "reconciler"


class Shelf(NamedTuple):
    """Prices at Stripe by address, and what there is to say about them."""

    prices: Mapping[str, str]
    notes: tuple[str, ...]


def shelf_of(gateway: Gateway, catalog: Catalog, addresses: Sequence[str]) -> Shelf:
    """Return the ids of active prices that carry our mark; PaymentError where one is not there.

    NotForSaleError for an address that the files have no price for.
    """
    wanted = {item.address: item for item in BY_NAME["price"].desire(catalog) if item.address in set(addresses)}
    if strange := set(addresses) - wanted.keys():
        raise NotForSaleError(
            "E1405",
            f"the files make no price {min(strange)}: the tenant's own terms go with the plan the files give it",
            remedy="Give the tenant that plan in the files and apply.",
        )
    found: dict[str, dict[str, Any]] = {}
    keys = sorted(str(item.key) for item in wanted.values())
    for start in range(0, len(keys), LOOKUP_KEYS):
        params = {"lookup_keys": keys[start : start + LOOKUP_KEYS], "active": "true"}
        for price in Reader(gateway).pages("/v1/prices", params):
            found[price["lookup_key"]] = price
    ids, notes = {}, []
    for address in addresses:
        item = wanted[address]
        if (live := found.get(str(item.key))) is None:
            raise _missing(address, there=False)
        mark = read_mark(live["metadata"])
        if mark is None or (mark.namespace, mark.address) != (catalog.namespace, address):
            raise _missing(address, there=True)
        if _differs(mark, item):
            notes.append(f"{address} is sold as it was applied last; these files say otherwise")
        ids[address] = str(live["id"])
    return Shelf(ids, tuple(notes))


def _differs(mark: Mark, item: Resource) -> bool:
    return mark.digest != item.digest


def _missing(address: str, *, there: bool) -> PaymentError:
    what = "is held by a price of others at Stripe" if there else "is not on sale at Stripe"
    return PaymentError(_NOT_APPLIED, f"{address} {what}", remedy="Run `reconciler plan`, then `reconciler apply`.")


def told(catalog: Catalog, tenant: str, offer: Offer) -> dict[str, str]:
    """Return the metadata of a purchase: who fulfils it learns the tenant and what was bought.

    It is no owner mark, so that no plan takes it for an object of the files.
    """
    quantity = next((line.quantity for line in offer.lines if line.quantity is not None), None)
    return {
        MADE_BY: OURS,
        "namespace": catalog.namespace,
        "tenant": tenant,
        "sells": offer.sells,
        **({"price": offer.price} if offer.price else {}),
        **({"quantity": str(quantity)} if quantity is not None else {}),
    }


#: Whoever buys once becomes a customer too, so that its next purchase and the portal know it.
CUSTOMER = {"customer_creation": "always"}


def purchase(catalog: Catalog, tenant: str, offer: Offer) -> dict[str, Any]:
    """Return the parameters that checkout sessions and payment links have in common, lines apart."""
    metadata = told(catalog, tenant, offer)
    common = {"metadata": metadata, **({"currency": offer.currency} if offer.currency else {})}
    if offer.every is None:
        return {**common, "payment_intent_data": {"metadata": metadata}}
    trial = {"trial_period_days": offer.trial_days} if offer.trial_days else {}
    return {**common, "subscription_data": {"metadata": metadata, **trial}}
