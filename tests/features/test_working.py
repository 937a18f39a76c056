"""What the service does without being asked: telling, and buying credits where everybody agreed."""

import json
from datetime import UTC, datetime

from reconciler.service.work.caps import Caps
from reconciler.service.work.delivering import Callback, Delivery
from reconciler.service.work.outbox import Outbox
from reconciler.service.work.sending import Sender
from reconciler.service.work.signing import HEADER, verify
from reconciler.service.work.watching import Watch
from tests.entitlements.worlds import HandClock
from tests.service.receiver import receiver
from tests.service.recharging_world import DECLINED, GOOD, Shop

from .support import decided

SECRET = "known-to-two"
PLANS = {
    "pro": {
        "name": "Pro",
        "credits": {"default": 1, "included": 0},
        "usage": {"calls": {"included": 10, "per": "month", "overage": "deny"}},
        "pay": ["usage", "credits"],
    }
}


def test_row_2_14_threshold_events() -> None:
    """Low credits, a limit near and reached, a failed payment and a cancellation reach a URL, signed, once each."""
    clock = HandClock()
    runtime = decided(clock, plans=PLANS, tenants={"acme": {"name": "Acme", "plan": "pro"}})
    watch, outbox = Watch(runtime), Outbox(runtime.ledger.store)
    period = (datetime(2027, 1, 1, tzinfo=UTC), datetime(2027, 2, 1, tzinfo=UTC))
    with receiver() as there:
        delivery = Delivery(outbox, Callback(there.url(), [SECRET]), Sender(development=True), clock)
        runtime.grant("acme", 20, key="bought")
        for calls, status in ((8, "active"), (2, "past_due"), (0, "active"), (0, "canceled")):
            for _ in range(calls):
                assert runtime.consume("acme", meter="calls")
            runtime.set_subscription("acme", plan="pro", status=status, period=period)
            clock.now += 10**6
            watch.round()
            delivery.round()
            clock.now += 60 * 10**6
        runtime.set_subscription("acme", plan="pro", status="active", period=period)
        runtime.void("acme", "bought", key="taken")
        for _ in range(2):
            watch.round()
            delivery.round()
        came = [request.partition(b"\r\n\r\n") for request in there.requests]
    told = [json.loads(body) for _, _, body in came]
    assert [(each["type"], each["data"].get("percent")) for each in told] == [
        ("limit_near", 80),
        ("payment_failed", None),
        ("limit_near", 100),
        ("subscription_cancelled", None),
        ("credits_low", None),
    ]
    for head, _, body in came:
        signature = next(line for line in head.decode().split("\r\n") if line.startswith(HEADER))
        header = signature.removeprefix(f"{HEADER}: ")
        verify(body, header, [SECRET], int(header.split(",")[0].removeprefix("t=")))


def test_row_1_17_auto_recharge() -> None:
    """Below the plan's bound its pack is bought with the saved card, where operator and tenant both agreed to it."""
    shop = Shop()
    shop.card("acme", GOOD)
    shop.runtime.grant("acme", 5, key="begin")
    shop.round()
    assert (shop.intents(), shop.credits()) == ([], 5)
    shop.consents.give("acme", enabled=True, monthly_cap=2, principal="tenant:acme:ci")
    shop.round()
    shop.round()
    assert ([each.amount for each in shop.intents()], shop.credits()) == ([999], 110)
    shop.proved()


def test_mistake_p22_a_purchase_every_few_minutes() -> None:
    """However fast credits go, three packs in ten minutes are the most; a decline stops it for an hour."""
    shop = Shop(caps=Caps(monthly=1000))
    shop.agreed(cap=1000)
    for _ in range(20):
        shop.round()
        shop.spend()
        shop.clock.now += 29
    assert len(shop.intents()) == 3
    shop.clock.now += 600
    shop.card("acme", DECLINED)
    for _ in range(59):
        shop.round()
        shop.clock.now += 60
    assert [each.state for each in shop.listed()] == ["paid"] * 3 + ["failed"]


def test_mistake_b21_no_payment_for_a_call() -> None:
    """A call charges nobody: credits are bought beside the calls, whole packs at a time, each under a key."""
    shop = Shop()
    shop.agreed(credits_=12)
    for _ in range(12):
        assert shop.runtime.consume("acme", "call")
        assert shop.intents(status=None) == []
    shop.round()
    (intent,) = shop.intents(status=None)
    assert intent.amount == 999
    posts = [path for method, path in shop.writes() if path == "/v1/payment_intents" and method == "POST"]
    assert len(posts) == 1
