"""The page a refusal leads to: who buys what is signed; nothing is opened at Stripe before somebody goes on."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from typing import Any, cast
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.entitlements import Entitlements
from reconciler.entitlements.compile import compile_catalog
from reconciler.ledger.annex import AnnexStore
from reconciler.ledger.ledger import open_ledger
from reconciler.provider.payments import Payments, UnavailableError
from reconciler.service.app import create_app
from reconciler.service.buying.tokens import LASTS, Shop, Tokens, Wanted
from reconciler.service.secrets import secret_of
from reconciler.service.service import Service
from tests.entitlements.worlds import HandClock
from tests.loop.world import catalog_of
from tests.provider.payments_world import FILES, Market
from tests.service.client import Client
from tests.service.world import OPEN

NOON = 1_800_000_000
BASE = "https://billing.example"
EVIL = "<script>alert('x')</script>"


def tokens(now: int = NOON, secret: bytes = b"s" * 32) -> Tokens:
    """Return what writes and reads tokens at an instant."""
    return Tokens(secret, lambda: now)


NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=255)


@given(NAMES, NAMES)
def test_a_token_says_what_was_written(name: str, tenant: str) -> None:
    """Who buys what comes back as it was written, whatever the names, for at least seven days."""
    token = tokens().write("pack", name, tenant)
    found = tokens(NOON + LASTS - 1).read(token)
    assert found is not None
    assert (found.kind, found.id, found.tenant) == ("pack", name, tenant)


def test_a_token_that_was_changed_is_none() -> None:
    """No changed character, other secret, older day or foreign text is taken; the token itself is."""
    token = tokens().write("pack", "starter", "acme")
    assert tokens().read(token) == Wanted("pack", "starter", "acme", (NOON // 86_400 + 1) * 86_400 + LASTS)
    letters = "ABCDabcd0189-_."
    changed = [token[:at] + letter + token[at + 1 :] for at in range(len(token)) for letter in letters]
    other = tokens().write("pack", "starter", "rival")
    mixed = [
        f"{other.split('.')[0]}.{token.split('.')[1]}",
        token + "=",
        token + ".",
        f" {token}",
        "",
        ".",
        "é",
        "A" * 4096,
    ]
    for wrong in [each for each in changed if each != token] + mixed:
        assert tokens().read(wrong) is None, wrong
    assert tokens(secret=b"t" * 32).read(token) is None
    assert tokens(NOON + LASTS + 2 * 86_400).read(token) is None


def test_a_secret_is_shared_and_kept(url: str) -> None:
    """Every process that opens the ledger has the same secret, after a restart too; each name has its own."""
    with open_ledger(url, "direct") as one:
        first = secret_of(one.store, "buy")
        assert len(first) == 32
        assert secret_of(one.store, "other") != first
        assert secret_of(one.store, "buy") == first
        if url != "sqlite://":
            with open_ledger(url, "direct") as two:
                assert secret_of(two.store, "buy") == first


class Counter:
    """A service that sells at the market of the payment tests."""

    def __init__(self) -> None:
        self.market = Market()
        self.clock = HandClock()
        ledger = open_ledger("sqlite://", "direct", self.clock)
        assert isinstance(ledger.store, AnnexStore)
        self.shop = Shop(Tokens(secret_of(ledger.store, "buy"), lambda: self.clock() // 1_000_000), BASE)
        runtime = Entitlements(compile_catalog(self.market.catalog), ledger, self.shop.url)
        self.service = Service(runtime, settings=replace(OPEN), catalog=self.market.catalog, shop=self.shop)
        self.service.payments = self.market.desk
        self.browser = Client(create_app(self.service))

    def path(self, kind: str = "pack", name: str = "starter", tenant: str = "self") -> str:
        """Return the path of an address the shop writes."""
        return urlsplit(self.shop.url(kind, name, tenant)).path

    def close(self) -> None:
        """Close everything."""
        self.browser.close()
        self.service.runtime.close()


@pytest.fixture
def counter() -> Iterator[Counter]:
    """Lend a service that sells."""
    lent = Counter()
    yield lent
    lent.close()


def words(reply: Any) -> str:
    """Return what a page says."""
    assert reply.headers["content-type"].startswith("text/html")
    assert reply.headers["x-frame-options"] == "DENY"
    assert "script" not in reply.headers["content-security-policy"]
    return unescape(reply.body.decode())


def test_a_refusal_leads_to_its_page(counter: Counter) -> None:
    """The address a refused call names shows what it sells and for whom, and opens nothing at Stripe."""
    decision = counter.service.runtime.check("acme", "anything", quantity=10**6)
    assert decision.remedy is not None
    assert decision.remedy.url is not None
    named = counter.browser.get(urlsplit(decision.remedy.url).path)
    assert f"Buy {decision.remedy.name}" in words(named)
    page = counter.browser.get(counter.path())
    assert page.status == 200
    for part in ("Starter", "100", "9.99 usd", "self", "Continue to payment"):
        assert part in words(page)
    assert counter.market.sessions() == []
    plan = counter.browser.get(counter.path("plan", "pro", "acme"))
    assert "Buy Pro" in words(plan)
    assert "acme" in words(plan)


def test_going_on_opens_one_session(counter: Counter) -> None:
    """Whoever goes on is sent to Stripe's page for that tenant and pack; going on again finds the same page."""
    path = counter.path()
    first, again = counter.browser.post(path), counter.browser.post(path)
    (session,) = counter.market.sessions()
    assert (first.status, again.status) == (303, 303)
    assert first.headers["location"] == again.headers["location"] == session.url
    assert counter.market.sold(counter.market.session(session.id)) == [("credit_packs.starter.price", 1)]
    assert session.metadata["tenant"] == "self"
    assert session.success_url == f"{BASE}{path}/done"
    assert "Thank you" in words(counter.browser.get(f"{path}/done"))


def test_what_is_paid_can_be_bought_again(counter: Counter) -> None:
    """After a paid or an expired session the same address opens another one."""
    path = counter.path()
    urls = [counter.browser.post(path).headers["location"]]
    (session,) = counter.market.sessions()
    counter.market.dashboard.v1.checkout.sessions.expire(session.id)
    urls.append(counter.browser.post(path).headers["location"])
    assert len(set(urls)) == len(counter.market.sessions()) == 2


def test_a_page_of_yesterdays_price_is_not_gone_back_to(counter: Counter) -> None:
    """Where the price has changed since a page was opened, going on opens one at the price of now."""
    path = counter.path()
    counter.browser.post(path)
    dearer = {**FILES, "credit_packs": {"starter": {"name": "Starter", "credits": 100, "price": 19.99}}}
    counter.market.apply({**dearer, "payment_links": {}})
    counter.service.payments = counter.market.open(catalog_of(dearer))
    assert counter.browser.post(path).status == 303
    assert sorted(session.amount_total for session in counter.market.sessions()) == [999, 1999]


def test_nobody_buys_for_others(counter: Counter) -> None:
    """A changed token, and fields in the form or the query, change neither tenant nor pack."""
    path = counter.path()
    for wrong in (f"{path}x", path.replace(".", "A."), "/buy/x"):
        for reply in (counter.browser.get(wrong), counter.browser.post(wrong), counter.browser.get(f"{wrong}/done")):
            assert reply.status == 404
            assert "not valid any more" in words(reply)
    assert counter.market.sessions() == []
    form = {"content-type": "application/x-www-form-urlencoded"}
    reply = counter.browser.post(f"{path}?tenant=rival&pack=x", b"tenant=rival&price=price_1&amount=1", headers=form)
    assert reply.status == 303
    (session,) = counter.market.sessions()
    assert (session.metadata["tenant"], session.amount_total) == ("self", 999)


def test_what_is_not_sold_says_so(counter: Counter) -> None:
    """What has left the shelf is told on a page, as is a second subscription, and Stripe being away."""
    gone = counter.browser.get(counter.path("pack", "gone"))
    assert (gone.status, "not valid any more" in words(gone)) == (404, True)
    counter.market.customer("twice")
    refused = counter.browser.post(counter.path("plan", "free"))
    assert refused.status == 409
    assert "costs nothing" in words(refused)
    counter.market.fault(method="GET", path="/v1/*", kind="error", status=500)
    counter.service.payments = counter.market.open()
    away = counter.browser.post(counter.path())
    assert away.status == 503
    assert "cannot be" in words(away)
    assert "500" not in words(away)
    counter.service.payments = None
    none = counter.browser.post(counter.path())
    assert (none.status, "no account" in words(none)) == (409, True)


def test_what_is_the_operators_stays_in_the_log(counter: Counter, caplog: pytest.LogCaptureFixture) -> None:
    """Two customers of one tenant are a matter for the operator: no page of the public names them."""
    ids = [counter.market.customer(), counter.market.customer()]
    refused = counter.browser.post(counter.path())
    assert (refused.status, [each for each in ids if each in words(refused)]) == (503, [])
    assert all(each in caplog.text for each in ids)


def test_a_slow_account_holds_nobody_else_up(counter: Counter) -> None:
    """While more people wait for Stripe than may, the ledger answers at once; what is too many is told so."""
    held = threading.Event()

    class Slow:
        def checkout(self, *_: Any, **__: Any) -> None:
            held.wait(30)
            raise UnavailableError("slow")

    counter.service.payments = cast("Payments", Slow())

    async def crowd() -> tuple[int, list[int]]:
        waiting = [asyncio.create_task(counter.browser.asked("POST", counter.path())) for _ in range(70)]
        await asyncio.sleep(0)
        ready = await asyncio.wait_for(counter.browser.asked("GET", "/readyz"), 20)
        held.set()
        return ready.status, [reply.status for reply in await asyncio.gather(*waiting)]

    ready, replies = counter.browser.run(crowd())
    assert (ready, replies) == (200, [503] * 70)


def test_no_log_keeps_an_address(counter: Counter, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever reads the log cannot open the pages that others were sent to."""
    caplog.set_level("INFO", "reconciler.service")
    path = counter.path()
    for each in (path, f"{path}/done"):
        assert counter.browser.get(each).status == 200
    paths = [vars(record)["path"] for record in caplog.records if record.message == "request"]
    assert paths == ["/buy/...", "/buy/.../done"]


def test_names_are_not_markup(counter: Counter) -> None:
    """A tenant's name and a pack's stand on the page as text."""
    page = counter.browser.get(counter.path(tenant=EVIL))
    assert EVIL not in page.body.decode()
    assert EVIL in words(page)
    assert FILES["credit_packs"]["starter"]["name"] in words(page)
