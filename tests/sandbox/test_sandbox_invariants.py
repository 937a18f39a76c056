"""Properties that hold whatever is sent: no answer of its own making, unique keys, an event for every change."""

import json
import re
from urllib.parse import urlencode

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from reconciler.sandbox import Request, Sandbox
from reconciler.sandbox import Settings as SandboxSettings
from reconciler.sandbox.families import FAMILIES
from reconciler.sandbox.params import Array, Boolean, Integer, Map, Number, OneOf, Struct, Text, schema
from reconciler.sandbox.store import EVERYTHING

KEY = {"Authorization": "Bearer sk_test_sandbox"}
ROUTES = [route for family in FAMILIES.values() for route in family.routes]
NASTY = st.sampled_from(
    ["", "0", "-1", "99999999999999999999", "true", "inf", "usd", "a", "x" * 600, "\x00", "é", "1.5", "p"]
)


def fields(spec, path):
    """Draw form fields that mostly fit a parameter's type and sometimes do not."""
    if isinstance(spec, Struct):
        members = [fields(member.spec, f"{path}[{name}]" if path else name) for name, member in spec.members.items()]
        required = [
            fields(member.spec, f"{path}[{name}]" if path else name)
            for name, member in spec.members.items()
            if member.required
        ]
        some = (
            st.lists(st.sampled_from(members), max_size=4).flatmap(lambda picked: st.tuples(*picked))
            if members
            else st.just(())
        )
        return st.tuples(st.tuples(*required), some).map(lambda pair: [f for part in pair for fs in part for f in fs])
    if isinstance(spec, Array):
        return (
            st.integers(0, 2)
            .flatmap(lambda count: st.tuples(*(fields(spec.item, f"{path}[{index}]") for index in range(count))))
            .map(lambda items: [f for item in items for f in item])
        )
    if isinstance(spec, Map):
        return st.sampled_from(["eur", "k", "USD"]).flatmap(lambda key: fields(spec.value, f"{path}[{key}]"))
    if isinstance(spec, OneOf) and spec.options:
        return st.sampled_from(spec.options).flatmap(lambda option: fields(option, path))
    return values(spec).map(lambda value: [(path, value)])


def values(spec):
    """Draw a text for a scalar."""
    good = {
        Text: st.sampled_from(spec.choices)
        if getattr(spec, "choices", ())
        else st.sampled_from(["usd", "p", "a", "k1"]),
        Integer: st.integers(-1, 200).map(str),
        Boolean: st.sampled_from(["true", "false"]),
    }.get(type(spec), st.decimals(-1, 101, places=3).map(str) if isinstance(spec, Number) else NASTY)
    return st.one_of(good, good, good, NASTY)


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_whatever_is_sent_is_answered_as_stripe_would(data):
    """Any form to any endpoint is a success or a 4xx in Stripe's envelope, never a failure; replies are JSON."""
    with SHARED.fresh() as sandbox:
        for _ in range(data.draw(st.integers(1, 6))):
            route = data.draw(st.sampled_from(ROUTES))
            form = data.draw(fields(schema(route.params), ""))
            path = re.sub(r"\{\w+\}", lambda _: data.draw(SHARED.ids()), route.pattern)
            encoded = urlencode(form)
            if route.method == "POST":
                reply = sandbox.dispatch(
                    Request("POST", path, {**KEY, "Idempotency-Key": data.draw(NASTY)}, encoded.encode())
                )
            else:
                reply = sandbox.dispatch(Request(route.method, f"{path}?{encoded}", KEY))
            body = json.loads(reply.body)
            assert reply.status < 500, (route, form, body)
            assert ("error" in body) is (reply.status != 200)
            SHARED.learn(body)


class _Shared:
    """What the fuzzing of one example knows: ids it has been told."""

    def fresh(self):
        """Start an example with a product to refer to."""
        self.known = ["p"]
        sandbox = Sandbox(clock=1_800_000_000)
        sandbox.dispatch(Request("POST", "/v1/products", KEY, b"name=x&id=p"))
        return sandbox

    def ids(self):
        """Draw an id that exists, or does not."""
        return st.sampled_from([*self.known, "nope"])

    def learn(self, body):
        """Remember the id of what was made."""
        if isinstance(body.get("id"), str):
            self.known.append(body["id"].replace("/", "%2F").replace("?", "%3F").replace("\x00", "%00") or "p")


SHARED = _Shared()


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["GET", "POST", "DELETE", "PUT"]),
    st.text(max_size=30),
    st.dictionaries(
        st.sampled_from(["Authorization", "Stripe-Version", "Idempotency-Key", "Content-Type"]), st.text(max_size=20)
    ),
    st.binary(max_size=60),
)
def test_noise_is_refused_in_stripes_envelope(method, path, headers, body):
    """Random paths, headers and bytes never raise and never get anything but an error object."""
    with Sandbox() as sandbox:
        reply = sandbox.dispatch(Request(method, f"/v1/products{path}", {**KEY, **headers}, body))
        assert reply.status < 500
        assert isinstance(json.loads(reply.body), dict)


class Catalogue(RuleBasedStateMachine):
    """Clients create, change, archive and transfer; the account stays coherent."""

    products = Bundle("products")
    prices = Bundle("prices")
    meters = Bundle("meters")
    features = Bundle("features")
    codes = Bundle("codes")

    keys = st.sampled_from(["k1", "k2", "k3"])

    @initialize(keeps=st.booleans())
    def start(self, keeps):
        """Open an account, with archived prices keeping their keys or not."""
        self.sandbox = Sandbox(clock=5, settings=SandboxSettings(archived_price_keeps_key=keeps))
        self.changes = 0
        self.coupon = self.send("POST", "/v1/coupons", percent_off=1)["id"]

    def send(self, method, path, **form):
        """Send a request; count it if it changed something that has events."""
        encoded = urlencode({name.replace("__", "[") + "]" * ("__" in name): value for name, value in form.items()})
        target, body = (path, encoded.encode()) if method == "POST" else (f"{path}?{encoded}", b"")
        before = self.told()
        reply = self.sandbox.dispatch(Request(method, target, KEY, body))
        assert reply.status in {200, 400, 404}
        if reply.status != 200:
            assert self.told() == before, "a refusal left an event"
        return json.loads(reply.body)

    def told(self):
        """Return how many events there are."""
        return self.sandbox._store._writer.execute("SELECT count(*) FROM object WHERE kind = 'event'").fetchone()[0]

    @rule(target=products)
    def create_product(self):
        """Create a product."""
        return self.send("POST", "/v1/products", name="x")["id"]

    @rule(target=prices, product=products, key=keys, transfer=st.booleans())
    def create_price(self, product, key, transfer):
        """Create a price that wants a key."""
        form = {"lookup_key": key, "transfer_lookup_key": str(transfer).lower()}
        return self.send("POST", "/v1/prices", product=product, currency="usd", unit_amount=1, **form).get("id", "nope")

    @rule(price=prices, key=keys, transfer=st.booleans())
    def move_key(self, price, key, transfer):
        """Let a price take a key."""
        self.send("POST", f"/v1/prices/{price}", lookup_key=key, transfer_lookup_key=str(transfer).lower())

    @rule(price=prices, active=st.booleans())
    def switch_price(self, price, active):
        """Archive a price or bring it back."""
        self.send("POST", f"/v1/prices/{price}", active=str(active).lower())

    @rule(product=products, price=prices)
    def set_default(self, product, price):
        """Make a price the default of a product, if it may be."""
        self.send("POST", f"/v1/products/{product}", default_price=price)

    @rule(product=consumes(products))
    def delete_product(self, product):
        """Delete a product, if it may go."""
        self.send("DELETE", f"/v1/products/{product}")

    @rule(target=meters, key=keys)
    def create_meter(self, key):
        """Create a meter for an event name."""
        form = {"display_name": "x", "event_name": key, "default_aggregation__formula": "sum"}
        return self.send("POST", "/v1/billing/meters", **form).get("id", "nope")

    @rule(meter=meters, verb=st.sampled_from(["activate", "deactivate", "reactivate"]))
    def switch_meter(self, meter, verb):
        """Switch a meter off or on."""
        self.send("POST", f"/v1/billing/meters/{meter}/{verb}")

    @rule(target=features, key=keys)
    def create_feature(self, key):
        """Create a feature for a key."""
        return self.send("POST", "/v1/entitlements/features", lookup_key=key, name="x").get("id", "nope")

    @rule(feature=features, product=products)
    def attach(self, feature, product):
        """Attach a feature, or archive it if it is attached already."""
        if "error" in self.send("POST", f"/v1/products/{product}/features", entitlement_feature=feature):
            self.send("POST", f"/v1/entitlements/features/{feature}", active="false")

    @rule(target=codes, key=keys, upper=st.booleans())
    def create_code(self, key, upper):
        """Create a promotion code in some case."""
        form = {"promotion__type": "coupon", "promotion__coupon": self.coupon, "code": key.upper() if upper else key}
        return self.send("POST", "/v1/promotion_codes", **form).get("id", "nope")

    @rule(code=codes, active=st.booleans())
    def switch_code(self, code, active):
        """Switch a code off or on."""
        self.send("POST", f"/v1/promotion_codes/{code}", active=str(active).lower())

    def all(self, kind):
        """Return every object of a kind."""
        rows = self.sandbox._store._writer.execute("SELECT body FROM object WHERE kind = ? ORDER BY seq", (kind,))
        return [json.loads(body) for (body,) in rows]

    @invariant()
    def keys_have_one_holder(self):
        """Find lookup keys, event names, features' keys and active codes unique, and held by whom the claims say."""
        keyed = {
            "price.lookup_key": [(p["lookup_key"], p["id"]) for p in self.all("price") if p["lookup_key"]],
            "billing.meter.event_name": [(m["event_name"], m["id"]) for m in self.all("billing.meter")],
            "entitlements.feature.lookup_key": [
                (f["lookup_key"], f["id"]) for f in self.all("entitlements.feature") if f["active"]
            ],
            "promotion_code.code": [
                (f"{c['code'].lower()} *", c["id"]) for c in self.all("promotion_code") if c["active"]
            ],
        }
        claims = self.sandbox._store._writer.execute("SELECT scope, key, holder FROM claim").fetchall()
        for scope, held in keyed.items():
            assert len({key for key, _ in held}) == len(held), scope
            assert sorted(held) == sorted((key, holder) for s, key, holder in claims if s == scope)

    @invariant()
    def default_prices_are_active_and_own(self):
        """Find every default price active and with its own product."""
        prices = {price["id"]: price for price in self.all("price")}
        for product in self.all("product"):
            if product["default_price"]:
                price = prices[product["default_price"]]
                assert (price["product"], price["active"]) == (product["id"], True)

    @invariant()
    def events_replay_to_the_present(self):
        """Find every object as its last event showed it: nothing changed without an event."""
        last = {event["data"]["object"]["id"]: event["data"]["object"] for event in self.all("event")}
        hidden = {"tiers", "currency_options", "applies_to", "restrictions"}
        for kind in ("product", "price", "billing.meter", "promotion_code", "coupon"):
            for obj in self.all(kind):
                shown = {k: v for k, v in obj.items() if k not in hidden and not k.startswith("_")}
                assert shown == {k: v for k, v in last[obj["id"]].items() if k not in hidden}

    @invariant()
    def terms_are_those_of_the_objects(self):
        """Find exactly the terms in the lists that the objects have now."""
        rows = self.sandbox._store._writer.execute("SELECT kind, field, value, seq FROM term")
        stored = {(kind, name, value, seq) for kind, name, value, seq in rows}
        objects = self.sandbox._store._writer.execute("SELECT kind, seq, body FROM object").fetchall()
        assert stored == {
            (kind, name, value, seq)
            for kind, seq, body in objects
            for name, value in [EVERYTHING, *FAMILIES[kind].terms(json.loads(body))]
        }

    def teardown(self):
        """Close the account."""
        self.sandbox.close()


Catalogue.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestCatalogue = Catalogue.TestCase
TestCatalogue.__doc__ = "The catalogue's invariants hold after every step of random histories."
