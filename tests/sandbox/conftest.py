"""Fixtures of the sandbox tests: a fresh account in memory with a fixed clock, spoken to in forms and JSON."""

import json
from urllib.parse import quote, urlencode

import pytest
import stripe

from reconciler.sandbox import Request, Sandbox
from reconciler.sandbox.billing import payments, setups
from reconciler.sandbox.objects.base import Origin

NOW = 1_800_000_000


def flatten(value, prefix=""):
    """Yield the form fields of nested data: ``{"a": [{"b": 1}]}`` is ``a[0][b]=1``."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from flatten(item, f"{prefix}[{key}]" if prefix else key)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from flatten(item, f"{prefix}[{index}]")
    else:
        yield prefix, str(value).lower() if isinstance(value, bool) else value


def idle(sandbox, tx):
    """Return a call that no request made, at the sandbox's time."""
    return sandbox._bare_call(tx, sandbox.clock(), Origin(None, None))


class Api:
    """One account of a sandbox as a client sees it."""

    def __init__(self, sandbox, key="sk_test_sandbox"):
        self.sandbox = sandbox
        self.headers = {"Authorization": f"Bearer {key}"}

    def send(self, method, path, form=None, **headers):
        """Return the raw reply; header names are written with underscores."""
        encoded = urlencode(list(flatten(form or {})))
        extra = {name.replace("_", "-"): value for name, value in headers.items()}
        if method == "POST":
            return self.sandbox.dispatch(Request(method, path, {**self.headers, **extra}, encoded.encode()))
        target = f"{path}?{encoded}" if encoded else path
        return self.sandbox.dispatch(Request(method, target, {**self.headers, **extra}))

    def ok(self, method, path, form=None, **headers):
        """Return the JSON of a reply that must be a success."""
        reply = self.send(method, path, form, **headers)
        assert reply.status == 200, reply.body
        return json.loads(reply.body)

    def refused(self, method, path, form=None, **headers):
        """Return status and error of a reply that must be a refusal in Stripe's envelope."""
        reply = self.send(method, path, form, **headers)
        assert reply.status >= 400, reply.body
        error = json.loads(reply.body)["error"]
        assert error["message"]
        assert error["type"]
        return {"status": reply.status, "code": None, "param": None, **error}

    def post(self, path, form=None, **headers):
        """Create or change, successfully."""
        return self.ok("POST", path, form, **headers)

    def get(self, path, form=None, **headers):
        """Read, successfully."""
        return self.ok("GET", path, form, **headers)

    def ids(self, path, form=None):
        """Return the ids of a list, in its order."""
        return [item["id"] for item in self.get(path, {"limit": 100, **(form or {})})["data"]]

    def events(self, **form):
        """Return the events, oldest first."""
        return self.get("/v1/events", {"limit": 100, **form})["data"][::-1]

    def product(self, **form):
        """Create a product."""
        return self.post("/v1/products", {"name": "Pro", **form})

    def price(self, product, **form):
        """Create a one-time price of 10.00 usd unless the form says otherwise."""
        amount = {} if {"unit_amount_decimal", "tiers", "custom_unit_amount"} & set(form) else {"unit_amount": 1000}
        return self.post("/v1/prices", {"product": product, "currency": "usd", **amount, **form})

    def meter(self, event_name="calls"):
        """Create a meter."""
        form = {"display_name": "Calls", "event_name": event_name, "default_aggregation": {"formula": "sum"}}
        return self.post("/v1/billing/meters", form)

    def feature(self, lookup_key="support"):
        """Create a feature."""
        return self.post("/v1/entitlements/features", {"lookup_key": lookup_key, "name": "Support"})

    def coupon(self, **form):
        """Create a coupon of 10 %."""
        return self.post("/v1/coupons", {"percent_off": 10, **form})

    def code(self, coupon, **form):
        """Create a promotion code."""
        return self.post("/v1/promotion_codes", {"promotion": {"type": "coupon", "coupon": coupon}, **form})

    def customer(self, **form):
        """Create a customer."""
        return self.post("/v1/customers", form)

    def pay(self, method="pm_card_visa", amount=1000, **form):
        """Create and confirm a payment intent in usd."""
        form = {"amount": amount, "currency": "usd", "payment_method": method, "confirm": True, **form}
        return self.post("/v1/payment_intents", form)

    def authenticate(self, intent_id, *, success=True):
        """End the authentication an intent waits for, as its page does."""
        with self.sandbox._store.write(self.get("/v1/account")["id"]) as tx:
            call = idle(self.sandbox, tx)
            if intent_id.startswith("seti_"):
                setups.authenticate(call, intent_id, success=success)
            else:
                payments.authenticate(call, intent_id, success)

    @staticmethod
    def url(object_id):
        """Return an id as it stands in a path."""
        return quote(object_id, safe="")


@pytest.fixture(autouse=True)
def _no_telemetry(monkeypatch):
    """Keep the SDK from writing into the home directory."""
    monkeypatch.setattr(stripe, "enable_telemetry", False)


@pytest.fixture
def open_sandbox():
    """Return a factory of sandboxes that are closed after the test."""
    opened = []

    def factory(*args, **kwargs):
        opened.append(Sandbox(*args, **{"clock": NOW, **kwargs}))
        return opened[-1]

    yield factory
    for sandbox in opened:
        sandbox.close()


@pytest.fixture
def sandbox(open_sandbox):
    """Return a fresh sandbox in memory with a fixed clock."""
    return open_sandbox()


@pytest.fixture
def api(sandbox):
    """Return the account of ``sk_test_sandbox`` in a fresh sandbox."""
    return Api(sandbox)


@pytest.fixture(scope="session")
def account():
    """Return the class that speaks for one account of a given sandbox."""
    return Api


@pytest.fixture(scope="session")
def now():
    """Return the fixed clock's time."""
    return NOW
