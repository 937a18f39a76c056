"""Pages on which a tenant pays, over HTTP, at an account of the sandbox."""

from collections.abc import Iterator
from typing import Any

import pytest

from reconciler.entitlements.compile import compile_catalog
from reconciler.provider.payments import Payments
from reconciler.service.identity.keys import sha256_of
from reconciler.service.service import Files
from tests.provider.payments_world import FILES, OK, Market
from tests.service.world import ACME_KEY, RIVAL_KEY, Served

KEYS = {
    "acme": [{"id": "ci", "sha256": sha256_of(ACME_KEY)}],
    "paris": [{"id": "ci", "sha256": sha256_of(RIVAL_KEY)}],
}
SOLD: dict[str, Any] = {
    "settings": {"namespace": "acme", "currency": "usd"},
    **FILES,
    "tenants": {name: {**each, "api_keys": KEYS.get(name, [])} for name, each in FILES["tenants"].items()},
}
BUY = {"plan": "flat", "price": "monthly", "success_url": OK}


class Shop:
    """A market behind the service: acme and paris have keys, and paris stands for a rival."""

    def __init__(self, files: Any = SOLD, **changes: Any) -> None:
        self.market = Market()
        self.served = Served(files=files, sell=self._desk, **changes)
        self.acme, self.paris, self.operator = self.served.acme, self.served.rival, self.served.operator

    def _desk(self, _catalog: Any) -> Payments:
        return self.market.desk

    def close(self) -> None:
        """Close everything."""
        self.served.close()
        self.market.sandbox.close()


@pytest.fixture
def shop() -> Iterator[Shop]:
    """Open a shop."""
    found = Shop()
    yield found
    found.close()


def test_a_checkout_sells_what_the_files_say(shop: Shop) -> None:
    """The page sells the plan's applied price to the credential's own tenant; the same key finds the same page."""
    first, again = (shop.acme.post("/v1/checkout", BUY, once="order-7") for _ in range(2))
    assert (first.status, first.json["id"]) == (200, again.json["id"])
    session = shop.market.session(first.json["id"])
    assert shop.market.sold(session) == [("plans.flat.prices.monthly", 1)]
    assert (session.client_reference_id, session.metadata["tenant"]) == ("acme", "acme")
    assert (first.json["tenant"], first.json["livemode"], first.json["key"]) == ("acme", False, "order-7")
    assert len(shop.market.sessions()) == 1


def test_a_key_of_one_tenant_finds_no_page_of_another(shop: Shop) -> None:
    """Two tenants may use the same key, and each gets a page of its own."""
    pack = {"pack": "starter", "success_url": OK}
    ids = {client.post("/v1/checkout", pack, once="k").json["id"] for client in (shop.acme, shop.paris)}
    assert len(ids) == 2
    other = shop.acme.post("/v1/checkout", {**pack, "quantity": 2}, once="k")
    assert (other.status, other.code) == (422, "key_conflict")


@pytest.mark.parametrize(
    "more",
    [
        {"customer": "cus_123"},
        {"price": "price_123"},
        {"amount": 1},
        {"unit_amount": 1},
        {"line_items": [{"price": "price_1"}]},
        {"metadata": {"tenant": "paris"}},
        {"client_reference_id": "paris"},
        {"customer_email": "a@b.example"},
        {"coupon": "tenth"},
        {"discounts": []},
        {"currency": "eur"},
        {"mode": "payment"},
        {"trial_days": 365},
        {"quantity": 0},
        {"quantity": 10**7},
        {"plan": "pro", "pack": "starter"},
        {"plan": None},
        {"tenant": "paris"},
    ],
    ids=str,
)
def test_what_a_caller_cannot_name(shop: Shop, more: dict[str, Any]) -> None:
    """No price of Stripe, amount, customer, discount or other tenant can be named: nothing is made; without it is."""
    refused = shop.acme.post("/v1/checkout", {**BUY, **more})
    assert refused.status in {403, 404, 422}
    assert shop.market.sessions() == []
    assert shop.acme.post("/v1/checkout", BUY).status == 200


@pytest.mark.parametrize(
    ("plan", "status", "code"),
    [("old", 404, "not_for_sale"), ("new", 404, "not_for_sale"), ("none", 404, "not_for_sale")],
)
def test_what_is_not_for_sale(shop: Shop, plan: str, status: int, code: str) -> None:
    """What is no longer sold, not yet, or not in the files is 404; what is sold is not."""
    found = shop.acme.post("/v1/checkout", {"plan": plan, "success_url": OK})
    assert (found.status, found.code, found.json["error_code"]) == (status, code, "E1405")
    assert shop.acme.post("/v1/checkout", BUY).status == 200


def test_a_second_subscription_is_409(shop: Shop) -> None:
    """Whom the files or the account give a subscription already is sold no second one; a pack still is."""
    shop.operator.post("/v1/checkout", {**BUY, "tenant": "signed"})
    found = shop.operator.post("/v1/checkout", {**BUY, "tenant": "signed"})
    assert (found.status, found.code) == (409, "subscribed_already")
    pack = {"pack": "starter", "success_url": OK, "tenant": "signed"}
    assert shop.operator.post("/v1/checkout", pack).status == 200


@pytest.mark.parametrize(
    "url",
    [
        "http://shop.example/ok",
        "https://evil.example/ok",
        "https://shop.example.evil.example/",
        "https://shop.example@evil.example/",
        "https://evil.example\\@shop.example/",
        "https://shop.example:8443/",
        "https://shop.example:x/",
        "//shop.example/",
        "/ok",
        "javascript:alert(1)",
        "data:text/html,x",
        "https:///ok",
        "https://",
        "http://127.0.0.1/ok",
        "https://shop.example /",
        "https://sh\xf6p.example/",
        "https://[::1",
    ],
)
def test_pages_lead_back_to_us_only(shop: Shop, url: str) -> None:
    """A page leads back to an allowed origin over https and nowhere else, by whichever of its addresses."""
    cancel = {**BUY, "cancel_url": url}
    for path, body in (
        ("checkout", {**BUY, "success_url": url}),
        ("checkout", cancel),
        ("portal", {"return_url": url}),
    ):
        found = shop.acme.post(f"/v1/{path}", body)
        assert (found.status, found.code) == (422, "invalid_request")
    assert shop.acme.post("/v1/checkout", {**BUY, "cancel_url": "https://SHOP.example:443/no"}).status == 200


def test_a_trial_may_lead_back_to_this_machine() -> None:
    """Where the sandbox is used a page may lead back to http on this machine, and to no other machine's."""
    shop = Shop(local_returns=True)
    assert shop.acme.post("/v1/checkout", {**BUY, "success_url": "http://127.0.0.1:3000/ok"}).status == 200
    assert shop.acme.post("/v1/checkout", {**BUY, "success_url": "http://127.0.0.1.evil.example/ok"}).status == 422
    shop.close()


def test_a_portal_needs_a_customer(shop: Shop) -> None:
    """A tenant's customer gets its portal; who never bought anything is told so."""
    assert shop.acme.post("/v1/portal", {"return_url": OK}).json["kind"] == "billing_portal.session"
    nobody = shop.operator.post("/v1/portal", {"tenant": "nobody"})
    assert (nobody.status, nobody.code) == (409, "no_customer")


def test_a_payment_link(shop: Shop) -> None:
    """A tenant gets a link for what it chooses, and the same one again while it is not paid."""
    links = [shop.acme.post("/v1/payment-links", {"plan": "flat", "interval": "month"}).json for _ in range(2)]
    assert links[0]["url"] == links[1]["url"]
    assert links[0]["kind"] == "payment_link"


def test_stripe_is_away(shop: Shop) -> None:
    """An outage is 503 with when to come back, and nothing was begun; calls are decided meanwhile."""
    shop.market.fault(kind="error", status=500, every=1, method="*")
    found = shop.acme.post("/v1/checkout", BUY)
    assert (found.status, found.code, found.headers["retry-after"]) == (503, "payments_unavailable", "30")
    assert shop.acme.post("/v1/check", {"tool": "any"}).status == 200


def test_what_is_the_operators_is_not_told_to_tenants(shop: Shop) -> None:
    """What only the operator can mend is told in full to operators, and to a tenant by its code alone."""
    shop.market.customer("acme")
    pack = {"pack": "starter", "success_url": OK}
    tenants = shop.acme.post("/v1/checkout", pack)
    assert (tenants.status, tenants.code, tenants.json.get("detail")) == (409, "several_customers", None)
    assert "cus_" in shop.operator.post("/v1/checkout", {**pack, "tenant": "acme"}).json["detail"]
    assert shop.paris.post("/v1/checkout", pack).status == 200


def test_without_an_account_nothing_is_sold(served: Served) -> None:
    """A service without an account says so for every page, and decides calls as ever."""
    for path, body in (("checkout", {**BUY, "plan": "pro"}), ("payment-links", {"plan": "pro"}), ("portal", {})):
        found = served.acme.post(f"/v1/{path}", {**body, **({"price": None} if path == "checkout" else {})})
        assert (found.status, found.code) == (503, "payments_unavailable")
    assert served.acme.post("/v1/check", {"tool": "big"}).status == 200


def test_a_reload_sells_by_the_new_files(shop: Shop) -> None:
    """After a reload what the new files no longer sell is refused."""
    opened: list[Any] = []

    def desk(catalog: Any) -> Payments:
        opened.append(catalog)
        return shop.market.open(catalog)

    shop.served.service._sell = desk
    plans = {**SOLD["plans"], "flat": {**SOLD["plans"]["flat"], "status": "legacy"}}
    shop.served.files = {**SOLD, "plans": plans}
    assert isinstance(shop.served._read(), Files)
    assert compile_catalog(shop.served._read().catalog).plans["flat"].status == "legacy"
    assert shop.acme.post("/v1/checkout", BUY).status == 200
    assert shop.operator.post("/v1/policy/reload").status == 200
    assert shop.acme.post("/v1/checkout", BUY).code == "not_for_sale"
    assert len(opened) == 1
