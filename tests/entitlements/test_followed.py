"""Which subscription rules, which plan it means, and since when."""

import itertools
from datetime import UTC, datetime

import pytest

from reconciler.entitlements import Reason
from reconciler.entitlements.standing import STATUSES
from reconciler.entitlements.subscriptions import Held, Item, follow, plan_of, ruling

from .audit import audit, kinds
from .worlds import HandClock, at, policy, runtime

FILES = """
settings: {namespace: acme, default_meter: calls, default_plan: free, past_due_grace_days: 3}
plans:
  pro: {name: Pro}
  team: {name: Team}
  free: {name: Free, tools: [basic]}
tenants:
  acme: {name: Acme, plan: team}
"""
START, END = at("2027-01-01T00:00:00"), at("2027-02-01T00:00:00")


def held(id: str = "sub_1", status: str = "active", plan: str | None = "pro", **more: object) -> Held:  # noqa: A002
    """Return a subscription to one flat price."""
    address = f"plans.{plan}.prices.monthly" if plan else None
    found = Held(id, status, START, START, START, (Item(address, START, END),))
    return found._replace(**more)  # type: ignore[arg-type]


def test_the_ruling_one_is_the_same_in_every_order() -> None:
    """One that entitles comes first, then past due, live ones, those that are over; an incomplete one comes last."""
    order = ["active", "past_due", "unpaid", "canceled", "incomplete_expired", "incomplete"]
    for first, second in itertools.combinations(order, 2):
        pair = [held("sub_a", first), held("sub_b", second, created=END)]
        for each in itertools.permutations(pair):
            rules = ruling(each)
            assert rules is not None
            assert rules.status == first
    assert set(order) | {"trialing", "paused"} == STATUSES
    assert ruling([]) is None


def test_of_equals_the_newest_rules() -> None:
    """A trial and an active one are equals; of those made in the same second the id decides."""
    olds, news = held("sub_a"), held("sub_b", "trialing", created=END)
    assert ruling([olds, news]) == ruling([news, olds]) == news
    twin = held("sub_0", created=END)
    assert ruling([news, twin]) == ruling([twin, news]) == twin


@pytest.mark.parametrize(
    ("address", "plan"),
    [
        ("plans.pro.prices.monthly", "pro"),
        ("plans.pro.usage.calls", "pro"),
        ("plans.pro", "pro"),
        ("credit_packs.pro.price", None),
        ("tenants.acme.usage.calls", None),
        (None, None),
    ],
)
def test_a_plan_is_read_from_addresses(address: str | None, plan: str | None) -> None:
    """Prices, usage and the product of a plan name it; what is a tenant's own or a pack's does not."""
    assert plan_of(address) == plan


def test_the_flat_price_tells_plan_and_period() -> None:
    """Of several items the flat price of a known plan counts, in whatever order; extra ones do not matter."""
    items = (
        Item("plans.gone.prices.monthly", 1, 2),
        Item("plans.pro.usage.calls", 3, 4),
        Item("plans.team.prices.annual", START, END),
        Item(None, 5, 6),
    )
    for order in itertools.permutations(items):
        told = follow(held(items=order), policy(FILES), "acme", None)
        assert told is not None
        assert (told.subscription.plan, told.subscription.start, told.note) == ("team", START, "")


def test_an_unknown_price_drops_nobody() -> None:
    """The plan known before is kept, else the one that was sold, else the files'; each time it is noted."""
    files = policy(FILES)
    strange = held(plan=None)
    for known, sells, tenant, kept in (
        ("pro", "team", "acme", "pro"),
        (None, "pro", "acme", "pro"),
        ("gone", "gone", "acme", "team"),
        (None, None, "self", None),
    ):
        told = follow(strange._replace(sells=sells), files, tenant, known)
        assert told is not None
        assert (told.subscription.plan, told.subscription.status) == (kept, "active")
        assert "its price is not of these files" in told.note
    told = follow(held(plan="gone"), files, "acme", None)
    assert told is not None
    assert told.note == "subscription sub_1: plan gone is not in these files; the tenant keeps plan team"


def test_a_tenants_own_terms_are_no_unknown_price() -> None:
    """A subscription to a tenant's own usage alone is the plan of the files, without a word."""
    own = held(items=(Item("tenants.acme.usage.calls", START, END),))
    told = follow(own, policy(FILES), "acme", None)
    assert told is not None
    assert (told.subscription.plan, told.note) == ("team", "")


def test_who_only_begins_to_buy_keeps_the_default_plan() -> None:
    """A first payment that is missing takes nothing from a stranger, and gives nothing to a tenant of the files."""
    with runtime(FILES) as ent:
        for tenant in ("self", "acme"):
            ent.ledger.submit(ent.following(tenant, held(status="incomplete")))
        assert ent.check("self", "basic")
        assert ent.check("acme", "any").reason is Reason.SUBSCRIPTION_INACTIVE


def test_the_same_news_twice_writes_nothing() -> None:
    """A state that is known already leaves no entry; a new one does."""
    with runtime(FILES) as ent:
        for _ in range(2):
            assert ent.ledger.submit(ent.following("self", held())).value == ""
        assert kinds(ent, "self") == ["subscription"]
        ent.ledger.submit(ent.following("self", held(status="canceled")))
        assert kinds(ent, "self") == ["subscription"] * 2
        audit(ent, "self")


def test_grace_counts_from_the_instant_that_is_said() -> None:
    """A later or earlier beginning of the same status is believed; without one the known beginning stays."""
    clock = HandClock("2027-01-10T00:00:00")
    with runtime(FILES, clock) as ent:
        late = held(status="past_due", since=at("2027-01-08T00:00:00"))
        ent.ledger.submit(ent.following("self", late))
        assert ent.check("self", "any")
        ent.ledger.submit(ent.following("self", late._replace(since=at("2027-01-06T00:00:00"))))
        assert ent.check("self", "any").reason is Reason.SUBSCRIPTION_INACTIVE
        ent.set_subscription("self", plan="pro", status="past_due")
        assert ent.check("self", "any").reason is Reason.SUBSCRIPTION_INACTIVE
        ent.set_subscription("self", plan="pro", status="past_due", since=datetime(2027, 1, 9, tzinfo=UTC))
        assert ent.check("self", "any")
