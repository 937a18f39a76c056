"""The numbers of selling in real seconds, against the sandbox over HTTP."""

import time
from collections.abc import Callable, Iterator

import pytest

from reconciler.provider.gateway import Connection
from reconciler.provider.payments import Choice, PageError, Payments, UnavailableError
from reconciler.sandbox import Fault
from reconciler.sandbox.server import Server
from tests.loop.world import KEY

from .payments_world import OK, Market, catalog

pytestmark = pytest.mark.soak
FLAT = Choice(plan="flat")


@pytest.fixture
def served() -> Iterator[tuple[Market, Payments]]:
    """Serve an account over HTTP, and sell from it."""
    market = Market()
    with Server(market.sandbox) as server:
        yield market, Payments(catalog(), Connection(KEY, base=server.url))


def seconds(work: Callable[[], object]) -> float:
    """Return how long work takes."""
    began = time.monotonic()
    work()
    return time.monotonic() - began


def test_a_page_over_http(served: tuple[Market, Payments]) -> None:
    """The control: a page is made, is not called simulated, and its key finds it again."""
    _, payments = served
    first, second = (payments.checkout("acme", FLAT, success_url=OK, key="k") for _ in range(2))
    assert (first.id, first.simulated) == (second.id, False)


def test_a_hanging_probe_takes_5_seconds(served: tuple[Market, Payments]) -> None:
    """A server that does not answer is unavailable within 5.1 s, and then for 30 s at once."""
    market, payments = served
    market.sandbox.faults.add(Fault(kind="latency", seconds=8, last=1))

    def sell() -> None:
        with pytest.raises(UnavailableError, match="within 5 s"):
            payments.checkout("acme", FLAT, success_url=OK)

    assert 4.9 < seconds(sell) < 5.1 + 0.3
    assert seconds(sell) < 0.5
    assert market.sessions() == []


def test_a_hung_call_takes_15_seconds(served: tuple[Market, Payments]) -> None:
    """A write whose answer drips, so that no read times out, is cut after 15 s; its key finds the one page it made."""
    market, payments = served
    market.sandbox.faults.add(Fault("POST", "/v1/checkout/*", kind="slow", seconds=17, last=1))

    def sell() -> None:
        with pytest.raises(PageError) as caught:
            payments.checkout("acme", FLAT, success_url=OK, key="k")
        assert caught.value.ambiguous

    assert 14.5 < seconds(sell) < 15.0 + 0.5
    time.sleep(3)
    page = payments.checkout("acme", FLAT, success_url=OK, key="k")
    assert [session.id for session in market.sessions()] == [page.id]


def test_tries_are_1_2_and_4_seconds_apart(served: tuple[Market, Payments]) -> None:
    """Three answers lost after the commit take 3.5 to 7 s, with jitter, and leave one page."""
    market, payments = served
    market.sandbox.faults.add(Fault("POST", "/v1/checkout/*", kind="drop_after", last=3))
    assert 3.5 < seconds(lambda: payments.checkout("acme", FLAT, success_url=OK)) < 8
    assert len(market.sessions()) == 1
