"""Commits of more than was set aside: allowed, since the call was made, and saying what was lacking and how much."""

from typing import Any

import pytest

from reconciler.entitlements import Decision, Reason
from reconciler.entitlements.explain import explain

from .audit import audit
from .worlds import HandClock, at, runtime

FILES = """
plans:
  credits: {name: Credits, credits: {default: 1}}
  quota: {name: Quota, usage: {calls: {included: 100, overage: deny}}, limits: [{of: calls, max: 10, per: month}]}
  denied: {name: Denied, usage: {calls: {included: 10, overage: deny}}}
  priced: {name: Priced, usage: {calls: {included: 10, overage: {unit_amount: 0.10}}}}
  calls: {name: Calls, per_call: {default: 0.50}, limits: [{of: "search*", max: 10, per: day}]}
tenants: {acme: {name: Acme, plan: PLAN}}
tools: {search: {counts: {calls: {from: result.number}}}}
"""


def ended(plan: str, used: int, *, before: int = 0) -> tuple[Decision, str]:
    """Reserve five, end it with what was used, prove the books, and return the answer with its sentence."""
    with runtime(FILES.replace("PLAN", plan)) as ent:
        ent.grant("acme", 10, key="lot")
        if before:
            assert ent.consume("acme", "search", quantity=before, units={"calls": before})
        held = ent.reserve("acme", "search", quantity=5, units={"calls": 5}, key="job")
        found = held.commit(used, units={"calls": used})
        assert held.commit(used, units={"calls": used}) == found._replace(replayed=True)
        audit(ent)
        return found, explain(found, ent.policy)


@pytest.mark.parametrize(
    ("plan", "used", "before", "expected"),
    [
        ("credits", 5, 0, ("ok", 5_000_000, 5_000_000, None, "credits", 0)),
        ("credits", 10, 0, ("ok", 10_000_000, 0, None, "credits", 0)),
        ("credits", 12, 0, ("insufficient_credits", 12_000_000, 0, None, "credits", 2_000_000)),
        ("quota", 10, 0, ("ok", 0, 0, 10, "calls", 0)),
        ("quota", 2, 0, ("ok", 0, 8, 10, "calls", 0)),
        ("quota", 13, 0, ("quota_exceeded", 0, 0, 10, "calls", 3)),
        ("quota", 13, 4, ("quota_exceeded", 0, 0, 10, "calls", 7)),
        ("denied", 7, 3, ("ok", 0, 0, 10, "calls", 0)),
        ("denied", 8, 3, ("quota_exceeded", 0, 0, 10, "calls", 1)),
        ("priced", 12, 0, ("ok", 200_000, None, None, "", 0)),
        ("calls", 12, 0, ("ok", 6_000_000, 9, 10, "search*", 0)),
    ],
)
def test_a_commit_says_what_it_lacked(plan: str, used: int, before: int, expected: tuple[Any, ...]) -> None:
    """Reason, cost, what is left of which bound, and by how much it was not enough, at a bound and one beyond it."""
    found, _ = ended(plan, used, before=before)
    told = (found.reason, found.cost, found.remaining, found.limit, found.bound, found.short)
    if plan == "priced":
        told = (*told[:2], None, None, "", told[-1])
    assert found.allowed
    assert told == expected


def test_a_sentence_tells_what_was_lacking() -> None:
    """Where nothing was lacking the sentence says nothing of it; else the number, in credits or calls."""
    assert ended("credits", 12)[1].endswith(
        "it costs 12 credits, 0 credits left (billing.d/test.yaml:5:28). 2 credits of it were not there."
    )
    assert "It used 3 calls more than there were." in ended("quota", 13)[1]
    assert "more than" not in ended("quota", 10)[1]


def test_a_period_that_is_over_lacks_nothing() -> None:
    """A commit in the next month is counted in none, and said to be short of none."""
    clock = HandClock("2027-01-31T23:00:00")
    with runtime(FILES.replace("PLAN", "quota"), clock) as ent:
        held = ent.reserve("acme", "search", units={"calls": 5}, key="job", seconds=7200)
        clock.set("2027-02-01T00:00:00")
        assert ent.consume("acme", "search", units={"calls": 1})
        assert held.commit(units={"calls": 50}).reason is Reason.OK


def test_one_who_took_no_more_than_was_held_lacked_nothing() -> None:
    """Beside a commit that went beyond the quota, another that kept to its reservation is told of no lack."""
    with runtime(FILES.replace("PLAN", "quota")) as ent:
        first, second = (ent.reserve("acme", "search", units={"calls": 5}, key=key) for key in ("a", "b"))
        assert first.commit(units={"calls": 9}).short == 4
        found = second.commit(units={"calls": 5})
        assert (found.reason, found.remaining, found.short) == (Reason.OK, 0, 0)


def test_what_was_let_through_says_what_it_lacked() -> None:
    """A reservation the ledger never heard of, ended when it is back, is told as any other."""
    with runtime(FILES.replace("PLAN", "quota"), HandClock()) as ent:
        request = ent.request("acme", "search", None, 1, {"calls": 13}, "job")
        found = ent.commit("acme", request, owed=True)
        assert (found.allowed, found.reason, found.short, found.remaining) == (True, Reason.QUOTA_EXCEEDED, 3, 0)
        assert found.resets_at == at("2027-02-01T00:00:00")


def test_a_refusal_says_how_much_is_missing() -> None:
    """A call that is refused names what it lacks of its bound, too."""
    with runtime(FILES.replace("PLAN", "quota")) as ent:
        assert ent.check("acme", "search", units={"calls": 13}).short == 3
        assert ent.check("acme", "search", units={"calls": 10}).short == 0
