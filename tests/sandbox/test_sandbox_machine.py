"""Random histories of customers, subscriptions, usage, payments and time: the account stays coherent all the way."""

import json

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from reconciler.sandbox import Sandbox
from reconciler.sandbox.families import FAMILIES
from reconciler.sandbox.objects.base import _due
from reconciler.sandbox.store import EVERYTHING
from tests.sandbox.conftest import NOW, Api

DAY = 86_400
CARDS = st.sampled_from(["pm_card_visa", "pm_card_visa", "pm_card_chargeCustomerFail"])


class Contracts(RuleBasedStateMachine):
    """Customers buy, use, pay, change their minds; a clock runs."""

    customers = Bundle("customers")
    subscriptions = Bundle("subscriptions")
    invoices = Bundle("invoices")

    @initialize()
    def start(self):
        """Open an account with a small catalogue and a test clock."""
        self.sandbox = Sandbox(clock=NOW)
        self.api = Api(self.sandbox)
        self.now = NOW
        self.clock = self.api.post("/v1/test_helpers/test_clocks", {"frozen_time": NOW})["id"]
        product, meter = self.api.product()["id"], self.api.meter()["id"]
        monthly, weekly = {"interval": "month"}, {"interval": "week"}
        self.prices = [
            self.api.price(product, recurring=monthly)["id"],
            self.api.price(product, recurring=monthly, unit_amount=2500)["id"],
            self.api.price(product, recurring={**monthly, "usage_type": "metered", "meter": meter})["id"],
            self.api.price(product, recurring=weekly)["id"],
        ]
        self.coupon = self.api.coupon(duration="repeating", duration_in_months=2)["id"]

    def send(self, method, path, **form):
        """Send a request that may be refused, never fail; return its JSON."""
        reply = self.api.send(method, path, form)
        assert reply.status in {200, 400, 402, 404}, reply.body
        return json.loads(reply.body)

    @rule(target=customers, card=CARDS, clocked=st.booleans())
    def create_customer(self, card, clocked):
        """Create a customer with a card that works or one that fails later."""
        form = {"payment_method": card, "invoice_settings": {"default_payment_method": card}}
        return self.send("POST", "/v1/customers", **form, **({"test_clock": self.clock} if clocked else {})).get(
            "id", "x"
        )

    @rule(
        target=subscriptions,
        customer=customers,
        places=st.sets(st.integers(0, 3), min_size=1, max_size=3),
        trial=st.sampled_from([None, 5]),
        coupon=st.booleans(),
    )
    def subscribe(self, customer, places, trial, coupon):
        """Subscribe to some prices, with a trial or a coupon perhaps."""
        form = {"customer": customer, "items": [{"price": self.prices[place]} for place in places]}
        if trial:
            form["trial_period_days"] = trial
        if coupon:
            form["discounts"] = [{"coupon": self.coupon}]
        return self.send("POST", "/v1/subscriptions", **form).get("id", "x")

    @rule(subscription=subscriptions, price=st.integers(0, 3), quantity=st.integers(1, 5), now=st.booleans())
    def change(self, subscription, price, quantity, now):
        """Move the first item to another price or quantity, with prorations pending or invoiced."""
        items = self.send("GET", "/v1/subscription_items", subscription=subscription).get("data", [])
        if items:
            item = {"id": items[0]["id"], "price": self.prices[price]}
            if price != 2:
                item["quantity"] = quantity
            behavior = "always_invoice" if now else "create_prorations"
            self.send("POST", f"/v1/subscriptions/{subscription}", items=[item], proration_behavior=behavior)

    @rule(subscription=subscriptions, at_end=st.booleans())
    def cancel(self, subscription, at_end):
        """Cancel at once or at the end of the period."""
        if at_end:
            self.send("POST", f"/v1/subscriptions/{subscription}", cancel_at_period_end=True)
        else:
            self.send("DELETE", f"/v1/subscriptions/{subscription}", prorate=True)

    @rule(customer=customers, value=st.integers(0, 500))
    def use(self, customer, value):
        """Report usage."""
        payload = {"stripe_customer_id": customer, "value": value}
        self.send("POST", "/v1/billing/meter_events", event_name="calls", payload=payload, timestamp=self.now)

    @rule(target=invoices, customer=customers, amount=st.sampled_from([-700, 10, 5000]))
    def bill(self, customer, amount):
        """Bill something by hand: an item, an invoice, finalized."""
        self.send("POST", "/v1/invoiceitems", customer=customer, amount=amount, currency="usd")
        form = {"customer": customer, "pending_invoice_items_behavior": "include"}
        invoice = self.send("POST", "/v1/invoices", **form).get("id", "x")
        self.send("POST", f"/v1/invoices/{invoice}/finalize")
        return invoice

    @rule(invoice=invoices, verb=st.sampled_from(["pay", "void", "mark_uncollectible", "send"]))
    def settle(self, invoice, verb):
        """Pay an invoice, or give it up."""
        self.send("POST", f"/v1/invoices/{invoice}/{verb}")

    @rule(customer=customers, amount=st.integers(1, 3000))
    def grant(self, customer, amount):
        """Give money credits."""
        money = {"type": "monetary", "monetary": {"currency": "usd", "value": amount}}
        scope = {"scope": {"price_type": "metered"}}
        self.send("POST", "/v1/billing/credit_grants", customer=customer, amount=money, applicability_config=scope)

    @rule(customer=customers, amount=st.integers(-2000, 2000))
    def adjust(self, customer, amount):
        """Change a customer's balance."""
        self.send("POST", f"/v1/customers/{customer}/balance_transactions", amount=amount, currency="usd")

    @rule(days=st.sampled_from([1, 3, 8, 13]))
    def wait(self, days):
        """Let time pass."""
        self.now += days * DAY
        self.send("POST", f"/v1/test_helpers/test_clocks/{self.clock}/advance", frozen_time=self.now)
        clock = self.send("GET", f"/v1/test_helpers/test_clocks/{self.clock}")
        assert clock["status"] == "ready"
        self.now = clock["frozen_time"]

    def rows(self, kind=None):
        """Return the stored objects, of a kind or all."""
        rows = self.sandbox._store._writer.execute("SELECT kind, seq, body FROM object ORDER BY seq").fetchall()
        return [(k, seq, json.loads(body)) for k, seq, body in rows if kind in {None, k} and k in FAMILIES]

    @invariant()
    def what_is_named_exists(self):
        """Find every object that another one names, as long as its kind is never deleted."""
        objects = self.rows()
        ids = {(kind, obj["id"]) for kind, _, obj in objects}
        for kind, _, obj in objects:
            family = FAMILIES[kind]
            for dotted, target in {**family.references, **family.embeds}.items():
                for named in leaves(obj, dotted.split(".")):
                    if isinstance(named, str) and target not in {"coupon", "discount"}:
                        assert (target, named) in ids, (kind, obj["id"], dotted)

    @invariant()
    def invoices_add_up(self):
        """Find the sums of every invoice right, and nothing owed on a paid one."""
        for _, _, invoice in self.rows("invoice"):
            discount = sum(each["amount"] for each in invoice["total_discount_amounts"] or [])
            credit = sum(
                each["amount"]
                for each in invoice["total_pretax_credit_amounts"] or []
                if each.get("credit_balance_transaction")
            )
            assert invoice["total"] == invoice["subtotal"] - discount - credit, invoice["id"]
            assert invoice["amount_remaining"] == invoice["amount_due"] - invoice["amount_paid"]
            if invoice["status"] == "paid":
                assert invoice["amount_remaining"] == 0

    @invariant()
    def balances_are_the_sums_of_their_transactions(self):
        """Find every customer's balance equal to the sum of its transactions."""
        sums: dict[str, int] = {}
        for _, _, entry in self.rows("customer_balance_transaction"):
            sums[entry["customer"]] = sums.get(entry["customer"], 0) + entry["amount"]
        for _, _, customer in self.rows("customer"):
            assert customer["balance"] == sums.get(customer["id"], 0)

    @invariant()
    def terms_and_times_are_those_of_the_objects(self):
        """Find exactly the terms and waiting times that the objects have now."""
        database = self.sandbox._store._writer
        objects = self.rows()
        stored = database.execute("SELECT kind, field, value, seq FROM term")
        assert {term for term in stored if term[0] in FAMILIES} == {
            (kind, *term, seq) for kind, seq, obj in objects for term in [EVERYTHING, *FAMILIES[kind].terms(obj)]
        }
        waiting = {
            (kind, due.clock, due.at, seq)
            for kind, seq, obj in objects
            if (due := _due(FAMILIES[kind], obj)) is not None
        }
        assert set(database.execute("SELECT kind, clock, at, seq FROM due")) == waiting

    @invariant()
    def nothing_is_overdue(self):
        """Find nothing waiting for a time that has passed on its clock."""
        late = self.sandbox._store._writer.execute(
            "SELECT kind, at FROM due WHERE clock = ? AND at <= ?", (self.clock, self.now)
        )
        assert late.fetchall() == []

    def teardown(self):
        """Close the account."""
        self.sandbox.close()


def leaves(node, path):
    """Yield what stands at a dotted path, through lists and any-key steps."""
    if not path:
        yield from node if isinstance(node, list) else [node]
    elif isinstance(node, list):
        for item in node:
            yield from leaves(item, path)
    elif isinstance(node, dict):
        for key in node if path[0] == "*" else [path[0]]:
            if key in node:
                yield from leaves(node[key], path[1:])


Contracts.TestCase.settings = settings(max_examples=10, stateful_step_count=20, deadline=None)
TestContracts = Contracts.TestCase
TestContracts.__doc__ = (
    "The invariants of customers, subscriptions and money hold after every step of random histories."
)
