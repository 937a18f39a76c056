"""Notices: every crossing is told once, by whichever worker sees it, and arrives whatever the receiver does."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.entitlements import Entitlements
from reconciler.entitlements.periods import LENGTH
from reconciler.service.work.delivering import Callback, Delivered, Delivery
from reconciler.service.work.outbox import CLAIMED_FOR, TRIED_FOR, Notice, Outbox, notice_of, wait
from reconciler.service.work.sending import Sender, UnsentError
from reconciler.service.work.signing import HEADER, verify
from reconciler.service.work.thresholds import NEW, TYPES, Armed, Condition, changes
from reconciler.service.work.watching import Watch
from tests.entitlements.worlds import HandClock, runtime

from .receiver import OK, receiver

PLANS = """
plans:
  pro:
    name: Pro
    usage: {calls: {included: 10, per: month, overage: deny}}
    tools: [call]
  paid:
    name: Paid
    credits: {default: 1, included: 0, auto_recharge: {below: 5, pack: small}}
  plain: {name: Plain, credits: {default: 1, included: 0}}
  bounded:
    name: Bounded
    limits: [{of: call, max: 4, per: day, kind: quota}, {of: "*", max: 2, per: minute, kind: rate}]
credit_packs: {small: {name: Small, credits: 100, price: 9.99}}
tools: {call: {counts: {calls: 1}}, other: {counts: {}}}
tenants: {acme: {name: Acme, plan: pro}, beta: {name: Beta, plan: paid}, gamma: {name: Gamma, plan: plain},
          delta: {name: Delta, plan: bounded}}
"""


class Desk:
    """A runtime with a watch and an outbox."""

    def __init__(self, url: str) -> None:
        self.clock = HandClock()
        self.runtime: Entitlements = runtime(PLANS, self.clock, url)
        self.watch = Watch(self.runtime)
        self.outbox = Outbox(self.runtime.ledger.store)

    def told(self) -> list[tuple[str, str, Any]]:
        """Look once, and return type, tenant and data of what is in the outbox now and was not before."""
        before = {notice.id for notice in self.outbox.listed(limit=1000)}
        self.watch.round()
        found = [notice for notice in self.outbox.listed(limit=1000) if notice.id not in before]
        return [(notice.type, notice.tenant, json.loads(notice.body)["data"]) for notice in found]

    def call(self, tenant: str, times: int = 1, tool: str = "call") -> None:
        """Make calls."""
        for _ in range(times):
            assert self.runtime.consume(tenant, tool)


@pytest.fixture
def desk(url: str) -> Iterator[Desk]:
    """Lend a desk."""
    lent = Desk(url)
    yield lent
    lent.runtime.close()


def test_an_included_amount_is_told_at_eighty_and_at_a_hundred_percent(desk: Desk) -> None:
    """Each level is told once a period; a count that begins anew is told anew."""
    desk.call("acme", 7)
    assert desk.told() == []
    desk.call("acme")
    ((kind, tenant, data),) = desk.told()
    assert (kind, tenant) == ("limit_near", "acme")
    resets = "2027-02-01T00:00:00Z"
    assert data == {"of": "calls", "kind": "included", "percent": 80, "used": 8, "limit": 10, "resets_at": resets}
    desk.call("acme")
    assert desk.told() == []
    desk.call("acme")
    assert [data["percent"] for _, _, data in desk.told()] == [100]
    desk.clock.set("2027-02-01T00:00:00")
    desk.call("acme", 9)
    assert [(data["percent"], data["used"]) for _, _, data in desk.told()] == [(80, 9)]


def test_of_two_levels_at_once_the_higher_is_told(desk: Desk) -> None:
    """Who goes from nothing to everything between two looks hears of a hundred percent alone."""
    desk.call("acme", 10)
    assert [data["percent"] for _, _, data in desk.told()] == [100]
    assert desk.told() == []


def test_a_refund_arms_again(desk: Desk) -> None:
    """What falls below a bound and rises over it again is another crossing."""
    for number in range(8):
        desk.runtime.consume("acme", "call", key=f"k{number}")
    assert len(desk.told()) == 1
    desk.runtime.refund("acme", "k0", key="r0")
    assert desk.told() == []
    desk.call("acme")
    assert [data["percent"] for _, _, data in desk.told()] == [80]


def test_a_quota_is_told_and_a_rate_is_not(desk: Desk) -> None:
    """Quotas count calls for a day; a rate refills while somebody reads the notice."""
    desk.call("delta", 2)
    assert desk.told() == []
    desk.clock.set("2027-01-01T00:10:00")
    desk.call("delta", 2)
    assert [(data["of"], data["kind"], data["percent"]) for _, _, data in desk.told()] == [("call", "quota", 100)]


def test_low_credits_are_told_by_the_plans_bound_or_the_settings(desk: Desk) -> None:
    """Below the plan's bound (5 here), or below 10 credits where it names none; not at the bound itself."""
    desk.runtime.grant("beta", 6, key="g1")
    desk.runtime.grant("gamma", 11, key="g1")
    assert desk.told() == []
    desk.call("beta", 1, "other")
    desk.call("gamma", 1, "other")
    assert desk.told() == []
    desk.call("beta", 1, "other")
    desk.call("gamma", 1, "other")
    found = {tenant: (kind, data) for kind, tenant, data in desk.told()}
    assert found == {
        "beta": ("credits_low", {"credits": "4", "below": "5"}),
        "gamma": ("credits_low", {"credits": "9", "below": "10"}),
    }
    desk.call("beta", 1, "other")
    assert desk.told() == []
    desk.runtime.grant("beta", 100, key="g2")
    assert desk.told() == []
    desk.runtime.void("beta", "g2", key="v2")
    assert [kind for kind, _, _ in desk.told()] == ["credits_low"]


def test_who_never_had_credits_has_not_run_low(desk: Desk) -> None:
    """A tenant is told when credits go, not because there were none; spent to the last between two looks is told."""
    _subscribed(desk, "gamma", "active", "plain")
    assert desk.told() == []
    desk.runtime.grant("gamma", 20, key="g1")
    assert desk.told() == []
    desk.call("gamma", 20, "other")
    assert [(kind, data["credits"]) for kind, _, data in desk.told()] == [("credits_low", "0")]
    desk.runtime.grant("beta", 20, key="g1")
    assert desk.told() == []
    desk.call("beta", 20, "other")
    assert [(kind, data["credits"]) for kind, _, data in desk.told()] == [("credits_low", "0")]
    desk.runtime.grant("beta", 4, key="g2")
    assert desk.told() == []
    desk.runtime.grant("beta", 4, key="g3")
    assert desk.told() == []
    desk.call("beta", 4, "other")
    assert [(kind, tenant) for kind, tenant, _ in desk.told()] == [("credits_low", "beta")]


def _subscribed(desk: Desk, tenant: str, status: str, plan: str = "pro") -> None:
    period = (datetime(2027, 1, 1, tzinfo=UTC), datetime(2027, 2, 1, tzinfo=UTC))
    desk.runtime.set_subscription(tenant, status=status, plan=plan, period=period)


def test_failed_payments_and_cancellations_are_told_by_the_ledgers_entries(desk: Desk) -> None:
    """Every change of status is told, also one that was over when somebody looked; the same status again is not."""
    _subscribed(desk, "acme", "active")
    assert desk.told() == []
    _subscribed(desk, "acme", "past_due")
    _subscribed(desk, "acme", "active")
    ((kind, tenant, data),) = desk.told()
    assert (kind, tenant) == ("payment_failed", "acme")
    assert data == {"plan": "pro", "status": "past_due", "since": "2027-01-01T00:00:00Z"}
    _subscribed(desk, "acme", "past_due")
    assert [kind for kind, _, _ in desk.told()] == ["payment_failed"]
    _subscribed(desk, "acme", "past_due")
    assert desk.told() == []
    _subscribed(desk, "acme", "unpaid")
    _subscribed(desk, "acme", "canceled")
    assert [kind for kind, _, _ in desk.told()] == ["payment_failed", "subscription_cancelled"]


def test_what_happened_long_before_the_first_look_is_not_told(desk: Desk) -> None:
    """A ledger that is watched for the first time tells of no failure of last year; a renewed one is told of."""
    _subscribed(desk, "acme", "past_due")
    _subscribed(desk, "delta", "canceled")
    desk.clock.set("2027-03-01T00:00:00")
    _subscribed(desk, "delta", "past_due")
    assert [(kind, tenant) for kind, tenant, _ in desk.told()] == [("payment_failed", "delta")]
    _subscribed(desk, "acme", "past_due")
    assert desk.told() == []
    _subscribed(desk, "acme", "active")
    _subscribed(desk, "acme", "past_due")
    assert [kind for kind, _, _ in desk.told()] == ["payment_failed"]


def test_only_tenants_that_changed_are_looked_at(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenant whose ledger is as it was costs no reading of its book."""
    desk.call("acme")
    desk.call("delta")
    desk.told()
    store, read = desk.runtime.ledger.store, list[str]()
    whole = store.read
    monkeypatch.setattr(store, "read", lambda tenant: read.append(tenant) or whole(tenant))
    desk.watch.round()
    assert read == []
    store.transact([desk.runtime.asking("acme", desk.runtime.request("acme", "call", None, 1, None, None))])
    desk.watch.round()
    assert read == ["acme"]


def test_two_workers_tell_a_crossing_once(desk: Desk) -> None:
    """Whoever writes second finds that another has told it, and what both found has one id."""
    desk.call("acme", 8)
    _subscribed(desk, "acme", "past_due")
    other = Watch(desk.runtime)
    looked = other._look("acme", None)
    assert desk.watch.round() == 2
    with pytest.raises(Exception, match="somebody else has changed"):
        desk.runtime.ledger.alongside([looked.seen, *looked.changes, *looked.notices])
    assert other.round() == 0
    assert len(desk.outbox.listed()) == 2


CROSSINGS = st.lists(st.tuples(st.booleans(), st.integers(0, 2)), max_size=30)


@given(CROSSINGS)
def test_each_crossing_is_told_once(looks: list[tuple[bool, int]]) -> None:
    """However a bound moves over periods: it is told when crossed, and again after it was not, or in a new period."""
    armed: dict[str, Armed] = {}
    told_in: int | None = None
    period = 0
    for holds, later in looks:
        period += later
        condition = Condition("x", "limit_near", period, holds, silent=False, data={})
        found = list(changes([condition], armed))
        assert any(change.condition is not None for change in found) == (holds and told_in != period)
        told_in = period if holds else None
        for change in found:
            assert change.before == armed.get("x", NEW)
            assert change.after.turn == change.before.turn + 1
            armed["x"] = change.after


def _notice(desk: Desk, what: str, tenant: str = "acme") -> Notice:
    now = desk.clock.now
    notice = notice_of("acme", tenant, "credits_low", what, now, 3, {"credits": "1"})
    desk.runtime.ledger.alongside([Outbox.put(notice, now)])
    return notice


def _delivery(desk: Desk, url: str, *secrets: str) -> Delivery:
    sender = Sender(development=True, seconds=2)
    return Delivery(desk.outbox, Callback(url, secrets or ("s1",)), sender, desk.clock)


def test_a_notice_arrives_signed_and_once(desk: Desk) -> None:
    """The body is what is stored, each secret's signature is valid, the id stands in a header; then it is sent."""
    notice = _notice(desk, "a")
    with receiver() as there:
        delivery = _delivery(desk, there.url(), "new", "old")
        assert delivery.round() == Delivered(sent=1)
        assert delivery.round() == Delivered()
        (request,) = there.requests
    head, _, body = request.partition(b"\r\n\r\n")
    fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    assert json.loads(body) == {
        "id": notice.id,
        "type": "credits_low",
        "created": "2027-01-01T00:00:00Z",
        "namespace": "acme",
        "tenant": "acme",
        "number": 3,
        "data": {"credits": "1"},
    }
    for secret in ("new", "old"):
        verify(body, fields[HEADER], [secret], desk.clock.now // 10**6)
    assert fields["Reconciler-Notice-Id"] == notice.id
    assert [(each.state, each.attempts, each.error) for each in desk.outbox.listed()] == [("sent", 1, None)]


def test_a_receiver_that_fails_gets_it_later(desk: Desk) -> None:
    """It is tried again after ten seconds, thirty, and so on; what the receiver said stands beside it."""
    _notice(desk, "a")
    answers = iter([b"HTTP/1.1 500 Oops\r\n\r\n", b"HTTP/1.1 503 Busy\r\n\r\n", OK])
    with receiver(lambda _request: next(answers)) as there:
        delivery = _delivery(desk, there.url())
        assert delivery.round().failed == 1
        assert delivery.round() == Delivered()
        desk.clock.now += 10 * 10**6
        assert delivery.round().failed == 1
        (listed,) = desk.outbox.listed(state="pending")
        assert (listed.attempts, listed.error) == (2, f"http://127.0.0.1:{there.port} answered 503")
        desk.clock.now += 29 * 10**6
        assert delivery.round() == Delivered()
        desk.clock.now += 10**6
        assert delivery.round() == Delivered(sent=1)


def test_after_three_days_a_notice_is_dead_and_can_be_tried_again(desk: Desk) -> None:
    """Nothing is lost: it is counted and listed, and tried for another three days where somebody asks for that."""
    dead, kept = _notice(desk, "a"), _notice(desk, "b")
    begun, tries = desk.clock.now, 0
    while desk.outbox.listed(state="pending"):
        for notice in desk.outbox.claim(10):
            if notice.id == dead.id:
                tries += 1
                desk.outbox.settle(notice, "it was away")
            else:
                desk.outbox.settle(notice)
        desk.clock.now += 300 * 10**6
    assert TRIED_FOR - 7 * LENGTH["hour"] < desk.clock.now - begun <= TRIED_FOR
    assert 12 <= tries <= 20
    assert desk.outbox.depth() == {"dead": (1, begun)}
    assert [each.id for each in desk.outbox.listed(state="dead")] == [dead.id]
    assert desk.outbox.retry([kept.id, "ntc_nobody"]) == 0
    assert desk.outbox.retry() == 1
    with receiver() as there:
        assert _delivery(desk, there.url()).round() == Delivered(sent=1)
    assert desk.outbox.depth() == {}


@given(st.integers(1, 1000))
def test_waits_grow_to_six_hours(attempts: int) -> None:
    """Each wait is at least as long as the one before, and none is longer than six hours."""
    assert 10 <= wait(attempts) <= wait(attempts + 1) <= 6 * 3600


def test_a_receiver_that_is_away_is_not_asked_for_every_notice(desk: Desk) -> None:
    """After three failures in a row a round ends, and the rest is as if nobody had taken it."""
    for number in range(8):
        _notice(desk, str(number))
    asked = list[bytes]()

    class Away(Sender):
        def post(self, *sent: Any) -> int:
            asked.append(sent[1])
            raise UnsentError("it is away")

    delivery = Delivery(desk.outbox, Callback("https://hooks.example/", ["s1"]), Away(), desk.clock)
    assert delivery.round() == Delivered(failed=3, error="it is away")
    assert (len(asked), sorted(each.attempts for each in desk.outbox.listed())) == (3, [0] * 5 + [1] * 3)
    with receiver() as there:
        assert _delivery(desk, there.url()).round() == Delivered(sent=5)


def test_a_claimed_notice_is_nobody_elses(desk: Desk) -> None:
    """Two workers send a notice once; one whose worker died is sent by another after two minutes."""
    _notice(desk, "a")
    (mine,) = desk.outbox.claim(10)
    assert Outbox(desk.runtime.ledger.store).claim(10) == []
    desk.clock.now += CLAIMED_FOR
    (theirs,) = desk.outbox.claim(10)
    assert desk.outbox.settle(theirs) == "sent"
    desk.outbox.settle(mine, "too late")
    assert [each.state for each in desk.outbox.listed()] == ["sent"]


def test_lists_are_paged_and_filtered(desk: Desk) -> None:
    """Oldest first, behind an id, of one tenant or state; a decoy of another tenant is not among them."""
    ids = [_notice(desk, str(number)).id for number in range(3)]
    desk.clock.now += 10**6
    ids = [*sorted(ids), _notice(desk, "later").id]
    decoy = _notice(desk, "decoy", "beta").id
    assert [each.id for each in desk.outbox.listed(tenant="acme")] == ids
    assert [each.id for each in desk.outbox.listed(tenant="acme", after=ids[1], limit=1)] == [ids[2]]
    assert [each.id for each in desk.outbox.listed(tenant="beta", state="pending")] == [decoy]
    assert desk.outbox.listed(state="dead") == []


def test_what_was_sent_long_ago_is_forgotten(desk: Desk) -> None:
    """Sent notices go after their time; what is pending or dead stays however old it is."""
    _notice(desk, "a")
    with receiver() as there:
        _delivery(desk, there.url()).round()
    waiting = _notice(desk, "b")
    desk.clock.now += 31 * LENGTH["day"]
    assert desk.outbox.forget(desk.clock.now - 30 * LENGTH["day"]) == 1
    assert [each.id for each in desk.outbox.listed()] == [waiting.id]


def test_a_callback_shows_no_secret() -> None:
    """Neither the URL's path nor a secret is printed with it."""
    shown = repr(Callback("https://hooks.example/T0/SECRET", ["SECRET"]))
    assert "SECRET" not in shown


def test_there_are_six_types() -> None:
    """What can be told is a closed list."""
    assert len(set(TYPES)) == 6
