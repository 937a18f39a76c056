"""Checkout sessions from their opening to their end: what the order costs, how it is changed, how the session ends.

Sources: https://docs.stripe.com/api/checkout/sessions/object and https://docs.stripe.com/payments/checkout/how-checkout-works.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from reconciler.sandbox.billing import cart, discounts, ending, invoicing, payments, setups
from reconciler.sandbox.billing.limits import check_amount
from reconciler.sandbox.billing.stored import must, rows
from reconciler.sandbox.errors import invalid
from reconciler.sandbox.lists import too_many
from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.store import Row
from reconciler.sandbox.wire import Obj

#: Published below this path is a session's page.
PAGE = "/c/pay/"
#: Published below this path is the page of a finalized invoice.
INVOICE_PAGE = "/i/"
KIND = "checkout.session"
#: "Currently, only up to one may be specified."
MAX_DISCOUNTS = 1


class _RehearsedError(Exception):
    """Carries the discount of a redemption that is undone again."""

    def __init__(self, discount: Obj) -> None:
        super().__init__(discount["id"])
        self.discount = discount


def new_id(call: Call) -> str:
    """Return a fresh session id."""
    return call.new_id("cs_test_a1", 32)


def find(call: Call, session_id: str) -> Row:
    """Return a session as it is now."""
    return must(call, KIND, session_id)


def items_of(call: Call, session: Obj) -> list[Obj]:
    """Return the lines of a session, in their order."""
    return [row.body for row in rows(call, "item", ("session", session["id"]))]


def order_amount(call: Call, items: Sequence[Obj]) -> int:
    """Return what the lines cost before discounts and taxes."""
    return sum(cart.gross(call, item, must(call, "price", item["price"]).body) for item in items)


def customer_of(call: Call, session: Obj) -> Obj | None:
    """Return the session's customer: the one it was opened for, or the one it has made."""
    customer_id = session["customer"] or session["_customer"]
    row = call.tx.find("customer", customer_id) if customer_id else None
    return row.body if row else None


def with_discount(call: Call, session: Obj, given: Sequence[Mapping[str, Any]], items: Sequence[Obj]) -> Obj:
    """Return the session with a coupon or code applied; it is redeemed when the session completes."""
    if len(given) > MAX_DISCOUNTS:
        raise too_many("discounts", MAX_DISCOUNTS)
    if not given:
        return {**session, "discounts": [], "_discount": None}
    shown = [{"coupon": entry.get("coupon"), "promotion_code": entry.get("promotion_code")} for entry in given]
    session = {**session, "discounts": shown}
    _check_guest(call, session)
    return {**session, "_discount": _rehearsed(call, session, order_amount(call, items))}


def _check_guest(call: Call, session: Obj) -> None:
    """Refuse a code for first purchases where nobody can tell whether it is the customer's first.

    Source: https://docs.stripe.com/api/checkout/sessions/create (``customer_creation``).
    """
    if customer_of(call, session) or session["customer_creation"] == "always":
        return
    for index, entry in enumerate(session["discounts"]):
        code = call.tx.find("promotion_code", entry["promotion_code"]) if entry["promotion_code"] else None
        if code and code.body["restrictions"]["first_time_transaction"]:
            message = "This code is for first purchases of customers who are known."
            raise invalid(message, f"discounts[{index}][promotion_code]")


def _rehearsed(call: Call, session: Obj, amount: int) -> Obj:
    """Return the discount a redemption would make, or its refusal, and redeem nothing."""
    try:
        with call.tx.attempt():
            _rehearse(call, session, amount)
    except _RehearsedError as rehearsed:
        return rehearsed.discount
    raise AssertionError("a rehearsal always ends in its discount or a refusal")


def _rehearse(call: Call, session: Obj, amount: int) -> None:
    raise _RehearsedError(must(call, "discount", redeem(call, session, amount)[0]).body)


def redeem(call: Call, session: Obj, amount: int, *, is_checked: bool = False) -> list[str]:
    """Redeem the session's discounts for an order of an amount, and return their ids.

    The code of an order that is paid already ``is_checked``: that very payment is no earlier transaction.
    """
    return discounts.attach(
        call,
        wanted_discounts(session),
        customer=customer_of(call, session),
        currency=session["currency"],
        amount=amount,
        is_checked=is_checked,
        checkout_session=session["id"],
    )


def wanted_discounts(session: Obj) -> list[Obj]:
    """Return the session's discounts as a ``discounts`` parameter."""
    return [{name: value for name, value in entry.items() if value} for entry in session["discounts"]]


def begin(call: Call, session: Obj, items: Sequence[Obj]) -> Obj:
    """Store a new session with its lines and publish its page; there is no event of it."""
    if session["mode"] == "setup":
        session = {**session, "payment_status": "no_payment_required", "setup_intent": _setup_intent(call, session)}
    else:
        session, items = priced(call, session, items)
        if session["mode"] == "payment" and session["amount_total"]:
            check_amount(session["amount_total"], session["currency"], "line_items")
    for item in items:
        call.insert(call.families["item"], item)
    call.tx.publish(PAGE + session["id"])
    return call.insert(call.families[KIND], session).body


def _setup_intent(call: Call, session: Obj) -> str:
    intent = setups.blank(call, customer=session["customer"], **session["_setup_intent_data"])
    return str(call.create(call.families["setup_intent"], intent)["id"])


def priced(call: Call, session: Obj, items: Sequence[Obj]) -> tuple[Obj, list[Obj]]:
    """Return the session and its lines with every amount computed anew."""
    customer = customer_of(call, session)
    lines = cart.priced(
        call,
        items,
        discount=session["_discount"],
        exempt=customer["tax_exempt"] if customer else "none",
        terms=session["_subscription_data"],
    )
    return {**session, **cart.summed(lines)}, lines


def reorder(call: Call, row: Row, session: Obj, items: Sequence[Obj]) -> Obj:
    """Replace the lines of an open session; an order whose payment has been attempted stays as it is."""
    if is_attempted(row.body):
        raise invalid("The order cannot be changed once its payment has been attempted.", "line_items")
    session = with_discount(call, session, wanted_discounts(session), items)
    session, lines = priced(call, session, items)
    for held in rows(call, "item", ("session", session["id"])):
        call.delete(call.families["item"], held)
    for line in lines:
        call.insert(call.families["item"], line)
    call.replace(call.families[KIND], row, session)
    return session


def is_attempted(session: Obj) -> bool:
    """Tell whether somebody has tried to pay the session's order."""
    return bool(session["_subscription"] or session["_invoice"] or session["payment_intent"])


def apply_code(call: Call, row: Row, text: str) -> Obj:
    """Apply the promotion code that the customer has typed, or take it away where nothing is typed.

    A code that does not exist, or does not work for this order, is refused.
    """
    session, items = row.body, items_of(call, row.body)
    customer = customer_of(call, session)
    code = usable_code(call, customer["id"] if customer else None, text) if text.strip() else None
    given = [{"promotion_code": code}] if code else []
    return reorder(call, row, with_discount(call, session, given, items), items)


def usable_code(call: Call, customer: str | None, text: str) -> str:
    """Return the id of the active code that reads so in any case: the customer's own, or everyone's."""
    named = rows(call, "promotion_code", ("code", text.strip().lower()))
    found = [row.body for row in named if row.body["active"]]
    mine = [str(code["id"]) for code in found if code["customer"] in {None, customer}]
    if not mine:
        raise invalid("This code is invalid.", "promotion_code")
    return mine[0]


def complete(call: Call, row: Row, **fields: Any) -> Obj:
    """End a session whose customer has done all there is to do."""
    done = {**row.body, **fields, "status": "complete", "_problem": None}
    return call.save(call.families[KIND], row, done, "completed")


def expire(call: Call, row: Row) -> Obj:
    """End an open session: nothing can be bought with it any more, and what it has begun is taken back."""
    session = row.body
    if subscription := _begun(call, "subscription", session["_subscription"], ("incomplete",)):
        ending.expire(call.on_clock_of(subscription.body), subscription.body)
    elif invoice := _begun(call, "invoice", session["_invoice"], ("open",)):
        invoicing.void(call.on_clock_of(invoice.body), invoice)
    elif intent := _begun(call, "payment_intent", session["payment_intent"], payments.CANCELABLE):
        payments.cancel(call, intent.body["id"], "abandoned")
    elif intent := _begun(call, "setup_intent", session["setup_intent"], payments.CONFIRMABLE):
        setups.cancel(call, intent.body["id"], "abandoned")
    return call.save(call.families[KIND], row, {**session, "status": "expired"}, "expired")


def _begun(call: Call, kind: str, object_id: str | None, statuses: Sequence[str]) -> Row | None:
    """Return what a session has begun if it still waits to be completed."""
    row = call.tx.find(kind, object_id) if object_id else None
    return row if row and row.body["status"] in statuses else None
