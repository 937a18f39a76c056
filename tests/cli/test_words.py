"""Values in words, the single values that differ, and what a change means for people."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.planning.category import Category, category, is_dangerous
from reconciler.planning.change import Action, Change, Reason, State
from reconciler.planning.leaves import leaves
from reconciler.planning.markdown import code
from reconciler.planning.words import amount, brackets, headline
from reconciler.resources import BY_NAME


@pytest.mark.parametrize(
    ("minor", "currency", "expected"),
    [
        ("4999", "usd", "49.99 usd (4999)"),
        ("0", "usd", "0.00 usd (0)"),
        ("500", "jpy", "500 jpy (500)"),
        ("1500", "kwd", "1.500 kwd (1500)"),
        ("0.5", "usd", "0.005 usd (0.5), 5.00 usd per 1,000"),
        ("22.5", "usd", "0.225 usd (22.5), 225.00 usd per 1,000"),
        ("0.0001", "usd", "0.000001 usd (0.0001), 1.00 usd per 1,000,000"),
        (999, "eur", "9.99 eur (999)"),
    ],
)
def test_amounts_are_shown_in_both_units(minor: Any, currency: str, expected: str) -> None:
    """Human money comes first, minor units behind; what is finer than a coin is also shown for many units."""
    assert amount(minor, currency) == expected


MONTHLY = {"interval": "month", "interval_count": 1, "usage_type": "licensed"}
METERED = {"interval": "month", "interval_count": 3, "usage_type": "metered"}


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        ("product", {"name": "Pro"}, 'product "Pro"'),
        ("product_feature", {"entitlement_feature": {"$ref": "features.export"}}, "product feature export"),
        ("product_feature", {"entitlement_feature": {"$id": "feature/feat_1"}}, "product feature feat_1"),
        ("price", {"currency": "usd", "unit_amount_decimal": "100"}, "price 1.00 usd (100) once"),
        (
            "price",
            {"currency": "usd", "unit_amount_decimal": "100", "recurring": MONTHLY},
            "price 1.00 usd (100) per month",
        ),
        (
            "price",
            {"currency": "usd", "unit_amount_decimal": "100", "recurring": METERED},
            "price 1.00 usd (100), metered every 3 months",
        ),
        (
            "price",
            {
                "currency": "usd",
                "unit_amount_decimal": "200",
                "transform_quantity": {"divide_by": 1000, "round": "up"},
                "recurring": MONTHLY,
            },
            "price 2.00 usd (200) per 1,000 units, rounded up per month",
        ),
        (
            "price",
            {"currency": "usd", "custom_unit_amount": {"enabled": True}},
            "price chosen by the customer in usd once",
        ),
        ("coupon", {"percent_off": "12.5", "duration": "forever"}, "coupon 12.5 % off, forever"),
        ("coupon", {"amount_off": 500, "currency": "usd"}, "coupon 5.00 usd (500) off, once"),
        ("coupon", {"percent_off": "5", "duration": "repeating", "duration_in_months": 3}, "coupon 5 % off, 3 months"),
        ("promotion_code", {"code": "X1"}, 'promotion code "X1"'),
        ("tax_rate", {"display_name": "VAT", "percentage": "21"}, 'tax rate "VAT" 21 % exclusive'),
        ("tax_rate", {"display_name": "VAT", "percentage": "9", "inclusive": True}, 'tax rate "VAT" 9 % inclusive'),
        ("product", {"name": 'a"b\n\x1b[31m'}, 'product "a\\"b\\n\\u{1b}[31m"'),
    ],
)
def test_an_object_in_a_few_words(kind: str, values: dict[str, Any], expected: str) -> None:
    """Each kind says what it is in one safe line."""
    assert headline(BY_NAME[kind], values) == expected


def test_every_kind_has_words() -> None:
    """No kind is described by nothing but its name."""
    full = {"name": "n", "display_name": "n", "code": "c", "percent_off": "5", "currency": "usd"}
    full |= {"url": "u", "business_profile": {"headline": "h"}, "entitlement_feature": {"$ref": "features.export"}}
    silent = [name for name, kind in BY_NAME.items() if headline(kind, full) == name.replace("_", " ")]
    assert silent == []


def test_brackets_read_like_a_price_list() -> None:
    """Brackets name first and last unit, what a unit costs, and what is due on entering."""
    tiers = [
        {"up_to": 1000, "unit_amount_decimal": "0"},
        {"up_to": 1001, "unit_amount_decimal": "2"},
        {"up_to": "inf", "unit_amount_decimal": "0.5", "flat_amount_decimal": "300"},
    ]
    assert list(brackets({"currency": "usd", "tiers": tiers})) == [
        ("1 to 1,000", "free"),
        ("1,001 to 1,001", "0.02 usd (2)"),
        ("from 1,002", "0.005 usd (0.5), 5.00 usd per 1,000 each and 3.00 usd (300) flat"),
    ]
    assert list(brackets({"currency": "usd"})) == []


def change(kind: str, action: Action, before: dict[str, Any] | None, after: dict[str, Any] | None) -> Change:
    """Make a change of one address."""
    names = sorted({*(before or {}), *(after or {})})
    fields = tuple(name for name in names if None not in (before, after) and before.get(name) != after.get(name))
    states = [None if values is None else State(values, {}) for values in (before, after)]
    return Change("x.y", BY_NAME[kind], action, Reason.CONFIG, fields, *states)


def shown(kind: str, before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, str | None, str | None]]:
    """Return what differs, in words."""
    return [(leaf.name, leaf.before, leaf.after) for leaf in leaves(change(kind, Action.UPDATE, before, after))]


def test_leaves_are_single_values() -> None:
    """Added and removed containers are taken apart; what is equal is not shown; fields keep the table's order."""
    before = {
        "currency": "usd",
        "nickname": "A",
        "recurring": MONTHLY,
        "tiers": [{"up_to": 5, "unit_amount_decimal": "1"}],
    }
    after = {
        "currency": "usd",
        "recurring": {**MONTHLY, "interval": "year"},
        "tiers": [{"up_to": 5, "unit_amount_decimal": "2"}, {"up_to": "inf", "unit_amount_decimal": "3"}],
        "currency_options": {"eur": {"unit_amount_decimal": "400"}},
    }
    assert shown("price", before, after) == [
        ("tiers[0].unit_amount", "0.01 usd (1)", "0.02 usd (2)"),
        ("tiers[1].unit_amount", None, "0.03 usd (3)"),
        ("tiers[1].up_to", None, '"inf"'),
        ("recurring.interval", '"month"', '"year"'),
        ("currency_options.eur.unit_amount", None, "4.00 eur (400)"),
        ("nickname", '"A"', None),
    ]


def test_references_dates_and_restrictions() -> None:
    """An id becomes an address, seconds a date, and a restriction's minimum an amount in its own currency."""
    assert shown(
        "product", {"default_price": {"$id": "price/price_1"}}, {"default_price": {"$ref": "plans.pro.prices.m"}}
    ) == [("default_price", "price_1", "plans.pro.prices.m")]
    before = {"expires_at": 0, "restrictions": {"minimum_amount": 1000, "minimum_amount_currency": "jpy"}}
    after = {"expires_at": 86400, "restrictions": {"minimum_amount": 2000, "minimum_amount_currency": "jpy"}}
    assert shown("promotion_code", before, after) == [
        ("expires_at", "1970-01-01T00:00:00Z", "1970-01-02T00:00:00Z"),
        ("restrictions.minimum_amount", "1000 jpy (1000)", "2000 jpy (2000)"),
    ]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
fields = st.sampled_from([row.name for row in BY_NAME["price"].fields])


@given(before=st.dictionaries(fields, json_values, max_size=4), after=st.dictionaries(fields, json_values, max_size=4))
def test_leaves_exist_exactly_where_values_differ(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Whatever stands in a plan, something is shown if and only if something differs, and it is one safe line."""
    found = shown("price", before, after)
    assert bool(found) == (before != after)
    assert all("\n" not in text and "\x1b" not in text for leaf in found for text in leaf if text)


@pytest.mark.parametrize(
    ("kind", "action", "before", "after", "expected", "dangerous"),
    [
        ("product", Action.UPDATE, {"name": "a"}, {"name": "b"}, Category.COSMETIC, False),
        ("product", Action.UPDATE, {"tax_code": "a"}, {"tax_code": "b"}, Category.SUBSCRIBERS, False),
        ("product", Action.UPDATE, {"active": False}, {"active": True}, Category.NEW_CUSTOMERS, False),
        ("product", Action.RETIRE, {"name": "a"}, None, Category.NEW_CUSTOMERS, True),
        ("product", Action.CREATE, None, {"name": "a"}, Category.NEW_CUSTOMERS, False),
        ("price", Action.REPLACE, {"currency": "usd"}, {"currency": "eur"}, Category.NEW_CUSTOMERS, True),
        ("price", Action.UPDATE, {}, {"tax_behavior": "inclusive"}, Category.IRREVERSIBLE, True),
        ("price", Action.ADOPT, {}, {"nickname": "n"}, Category.COSMETIC, False),
        ("coupon", Action.RETIRE, {"name": "a"}, None, Category.IRREVERSIBLE, True),
        ("feature", Action.RETIRE, {"name": "a"}, None, Category.IRREVERSIBLE, True),
        ("feature", Action.CREATE, None, {"name": "a"}, Category.NEW_CUSTOMERS, False),
        ("meter", Action.CREATE, None, {"event_name": "a"}, Category.IRREVERSIBLE, False),
        ("meter", Action.RETIRE, {"event_name": "a"}, None, Category.SUBSCRIBERS, True),
        ("meter", Action.UPDATE, {"active": False}, {"active": True}, Category.SUBSCRIBERS, False),
        ("product_feature", Action.CREATE, None, {}, Category.SUBSCRIBERS, False),
        ("product_feature", Action.RETIRE, {}, None, Category.SUBSCRIBERS, True),
        ("tax_rate", Action.REPLACE, {"percentage": "1"}, {"percentage": "2"}, Category.NEW_CUSTOMERS, True),
    ],
)
def test_what_a_change_means(
    kind: str,
    action: Action,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
    expected: Category,
    dangerous: bool,
) -> None:
    """Each change has one category, the worst that applies, and what goes away or cannot be undone stands out."""
    made = change(kind, action, before, after)
    assert category(made) is expected
    assert is_dangerous(made) is dangerous


@given(st.text(st.sampled_from("`a \n"), max_size=12))
def test_a_code_span_holds_any_text(text: str) -> None:
    """Nothing inside a code span is as long a run of backticks as the fence around it."""
    span = code(text)
    fence = len(span) - len(span.lstrip("`"))
    inside = span[fence:-fence]
    assert span.endswith("`" * fence)
    assert "`" * fence not in inside.strip()
    assert "\n" not in span
