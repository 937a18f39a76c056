"""The balance a customer carries from invoice to invoice, one ledger per currency.

Negative is credit. Source: https://docs.stripe.com/billing/customer/balance.
"""

from collections.abc import Mapping
from typing import Literal

from reconciler.money import MAX_MINOR_AMOUNT
from reconciler.sandbox.errors import no_such, out_of_range
from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.store import Row
from reconciler.sandbox.wire import Obj

Kind = Literal[
    "adjustment",
    "applied_to_invoice",
    "checkout_session_subscription_payment",
    "checkout_session_subscription_payment_canceled",
    "credit_note",
    "initial",
    "invoice_overpaid",
    "invoice_too_large",
    "invoice_too_small",
    "migration",
    "unapplied_from_invoice",
    "unspent_receiver_credit",
]


def currency_of(call: Call, customer: Obj) -> str:
    """Return the currency a customer is billed in where nothing else says: their own, or the account's."""
    return str(customer["currency"] or call.families["account"].template["default_currency"])


def balance(customer: Obj, currency: str) -> int:
    """Return what a customer has in a currency, in minor units; negative is credit."""
    return int(customer["invoice_credit_balance"].get(currency, 0))


def adjust(
    call: Call,
    customer_id: str,
    amount: int,
    currency: str,
    kind: Kind,
    *,
    invoice: str | None = None,
    credit_note: str | None = None,
    checkout_session: str | None = None,
    description: str | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Obj:
    """Add an amount to a customer's balance and return the transaction that says so.

    A customer without a currency takes the transaction's, as the parameter's description says.
    """
    row = call.tx.find("customer", customer_id)
    if row is None:
        raise no_such("customer", customer_id, "customer")
    after = balance(row.body, currency) + amount
    if abs(after) > MAX_MINOR_AMOUNT:
        raise out_of_range("amount", amount, most=int(MAX_MINOR_AMOUNT) - balance(row.body, currency))
    family = call.families["customer_balance_transaction"]
    transaction = call.fill(
        family,
        call.new_id("cbtxn_1", 23),
        amount=amount,
        checkout_session=checkout_session,
        credit_note=credit_note,
        currency=currency,
        customer=customer_id,
        description=description,
        ending_balance=after,
        invoice=invoice,
        metadata=dict(metadata or {}),
        type=kind,
    )
    call.insert(family, transaction)
    _carry(call, row, currency, after)
    return transaction


def _carry(call: Call, row: Row, currency: str, after: int) -> None:
    """Write the new balance on the customer; ``balance`` is the one in the customer's own currency."""
    customer = row.body
    own = customer["currency"] or currency
    balances = {**customer["invoice_credit_balance"], currency: after}
    changed = {**customer, "balance": balances.get(own, 0), "currency": own, "invoice_credit_balance": balances}
    call.save(call.families["customer"], row, changed)
