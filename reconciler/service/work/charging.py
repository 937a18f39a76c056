"""Buying a pack for a tenant who is not there: what is asked of Stripe, and what its answers mean.

A payment intent is made and confirmed in one request, off session, with the customer's default card
(https://docs.stripe.com/payments/save-and-reuse#charge-saved-payment-method). The request and its idempotency key are
kept before it is sent, and the same request is sent until its answer is known. A key is forgotten after a day at
Stripe (https://docs.stripe.com/api/idempotent_requests): after that the payment is looked for and never sent again.
"""

import hashlib
import json
import uuid
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

from reconciler.config.catalog import Catalog
from reconciler.diagnostics.visible import quoted
from reconciler.entitlements.periods import LENGTH, SECOND
from reconciler.provider.binding import check_account, check_mode
from reconciler.provider.customers import customers_of
from reconciler.provider.gateway import Gateway, RequestFailedError
from reconciler.provider.payments.offer import Choice, offer_of
from reconciler.provider.payments.shelf import shelf_of, told
from reconciler.provider.reads import Reader

INTENTS = "/v1/payment_intents"
#: Metadata of a payment intent that was made here: the number of the purchase among the tenant's, and its key.
RECHARGE, KEY = "recharge", "recharge_key"
#: How long the same request may be sent with its key, in microseconds: an hour less than Stripe remembers it.
REPEATABLE = 23 * LENGTH["hour"]
#: Why a purchase failed of which there is no payment.
NOT_SENT = "not_sent"
_AUTHENTICATION = "authentication_required"
#: What tells nothing of whether a request was carried out, or will be.
_LATER = frozenset({HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


class Request(NamedTuple):
    """What is sent to Stripe, exactly, and under which key."""

    key: str
    params: Mapping[str, Any]

    def text(self) -> str:
        """Return the request as it is kept."""
        return json.dumps(self, separators=(",", ":"))

    @classmethod
    def read(cls, text: str) -> "Request":
        """Read a request that was kept."""
        return cls(*json.loads(text))


class Result(NamedTuple):
    """What is known of a purchase: ``paid`` by a payment intent, ``failed`` for a reason, or ``open`` still."""

    state: str
    intent: Mapping[str, Any] | None = None
    reason: str = ""


class ChargeRefusedError(Exception):
    """Nothing can be bought for a tenant, for a reason that stays until somebody does something about it."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Till:
    """Charges tenants of one catalogue in one account."""

    def __init__(self, gateway: Gateway, catalog: Catalog) -> None:
        check_mode(gateway.mode, catalog.environment)
        self._gateway = gateway
        self._catalog = catalog

    def prepare(self, tenant: str, pack: str, number: int) -> Request:
        """Return the request that buys a pack; ChargeRefusedError where the tenant has no card or no customer.

        NotForSaleError or PaymentError where the pack is not on sale; RequestFailedError where Stripe does not answer.
        """
        gateway, catalog = self._gateway, self._catalog
        check_account(gateway, catalog.environment)
        offer = offer_of(catalog, tenant, Choice(pack=pack, quantity=1))
        shelf = shelf_of(gateway, catalog, [line.address for line in offer.lines])
        (price_id,) = shelf.prices.values()
        customer, card = self._payer(tenant)
        amount, currency = self._price(price_id, offer.currency)
        names = f"{catalog.namespace}\n{tenant}\n{number}"
        # The account may know purchases of the same number that another ledger of this namespace has made.
        key = f"recharge-{hashlib.sha256(names.encode()).hexdigest()[:16]}-{uuid.uuid4().hex}"
        metadata = {**told(catalog, tenant, offer), RECHARGE: str(number), KEY: key}
        return Request(
            key,
            {
                "amount": amount,
                "currency": currency,
                "customer": customer,
                "payment_method": card,
                "confirm": True,
                "off_session": True,
                "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
                "description": f"Credit pack {pack}, bought automatically",
                "metadata": metadata,
            },
        )

    def charge(self, request: Request, sent: int, now: int) -> Result:
        """Send a request, again or for the first time, and return what is known then.

        ``sent`` is when it was allowed to be sent first; instants are microseconds.
        """
        if now - sent >= REPEATABLE:
            return self.found(request, sent)
        try:
            return result_of(self._gateway.post(INTENTS, dict(request.params), request.key).body)
        except RequestFailedError as error:
            failure = error.failure
            if failure.unsent or failure.ambiguous or failure.status in _LATER:
                return Result("open", reason=failure.message)
            return Result("failed", reason=failure.code or "refused")

    def found(self, request: Request, sent: int) -> Result:
        """Look for the payment of a request that may not be sent any more; it failed as ``not_sent`` without one."""
        made = {"customer": request.params["customer"], "created": {"gte": sent // SECOND - 3600}}
        for intent in Reader(self._gateway).pages(INTENTS, made):
            if (intent.get("metadata") or {}).get(KEY) == request.key:
                return result_of(intent)
        return Result("failed", reason=NOT_SENT)

    def _payer(self, tenant: str) -> tuple[str, str]:
        """Return the tenant's customer and its default payment method."""
        found = customers_of(self._gateway, self._catalog.namespace, tenant)
        if len(found) != 1:
            known = "no customer" if not found else "several customers"
            raise ChargeRefusedError("no_customer", f"tenant {quoted(tenant)} has {known}")
        customer = self._gateway.get(f"/v1/customers/{found[0]}")
        card = (customer.get("invoice_settings") or {}).get("default_payment_method")
        if not card:
            raise ChargeRefusedError("no_payment_method", f"customer {found[0]} has no default payment method")
        return found[0], str(card["id"] if isinstance(card, dict) else card)

    def _price(self, price_id: str, currency: str | None) -> tuple[int, str]:
        """Return amount and currency of a price, in minor units."""
        price = self._gateway.get(f"/v1/prices/{price_id}", {"expand": ["currency_options"]})
        found = price if currency in (None, price["currency"]) else (price.get("currency_options") or {}).get(currency)
        if found is None or found.get("unit_amount") is None:
            raise ChargeRefusedError("no_price", f"price {price_id} has no amount in {currency or price['currency']}")
        return int(found["unit_amount"]), str(currency or price["currency"])


def result_of(intent: Mapping[str, Any]) -> Result:
    """Return what a payment intent says of its purchase (https://docs.stripe.com/payments/paymentintents/lifecycle)."""
    status = intent["status"]
    if status == "succeeded":
        return Result("paid", intent)
    if status == "processing":
        return Result("open", intent, "processing")
    if status == "requires_action":
        return Result("failed", intent, _AUTHENTICATION)
    return Result("failed", intent, str((intent.get("last_payment_error") or {}).get("code") or status))
