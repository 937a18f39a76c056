"""What Stripe would put on a tenant's next invoice, by the owner marks of its prices. Nothing is written.

https://docs.stripe.com/api/invoices/create_preview is a POST, and makes no invoice.
"""

import uuid
from collections.abc import Mapping
from typing import Any, NamedTuple

from reconciler.diagnostics import ProviderError
from reconciler.provider.customers import customers_of
from reconciler.provider.gateway import Connection, Gateway, RequestFailedError
from reconciler.provider.payments.hurry import BUDGET, Hurry, OutOfTimeError, within
from reconciler.provider.reads import Reader
from reconciler.resources.mark import read_mark

_OVER = frozenset({"canceled", "incomplete", "incomplete_expired"})


class Preview(NamedTuple):
    """An invoice that is to come: its lines by the address of their price, in minor units.

    ``addresses`` are those of the subscription's prices, due now or not; ``others`` are lines of no price of ours, by
    their words. ``start`` and ``end`` of its period are Unix seconds; ``whole`` says that all of its lines are here.
    """

    subscription: str
    currency: str
    start: int
    end: int
    amounts: Mapping[str, int]
    others: tuple[tuple[str, int], ...]
    subtotal: int
    discount: int
    credit: int
    tax: int
    total: int
    livemode: bool
    addresses: frozenset[str] = frozenset()
    whole: bool = True


class NoPreview(NamedTuple):
    """Why Stripe's side is not known."""

    why: str


def preview_of(connection: Connection, namespace: str, tenant: str) -> Preview | NoPreview:
    """Ask Stripe, for 15 seconds at most; why there is nothing to compare with, where there is nothing."""
    gateway = Gateway(connection, backoff=Hurry().begun())
    try:
        found: Preview | NoPreview = within(BUDGET, lambda: _asked(gateway, namespace, tenant))
    except OutOfTimeError:
        return NoPreview(f"it did not answer within {BUDGET:g} s")
    except RequestFailedError as error:
        return NoPreview(f"it refused: {error.failure.message}")
    except ProviderError as error:
        return NoPreview(error.message)
    return found


def _asked(gateway: Gateway, namespace: str, tenant: str) -> Preview | NoPreview:
    customers = customers_of(gateway, namespace, tenant)
    if len(customers) != 1:
        doubled = f"several customers are marked as this tenant: {' and '.join(customers)}"
        return NoPreview(doubled if customers else "no customer there is marked as this tenant")
    alive = [
        (each["id"], addresses)
        for each in Reader(gateway).pages("/v1/subscriptions", {"customer": customers[0]})
        if each["status"] not in _OVER and (addresses := _addresses(gateway, namespace, each["id"]))
    ]
    if len(alive) != 1:
        several = f"the customer has several subscriptions of these files: {' and '.join(name for name, _ in alive)}"
        return NoPreview(several if alive else f"its customer {customers[0]} has no subscription of these files")
    subscription, addresses = alive[0]
    body = gateway.post("/v1/invoices/create_preview", {"subscription": subscription}, uuid.uuid4().hex).body
    return _read(subscription, addresses, body)


def _addresses(gateway: Gateway, namespace: str, subscription: str) -> dict[str, str]:
    """Return the addresses of a subscription's prices of ours, by their ids."""
    found = {}
    for item in Reader(gateway).pages("/v1/subscription_items", {"subscription": subscription}):
        mark = read_mark(item["price"]["metadata"])
        if mark is not None and mark.namespace == namespace:
            found[item["price"]["id"]] = mark.address
    return found


def _read(subscription: str, addresses: Mapping[str, str], body: Mapping[str, Any]) -> Preview:
    amounts: dict[str, int] = {}
    others = []
    for line in body["lines"]["data"]:
        address = addresses.get(_price(line))
        if address is None:
            others.append((str(line.get("description") or "another line"), int(line["amount"])))
        else:
            amounts[address] = amounts.get(address, 0) + int(line["amount"])
    credits_ = (each for each in body.get("total_pretax_credit_amounts") or () if each["type"] != "discount")
    return Preview(
        subscription=subscription,
        currency=body["currency"],
        start=body["period_start"],
        end=body["period_end"],
        amounts=amounts,
        others=tuple(others),
        subtotal=body["subtotal"],
        discount=_sum(body.get("total_discount_amounts") or ()),
        credit=_sum(credits_),
        tax=_sum(body.get("total_taxes") or ()),
        total=body["total"],
        livemode=body["livemode"],
        addresses=frozenset(addresses.values()),
        whole=not body["lines"].get("has_more"),
    )


def _price(line: Mapping[str, Any]) -> str:
    price = ((line.get("pricing") or {}).get("price_details") or {}).get("price") or ""
    return str(price["id"] if isinstance(price, dict) else price)


def _sum(amounts: Any) -> int:
    return sum(int(each["amount"]) for each in amounts)
