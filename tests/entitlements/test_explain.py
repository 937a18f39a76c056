"""Explanations, and the order in which a call is asked: access, rates, quotas, payment."""

import json
from itertools import product

import pytest

from reconciler.entitlements import Entitlements, Reason

from .worlds import HandClock, at, runtime

CATALOGUE = """
features: {pro: {name: Pro}}
tools: {special: {requires: [pro]}}
plans:
  both:
    name: Both
    tools: [search, special]
    pay: [usage, credits]
    usage: {calls: {included: 2, overage: deny}}
    credits: {default: 3}
    limits:
      - {of: search, max: 60, per: minute, kind: rate, burst: 5}
      - {of: calls, max: 4, per: day}
tenants: {acme: {name: Acme, plan: both}}
"""
#: Where the file says so.
ACCESS, RATE, QUOTA, USAGE, CREDITS = "16:11", "14:9", "15:9", "11:13", "12:5"


def told(ent: Entitlements, tool: str, quantity: int = 1) -> list[tuple[object, ...]]:
    """Return the steps of a call without instants and files, and check that they end as the call does."""
    found = ent.explain("acme", tool, quantity=quantity)
    assert found.decision == ent.check("acme", tool, quantity=quantity)
    assert json.loads(json.dumps(found.as_json()))["steps"] == [step._asdict() for step in found.steps]
    last = found.steps[-1]
    assert (last.outcome != "refuses", last.reason) == (found.decision.allowed, found.decision.reason)
    if not found.decision.allowed:
        assert last.source == found.decision.source
    return [(*step[:7], step.source.partition(":")[2]) for step in found.steps]


def test_each_question_is_told_with_what_was_there() -> None:
    """The steps name what was asked, what was there before, what came of it, and the place in the files."""
    clock = HandClock()
    with runtime(CATALOGUE, clock) as ent:
        ent.grant("acme", 4, key="lot")
        first = told(ent, "search")
        assert first == [
            ("access", "search", None, None, None, "passes", "ok", ACCESS),
            ("rate", "search", 1, 5, 5, "passes", "ok", RATE),
            ("quota", "calls", 1, 4, 4, "passes", "ok", QUOTA),
            ("payment", "usage", 1, 2, 2, "pays", "ok", USAGE),
        ]
        for _ in range(2):
            assert ent.consume("acme", "search")
        assert told(ent, "search")[3:] == [
            ("payment", "usage", 1, 0, 2, "cannot pay", "quota_exceeded", USAGE),
            ("payment", "credits", 3_000_000, 4_000_000, None, "pays", "ok", CREDITS),
        ]
        assert told(ent, "search", 2)[-1] == (
            "payment",
            "credits",
            6_000_000,
            4_000_000,
            None,
            "refuses",
            "insufficient_credits",
            CREDITS,
        )
        assert told(ent, "special") == [("access", "special", None, None, None, "refuses", "feature_required", "5:9")]
        assert ent.explain("acme", "search").steps[2].resets_at == at("2027-01-02T00:00:00")
        before = ent.ledger.store.read("acme").seq
        told(ent, "search")
        assert ent.ledger.store.read("acme").seq == before


MATRIX = """
plans:
  plan:
    name: Plan
    tools: [TOOL]
    credits: {default: COST}
    limits:
      - {of: search, max: 1, per: minute, kind: rate, burst: BURST}
      - {of: calls, max: MAX, per: day}
tenants: {acme: {name: Acme, plan: plan}}
"""


@pytest.mark.parametrize(
    ("access", "rate", "quota", "payment"), list(product([True, False], repeat=4)), ids=lambda value: str(value)[0]
)
def test_an_earlier_refusal_hides_later_ones(*, access: bool, rate: bool, quota: bool, payment: bool) -> None:
    """Of everything that does not hold the first in the order is told; the rest is not asked."""
    text = MATRIX.replace("TOOL", "search" if access else "other").replace("COST", "1" if payment else "100")
    text = text.replace("BURST", "9" if rate else "1").replace("MAX", "9" if quota else "1")
    with runtime(text) as ent:
        ent.grant("acme", 1_000, key="lot")
        if access:
            assert ent.consume("acme", "search")
        ent.void("acme", "lot", key="gone")
        ent.grant("acme", 5, key="rest")
        expected = next(
            reason
            for holds, reason in (
                (access, Reason.TOOL_NOT_IN_PLAN),
                (rate, Reason.RATE_LIMITED),
                (quota, Reason.QUOTA_EXCEEDED),
                (payment, Reason.INSUFFICIENT_CREDITS),
                (False, Reason.OK),
            )
            if not holds
        )
        assert ent.check("acme", "search").reason is expected
        steps = ent.explain("acme", "search").steps
        assert [step.reason for step in steps[:-1]] == ["ok"] * (len(steps) - 1)
        kinds = ["access", "rate", "quota", "payment"]
        assert [step.kind for step in steps] == kinds[: len(steps)]
        assert steps[-1].reason is expected
        assert ent.consume("acme", "search").reason is expected


def test_a_subscription_that_ended_is_told_first() -> None:
    """Whoever may call nothing is told so, whatever else would refuse the call."""
    with runtime(CATALOGUE) as ent:
        ent.set_subscription("acme", status="unpaid", plan="both")
        assert told(ent, "special")[0][5:7] == ("refuses", "subscription_inactive")
        clock = at("2027-01-01T00:00:00")
        ent.set_subscription("acme", status="past_due", plan="both")
        assert told(ent, "search")[0][5:7] == ("passes", "ok")
        assert ent.explain("acme", "search").steps[0].resets_at == clock + 7 * 86_400 * 1_000_000
        assert ent.explain("nobody", "search").decision.reason is Reason.UNKNOWN_TENANT
