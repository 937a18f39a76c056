"""Guards: each stops what it is for, names what allows it, and lets the rest pass."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from reconciler.config.models import Guards
from reconciler.planning.change import Action, Change, Reason, State
from reconciler.planning.entitled import Entitlements
from reconciler.planning.guards import check_guards
from reconciler.planning.plan import Plan, Target
from reconciler.resources import BY_NAME

NOW = datetime(2027, 1, 1, tzinfo=UTC)


def plan(*changes: Change, unchanged: int = 0) -> Plan:
    """Return a plan of these changes."""
    target = Target("acct_1", "test", "v", "acme", None, "0")
    return Plan("0" * 32, NOW, NOW, target, "", "", Entitlements("0" * 64), changes, {}, {}, unchanged)


def change(action: Action, address: str, before: dict | None = None, after: dict | None = None) -> Change:
    """Return a price change."""
    old = State(before or {"currency": "usd"}, {})
    new = None if action is Action.RETIRE else State(after or {"currency": "usd"}, {})
    return Change(address, BY_NAME["price"], action, Reason.CONFIG, (), old, new, id="price_1")


def amount(minor: str, currency: str = "usd") -> dict:
    """Return a flat price."""
    return {"currency": currency, "unit_amount_decimal": minor}


def test_a_mass_retirement_is_refused() -> None:
    """Four of ten is more than 30 percent."""
    retired = [change(Action.RETIRE, f"plans.p{number}.prices.m") for number in range(4)]
    (refusal,) = check_guards(plan(*retired, unchanged=6), Guards(max_retired_percent=Decimal(30)))
    assert refusal.allow == "max_retired_percent"


def test_a_share_within_the_bound_passes() -> None:
    """Three of ten is exactly 30 percent, which is not more."""
    retired = [change(Action.RETIRE, f"plans.p{number}.prices.m") for number in range(3)]
    assert check_guards(plan(*retired, unchanged=7), Guards(max_retired_percent=Decimal(30))) == []


def test_a_mass_update_is_refused() -> None:
    """Replacements count as updates."""
    changes = [change(Action.REPLACE, f"plans.p{number}.prices.m") for number in range(6)]
    (refusal,) = check_guards(plan(*changes, unchanged=6), Guards(max_updated_percent=Decimal(30)))
    assert refusal.guard == "max_updated_percent"


@pytest.mark.parametrize("pattern", ["plans.pro", "plans.*", "plans.pro.prices.m"])
def test_a_protected_address_is_refused(pattern: str) -> None:
    """A protected address covers itself and everything below it."""
    found = check_guards(plan(change(Action.RETIRE, "plans.pro.prices.m")), Guards(protected=(pattern,)))
    assert [refusal.allow for refusal in found] == ["protected:plans.pro.prices.m"]


def test_a_rename_takes_nothing_out_of_protection() -> None:
    """What was made from a protected address and is replaced or retired under a new one is still protected."""
    for action in (Action.RETIRE, Action.REPLACE):
        moved = change(action, "plans.new.prices.m")
        assert moved.before is not None
        moved.before.metadata["address"] = "plans.pro.prices.m"
        (refusal,) = check_guards(plan(moved), Guards(protected=("plans.pro",)))
        assert refusal.allow == "protected:plans.new.prices.m"
        assert check_guards(plan(moved), Guards(protected=("plans.promo",))) == []


@pytest.mark.parametrize("pattern", ["plans.pr", "plans.promo", "tenants.*", "plans.pro.prices.m.x"])
def test_other_addresses_are_not_protected(pattern: str) -> None:
    """A pattern never reaches its neighbours."""
    assert check_guards(plan(change(Action.RETIRE, "plans.pro.prices.m")), Guards(protected=(pattern,))) == []


def test_a_steep_rise_is_refused() -> None:
    """From 10.00 to 12.01 is more than 20 percent; to 12.00 is not."""
    guards = Guards(max_price_rise_percent=Decimal(20))
    steep = change(Action.REPLACE, "plans.pro.prices.m", amount("1000"), amount("1201"))
    (refusal,) = check_guards(plan(steep), guards)
    assert "1201" in refusal.message
    assert check_guards(plan(change(Action.REPLACE, "p", amount("1000"), amount("1200"))), guards) == []


def test_a_price_that_was_free_counts_as_a_rise() -> None:
    """No percentage holds from zero, so any price after a free one is a rise."""
    rise = change(Action.REPLACE, "plans.pro.prices.m", amount("0"), amount("1"))
    assert check_guards(plan(rise), Guards(max_price_rise_percent=Decimal(100)))


def test_a_bracket_that_rises_is_refused() -> None:
    """Brackets are compared one by one."""
    before = {"currency": "usd", "tiers": [{"up_to": "inf", "unit_amount_decimal": "1"}]}
    after = {"currency": "usd", "tiers": [{"up_to": "inf", "unit_amount_decimal": "2"}]}
    rise = change(Action.REPLACE, "plans.pro.usage.calls", before, after)
    assert check_guards(plan(rise), Guards(max_price_rise_percent=Decimal(50)))


def test_a_currency_flip_is_refused() -> None:
    """The same number in another currency is another price."""
    flip = change(Action.REPLACE, "plans.pro.prices.m", amount("1000"), amount("1000", "eur"))
    (refusal,) = check_guards(plan(flip), Guards())
    assert refusal.guard == "currency"


@pytest.mark.parametrize("word", ["plans.a.prices.m", "currency:plans.a.prices.m"])
def test_what_was_allowed_passes(word: str) -> None:
    """Allowing one address lets that one pass and no other; where one guard speaks for it, the address will do."""
    flips = [
        change(Action.REPLACE, name, amount("1"), amount("1", "eur"))
        for name in ("plans.a.prices.m", "plans.b.prices.m")
    ]
    found = check_guards(plan(*flips), Guards(), allowed={word})
    assert [refusal.allow for refusal in found] == ["currency:plans.b.prices.m"]


def test_one_word_lifts_one_guard() -> None:
    """Where several guards speak for an address, the address lifts none of them, and each has its own word."""
    flip = change(Action.REPLACE, "plans.a.prices.m", amount("1"), amount("1", "eur"))
    guards = Guards(protected=("plans.a",))
    words = {"protected:plans.a.prices.m", "currency:plans.a.prices.m"}
    assert {each.allow for each in check_guards(plan(flip), guards, {"plans.a.prices.m"})} == words
    assert [each.guard for each in check_guards(plan(flip), guards, {"currency:plans.a.prices.m"})] == ["protected"]
    assert check_guards(plan(flip), guards, words) == []


def test_a_guard_of_addresses_is_not_lifted_by_its_name() -> None:
    """The name alone allows only guards that are about the plan as a whole."""
    flip = change(Action.REPLACE, "plans.a.prices.m", amount("1"), amount("1", "eur"))
    assert check_guards(plan(flip), Guards(), {"currency"})
    retired = [change(Action.RETIRE, f"plans.p{number}.prices.m") for number in range(5)]
    strict = Guards(max_retired_percent=Decimal(30))
    assert check_guards(plan(*retired), strict)
    assert check_guards(plan(*retired), strict, {"max_retired_percent"}) == []


def test_a_protected_plan_does_not_become_legacy() -> None:
    """Going out of sale is a retirement of the offer, although the object is only updated; coming back is not."""
    guards = Guards(protected=("plans.pro",))
    off = change(Action.UPDATE, "plans.pro.prices.m", amount("1"), amount("1") | {"active": False})
    back = change(Action.UPDATE, "plans.pro.prices.m", amount("1") | {"active": False}, amount("1"))
    (refusal,) = check_guards(plan(off), guards)
    assert (refusal.allow, "archived" in refusal.message) == ("protected:plans.pro.prices.m", True)
    assert check_guards(plan(off), Guards(protected=("plans.basic",))) == []
    assert check_guards(plan(back), guards) == []


def meter(event_name: str) -> Change:
    """Return the retirement of a meter."""
    before = State({"event_name": event_name, "display_name": "M"}, {})
    return Change("theirs", BY_NAME["meter"], Action.RETIRE, Reason.REMOVED, (), before, None, id="mtr_1")


def test_a_meter_that_was_taken_over_is_not_lost_in_silence() -> None:
    """A meter with an event name of its own is deactivated only when that is allowed; one of our own names freely."""
    (refusal,) = check_guards(plan(meter("theirs")), Guards())
    assert (refusal.allow, "`event_name: theirs`" in refusal.message) == ("event_name:theirs", True)
    assert check_guards(plan(meter("theirs")), Guards(), {"event_name:theirs"}) == []
    assert check_guards(plan(meter("acme.meters.calls")), Guards()) == []


def recurring(interval: str) -> dict:
    """Return a flat price with an interval."""
    return amount("1000") | {"recurring": {"interval": interval, "interval_count": 1}}


def table(*bounds: tuple, mode: str = "graduated") -> dict:
    """Return a price in brackets."""
    return {
        "currency": "usd",
        "tiers_mode": mode,
        "tiers": [{"up_to": up, "unit_amount_decimal": unit} for up, unit in bounds],
    }


def euro(minor: str) -> dict:
    """Return a flat price with an amount in euro."""
    return amount("1000") | {"currency_options": {"eur": {"unit_amount_decimal": minor}}}


HIDDEN_RISES = {
    "another currency": (euro("1000"), euro("100000")),
    "year to month": (recurring("year"), recurring("month")),
    "flat to brackets": (amount("10"), table(("inf", "1000"))),
    "a bracket more": (table(("inf", "1")), table((10, "1"), ("inf", "100"))),
    "fewer included": (table((10000, "0"), ("inf", "1")), table((10, "0"), ("inf", "1"))),
    "volume to graduated": (table(("inf", "1"), mode="volume"), table(("inf", "1"))),
    "smaller packages": (
        amount("1000") | {"transform_quantity": {"divide_by": 1000, "round": "up"}},
        amount("1000") | {"transform_quantity": {"divide_by": 2, "round": "up"}},
    ),
}


@pytest.mark.parametrize("name", HIDDEN_RISES)
def test_a_rise_that_hides_in_the_terms_is_refused(name: str) -> None:
    """Whatever decides the charge counts: where a rise cannot be ruled out, it is refused."""
    before, after = HIDDEN_RISES[name]
    rise = change(Action.REPLACE, "plans.pro.prices.m", before, after)
    assert [refusal.allow for refusal in check_guards(plan(rise), Guards(max_price_rise_percent=Decimal(10)))] == [
        "max_price_rise_percent:plans.pro.prices.m"
    ]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (euro("1000"), euro("1100")),
        (euro("1000"), amount("1000")),
        (amount("1000"), euro("5")),
        (table((10, "5"), ("inf", "1")), table((10, "4"), ("inf", "1"))),
        (amount("1000") | {"nickname": "a"}, amount("1000") | {"nickname": "b"}),
    ],
)
def test_what_cannot_cost_more_passes(before: dict, after: dict) -> None:
    """Lower amounts, rises within the bound, new and dropped currencies, and names pass."""
    fine = change(Action.REPLACE, "plans.pro.prices.m", before, after)
    assert check_guards(plan(fine), Guards(max_price_rise_percent=Decimal(10))) == []
