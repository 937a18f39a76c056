"""Calls that were made while the ledger was away: booked later as if they had been decided, whatever they find then."""

from decimal import Decimal

from reconciler.entitlements import Entitlements, Reason
from reconciler.entitlements.acts import Request
from reconciler.entitlements.grants import Refunded

from .audit import audit
from .worlds import HandClock, at, runtime

PLANS = """
plans:
  spent: {name: Spent, usage: {calls: {included: 2, overage: {unit_amount: 0.10}}}, minimum: {per_month: 5.00},
          limits: [{of: calls, max: 3, per: month}, {of: calls, max: 1, per: minute, kind: rate}]}
  credits: {name: Credits, credits: {default: 4, auto_recharge: {below: 3, pack: small}}}
credit_packs: {small: {name: Small, credits: 5, price: 1.00}}
tenants: {acme: {name: Acme, plan: spent}, other: {name: Other, plan: credits}}
"""


def owe(ent: Entitlements, tenant: str, key: str, quantity: int = 1) -> None:
    """Book a call that was made."""
    ent.ledger.submit(ent._acts.owed(tenant, Request("search", quantity=quantity, key=key)))


def test_what_was_let_through_is_counted_and_charged() -> None:
    """Beyond rate and quota a call is counted in each, uses up included units, and is charged beyond them, once."""
    clock = HandClock()
    with runtime(PLANS, clock) as ent:
        for number in range(5):
            owe(ent, "acme", f"k{number}")
        owe(ent, "acme", "k4")
        used = {allowance.kind: allowance.used for allowance in ent.balance("acme").allowances}
        assert used == {"included": 5, "quota": 5, "rate": 1}
        assert sum(audit(ent).used["spend.usd"].values()) == 300_000
        assert set(audit(ent).used) == {"spend.usd"}
        clock.now = at("2027-02-01T00:00:00")
        assert ent.consume("acme", "search").price == 0


def test_what_was_let_through_can_be_refunded() -> None:
    """A call that credits could pay in part is refunded as far as they paid it."""
    with runtime(PLANS) as ent:
        ent.grant("other", 5, key="lot")
        owe(ent, "other", "k1")
        owe(ent, "other", "k2")
        entry = ent.ledger.store.entry("other", "k2")
        assert entry is not None
        (_, _, price, unit, *_, recharge), _, parts, short, _ = entry.answer
        assert (price, unit, recharge, parts, short) == (4_000_000, "credit", "small", [["lot", 1_000_000]], 3_000_000)
        assert ent.refund("other", "k2", key="r") == Refunded(1_000_000, 0, 0)
        assert audit(ent, "other").credits == 1_000_000


def test_who_is_gone_meanwhile_is_counted_all_the_same() -> None:
    """A call of a tenant that may call nothing any more is counted for the export, and costs nothing."""
    with runtime(PLANS) as ent:
        ent.set_subscription("acme", status="unpaid", plan="spent")
        owe(ent, "acme", "k")
        assert sum(audit(ent).used["calls"].values()) == 1
        assert ent.consume("acme", "search").reason is Reason.SUBSCRIPTION_INACTIVE
        assert ent.consume("acme", "search", key="k").price == Decimal(0)
