"""What events are about, read anew: checkouts with their lines, payments, refunds and disputes; subscriptions.

An event may be old, come twice or after a later one, so nothing it says of its object is used
(https://docs.stripe.com/webhooks#event-ordering): whatever order they come in, what is read last is what is true.
"""

from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

from reconciler.entitlements.periods import SECOND
from reconciler.entitlements.purchases import Purchase
from reconciler.entitlements.subscriptions import Held, Item, plan_of
from reconciler.provider.gateway import Gateway, RequestFailedError
from reconciler.provider.reads import PAGE
from reconciler.provider.webhooks.owner import Object, Owner
from reconciler.provider.webhooks.signature import Notice

SESSIONS, SUBSCRIPTIONS, CUSTOMERS = "/v1/checkout/sessions", "/v1/subscriptions", "/v1/customers"
INTENTS, _INTENT = "/v1/payment_intents", "payment_intent"
_INVOICE_PAYMENTS = "/v1/invoice_payments"
#: Metadata of a payment that was made without a page: a recharge.
_RECHARGE = "recharge"
_PACKS = "credit_packs."
#: Where an object is read whose payment an event did not name.
_OF_A_PAYMENT = {"charge": "/v1/charges", "refund": "/v1/refunds", "dispute": "/v1/disputes"}
_OF_A_CUSTOMER = {"subscription": SUBSCRIPTIONS, "invoice": "/v1/invoices"}
#: https://docs.stripe.com/api/disputes/object#dispute_object-status: those in which the money is gone, for now or good.
_TAKEN = frozenset({"needs_response", "under_review", "lost"})
#: https://docs.stripe.com/api/refunds/object#refund_object-status: those of a refund that returns no money after all.
_KEPT = frozenset({"failed", "canceled"})
_PAID = frozenset({"paid", "no_payment_required"})
_DUE = "send_invoice"


class Touched(NamedTuple):
    """What an event has to do with: checkout sessions as they are, or payments without one, and customers by id."""

    sessions: tuple[Object, ...] = ()
    customers: tuple[str, ...] = ()


class Sold(NamedTuple):
    """A paid session's part of the files: the purchase of its packs, or why nobody can tell what it brings."""

    purchase: Purchase | None
    problem: str = ""


class Source:
    """Reads an account for one namespace."""

    def __init__(self, gateway: Gateway, owner: Owner) -> None:
        self.gateway = gateway
        self.owner = owner

    def touched(self, notice: Notice) -> Touched:
        """Return the sessions and customers an event has to do with."""
        kind, about = notice.kind, notice.object
        payment, customer = notice.payment, notice.customer
        sessions: list[Object] = []
        if about and kind == "checkout.session":
            sessions += self.session(about)
        elif about and not payment and kind in _OF_A_PAYMENT:
            payment = next((each.get("payment_intent") for each in self._there(f"{_OF_A_PAYMENT[kind]}/{about}")), None)
        elif about and not customer and kind in _OF_A_CUSTOMER:
            customer = next((each.get("customer") for each in self._there(f"{_OF_A_CUSTOMER[kind]}/{about}")), None)
        if payment and not sessions:
            sessions += self.pages(SESSIONS, {"payment_intent": payment})
            sessions += [] if sessions else filter(self._is_recharge, self.session(payment))
            sessions += [] if sessions else self._invoiced(payment)
        named = [customer, *(session.get("customer") for session in sessions)]
        return Touched(tuple(sessions), tuple(sorted({each for each in named if each})))

    def session(self, session_id: str) -> list[Object]:
        """Return a checkout session, or the payment of a recharge, as a list of one, of none where it is gone."""
        return self._there(f"{INTENTS if session_id.startswith('pi_') else SESSIONS}/{session_id}")

    def _invoiced(self, payment: str) -> Iterator[Object]:
        """Yield the sessions whose first invoice a payment has paid: what begins a subscription names no payment."""
        by = {"payment": {"type": _INTENT, _INTENT: payment}}
        for paid in self.pages(_INVOICE_PAYMENTS, by):
            for invoice in self._there(f"/v1/invoices/{_id(paid['invoice'])}"):
                began = ((invoice.get("parent") or {}).get("subscription_details") or {}).get("subscription")
                listed = self.pages(SESSIONS, {"subscription": _id(began)}) if began else ()
                yield from (each for each in listed if _id(each.get("invoice")) == invoice["id"])

    def _is_recharge(self, intent: Object) -> bool:
        return _RECHARGE in intent["metadata"] and self.owner.tenant(intent) is not None

    def customer(self, customer_id: str) -> Object | None:
        """Return a customer; None for one that is deleted or was never there."""
        found = next(iter(self._there(f"{CUSTOMERS}/{customer_id}")), None)
        return None if found is None or found.get("deleted") else found

    def subscriptions(self, customers: Iterable[str], ids: Iterable[str]) -> dict[str, Object]:
        """Return every subscription of customers, over or not, and those of ids, by id."""
        found: dict[str, Object] = {}
        for customer in customers:
            params = {"customer": customer, "status": "all"}
            found |= {each["id"]: each for each in self._listed(SUBSCRIPTIONS, params)}
        for each in ids:
            if each not in found:
                found |= {whole["id"]: whole for whole in self._there(f"{SUBSCRIPTIONS}/{each}")}
        return found

    def address(self, price: Object | None) -> str | None:
        """Return the address of a price by its own mark, else by that of its product."""
        found = self.owner.address(price)
        if found is not None or price is None:
            return found
        product = next(iter(self._there(f"/v1/products/{price['product']}")), None)
        return self.owner.address(product)

    def is_ours(self, subscription: Object) -> bool:
        """Tell whether a subscription is to something of the files, or was sold or made by us."""
        told = (self.address(item["price"]) for item in subscription["items"]["data"])
        return self.owner.tenant(subscription) is not None or any(address is not None for address in told)

    def held(self, subscription: Object) -> Held:
        """Return what counts of a subscription."""
        items = subscription["items"]["data"]
        return Held(
            subscription["id"],
            subscription["status"],
            subscription["created"] * SECOND,
            self._since(subscription) * SECOND,
            _micros(subscription.get("billing_cycle_anchor")),
            tuple(
                Item(
                    self.address(item["price"]),
                    _micros(item.get("current_period_start")),
                    _micros(item.get("current_period_end")),
                )
                for item in items
            ),
            plan_of(self.owner.sells(subscription)),
        )

    def _since(self, subscription: Object) -> int:
        """Return when a subscription came to its status, in seconds, by what Stripe says now.

        Payments are late since the oldest invoice that is open was charged in vain or should have been paid; where none
        is open, as after it was written off, since the last one.
        """
        status, began = subscription["status"], int(subscription["start_date"])
        if status in {"canceled", "incomplete_expired"}:
            return int(subscription.get("ended_at") or subscription.get("canceled_at") or began)
        if status == "paused":
            return int(subscription.get("trial_end") or began)
        if status in {"past_due", "unpaid"}:
            params = {"subscription": subscription["id"], "status": "open"}
            latest = subscription.get("latest_invoice")
            late = list(self.pages("/v1/invoices", params)) or (self._there(f"/v1/invoices/{latest}") if latest else [])
            return min((_late(invoice) for invoice in late), default=began)
        return began

    def sold(self, session: Object, tenant: str | None) -> Sold | None:
        """Return what a paid session brings; None where it is not paid yet, or is about nothing of ours."""
        if session["object"] == _INTENT:
            return self._recharged(session, tenant)
        if session["payment_status"] not in _PAID or session["status"] != "complete":
            return None
        packs, strange = dict[str, int](), False
        for line in self.pages(f"{SESSIONS}/{session['id']}/line_items", {}):
            address = self.address(line.get("price"))
            pack = _pack_of(address)
            number = 1 if line["quantity"] is None else line["quantity"]
            if pack is not None and number:
                packs[pack] = packs.get(pack, 0) + number
            strange |= address is None
        wanted = _pack_of(self.owner.sells(session))
        if not packs and strange and wanted is not None:
            return Sold(None, f"credit pack {wanted} was paid for, and no line carries a price of the files")
        if not packs:
            return None
        if tenant is None:
            return Sold(None, "credits were paid for, and neither the purchase nor its customer names a tenant")
        at, paid, returned = self._money(session, self._payments(session))
        return Sold(Purchase(session["id"], tenant, at * SECOND, tuple(sorted(packs.items())), paid, returned))

    def _recharged(self, intent: Object, tenant: str | None) -> Sold | None:
        """Return what a recharge brings: one pack, under the payment's id, from when the payment was begun."""
        pack = _pack_of(self.owner.sells(intent))
        if intent["status"] != _DONE or pack is None or tenant is None:
            return None
        _, paid, returned = self._money(intent, [intent["id"]])
        return Sold(Purchase(intent["id"], tenant, intent["created"] * SECOND, ((pack, 1),), paid, returned))

    def _payments(self, session: Object) -> list[str]:
        """Return the payments of a session: its own, or those of the invoice that began its subscription."""
        if session.get(_INTENT) or not session.get("invoice"):
            return [session[_INTENT]] if session.get(_INTENT) else []
        paid = self.pages(_INVOICE_PAYMENTS, {"invoice": _id(session["invoice"])})
        return sorted({each["payment"][_INTENT] for each in paid if each["payment"].get(_INTENT)})

    def _money(self, session: Object, payments: Iterable[str]) -> tuple[int, int, int]:
        """Return when something was paid, in seconds, the money that came in, and how much of it has gone back."""
        ats, paid, returned = [], 0, 0
        for payment in payments:
            by = {_INTENT: payment}
            charges = [each for each in self.pages("/v1/charges", by) if each["status"] == _DONE]
            if any(charge["amount_refunded"] for charge in charges):
                refunds = self.pages("/v1/refunds", by)
                returned += sum(refund["amount"] for refund in refunds if refund["status"] not in _KEPT)
            if any(charge["disputed"] for charge in charges):
                disputes = self.pages("/v1/disputes", by)
                returned += sum(dispute["amount"] for dispute in disputes if dispute["status"] in _TAKEN)
            paid += sum(charge["amount_captured"] for charge in charges)
            ats += [charge["created"] for charge in charges]
        return min(ats, default=session["created"]), paid, returned

    def pages(self, path: str, params: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield the objects of a list to its end; RequestFailedError where it cannot be read."""
        after: dict[str, str] = {}
        while True:
            page = self.gateway.get(path, {**params, "limit": PAGE, **after})
            yield from page["data"]
            if not page["has_more"] or not page["data"]:
                return
            after = {"starting_after": page["data"][-1]["id"]}

    def _listed(self, path: str, params: Mapping[str, Any]) -> list[Object]:
        """Return the objects of a list; none where Stripe does not know whose they would be."""
        try:
            return list(self.pages(path, params))
        except RequestFailedError as error:
            if not _missing(error):
                raise
            return []

    def _there(self, path: str, params: Mapping[str, Any] | None = None) -> list[Object]:
        """Return an object as a list of one, of none where it is gone."""
        try:
            return [self.gateway.get(path, params)]
        except RequestFailedError as error:
            if not _missing(error):
                raise
            return []


_DONE = "succeeded"


def _missing(error: RequestFailedError) -> bool:
    return error.failure.status == HTTPStatus.NOT_FOUND or error.failure.code == "resource_missing"


def _id(thing: Any) -> str:
    """Return the id of an object that is named, or came whole."""
    return str(thing["id"] if isinstance(thing, Mapping) else thing)


def _late(invoice: Object) -> int:
    """Return since when an open invoice is late, in seconds."""
    if invoice["collection_method"] == _DUE and invoice.get("due_date"):
        return int(invoice["due_date"])
    return int((invoice.get("status_transitions") or {}).get("finalized_at") or invoice["created"])


def _pack_of(address: str | None) -> str | None:
    if address is None or not address.startswith(_PACKS):
        return None
    return address.removeprefix(_PACKS).partition(".")[0]


def _micros(seconds: int | None) -> int | None:
    return None if seconds is None else seconds * SECOND
