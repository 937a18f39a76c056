"""Mistakes seen elsewhere that touch the runtime: each test fails where the mistake is present."""

import hashlib
import json
from decimal import Decimal
from pathlib import Path

import pytest

from reconciler.entitlements import MeasureError, Reason
from reconciler.entitlements.acts import Request
from reconciler.entitlements.measure import measured

from .audit import audit, entries_of
from .schedule import Schedule
from .worlds import HandClock, policy, runtime

MICRO = 1_000_000
USAGE = """
plans: {pro: {name: Pro, usage: {calls: {included: 3, overage: OVERAGE}}, minimum: {per_month: 1.00}}}
tenants: {acme: {name: Acme, plan: pro}}
"""
CREDITS = """
plans: {pro: {name: Pro, credits: {default: 1, tools: {free: 0}}}}
tenants: {acme: {name: Acme, plan: pro, api_keys: [{id: ci, sha256: "HASH"}]}}
"""


@pytest.mark.parametrize("calls", [0, 3, 4, 10, 25])
def test_overage_that_bills_the_running_total_again(calls: int) -> None:
    """So many calls beyond the included ones cost so many units, in one call or one by one, beyond any number."""
    text = USAGE.replace("OVERAGE", "{unit_amount: 0.50}")
    with runtime(text) as ent:
        one_by_one = sum(ent.consume("acme", "search").price or 0 for _ in range(calls))
        used = audit(ent).used
        booked = sum(sum(windows.values()) for windows in used.values())
    with runtime(text) as ent:
        at_once = ent.consume("acme", meter="calls", quantity=calls).price
    assert one_by_one == at_once == max(calls - 3, 0) * Decimal("0.5")
    assert booked == one_by_one * MICRO


def test_usage_that_is_a_constant() -> None:
    """What is used is read from the ledger: reserved units are exhausted exactly at their number."""
    with runtime(USAGE.replace("OVERAGE", "deny").replace(", minimum: {per_month: 1.00}", "")) as ent:
        found = [(ent.check("acme", "search").remaining, bool(ent.consume("acme", "search"))) for _ in range(4)]
        assert found == [(2, True), (1, True), (0, True), (0, False)]
        assert ent.balance("acme").allowances[0].used == 3


@pytest.mark.parametrize("seed", range(6))
def test_deductions_that_lose_each_other(seed: int, tmp_path: Path) -> None:
    """Concurrent calls, reservations and releases never go below zero nor lose a credit; a failed call keeps none."""
    with Schedule(CREDITS.replace("HASH", "0" * 64), tmp_path, seed) as schedule:
        ent = schedule.ents[0]
        ent.grant("acme", 12, key="lot")
        acts = ent._acts
        clients = []
        for number in range(8):
            asked = Request("search", quantity=2, key=f"k{number}")
            end = acts.release("acme", f"k{number}") if number % 2 else acts.commit("acme", asked)
            clients.append([acts.reserve("acme", asked, 600 * MICRO), end])
        found = schedule.run(clients)
        spent = sum(2 for number, answers in enumerate(found) if answers[0].value.allowed and not number % 2)
        assert audit(ent).credits == (12 - spent) * MICRO
        assert ent.balance("acme").held == 0


def test_a_call_that_leaves_no_record() -> None:
    """Every allowed call is an entry with what it cost, what it counted and what paid it; a refused one is none."""
    with runtime(CREDITS.replace("HASH", "0" * 64)) as ent:
        ent.grant("acme", 2, key="lot")
        answers = [ent.consume("acme", "search", key=f"k{number}") for number in range(3)]
        assert [answer.allowed for answer in answers] == [True, True, False]
        for number, answer in enumerate(answers):
            entry = ent.ledger.store.entry("acme", f"k{number}")
            assert (entry is not None) == answer.allowed
            if entry is not None:
                assert entry.answer[0][:4] == ["search", "credits", MICRO, "credit"]
                assert entry.answer[2] == [["lot", MICRO]]


def test_an_identity_out_of_the_arguments() -> None:
    """Of a call's arguments only the numbers its tool names are read; none is stored, whoever they say is calling."""
    text = "tools: {parse: {quantity: {from: argument.rows, per: 10}}}\n" + CREDITS.replace("HASH", "0" * 64)
    with runtime(text) as ent:
        ent.grant("acme", 9, key="lot")
        arguments = {"rows": 25, "tenant": "victim", "token": "very-private"}
        quantity, units = measured(ent.policy.tools.of("parse"), arguments, None)  # type: ignore[arg-type]
        assert (quantity, units) == (25, {})
        assert ent.consume("acme", "parse", quantity=quantity).tenant == "acme"
        assert "very-private" not in "".join(entry.body for entry in entries_of(ent, "acme"))
        with pytest.raises(MeasureError):
            measured(ent.policy.tools.of("parse"), {"rows": "25"}, None)  # type: ignore[arg-type]


def test_keys_kept_as_they_are() -> None:
    """An API key is known by its hash alone, whole; neither policy nor answer holds it, and its hash is no key."""
    digest = hashlib.sha256(b"open sesame").hexdigest()
    with runtime(CREDITS.replace("HASH", digest)) as ent:
        assert ent.tenant_of_key("open sesame") == ("acme", "ci")
        for wrong in ("open sesam", digest, "", "open sesame "):
            assert ent.tenant_of_key(wrong) is None
        assert "open sesame" not in ent.policy.dump()
        assert digest in json.loads(ent.policy.dump())["content"]["tenants"]["acme"]["keys"].values()


@pytest.mark.parametrize(
    ("status", "allowed"),
    [
        ("active", True),
        ("trialing", True),
        ("past_due", True),
        ("unpaid", False),
        ("canceled", False),
        ("paused", False),
        ("incomplete", False),
        ("incomplete_expired", False),
    ],
)
def test_a_subscriber_who_is_not_recognised(status: str, *, allowed: bool) -> None:
    """A status entitles or it does not, for a tenant in the files and for one only Stripe knows."""
    with runtime(CREDITS.replace("HASH", "0" * 64)) as ent:
        for tenant in ("acme", "only-at-stripe"):
            ent.grant(tenant, 5, key="lot")
            ent.set_subscription(tenant, status=status, plan="pro")
            assert ent.consume(tenant, "search").allowed == allowed
        with pytest.raises(ValueError, match="no status"):
            ent.set_subscription("acme", status="aktive", plan="pro")


def test_a_grace_that_has_no_end() -> None:
    """Failed payments are forgiven for the days of grace to the microsecond, from the first news on, not the last."""
    clock = HandClock("2027-01-01T00:00:00")
    text = "settings: {namespace: acme, default_meter: calls, past_due_grace_days: 3}\n" + CREDITS.replace(
        "HASH", "0" * 64
    )
    with runtime(text, clock) as ent:
        ent.grant("acme", 5, key="lot")
        ent.set_subscription("acme", status="past_due", plan="pro")
        clock.set("2027-01-03T00:00:00")
        ent.set_subscription("acme", status="past_due", plan="pro")
        clock.now += 86_400 * MICRO - 1
        assert ent.consume("acme", "search")
        clock.now += 1
        assert ent.consume("acme", "search").reason is Reason.SUBSCRIPTION_INACTIVE
        ent.set_subscription("acme", status="active", plan="pro")
        assert ent.consume("acme", "search")


def test_a_price_of_zero_that_falls_through() -> None:
    """A tool priced zero is free, under a default and a least charge too, and still counts in limits."""
    text = """
plans:
  pro: {name: Pro, credits: {default: 7, tools: {free: 0}}, limits: [{of: free, max: 2, per: day}]}
  payg: {name: Payg, per_call: {default: 1.00, tools: {free: 0}, minimum: 0.50}}
tenants: {acme: {name: Acme, plan: pro}, other: {name: Other, plan: payg}}
"""
    with runtime(text) as ent:
        assert [ent.consume("acme", "free").price for _ in range(2)] == [0, 0]
        assert ent.consume("acme", "free").reason is Reason.QUOTA_EXCEEDED
        assert ent.check("acme", "search").reason is Reason.INSUFFICIENT_CREDITS
        assert ent.consume("other", "free").price == 0
        assert ent.consume("other", "search").price == 1
        assert set(audit(ent, "other").used) == {"spend.usd"}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["rate", "quota"])
def test_a_limit_for_each_tool_and_process(kind: str, seed: int, tmp_path: Path) -> None:
    """One limit on all tools is one, however many tools and processes share it."""
    text = f"""
plans: {{pro: {{name: Pro, prices: {{m: {{amount: 1, interval: month}}}},
  limits: [{{of: "*", max: 5, per: hour, kind: {kind}}}]}}}}
tenants: {{acme: {{name: Acme, plan: pro}}}}
"""
    with Schedule(text, tmp_path, seed) as schedule:
        acts = schedule.ents[0]._acts
        found = schedule.run([[acts.consume("acme", Request(f"tool-{number}"))] * 2 for number in range(8)])
        assert sum(outcome.value.allowed for answers in found for outcome in answers) == 5
        audit(schedule.ents[0])


def test_a_burst_that_never_binds() -> None:
    """A burst below the rate refuses at once what the rate would let through over time, and refills evenly."""
    text = """
plans: {pro: {name: Pro, prices: {m: {amount: 1, interval: month}},
  limits: [{of: "*", max: 60, per: minute, kind: rate, burst: 2}]}}
tenants: {acme: {name: Acme, plan: pro}}
"""
    clock = HandClock()
    with runtime(text, clock) as ent:
        assert [bool(ent.consume("acme", "search")) for _ in range(3)] == [True, True, False]
        clock.now += MICRO - 1
        assert ent.consume("acme", "search").retry_after == 1
        clock.now += 1
        assert [bool(ent.consume("acme", "search")) for _ in range(2)] == [True, False]


def test_a_reload_that_fails_leaves_the_old_policy(tmp_path: Path) -> None:
    """A policy that cannot be read changes nothing: the old one decides on."""
    bad = tmp_path / "policy.json"
    with runtime(CREDITS.replace("HASH", "0" * 64)) as ent:
        old = ent.policy
        bad.write_text(policy(USAGE.replace("OVERAGE", "deny").replace(", minimum: {per_month: 1.00}", "")).dump()[:-9])
        with pytest.raises(Exception, match="policy"):
            ent.reload(bad)
        assert ent.policy is old
        ent.grant("acme", 1, key="lot")
        assert ent.consume("acme", "search").paid_by == "credits"
