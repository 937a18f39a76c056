"""Money credits on invoices: which grants pay for which lines, and the ledger of every grant.

Source: https://docs.stripe.com/billing/subscriptions/usage-based/billing-credits. A grant's ledger is its transactions;
``_balance`` is their sum. Grants change here through ``call.families``, so that their family can use this module.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from reconciler.sandbox.billing.stored import must, rows
from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.store import Row
from reconciler.sandbox.wire import Obj

GRANTS = "billing.credit_grant"
TRANSACTIONS = "billing.credit_balance_transaction"
#: How many unused grants a customer can have ("Unused credit grants limit").
MAX_UNUSED = 100
_FOREVER = 1 << 62


def grants_of(call: Call, customer_id: str) -> list[Row]:
    """Return all grants of a customer, oldest first."""
    return list(rows(call, GRANTS, ("customer", customer_id)))


def is_over(grant: Obj) -> bool:
    """Tell whether a grant has expired or was voided."""
    return bool(grant["_expired"]) or grant["voided_at"] is not None


def ledger(call: Call, grant: Obj) -> int:
    """Return the ledger balance of a grant now: nothing while it is pending or once it is over."""
    return 0 if is_over(grant) or grant["effective_at"] > call.now else int(grant["_balance"])


def is_unused(call: Call, grant: Obj) -> bool:
    """Tell whether a grant counts towards the limit: pending, or with a positive ledger balance."""
    return not is_over(grant) and (grant["effective_at"] > call.now or grant["_balance"] > 0)


def covers(grant: Obj, price_id: str) -> bool:
    """Tell whether a grant's scope has a metered price."""
    prices = grant["applicability_config"]["scope"].get("prices")
    return prices is None or price_id in {price["id"] for price in prices}


def apply(call: Call, invoice: Obj, lines: Sequence[Obj]) -> list[Obj]:
    """Pay for the lines of an invoice that is being finalized, after discounts and before tax, and return the lines.

    What is paid stands in their ``pretax_credit_amounts`` and as transactions in the ledgers.
    """
    return _spend(call, invoice, lines, record=True)


def preview(call: Call, invoice: Obj, lines: Sequence[Obj]) -> list[Obj]:
    """Return the lines as :func:`apply` would, without touching any ledger: their amounts name no transaction."""
    return _spend(call, invoice, lines, record=False)


def _spend(call: Call, invoice: Obj, lines: Sequence[Obj], *, record: bool) -> list[Obj]:
    left = [_payable(call, invoice, line) for line in lines]
    amounts: list[list[Obj]] = [[] for _ in lines]
    for row in _in_order(call, invoice) if any(left) else []:
        grant = row.body
        for index, line in enumerate(lines):
            value = min(left[index], grant["_balance"])
            if value <= 0 or not covers(grant, str(_price(line))):
                continue
            left[index] -= value
            grant = {**grant, "_balance": grant["_balance"] - value}
            paid = _debit(call, grant, value, _applied(invoice, line))["id"] if record else None
            amounts[index].append(
                {"amount": value, "credit_balance_transaction": paid, "type": "credit_balance_transaction"}
            )
        if record:
            call.replace(call.families[GRANTS], row, grant)
    return [
        {**line, "pretax_credit_amounts": [*_others(line), *paid]} for line, paid in zip(lines, amounts, strict=True)
    ]


def _others(line: Obj) -> list[Obj]:
    """Return what else is taken off a line before tax: its discounts, not the credits a draft showed."""
    shown = line.get("pretax_credit_amounts") or []
    return [amount for amount in shown if amount["type"] != "credit_balance_transaction"]


def _payable(call: Call, invoice: Obj, line: Obj) -> int:
    """Return what grants may pay of a line: a subscription's usage of a metered price, less its discounts."""
    if _parent(invoice, "subscription_details") is None or _parent(line, "subscription_item_details") is None:
        return 0
    price = call.tx.find("price", _price(line) or "")
    if price is None or not (price.body["recurring"] or {}).get("meter"):
        return 0
    return int(line["amount"]) - sum(int(each["amount"]) for each in line.get("discount_amounts") or [])


def _parent(obj: Obj, kind: str) -> Mapping[str, Any] | None:
    return (obj.get("parent") or {}).get(kind)


def _price(line: Obj) -> str | None:
    """Return the id of a line's price, expanded or not."""
    price = ((line.get("pricing") or {}).get("price_details") or {}).get("price")
    return price["id"] if isinstance(price, dict) else price


def _in_order(call: Call, invoice: Obj) -> list[Row]:
    """Return the grants that may pay for an invoice, in the order in which they do ("Multiple credit grants")."""
    return sorted(
        (row for row in grants_of(call, invoice["customer"]) if _is_eligible(call, invoice, row.body)), key=_turn
    )


def _is_eligible(call: Call, invoice: Obj, grant: Obj) -> bool:
    """Tell whether a grant may pay for an invoice ("Credit grant eligibility")."""
    end = invoice["period_end"]
    return (
        grant["amount"]["monetary"]["currency"] == invoice["currency"]
        and grant["effective_at"] <= end
        and (grant["expires_at"] is None or end < grant["expires_at"])
        and ledger(call, grant) > 0
    )


def _turn(row: Row) -> tuple[object, ...]:
    grant = row.body
    expires_at = _FOREVER if grant["expires_at"] is None else grant["expires_at"]
    paid = grant["category"] != "promotional"
    return grant["priority"], expires_at, paid, grant["effective_at"], grant["created"], row.seq


def _applied(invoice: Obj, line: Obj) -> Obj:
    return {
        "credits_applied": {"invoice": invoice["id"], "invoice_line_item": line["id"]},
        "type": "credits_applied",
    }


def fund(call: Call, grant: Obj) -> Obj:
    """Record the credits of a new grant, effective with it."""
    return _record(call, grant, grant["amount"]["monetary"]["value"], credit={"type": "credits_granted"})


def write_off(call: Call, grant: Obj, reason: str) -> Obj:
    """Record that the rest of a grant is gone, ``credits_expired`` or ``credits_voided``, and return it emptied."""
    if grant["_balance"] > 0:
        _debit(call, grant, grant["_balance"], {"type": reason})
    return {**grant, "_balance": 0}


def reinstate(call: Call, invoice: Obj) -> None:
    """Give back what a voided invoice had taken; credits of a grant that is over expire again at once."""
    for applied in rows(call, TRANSACTIONS, ("applied to", invoice["id"])):
        row = must(call, GRANTS, applied.body["credit_grant"])
        details = applied.body["debit"]["credits_applied"]
        value = applied.body["debit"]["amount"]["monetary"]["value"]
        back = {"credits_application_invoice_voided": details, "type": "credits_application_invoice_voided"}
        _record(call, row.body, value, credit=back)
        grant = {**row.body, "_balance": row.body["_balance"] + value}
        if is_over(grant):
            grant = write_off(call, grant, "credits_expired")
        call.replace(call.families[GRANTS], row, grant)


def was_applied(call: Call, grant: Obj) -> bool:
    """Tell whether an invoice has ever used a grant."""
    debits = (row.body["debit"] for row in rows(call, TRANSACTIONS, ("credit_grant", grant["id"])))
    return any(debit and debit["type"] == "credits_applied" for debit in debits)


def _debit(call: Call, grant: Obj, value: int, details: Obj) -> Obj:
    return _record(call, grant, value, debit=details)


def _record(call: Call, grant: Obj, value: int, *, credit: Obj | None = None, debit: Obj | None = None) -> Obj:
    """Add a transaction to a grant's ledger."""
    amount = {"monetary": {"currency": grant["amount"]["monetary"]["currency"], "value": value}, "type": "monetary"}
    family = call.families[TRANSACTIONS]
    transaction = call.fill(
        family,
        call.new_id("cbtxn_test_61", 30),
        credit=None if credit is None else {"amount": amount, "credits_application_invoice_voided": None, **credit},
        credit_grant=grant["id"],
        debit=None if debit is None else {"amount": amount, "credits_applied": None, **debit},
        effective_at=grant["effective_at"] if credit and credit["type"] == "credits_granted" else call.now,
        test_clock=grant["test_clock"],
        type="debit" if credit is None else "credit",
        _customer=grant["customer"],
    )
    return call.create(family, transaction)
