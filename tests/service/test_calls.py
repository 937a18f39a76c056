"""Calls over HTTP: decided as in process, answered in decimals, refused as problems."""

import pytest

from tests.service.world import Served

TINY = {"tool": "half"}


def test_a_check_writes_nothing(served: Served) -> None:
    """A check is answered with 200 whether or not the call may be made, and takes nothing."""
    for _ in range(2):
        found = served.acme.post("/v1/check", {"tool": "big"})
        assert (found.status, found.json["allowed"], found.json["remaining"]) == (200, True, "20")
    refused = served.acme.post("/v1/check", {"tool": "big", "quantity": 4})
    assert (refused.status, refused.json["reason"]) == (200, "insufficient_credits")


def test_amounts_are_decimals_in_strings(served: Served) -> None:
    """Half a credit is 0.5 and what is left of thirty 29.5; nothing is a binary fraction."""
    found = served.acme.post("/v1/consume", TINY).json
    assert (found["cost"], found["unit"], found["remaining"], found["short"]) == ("0.5", "credit", "29.5", "0")


def test_a_key_makes_a_call_once(served: Served) -> None:
    """The same call under a key gets the first answer, another one 422; without a key each is a call of its own."""
    first, again = (served.acme.post("/v1/consume", {"tool": "big"}, once="k") for _ in range(2))
    assert (first.json["replayed"], again.json["replayed"], again.json["remaining"]) == (False, True, "20")
    other = served.acme.post("/v1/consume", {"tool": "half"}, once='"k"')
    assert (other.status, other.code) == (422, "key_conflict")
    assert served.acme.post("/v1/consume", {"tool": "big"}).json["remaining"] == "10"


def test_what_has_to_be_paid_for_is_402(served: Served) -> None:
    """Too few credits are 402 with what to buy where, also as clients of x402 look for it."""
    found = served.acme.post("/v1/consume", {"tool": "big", "quantity": 4})
    assert (found.status, found.headers["content-type"], found.code) == (
        402,
        "application/problem+json",
        "insufficient_credits",
    )
    body = found.json
    assert body["decision"]["short"] == "10"
    assert (body["remedy"]["kind"], body["remedy"]["id"]) == ("pack", "small")
    assert (body["x402Version"], body["accepts"]) == (
        1,
        [{"type": "stripe-checkout", "url": "https://shop.example/pack/small"}],
    )


def test_what_comes_too_soon_is_429(served: Served) -> None:
    """A rate and a quota are 429, each with the whole seconds until it helps to come back."""
    assert [served.rival.post("/v1/consume", {"tool": "basic"}).status for _ in range(3)] == [200, 200, 429]
    rate = served.rival.post("/v1/consume", {"tool": "basic"})
    assert (rate.code, rate.headers["retry-after"]) == ("rate_limited", "30")
    served.clock.set("2027-01-01T00:02:00")
    assert served.rival.post("/v1/consume", {"tool": "basic"}).status == 200
    quota = served.rival.post("/v1/consume", {"tool": "basic"})
    assert (quota.code, quota.headers["retry-after"]) == ("quota_exceeded", str(31 * 86400 - 120))
    assert quota.json["remedy"]["kind"] == "plan"


@pytest.mark.parametrize(
    ("tenant", "tool", "code"),
    [
        ("rival", "other", "tool_not_in_plan"),
        ("acme", "report", "feature_required"),
        ("nobody", "basic", "unknown_tenant"),
    ],
)
def test_what_is_not_allowed_is_403(served: Served, tenant: str, tool: str, code: str) -> None:
    """A tool that is not in the plan, a feature that is missing, a tenant nobody knows: each says which it is."""
    found = served.operator.post("/v1/consume", {"tenant": tenant, "tool": tool})
    assert (found.status, found.code) == (403, code)


def test_a_reservation_charges_what_was_used(served: Served) -> None:
    """Five are set aside, two committed: two are charged, and the same commit again charges no more."""
    held = served.acme.post("/v1/reservations", {"tool": "any", "quantity": 5}, once="job")
    assert (held.json["key"], held.json["decision"]["remaining"]) == ("job", "25")
    first, again = (served.acme.post("/v1/reservations/job/commit", {"quantity": 2}) for _ in range(2))
    assert (first.json["cost"], first.json["remaining"], again.json["replayed"]) == ("2", "28", True)
    assert served.acme.post("/v1/reservations/job/release", {}).json == {"key": "job", "released": False}


def test_a_commit_without_numbers_is_what_was_reserved(served: Served) -> None:
    """Quantity and measured units of a reservation hold at its commit, unless it says otherwise."""
    call = {"tenant": "quiet", "tool": "llm", "units": {"tokens": 700}}
    served.operator.post("/v1/reservations", call, once="a/b c".replace(" ", "/"))
    done = served.operator.post("/v1/reservations/a%2Fb%2Fc/commit", {"tenant": "quiet"})
    assert done.status == 200
    units = {each for entry in served.runtime.ledger.store.entries("quiet") for each in entry.transfers}
    assert {amount for source, _, amount in units if source == "metered:tokens"} == {700}


def test_a_released_reservation_is_no_more(served: Served) -> None:
    """What was set aside comes back; a commit afterwards is 409, one of nothing 404."""
    served.acme.post("/v1/reservations", {"tool": "big"}, once="job")
    assert served.acme.post("/v1/check", TINY).json["remaining"] == "19.5"
    assert served.acme.post("/v1/reservations/job/release", {}).json["released"]
    assert served.acme.post("/v1/check", TINY).json["remaining"] == "29.5"
    late = served.acme.post("/v1/reservations/job/commit", {})
    assert (late.status, late.code) == (409, "reservation_ended")
    assert served.acme.post("/v1/reservations/other/commit", {}).status == 404


def test_a_batch_decides_each_call_for_itself(served: Served) -> None:
    """Three calls that cannot all be made are each allowed, in their order."""
    calls = [{"tool": "big"}, {"tool": "big", "quantity": 3}, {"tool": "report"}, {"meter": "tokens", "quantity": 9}]
    found = served.acme.post("/v1/check/batch", {"calls": calls}).json["decisions"]
    assert [each["reason"] for each in found] == ["ok", "ok", "feature_required", "tool_not_in_plan"]
