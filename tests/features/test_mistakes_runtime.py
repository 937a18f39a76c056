"""Mistakes of the projects this one succeeds, in what decides and counts calls."""

import hashlib
import threading
from decimal import Decimal
from pathlib import Path

import pytest

from reconciler.entitlements import Entitlements, Reason
from reconciler.entitlements.measure import measured
from reconciler.ledger.base import StoreUnavailableError
from tests.entitlements.audit import audit, entries_of
from tests.entitlements.worlds import HandClock, policy, runtime
from tests.provider.usage_world import UsageWorld

MICRO = 1_000_000
ONE = "plans: {p: {name: P, credits: {default: 1, tools: {free: 0}}}}\ntenants: {acme: {name: A, plan: p}}\n"
USAGE = "plans: {p: {name: P, usage: {calls: {included: 3, overage: OVERAGE}}}}\ntenants: {acme: {name: A, plan: p}}\n"
TWO_STEPS = "tiers: {t: {steps: [{up_to: 2, unit_amount: 0.5}, {up_to: inf, unit_amount: 0.8}]}}\n"


def together(ents: list[Entitlements], times: int, tool: str = "any") -> list[bool]:
    """Return the answers to calls made from a thread for each runtime at once."""
    found: list[bool] = []
    work = [lambda ent=ent: found.extend(bool(ent.consume("acme", tool)) for _ in range(times)) for ent in ents]
    threads = [threading.Thread(target=each) for each in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_mistake_b4_the_running_total_billed_again() -> None:
    """So many calls beyond the included ones cost so many units, above the last bound too, at once or one by one."""
    text = TWO_STEPS + USAGE.replace("OVERAGE", "{tiers: t}")
    for number in (0, 3, 4, 5, 6, 40):
        with runtime(text) as ent:
            single = sum(ent.consume("acme", "any").price or 0 for _ in range(number))
        with runtime(text) as ent:
            whole = ent.consume("acme", meter="calls", quantity=number).price
        beyond = max(number - 3, 0)
        assert single == whole == min(beyond, 2) * Decimal("0.5") + max(beyond - 2, 0) * Decimal("0.8")


def test_mistake_b5_usage_that_is_a_constant() -> None:
    """Reserved units are used up exactly at their number, and what is left is read from the ledger."""
    with runtime(USAGE.replace("OVERAGE", "deny")) as ent:
        found = [(ent.check("acme", "any").remaining, bool(ent.consume("acme", "any"))) for _ in range(4)]
        assert found == [(2, True), (1, True), (0, True), (0, False)]


def test_mistake_b6_usage_that_is_dropped_or_sent_twice() -> None:
    """After any number of failures usage is still there; once sent it is there once, also where answers were lost."""
    with UsageWorld(tenants=("a",)) as world:
        world.use("a", 5)
        world.break_with({"kind": "error", "status": 500}, {"kind": "drop_after"})
        for _ in range(7):
            world.flush()
        assert world.states()["sent"] == 0
        world.sandbox.faults.clear()
        world.clock.pass_by(3600)
        world.flush()
        world.flush()
        assert world.shown() == {("a", "calls"): 5}


def test_mistake_b7_duplicates_of_one_key() -> None:
    """The same call under a key is charged once, another one is refused; without a key each is a call of its own."""
    with runtime(ONE) as ent:
        ent.grant("acme", 10, key="g")
        answers = [ent.consume("acme", "any", key="k") for _ in range(3)]
        assert [each.replayed for each in answers] == [False, True, True]
        assert ent.consume("acme", "other", key="k").reason is Reason.KEY_CONFLICT
        assert ent.balance("acme").credits == 9 * MICRO
        ent.consume("acme", "any")
        assert ent.balance("acme").credits == 8 * MICRO


def test_mistake_b10_deductions_that_lose_each_other(tmp_path: Path) -> None:
    """Calls made at once never go below nothing nor lose a credit, and a tool that fails keeps no charge."""
    url = f"sqlite:///{tmp_path / 'usage.db'}"
    with runtime(ONE, url=url) as one, runtime(ONE, url=url) as two:
        one.grant("acme", 9, key="g")
        assert sum(together([one, two], 8)) == 9
        assert audit(one).credits == 0
        one.grant("acme", 1, key="more")
        with pytest.raises(OSError, match="broken"), one.reserve("acme", "any", key="r"):
            raise OSError("broken")
        assert audit(two).credits == MICRO


def test_mistake_b11_a_gate_that_fails_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the ledger is away every call is refused; afterwards, and after any refusal, calls are as before."""
    with runtime(ONE) as ent:
        ent.grant("acme", 2, key="g")

        def away(*_: object, **__: object) -> None:
            raise StoreUnavailableError("E1102", "away")

        with monkeypatch.context() as broken:
            broken.setattr(ent.ledger, "submit", away)
            assert ent.consume("acme", "any").reason is Reason.STORE_UNAVAILABLE
        assert not ent.consume("stranger", "any")
        assert [bool(ent.consume("acme", "any")) for _ in range(3)] == [True, True, False]
        assert ent.consume("acme", "free")


def test_mistake_b12_a_call_without_a_record() -> None:
    """Every allowed call, a free one too, has its entry with what it cost; a refused one has none."""
    with runtime(ONE) as ent:
        ent.grant("acme", 1, key="g")
        answers = {key: ent.consume("acme", tool, key=key) for key, tool in (("a", "any"), ("b", "free"), ("c", "any"))}
        booked = {key: ent.ledger.store.entry("acme", key) for key in answers}
        assert [answer.allowed for answer in answers.values()] == [True, True, False]
        assert [entry and entry.answer[0][2] for entry in booked.values()] == [MICRO, 0, None]


def test_mistake_b14_an_identity_out_of_the_arguments() -> None:
    """Of arguments the numbers that a tool names are read; a tenant or a token among them is neither read nor kept."""
    with runtime("tools: {t: {quantity: {from: argument.rows}}}\n" + ONE) as ent:
        ent.grant("acme", 5, key="g")
        quantity, _ = measured(ent.policy.tools.of("t"), {"rows": 2, "tenant": "other", "token": "private"}, None)  # type: ignore[arg-type]
        assert ent.consume("acme", "t", quantity=quantity).tenant == "acme"
        assert "private" not in "".join(entry.body for entry in entries_of(ent, "acme"))
        assert ent.balance("other").seq == 0


def test_mistake_b16_a_key_that_is_almost_right() -> None:
    """Neither a part of a key, nor its hash, nor nothing names a tenant; the key does."""
    digest = hashlib.sha256(b"open sesame").hexdigest()
    with runtime(ONE.replace("plan: p}", f'plan: p, api_keys: [{{id: ci, sha256: "{digest}"}}]}}')) as ent:
        assert [ent.tenant_of_key(each) for each in ("open sesam", digest, "", "open sesame ")] == [None] * 4
        assert ent.tenant_of_key("open sesame") == ("acme", "ci")


def test_mistake_b17_input_that_becomes_sql(tmp_path: Path) -> None:
    """Names of tenants, tools and keys are values and never words of SQL: what looks like it is kept as it is."""
    nasty = "x'; DROP TABLE entry; --"
    with runtime("settings: {namespace: acme, default_plan: p}\n" + ONE, url=f"sqlite:///{tmp_path / 'u.db'}") as ent:
        ent.grant(nasty, 2, key=nasty)
        assert ent.consume(nasty, nasty, key=f"{nasty} call")
        assert audit(ent, nasty).credits == MICRO
        assert [entry.tenant for entry in entries_of(ent, nasty)] == [nasty] * 2


def test_mistake_b19_a_subscriber_who_is_not_recognised() -> None:
    """Who is in its trial is entitled, who failed to pay for the days of grace and no longer, who cancelled is not."""
    clock = HandClock("2027-01-01T00:00:00")
    with runtime("settings: {namespace: acme, past_due_grace_days: 3}\n" + ONE.partition("tenants")[0], clock) as ent:
        ent.grant("acme", 9, key="g")
        for status, allowed in (("trialing", True), ("active", True), ("canceled", False), ("past_due", True)):
            ent.set_subscription("acme", status=status, plan="p")
            assert ent.consume("acme", "any").allowed == allowed
        clock.set("2027-01-04T00:00:00")
        assert ent.consume("acme", "any").reason is Reason.SUBSCRIPTION_INACTIVE


def test_mistake_b20_a_price_of_zero_that_falls_through() -> None:
    """A tool priced zero is free whatever the default is; a field that means nothing is refused."""
    with runtime(ONE) as ent:
        assert ent.consume("acme", "free").price == 0
        assert not ent.consume("acme", "any")
    with pytest.raises(AssertionError, match="E0201"):
        policy(ONE.replace("default: 1", "default: 1, minimum_of_nothing: 2"))


def test_mistake_b21_a_charge_before_the_tool_succeeds() -> None:
    """While a tool runs its price is set aside and not taken; it is taken when it ends well."""
    with runtime(ONE) as ent:
        ent.grant("acme", 2, key="g")
        held = ent.reserve("acme", "any", key="r")
        balance = ent.balance("acme")
        assert (balance.held, {entry.kind for entry in entries_of(ent, "acme")}) == (MICRO, {"grant", "reserve"})
        held.commit()
        assert (ent.balance("acme").credits, ent.balance("acme").held) == (MICRO, 0)


def test_mistake_b22_a_limit_for_each_tool_and_process(tmp_path: Path) -> None:
    """One limit on all tools is one, over tools and instances together, and a burst below the rate binds."""
    text = "plans: {p: {name: P, prices: {m: {amount: 1, interval: month}}, limits: [LIMIT]}}\n"
    text += "tenants: {acme: {name: A, plan: p}}\n"
    url, hour = f"sqlite:///{tmp_path / 'u.db'}", text.replace("LIMIT", "{of: '*', max: 5, per: hour}")
    with runtime(hour, url=url) as one, runtime(hour, url=url) as two:
        assert sum(bool(ent.consume("acme", f"t{number}")) for number in range(5) for ent in (one, two)) == 5
    with runtime(text.replace("LIMIT", "{of: '*', max: 60, per: minute, kind: rate, burst: 2}")) as ent:
        assert [bool(ent.consume("acme", "any")) for _ in range(3)] == [True, True, False]


def test_mistake_b25_a_cancelled_subscriber_who_keeps_access() -> None:
    """From the moment the ledger knows that a subscription ended no call is allowed; another subscriber's still is."""
    with runtime(ONE.partition("tenants")[0]) as ent:
        for tenant in ("gone", "stays"):
            ent.grant(tenant, 5, key="g")
            ent.set_subscription(tenant, status="active", plan="p")
            assert ent.consume(tenant, "any")
        ent.set_subscription("gone", status="canceled", plan="p")
        assert [bool(ent.consume(tenant, "any")) for tenant in ("gone", "stays")] == [False, True]
