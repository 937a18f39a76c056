"""What pressing the button of a checkout page does: a customer, a payment method, a payment, a subscription.

Sources: https://docs.stripe.com/payments/checkout/how-checkout-works and https://docs.stripe.com/payments/checkout/fulfillment.
A refused card leaves its traces, as it does at Stripe; the order then waits for another one.
"""

from collections.abc import Mapping
from typing import Any

from reconciler.sandbox.billing import checkout, invoicing, methods, orders, payments, setups, subscribing
from reconciler.sandbox.billing.collecting import intent_of
from reconciler.sandbox.billing.invoicing import subscription_of
from reconciler.sandbox.billing.methods import Details
from reconciler.sandbox.billing.payments import Outcome
from reconciler.sandbox.billing.stored import must, rows
from reconciler.sandbox.errors import ApiError
from reconciler.sandbox.ids import UPPER
from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.objects.cart_item import is_metered
from reconciler.sandbox.objects.checkout_params import details
from reconciler.sandbox.store import Row
from reconciler.sandbox.wire import Obj

#: What a subscription takes over from ``subscription_data`` as it is.
_SUBSCRIPTION = (
    "billing_cycle_anchor",
    "billing_cycle_anchor_config",
    "billing_mode",
    "default_tax_rates",
    "description",
    "invoice_settings",
    "metadata",
    "pending_invoice_item_interval",
    "proration_behavior",
    "trial_end",
    "trial_period_days",
    "trial_settings",
)
#: What a payment intent takes over from ``payment_intent_data`` as it is.
_INTENT = (
    "capture_method",
    "receipt_email",
    "setup_future_usage",
    "shipping",
    "statement_descriptor",
    "statement_descriptor_suffix",
    "transfer_group",
)


def buy(call: Call, row: Row, buyer: Obj, card: Details | None) -> Obj:
    """Attempt the purchase of an open session and return the session: complete, or open with ``_problem`` or not.

    ``buyer`` are the customer's ``customer_details``, ``card`` what they typed, if anything. An open session without a
    problem waits for the customer to authenticate.
    """
    session = {
        **row.body,
        "customer_details": {**(row.body["customer_details"] or details()), **buyer},
        "_problem": None,
    }
    try:
        _check(call, session, card)
    except ApiError as error:
        return _refused(call, session, error)
    session, customer = _customer(call, session)
    if customer:
        call = call.on_clock_of(customer)
    method = _method(call, session, card) if card else None
    _put(call, session)
    if session["mode"] == "setup":
        return _set_up(call, session, str(session["setup_intent"]), method)
    return _subscribe(call, session, method) if session["mode"] == "subscription" else _pay(call, session, method)


def _check(call: Call, session: Obj, card: Details | None) -> None:
    """Refuse before anything is charged what could not be completed after."""
    items = checkout.items_of(call, session)
    if session["customer"] and checkout.customer_of(call, session) is None:
        raise ApiError(400, "The customer of this page does not exist any more.")
    if session["_subscription"] and call.tx.find("subscription", session["_subscription"]) is None:
        raise ApiError(400, "What this page sells does not exist any more.")
    if not checkout.is_attempted(session):
        checkout.with_discount(call, session, checkout.wanted_discounts(session), items)
    blocked = session["payment_method_options"].get("card", {}).get("restrictions", {}).get("brands_blocked", ())
    brand = {"amex": "american_express", "discover": "discover_global_network"}.get(card.card.brand if card else "")
    if card and (brand or card.card.brand) in blocked:
        raise ApiError(400, "Cards of this brand are not accepted here. Try a card of another brand.")


def _refused(call: Call, session: Obj, error: ApiError) -> Obj:
    """Keep the session open and tell the customer why."""
    return _put(call, {**session, "_problem": error.message})


def _put(call: Call, session: Obj) -> Obj:
    call.replace(call.families[checkout.KIND], checkout.find(call, session["id"]), session)
    return session


def _customer(call: Call, session: Obj) -> tuple[Obj, Obj | None]:
    """Return the session and its customer, who is made now if the purchase needs one.

    A free order always makes one (https://docs.stripe.com/payments/checkout/no-cost-orders).
    """
    held = checkout.customer_of(call, session)
    if held:
        return session, _updated(call, held, session)
    data = session["_payment_intent_data"]
    wanted = (
        session["mode"] == "subscription"
        or session["customer_creation"] == "always"
        or (session["mode"] == "payment" and session["amount_total"] == 0)
        or "setup_future_usage" in data
        or (session["invoice_creation"] or {"enabled": False})["enabled"]
    )
    if not wanted:
        return session, None
    family, buyer = call.families["customer"], session["customer_details"]
    names = {name: buyer[name] for name in ("business_name", "individual_name") if buyer.get(name)}
    customer = call.fill(
        family,
        call.new_id("cus_", 14),
        **{name: buyer[name] for name in ("address", "email", "name", "phone")},
        **names,
        invoice_prefix=call.new_id("", 8, UPPER),
    )
    call.create(family, customer)
    return {**session, "_customer": customer["id"]}, must(call, "customer", customer["id"]).body


def _updated(call: Call, customer: Obj, session: Obj) -> Obj:
    """Give a customer the name and address they have typed, where ``customer_update`` says so."""
    wanted = [name for name, choice in session["_customer_update"].items() if choice == "auto"]
    given = {name: session["customer_details"][name] for name in wanted if session["customer_details"][name]}
    family = call.families["customer"]
    return call.save(family, must(call, "customer", customer["id"]), {**customer, **given})


def _method(call: Call, session: Obj, card: Details) -> str:
    """Store the card as a payment method that nobody has yet."""
    buyer = session["customer_details"]
    billing = {name: buyer[name] for name in ("address", "email", "name", "phone")}
    redisplay = session["_payment_method_data"].get("allow_redisplay", "limited")
    built = {
        **methods.build(call, methods.new_id(call), card),
        "allow_redisplay": redisplay,
        "billing_details": methods.billing_details(methods.NO_DETAILS, billing),
    }
    return str(call.insert(call.families["payment_method"], built).body["id"])


def _pay(call: Call, session: Obj, method: str | None) -> Obj:
    if session["amount_total"] == 0:
        return _finish(call, session, payment_status=_free(call))
    if session["invoice_creation"]["enabled"]:
        return _pay_invoice(call, session, method)
    if session["payment_intent"] is None:
        session = _put(call, {**session, "payment_intent": _open(call, session)["id"]})
    back = payments.Terms(return_url=call.base_url + checkout.PAGE + session["id"])
    outcome = payments.confirm(call, session["payment_intent"], payment_method=method, off_session=False, terms=back)
    return _settled(call, session, outcome)


def _free(call: Call) -> str:
    return "no_payment_required" if call.settings.free_orders_need_no_payment else "paid"


def _open(call: Call, session: Obj) -> Obj:
    """Open the intent of a one-time purchase with what ``payment_intent_data`` says of it."""
    data: Mapping[str, Any] = session["_payment_intent_data"]
    intent = payments.open_intent(
        call,
        customer=checkout.customer_of(call, session),
        amount=session["amount_total"],
        currency=session["currency"],
        description=data.get("description"),
        metadata=data.get("metadata", {}),
        off_session_ok=False,
    )
    row = must(call, "payment_intent", intent["id"])
    options = {
        name: value for name, value in session["payment_method_options"]["card"].items() if name != "restrictions"
    }
    given = {name: data[name] for name in _INTENT if data.get(name) is not None}
    shown = {**row.body, **given}
    shown["payment_method_options"] = {"card": {**(shown["payment_method_options"] or {}).get("card", {}), **options}}
    call.replace(call.families["payment_intent"], row, shown)
    return shown


def _pay_invoice(call: Call, session: Obj, method: str | None) -> Obj:
    """Pay a one-time purchase by an invoice, as ``invoice_creation`` wants."""
    if session["_invoice"] is None:
        session = _put(call, {**session, "_invoice": orders.invoiced(call, session)})
    invoice = must(call, "invoice", session["_invoice"])
    if invoice.body["status"] == "paid":
        return _finish(call, session, payment_status="paid")
    session = _put(call, {**session, "payment_intent": intent_of(call, invoice.body)})
    return _settled(call, session, invoicing.collect(call, invoice, off_session=False, payment_method=method))


def _subscribe(call: Call, session: Obj, method: str | None) -> Obj:
    """Start the subscription, which waits for its first payment, and make that payment."""
    if session["_subscription"] is None:
        customer = checkout.customer_of(call, session)
        if customer is None:
            raise LookupError(f"{session['id']} has no customer")
        started = subscribing.start(call, customer, _wanted(call, session))
        session = _put(call, {**session, "_subscription": started["id"]})
    subscription = must(call, "subscription", session["_subscription"]).body
    invoice = call.tx.find("invoice", subscription["latest_invoice"] or "")
    if invoice and invoice.body["status"] == "open":
        return _settled(call, session, invoicing.collect(call, invoice, off_session=False, payment_method=method))
    if method is None:
        return _finish(call, session, payment_status=_free(call))
    if subscription["pending_setup_intent"]:
        return _set_up(call, session, subscription["pending_setup_intent"], method)
    return _attached(call, session, subscription, method)


def _attached(call: Call, session: Obj, subscription: Obj, method: str) -> Obj:
    """Keep a card for later payments where nothing is due now."""
    try:
        methods.attach(call, must(call, "payment_method", method), subscription["customer"])
    except ApiError as error:
        return _refused(call, session, error)
    return _finish(call, session, payment_status=_free(call), method=method)


def _wanted(call: Call, session: Obj) -> Obj:
    """Return the parameters of the subscription that the session sells."""
    items = checkout.items_of(call, session)
    recurring = [item for item in items if must(call, "price", item["price"]).body["recurring"]]
    once = [item for item in items if item not in recurring]
    data = session["_subscription_data"]
    wanted = {
        "currency": session["currency"],
        "customer": session["customer"] or session["_customer"],
        "items": [_subscribed(call, item) for item in recurring],
        "payment_behavior": "default_incomplete",
        "off_session": False,
        **{name: data[name] for name in _SUBSCRIPTION if name in data},
    }
    if once:
        wanted["add_invoice_items"] = [_subscribed(call, item) for item in once]
    if discounts := checkout.wanted_discounts(session):
        wanted["discounts"] = discounts
    return wanted


def _subscribed(call: Call, item: Obj) -> Obj:
    given: Obj = {"price": item["price"]}
    if not is_metered(must(call, "price", item["price"]).body):
        given["quantity"] = item["quantity"]
    if item["_tax_rates"]:
        given["tax_rates"] = item["_tax_rates"]
    if item["metadata"]:
        given["metadata"] = item["metadata"]
    return given


def _set_up(call: Call, session: Obj, intent_id: str, method: str | None) -> Obj:
    """Check a card with its bank and keep it, without a payment."""
    customer = checkout.customer_of(call, session)
    row = must(call, "setup_intent", intent_id)
    if customer and row.body["customer"] is None:
        call.replace(call.families["setup_intent"], row, {**row.body, "customer": customer["id"]})
    back = call.base_url + checkout.PAGE + session["id"]
    try:
        intent = setups.confirm(call, intent_id, payment_method=method, return_url=back)
    except ApiError as error:
        return _refused(call, session, error)
    return _was_set_up(call, session, intent)


def _was_set_up(call: Call, session: Obj, intent: Obj) -> Obj:
    if intent["status"] == "requires_action":
        return session
    if intent["status"] != "succeeded":
        return _put(call, {**session, "_problem": intent["last_setup_error"]["message"]})
    status = "no_payment_required" if session["mode"] == "setup" else _free(call)
    return _finish(call, session, payment_status=status, method=intent["payment_method"])


def _settled(call: Call, session: Obj, outcome: Outcome) -> Obj:
    """Go on from an attempt to pay."""
    if outcome.status == "requires_action":
        return session
    if outcome.error:
        return _refused(call, session, outcome.error)
    status = "unpaid" if outcome.status == "requires_capture" else "paid"
    return _finish(call, session, payment_status=status, method=outcome.intent["payment_method"])


def waiting(call: Call, session: Obj) -> Obj | None:
    """Return the intent whose customer must authenticate before the session can complete."""
    intents = [("payment_intent", session["payment_intent"]), ("setup_intent", session["setup_intent"])]
    if session["_subscription"] and (row := call.tx.find("subscription", session["_subscription"])):
        subscription = row.body
        intents.append(("setup_intent", subscription["pending_setup_intent"]))
        if invoice := call.tx.find("invoice", subscription["latest_invoice"] or ""):
            intents.append(("payment_intent", intent_of(call, invoice.body)))
    found = [call.tx.find(kind, intent_id) for kind, intent_id in intents if intent_id]
    return next((row.body for row in found if row and row.body["status"] == "requires_action"), None)


def authenticated(call: Call, row: Row, *, success: bool) -> Obj:
    """Go on after the customer has authenticated with their bank, or has failed to."""
    session = row.body
    customer = checkout.customer_of(call, session)
    if customer:
        call = call.on_clock_of(customer)
    intent = waiting(call, session)
    if intent is None:
        return session
    if intent["object"] == "setup_intent":
        return _was_set_up(call, session, setups.authenticate(call, intent["id"], success=success))
    return _settled(call, session, payments.authenticate(call, intent["id"], success))


def _finish(call: Call, session: Obj, *, payment_status: str, method: str | None = None) -> Obj:
    """Complete the session with everything it has made; its payment may have done so already."""
    held = checkout.find(call, session["id"]).body
    if held["status"] == "complete":
        return held
    fields: Obj = {"customer": session["customer"] or session["_customer"], "payment_status": payment_status}
    if session["_subscription"]:
        fields |= _with_subscription(call, session["_subscription"], method)
    elif session["_invoice"]:
        fields["invoice"] = session["_invoice"]
    elif session["discounts"]:
        items = checkout.items_of(call, session)
        redeemed = checkout.redeem(call, session, checkout.order_amount(call, items), is_checked=True)
        fields["_discount"] = must(call, "discount", redeemed[0]).body
    session = _put(call, {**session, **fields})
    return checkout.complete(call, checkout.find(call, session["id"]))


def _with_subscription(call: Call, subscription_id: str, method: str | None) -> Obj:
    """Let a subscription be paid with the card that began it, and return what the session shows of it."""
    row = must(call, "subscription", subscription_id)
    if method and row.body["default_payment_method"] != method:
        call.save(call.families["subscription"], row, {**row.body, "default_payment_method": method})
    return {"invoice": row.body["latest_invoice"], "subscription": subscription_id}


def on_paid(call: Call, intent: Obj) -> None:
    """React to a payment, however its customer came to it: the session that it is for is complete.

    Source: https://docs.stripe.com/payments/checkout/fulfillment.
    """
    for session in _open_ones(call, "payment_intent", intent["id"]):
        if session["_invoice"] is None:
            status = "unpaid" if intent["status"] == "requires_capture" else "paid"
            _finish(call, session, payment_status=status, method=intent["payment_method"])


def on_invoice_paid(call: Call, invoice: Obj) -> None:
    """React to the payment of an invoice: that of a session's order or of its subscription completes it."""
    begun = {invoice["id"], subscription_of(invoice)} - {None}
    for session in [each for name in sorted(begun) for each in _open_ones(call, "begun", name)]:
        _finish(call, session, payment_status="paid", method=_paid_with(call, invoice))


def _paid_with(call: Call, invoice: Obj) -> str | None:
    """Return the payment method an invoice was paid with, ``None`` where nothing of it was left to pay."""
    for row in rows(call, "invoice_payment", ("invoice", invoice["id"])):
        if row.body["status"] == "paid":
            method: str = must(call, "payment_intent", row.body["payment"]["payment_intent"]).body["payment_method"]
            return method
    return None


def on_set_up(call: Call, intent: Obj) -> None:
    """React to a card that was set up: the session that asked for it, or whose subscription did, is complete."""
    asking = [row.body["id"] for row in rows(call, "subscription", ("pending_setup_intent", intent["id"]))]
    for session in [each for name in (intent["id"], *asking) for each in _open_ones(call, "begun", name)]:
        _was_set_up(call, session, intent)


def _open_ones(call: Call, name: str, value: str) -> list[Obj]:
    return [row.body for row in rows(call, checkout.KIND, (name, value)) if row.body["status"] == "open"]
