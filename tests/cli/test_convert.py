"""``import --from``: files of other tools become valid files, what is left out is said, bad input never raises."""

import contextlib
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.cli.commands import import_
from reconciler.cli.context import App
from reconciler.cli.converting import convert, detect
from reconciler.config.catalog import Catalog, load_catalog
from reconciler.config.models import Overage
from reconciler.diagnostics import ReconcilerError
from reconciler.pricing.rating import cost
from reconciler.pricing.tariff import of_plan
from reconciler.resources import desire

from .support import Done, Shell

RESERVED: dict[str, Any] = {
    "acme": {
        "vex_reserved": 10000,
        "fu_reserved": 50000,
        "vex_overage_tiers": [
            {"threshold": 5000, "price_per_unit": "0.005", "stripe_item": "price_a"},
            {"threshold": 10000, "price_per_unit": "0.008"},
        ],
        "fu_overage_tiers": [{"threshold": 25000, "price_per_unit": "0.001"}],
        "subscription_plan": "price_signet",
        "tenant_id": "acme-corp",
        "allowlist": ["*.example.com"],
    },
    "museum": {"vex_reserved": 10000},
}
TIER = """\
{
  // what a hand writes: comments, and commas at the end
  "plans": {
    "plan:free@0": {"title": "Free", "features": {"feature:lists": {"tiers": [{"upto": 5}]},},},
    "plan:pro@0": {"features": {"feature:support": {"base": 9900}}},
    "plan:pro@1": {
      "title": "Pro",
      "features": {
        "feature:support": {"base": 9900, "permLink": "x"},
        "feature:seat": {"base": 100},
        "feature:lists": {"tiers": [{"upto": 10}, {"upto": 100, "price": 50, "base": 100}, {"price": 25.5}]},
        "feature:gb": {"mode": "volume", "tiers": [{"upto": 10, "price": 2}, {"upto": 100, "price": 1}]},
        "feature:peak": {"aggregate": "max", "tiers": [{}]},
      },
    },
  },
}
"""
FIXTURES: dict[str, Any] = {
    "_meta": {"template_version": 0},
    "fixtures": [
        {"name": "product", "path": "/v1/products", "method": "post", "params": {"name": "Pro"}},
        {
            "name": "price",
            "path": "/v1/prices",
            "method": "post",
            "params": {
                "product": "${product:id}",
                "currency": "eur",
                "unit_amount_decimal": "4990.5",
                "recurring": {"interval": "month"},
            },
        },
        {"name": "someone", "path": "/v1/customers", "method": "post", "params": {"email": "jane@example.com"}},
    ],
}


def converted(shell: Shell, content: Any, *more: str) -> Done:
    """Convert a text, or data as JSON."""
    text = content if isinstance(content, str) else json.dumps(content)
    Path("given.json").write_text(text, encoding="utf-8")
    return shell("import", "--from", "given.json", "--out", "billing.d", *more)


def catalog_of(shell: Shell, content: Any) -> tuple[Catalog, str]:
    """Convert, and load what was written; return what was said on stderr as well."""
    done = converted(shell, content)
    assert done.code == 0, done.err
    assert shell("validate").code == 0
    return load_catalog(Path("billing.d")), done.err


def texts() -> str:
    """Return everything that was written."""
    return "".join(path.read_text(encoding="utf-8") for path in sorted(Path("billing.d").rglob("*.yaml")))


def test_reserved_units_and_their_tiers_become_tenants(shell: Shell) -> None:
    """Reserved units are included, thresholds are bounds behind them, the last tier goes on without bound."""
    catalog, _ = catalog_of(shell, RESERVED)
    acme, museum = catalog.file.tenants["acme"], catalog.file.tenants["museum"]
    assert {meter: line.included for meter, line in acme.usage.items()} == {"vex": 10000, "fu": 50000}
    overage = acme.usage["vex"].overage
    assert isinstance(overage, Overage)
    steps = [(each.up_to, each.unit_amount) for each in catalog.file.tiers[overage.tiers or ""].steps]
    assert steps == [(5000, Decimal("0.005")), ("inf", Decimal("0.008"))]
    assert museum.usage["vex"].overage == "deny"
    assert acme.metadata == {"tenant_id": "acme-corp"}


def test_a_first_threshold_of_nothing_is_a_lower_bound(shell: Shell) -> None:
    """Where thresholds begin at 0, each is where its price begins."""
    tiers = [{"threshold": 0, "price_per_unit": 0.01}, {"threshold": 50000, "price_per_unit": 0.005}]
    catalog, said = catalog_of(shell, {"corp": {"vex_reserved": 5, "vex_overage_tiers": tiers}})
    (table,) = catalog.file.tiers.values()
    assert [(each.up_to, each.unit_amount) for each in table.steps] == [
        (50000, Decimal("0.01")),
        ("inf", Decimal("0.005")),
    ]
    assert "the first threshold is 0" in said


@pytest.mark.parametrize("place", ["$.acme.allowlist", "stripe_item", "$.acme.subscription_plan", "last tier"])
def test_what_is_not_carried_over_is_said_twice(place: str, shell: Shell) -> None:
    """Everything left out of a reserved.json stands on stderr and in a comment."""
    _, said = catalog_of(shell, RESERVED)
    assert place in said
    assert place in texts()


def test_plans_of_tier_become_plans(shell: Shell) -> None:
    """Base prices add up, free units are included, the newest version is sold, an end of usage is a limit."""
    catalog, said = catalog_of(shell, TIER)
    plans = catalog.file.plans
    assert (plans["pro"].status, plans["pro-v0"].status) == ("active", "legacy")
    assert plans["pro"].prices["monthly"].amount == 100
    assert plans["free"].usage["lists"].included == 5
    assert plans["free"].usage["lists"].overage == "deny"
    lists = plans["pro"].usage["lists"]
    assert isinstance(lists.overage, Overage)
    table = catalog.file.tiers[lists.overage.tiers or ""]
    assert lists.included == 10
    assert [(each.up_to, each.unit_amount, each.flat_amount) for each in table.steps] == [
        (90, Decimal("0.50"), Decimal("1.00")),
        ("inf", Decimal("0.255"), None),
    ]
    assert [(each.of, each.max) for each in plans["pro"].limits] == [("gb", 100)]
    assert "max" in said
    assert "permLink: not carried over" in said
    assert "peak" not in plans["pro"].usage


def test_a_plan_of_tier_costs_what_it_cost(shell: Shell) -> None:
    """Fifty-one lists of the pro plan are 10 free, a flat 1.00 and 41 at 0.50, beside the base of 100.00."""
    catalog, _ = catalog_of(shell, TIER)
    rate = of_plan(catalog.file, "pro").usage["lists"].rate
    assert cost(rate, 10) == 0
    assert cost(rate, 51) == 2150


def test_reserved_units_cost_what_they_cost(shell: Shell) -> None:
    """10,000 exchanges are reserved, 5,000 more cost 0.005 each and whatever follows 0.008: 26,000 cost 113.00."""
    catalog, _ = catalog_of(shell, RESERVED)
    overage = catalog.file.tenants["acme"].usage["vex"].overage
    assert isinstance(overage, Overage)
    (price,) = (each for each in desire(catalog) if each.address == "tenants.acme.usage.vex")
    bounds = [tier["up_to"] for tier in price.values["tiers"]]
    amounts = [Decimal(tier["unit_amount_decimal"]) for tier in price.values["tiers"]]
    assert bounds == [10000, 15000, "inf"]
    assert 5000 * amounts[1] + 11000 * amounts[2] == 11300


def test_fixtures_become_what_they_would_have_made(shell: Shell) -> None:
    """Requests are made in a sandbox of their own and pulled; what is no part of a catalogue is named."""
    catalog, said = catalog_of(shell, FIXTURES)
    (price,) = (each for each in desire(catalog) if each.kind.name == "price")
    assert price.values["unit_amount_decimal"] == "4990.5"
    assert catalog.imports == {}
    assert "someone (customers)" in said
    assert "someone (customers)" in texts()
    assert "jane" not in texts() + said


def test_fixtures_that_stripe_would_refuse_are_refused(shell: Shell) -> None:
    """A request that fails is named, and nothing is written."""
    broken = {**FIXTURES, "fixtures": [{"name": "x", "path": "/v1/prices", "method": "post", "params": {}}]}
    done = converted(shell, broken)
    assert done.code != 0
    assert "x" in done.err
    assert not Path("billing.d").exists()


def test_formats_are_told_apart() -> None:
    """Each format is recognised by its shape, and anything else by none."""
    assert [detect(RESERVED), detect(FIXTURES), detect({"plans": {"plan:a@0": {}}})] == ["reserved", "fixtures", "tier"]
    assert [detect(each) for each in ({}, [], None, {"plans": {}}, {"a": {"b": 1}})] == [None] * 5


BAD = {
    "not json": ('{"acme": {"vex_reserved": }}', "given.json:1:27", "E1045"),
    "twice": ('{"a": {"vex_reserved": 1}, "a": {"vex_reserved": 2}}', "'a' stands twice", "E1045"),
    "nan": ('{"a": {"vex_reserved": NaN}}', "NaN is no number", "E1045"),
    "deep": ("[" * 100_000, "nested too deeply", "E1045"),
    "huge": ('{"a": {"vex_reserved": 1e999999}}', "out of all bounds", "E1045"),
    "negative": ('{"a": {"vex_reserved": -1}}', "$.a.vex_reserved", "E1047"),
    "fraction": ('{"a": {"vex_reserved": 1.5}}', "$.a.vex_reserved", "E1047"),
    "no price": (
        '{"a": {"vex_overage_tiers": [{"threshold": 5}]}}',
        "$.a.vex_overage_tiers[0].price_per_unit",
        "E1047",
    ),
    "no list": ('{"a": {"vex_overage_tiers": {}}}', "$.a.vex_overage_tiers", "E1047"),
    "a plan's name": ('{"plans": {"plan:a@0": {}, "b": {}}}', "$.plans.b", "E1047"),
    "an interval": ('{"plans": {"plan:a@0": {"interval": "@hourly"}}}', "$.plans.plan:a@0.interval", "E1047"),
    "a currency": ('{"plans": {"plan:a@0": {"currency": "xyz"}}}', "$.plans.plan:a@0.currency", "E1047"),
    "tiers": (
        '{"plans": {"plan:a@0": {"features": {"feature:b": {"tiers": [{"upto": 5}, {"upto": 5}]}}}}}',
        "$.plans.plan:a@0.features.feature:b.tiers[1].upto",
        "E1047",
    ),
    "unknown": ('{"name": "package"}', "--format", "E1046"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_with_its_place(case: str, shell: Shell) -> None:
    """The message names line and column of text, or the JSON path of a value; nothing is written."""
    text, place, code = BAD[case]
    done = converted(shell, text)
    assert done.code in (1, 3, 64)
    assert place in done.err
    assert code in done.err
    assert not Path("billing.d").exists()


keys = st.sampled_from(
    "plans plan:a@0 features feature:b tiers upto price base currency interval title a vex_reserved vex_overage_tiers "
    "threshold price_per_unit fixtures name path method params".split()
)
values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-5, 10**20),
        st.text(max_size=6),
        st.sampled_from(["0.5", "@monthly", "/v1/products", "post"]),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(value=values, form=st.sampled_from([None, "reserved", "tier", "fixtures"]))
def test_no_input_raises_anything_but_a_refusal(
    value: Any, form: str | None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever JSON is given, and whatever it is said to be, the answer is files that are valid, or a refusal."""
    source = tmp_path_factory.getbasetemp() / "fuzz.json"
    source.write_text(json.dumps(value), encoding="utf-8")
    with contextlib.suppress(ReconcilerError):
        assert convert(source, form, "acme").files


@pytest.mark.parametrize(
    "arguments",
    [
        ("--from", "given.json"),
        ("--from", "given.json", "--out", "billing.d", "--match"),
        ("--from", "given.json", "--out", "billing.d", "--format", "json"),
        ("plans.pro", "prod_1", "--out", "billing.d"),
    ],
)
def test_ways_to_import_are_not_mixed(arguments: tuple[str, ...], shell: Shell) -> None:
    """A file is turned into a directory, and nothing else at once."""
    assert shell("import", *arguments).code == 64


def test_a_dry_run_writes_no_file(shell: Shell) -> None:
    """--dry-run names the files and notes, and writes none; a directory that is not empty is refused."""
    assert converted(shell, RESERVED, "--dry-run").code == 0
    assert not Path("billing.d").exists()
    assert converted(shell, RESERVED).code == 0
    assert converted(shell, RESERVED).code == 1


def test_where_nothing_tells_the_format_somebody_is_asked(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal the format is asked for; an answer that is none is refused."""
    monkeypatch.setattr(import_, "is_terminal", lambda _stream: True)
    monkeypatch.setattr(App, "ask", lambda _app, _question, _flag: "reserved")
    done = converted(shell, {"acme": {}})
    assert (done.code, "it needs a plan" in done.err) == (0, True)
    monkeypatch.setattr(App, "ask", lambda _app, _question, _flag: "nonsense")
    assert converted(shell, {"acme": {}}).code == 1
    assert shell("import", "--from", "given.json", "--out", "other.d").code == 64
