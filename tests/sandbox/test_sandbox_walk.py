"""A walk through everything that moves money, at random: whatever is asked for, the books agree.

Requests may be refused, and most orders of them make no sense; none may fail inside, charge twice, lose a unit of a
balance or of a grant, or change what no event tells of. Every reply is judged by Stripe's OpenAPI document too.
"""

import random
from collections import Counter
from contextlib import suppress
from dataclasses import fields
from itertools import pairwise

import pytest

from reconciler.sandbox import Sandbox, Settings
from reconciler.sandbox.errors import ApiError
from tests.sandbox.billing_world import DAY, HOUR
from tests.sandbox.conftest import NOW, Api

CARDS = (
    *("pm_card_visa",) * 4,
    *("pm_card_chargeCustomerFail", "pm_card_authenticationRequired", "pm_card_createDispute", "pm_card_refundFail"),
)
BEHAVIORS = ("create_prorations", "none", "always_invoice")
EXTREMES = (Settings(), Settings(**{field.name: not field.default for field in fields(Settings)}))
#: What no event tells of: what only its own list shows, and what changes with another object's event.
UNTOLD = {
    "charge": {"balance_transaction", "disputed"},
    "customer": {"next_invoice_sequence"},
    "dispute": {"balance_transactions"},
    "invoice": {"lines"},
    "payment_intent": {"amount"},
    "subscription": {"items", "latest_invoice", "pending_setup_intent"},
}


class Walk:
    """One customer on a test clock, and somebody who asks for anything."""

    def __init__(self, sandbox, seed):
        self.api, self.dice, self.now = Api(sandbox), random.Random(seed), NOW
        self.currency = self.pick("usd", "usd", "kwd", "jpy", "ugx")
        self.mode = {"type": self.pick("flexible", "classic")}
        api = self.api
        self.clock = api.post("/v1/test_helpers/test_clocks", {"frozen_time": NOW})["id"]
        self.customer = api.post("/v1/customers", {"test_clock": self.clock})["id"]
        self.product = api.product()["id"]
        meters = [api.meter(name)["id"] for name in ("calls", "mails")]
        metered = [{"recurring": {"interval": "month", "usage_type": "metered", "meter": meter}} for meter in meters]
        steps = [{"up_to": 5, "unit_amount": 100, "flat_amount": 50}, {"up_to": "inf", "unit_amount_decimal": "0.5"}]
        tiered = {"billing_scheme": "tiered", "tiers_mode": "graduated", "tiers": steps}
        self.seats = [self.price(unit_amount=amount) for amount in (1000, 2550, 0, 333)]
        self.seats.append(self.price(unit_amount=12000, recurring={"interval": "year"}))
        self.usage = [self.price(unit_amount=10, **metered[0]), self.price(unit_amount=7, **metered[1])]
        self.usage.append(self.price(**metered[0], **tiered))
        self.once = api.price(self.product, currency=self.currency, unit_amount=700)["id"]
        off = {"amount_off": 300, "currency": self.currency, "duration": "forever"}
        self.coupons = [api.coupon(percent_off=25, duration=each)["id"] for each in ("once", "forever")]
        self.coupons.append(api.post("/v1/coupons", off)["id"])
        tax = {"display_name": "VAT", "percentage": 19}
        self.taxes = [api.post("/v1/tax_rates", {**tax, "inclusive": each})["id"] for each in (True, False)]
        self.card()

    def pick(self, *choices):
        """Return one of some things."""
        return self.dice.choice(choices)

    def maybe(self, chance, **form):
        """Return a form, or more often an empty one."""
        return form if self.dice.random() < chance else {}

    def price(self, **form):
        """Create a price that recurs monthly unless the form says otherwise."""
        form = {"product": self.product, "currency": self.currency, "recurring": {"interval": "month"}, **form}
        return self.api.post("/v1/prices", form)["id"]

    def ask(self, path, form=None, method="POST"):
        """Ask for something that may be refused, but must not fail inside."""
        reply = self.api.send(method, path, form)
        assert reply.status < 500
        return reply

    def all(self, path, **form):
        """Return a whole list."""
        found, after = [], {}
        while True:
            page = self.api.get(path, {"limit": 100, **form, **after})
            found += page["data"]
            if not page["has_more"]:
                return found
            after = {"starting_after": page["data"][-1]["id"]}

    def mine(self, path, **form):
        """Return a whole list of the customer's."""
        return self.all(path, customer=self.customer, **form)

    def one(self, path, **form):
        """Return one of a list, or something that does not exist."""
        return self.pick(*(self.mine(path, **form) or [{"id": "none", "customer": None}]))

    def items(self):
        """Return some different prices as items."""
        chosen = {self.pick(*self.seats, *self.usage) for _ in range(self.pick(1, 1, 2, 3))}
        return [self.item(price) for price in sorted(chosen)]

    def item(self, price=None):
        """Return an item."""
        price = price or self.pick(*self.seats, *self.usage)
        quantity = {"quantity": self.pick(0, 1, 1, 5)} if price in self.seats else {}
        discounts = self.maybe(0.2, discounts=[{"coupon": self.pick(*self.coupons)}])
        return {"price": price, **quantity, **discounts, **self.maybe(0.2, tax_rates=[self.pick(*self.taxes)])}

    def card(self):
        """Give the customer a card."""
        reply = self.ask(f"/v1/payment_methods/{self.pick(*CARDS)}/attach", {"customer": self.customer})
        if reply.status == 200:
            method = self.mine("/v1/payment_methods")[0]["id"]
            self.ask(f"/v1/customers/{self.customer}", {"invoice_settings": {"default_payment_method": method}})

    def subscribe(self):
        """Begin a subscription."""
        end = {"missing_payment_method": self.pick("cancel", "pause", "create_invoice")}
        form = {
            "customer": self.customer,
            "items": self.items(),
            "billing_mode": self.mode,
            "currency": self.currency,
            **self.maybe(0.3, trial_period_days=self.pick(1, 7, 30), trial_settings={"end_behavior": end}),
            **self.maybe(0.2, discounts=[{"coupon": self.pick(*self.coupons)}]),
            **self.maybe(0.2, default_tax_rates=[self.pick(*self.taxes)]),
            **self.maybe(0.2, payment_behavior=self.pick("default_incomplete", "error_if_incomplete")),
            **self.maybe(0.1, collection_method="send_invoice", days_until_due=self.pick(0, 5)),
            **self.maybe(0.1, add_invoice_items=[{"price": self.once}]),
            **self.maybe(0.1, backdate_start_date=self.now - self.pick(1, 40) * DAY),
            **self.maybe(0.1, cancel_at=self.now + self.pick(1, 15, 50) * DAY),
            **self.maybe(0.1, pending_invoice_item_interval={"interval": "week"}),
        }
        self.ask("/v1/subscriptions", form)

    def change(self):
        """Change a subscription, after a look at what that would come to."""
        held = self.one("/v1/subscriptions", status="all")
        ids = [{"id": item["id"]} for item in held.get("items", {"data": []})["data"]] or [{"id": "none"}]
        changes = self.pick(
            {"items": [{**self.pick(*ids), "quantity": self.pick(0, 3, 7)}]},
            {"items": [{**self.pick(*ids), **self.item()}]},
            {"items": [self.item()]},
            {"items": [{**self.pick(*ids), "deleted": True}]},
            {"billing_cycle_anchor": {"type": "now"}},
            {"trial_end": self.pick("now", self.now + 5 * DAY)},
            {"cancel_at_period_end": self.pick(True, False)},
        )
        more = self.pick(
            {"pause_collection": self.pick("", {"behavior": self.pick("void", "keep_as_draft", "mark_uncollectible")})},
            {"discounts": self.pick("", [{"coupon": self.pick(*self.coupons)}])},
            {},
        )
        details = {**changes, "proration_behavior": self.pick(*BEHAVIORS)}
        self.ask("/v1/invoices/create_preview", {"subscription": held["id"], "subscription_details": details})
        behavior = self.maybe(0.3, payment_behavior=self.pick("pending_if_incomplete", "default_incomplete"))
        self.ask(f"/v1/subscriptions/{held['id']}", {**details, **more, **behavior})

    def end(self):
        """End, pause or resume a subscription."""
        path = f"/v1/subscriptions/{self.one('/v1/subscriptions', status='all')['id']}"
        form = {"invoice_now": self.pick(True, False), "prorate": self.pick(True, False)}
        self.pick(
            lambda: self.ask(path, form, "DELETE"),
            lambda: self.ask(
                f"{path}/pause", {"type": "subscription", **self.maybe(0.5, invoicing_behavior="invoice")}
            ),
            lambda: self.ask(f"{path}/resume", self.maybe(0.5, proration_behavior=self.pick(*BEHAVIORS))),
        )()

    def phase(self):
        """Return a phase."""
        return {
            "items": self.items(),
            "duration": {"interval": self.pick("day", "week", "month"), "interval_count": self.pick(1, 2)},
            "proration_behavior": self.pick(*BEHAVIORS),
            **self.pick({}, {}, {"trial": True}, {"billing_cycle_anchor": "phase_start"}),
            **self.maybe(0.2, discounts=[{"coupon": self.pick(*self.coupons)}]),
            **self.maybe(0.2, add_invoice_items=[{"price": self.once}]),
        }

    def schedule(self):
        """Plan something, change a plan, or end one."""
        path, held = "/v1/subscription_schedules", self.one("/v1/subscription_schedules")
        start, end = self.pick("now", self.now + 5 * DAY), self.pick("release", "cancel")
        new = {"customer": self.customer, "start_date": start, "end_behavior": end, "billing_mode": self.mode}
        self.pick(
            lambda: self.ask(path, {"from_subscription": self.one("/v1/subscriptions")["id"]}),
            lambda: self.ask(path, {**new, "phases": [self.phase() for _ in range(self.pick(1, 2, 3))]}),
            lambda: self.ask("/v1/invoices/create_preview", {"schedule": held["id"]}),
            lambda: self.ask(f"{path}/{held['id']}/{self.pick('cancel', 'release')}"),
        )()

    def use(self):
        """Report usage, late or in time."""
        at, name = self.now - self.pick(0, 0, 1800, 2 * HOUR), self.pick("calls", "mails")
        payload = {"stripe_customer_id": self.customer, "value": self.pick(1, 5, 30, -3)}
        self.ask("/v1/billing/meter_events", {"event_name": name, "payload": payload, "timestamp": at})

    def credit(self):
        """Grant credits, or end a grant."""
        amount = {"type": "monetary", "monetary": {"currency": self.currency, "value": self.pick(50, 1000)}}
        scope = {"scope": self.pick({"price_type": "metered"}, {"prices": [{"id": self.pick(*self.usage)}]})}
        expiry = self.maybe(0.3, expires_at=self.now + self.pick(3, 35) * DAY)
        path = "/v1/billing/credit_grants"
        self.ask(path, {"customer": self.customer, "amount": amount, "applicability_config": scope, **expiry})
        if self.pick(True, False, False):
            self.ask(f"{path}/{self.one(path)['id']}/{self.pick('expire', 'void')}")

    def invoice(self):
        """Do something with an invoice."""
        path = f"/v1/invoices/{self.one('/v1/invoices')['id']}"
        self.pick(
            lambda: self.ask(f"{path}/{self.pick('finalize', 'pay', 'void', 'mark_uncollectible', 'send')}"),
            lambda: self.ask(f"{path}/pay", self.pick({"paid_out_of_band": True}, {"payment_method": "pm_card_visa"})),
            lambda: self.ask(path, {"auto_advance": self.pick(True, False)}),
            lambda: self.ask(f"{path}/add_lines", {"lines": [{"amount": self.pick(500, -200)}]}),
            lambda: self.ask(path, None, "DELETE"),
        )()

    def bill(self):
        """Let something wait, invoice by hand, or move the customer's balance."""
        own = {"customer": self.customer, "currency": self.currency}
        balance = {"amount": self.pick(-500, 300, -5000), "currency": self.currency}
        self.pick(
            lambda: self.ask("/v1/invoiceitems", {**own, "amount": self.pick(500, -300, 777, -5000)}),
            lambda: self.ask("/v1/invoices", {**own, "pending_invoice_items_behavior": "include"}),
            lambda: self.ask(f"/v1/customers/{self.customer}/balance_transactions", balance),
        )()

    def give_back(self):
        """Credit, refund, or answer a dispute."""
        invoice, charge = self.one("/v1/invoices"), self.one("/v1/charges")
        amount = self.pick(100, 300, invoice.get("total") or 1)
        where = self.pick({}, *({name: amount} for name in ("credit_amount", "refund_amount", "out_of_band_amount")))
        note = self.one("/v1/credit_notes")["id"]
        dispute = self.pick(*(self.all("/v1/disputes") or [{"id": "none"}]))["id"]
        evidence = {"uncategorized_text": self.pick("winning_evidence", "losing_evidence")}
        self.pick(
            lambda: self.ask("/v1/credit_notes", {"invoice": invoice["id"], "amount": amount, **where}),
            lambda: self.ask(f"/v1/credit_notes/{note}/void"),
            lambda: self.ask("/v1/refunds", {"charge": charge["id"], **self.maybe(0.5, amount=100)}),
            lambda: self.ask(f"/v1/disputes/{dispute}", {"evidence": evidence, "submit": True}),
        )()

    def authenticate(self):
        """Answer the bank's question, or fail to."""
        for intent in self.mine("/v1/payment_intents"):
            if intent["status"] == "requires_action":
                with suppress(ApiError):
                    self.api.authenticate(intent["id"], success=self.pick(True, False))

    def wait(self):
        """Let time pass."""
        self.now += self.pick(HOUR // 2, HOUR, DAY, 7 * DAY, 28 * DAY)
        path = f"/v1/test_helpers/test_clocks/{self.clock}"
        if self.ask(f"{path}/advance", {"frozen_time": self.now}).status != 200:
            self.now = self.api.get(path)["frozen_time"]
        assert self.api.get(path)["status"] == "ready"

    def steps(self, number):
        """Do some of it."""
        often = (self.wait, self.wait, self.wait, self.use, self.use, self.change, self.change, self.subscribe)
        rest = (self.card, self.end, self.schedule, self.credit, self.invoice, self.bill, self.give_back)
        for _ in range(number):
            self.pick(*often, *rest, self.authenticate)()


def check_invoices(walk):
    """See that lines make totals, totals and balances what is due, and payments what is paid, once."""
    payments = walk.all("/v1/invoice_payments")
    for invoice in walk.mine("/v1/invoices"):
        lines = walk.all(f"/v1/invoices/{invoice['id']}/lines")
        net = sum(line["amount"] - sum(each["amount"] for each in line["pretax_credit_amounts"]) for line in lines)
        on_top = sum(tax["amount"] for line in lines for tax in line["taxes"] if tax["tax_behavior"] == "exclusive")
        assert invoice["total"] == net + on_top
        mine = [each for each in payments if each["invoice"] == invoice["id"]]
        paid = sum(each["amount_paid"] for each in mine if each["status"] == "paid")
        assert invoice["amount_paid"] == paid + (invoice["amount_paid_off_stripe"] or 0)
        assert Counter(each["status"] for each in mine)["open"] <= 1
        if invoice["status"] in {"open", "paid", "uncollectible"}:
            due, remaining = invoice["amount_due"], invoice["amount_remaining"]
            assert due == invoice["amount_paid"] + remaining
            assert (invoice["status"] == "paid") == (remaining == 0)
            owed, credited = invoice["total"] + invoice["starting_balance"], invoice["pre_payment_credit_notes_amount"]
            assert owed == due + credited + invoice["ending_balance"]


def check_money(walk):
    """See that no intent is charged twice, and no more goes back than was taken, by refunds and disputes together."""
    charges, refunds = walk.mine("/v1/charges"), walk.all("/v1/refunds")
    taken = Counter(charge["payment_intent"] for charge in charges if charge["paid"])
    assert set(taken.values()) <= {1}
    lost = {each["charge"]: each["amount"] for each in walk.all("/v1/disputes") if each["status"] != "won"}
    for charge in charges:
        back = [each for each in refunds if each["charge"] == charge["id"] and each["status"] != "failed"]
        assert charge["amount_refunded"] == sum(each["amount"] for each in back)
        assert charge["amount_refunded"] + lost.get(charge["id"], 0) <= charge["amount"]


def check_credit(walk):
    """See that a balance is the sum of its transactions, and a grant's neither below nothing nor above its amount."""
    customer = walk.api.get(f"/v1/customers/{walk.customer}")
    moved = walk.all(f"/v1/customers/{walk.customer}/balance_transactions")
    assert customer["balance"] == sum(each["amount"] for each in moved)
    for newer, older in pairwise(moved):
        assert newer["ending_balance"] == older["ending_balance"] + newer["amount"]
    for grant in walk.mine("/v1/billing/credit_grants"):
        ledger = walk.mine("/v1/billing/credit_balance_transactions", credit_grant=grant["id"])
        signed = [(each["credit"] or each["debit"], 1 if each["credit"] else -1) for each in ledger]
        left = sum(entry["amount"]["monetary"]["value"] * sign for entry, sign in signed)
        assert 0 <= left <= grant["amount"]["monetary"]["value"]


def check_events(walk):
    """See that the newest event of an object shows it as it is."""
    told = {}
    for event in walk.all("/v1/events"):
        shown = event["data"]["object"]
        if event["type"] != "invoice.upcoming":
            told.setdefault((shown["object"], shown.get("id")), shown)
    lists = [walk.mine(f"/v1/{name}") for name in ("invoices", "charges", "payment_intents", "subscription_schedules")]
    lists += [walk.mine("/v1/subscriptions", status="all"), walk.all("/v1/disputes"), walk.all("/v1/refunds")]
    for each in (*(one for found in lists for one in found), walk.api.get(f"/v1/customers/{walk.customer}")):
        kind = each["object"]
        shown = told[kind, each["id"]]
        assert {
            name: value for name, value in each.items() if name not in UNTOLD.get(kind, ()) and shown[name] != value
        } == {}


def check_time(walk):
    """See that what runs is in a period that has not ended."""
    for subscription in walk.mine("/v1/subscriptions"):
        if subscription["status"] in {"active", "past_due", "trialing", "unpaid"}:
            assert all(item["current_period_end"] > walk.now for item in subscription["items"]["data"])


def stroll(seed, settings, rounds):
    """Walk for some rounds of ten steps, and audit the books after each."""
    with Sandbox(clock=NOW, seed=seed, settings=settings) as sandbox:
        walk = Walk(sandbox, seed)
        for _ in range(rounds):
            walk.steps(10)
            for check in (check_invoices, check_money, check_credit, check_events, check_time):
                check(walk)


@pytest.mark.parametrize("seed", range(2))
def test_the_books_agree(seed):
    """After every few requests of a walk at random."""
    stroll(seed, None, 5)


@pytest.mark.soak
@pytest.mark.parametrize("settings", EXTREMES, ids=["default", "other"])
@pytest.mark.parametrize("seed", range(100, 106))
def test_the_books_agree_for_long(seed, settings):
    """And after many, under each extreme of the settings."""
    stroll(seed, settings, 15)
