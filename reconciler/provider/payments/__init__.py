"""Selling to tenants what the files say, by hosted pages of Stripe.

::

    payments = Payments(load_catalog(Path("billing.d")), Connection(key))
    page = payments.checkout("acme", Choice(plan="pro"), success_url="https://acme.example/thanks", key="order-7")
    payments.link("acme", Choice(plan="pro", interval="year"))
    payments.portal("acme", return_url="https://acme.example/account")
    wait_for_payment(Connection(key), page.id)
"""

from reconciler.provider.payments.desk import Payments
from reconciler.provider.payments.errors import (
    NotForSaleError,
    PageError,
    PaymentError,
    StatusTimeoutError,
    UnavailableError,
)
from reconciler.provider.payments.hurry import Hurry
from reconciler.provider.payments.offer import Choice
from reconciler.provider.payments.page import Page
from reconciler.provider.payments.waiting import Outcome, Watcher, wait_for_payment

__all__ = [
    "Choice",
    "Hurry",
    "NotForSaleError",
    "Outcome",
    "Page",
    "PageError",
    "PaymentError",
    "Payments",
    "StatusTimeoutError",
    "UnavailableError",
    "Watcher",
    "wait_for_payment",
]
