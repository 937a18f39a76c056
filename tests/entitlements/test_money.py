"""Two ways to the same money: what the runtime books call by call, and what pricing bills for the whole month."""

from dataclasses import replace
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.config.catalog import Catalog, catalog_from_text, load_catalog
from reconciler.entitlements import Decision, Entitlements
from reconciler.entitlements.compile import compile_catalog
from reconciler.money import exponent
from reconciler.pricing.calls import Made
from reconciler.pricing.lines import Usage, behind, spent
from reconciler.pricing.rating import ZERO, total
from reconciler.pricing.tariff import Tariff, of_plan, of_tenant

from .audit import audit
from .catalogues import catalogue
from .worlds import HandClock

DIRECTORY = Path(__file__).parents[2] / "billing.d"
SELLING = ("calls", "tenant-calls", "priced", "drawn", "volume", "packed")
TOOLS = ("search", "parse", "free-tool", "team/draw", "special")
calls_made = st.lists(st.tuples(st.sampled_from(TOOLS), st.integers(0, 5)), max_size=25)


@cache
def example() -> Catalog:
    """Load the example catalogue once."""
    return load_catalog(DIRECTORY)


def billed(tariff: Tariff, usage: Usage) -> tuple[Decimal, Decimal]:
    """Return a month's usage in millionths: through the spend meter, no least charge, and by Stripe's own prices."""
    unit = Decimal(10) ** (6 - exponent(tariff.currency))
    bare = replace(tariff, spend=replace(tariff.spend, minimum=ZERO) if tariff.spend else None)
    native = {meter: line for meter, line in tariff.usage.items() if not line.spent}
    lines = [each for meter, line in native.items() for each in behind(line, usage.units[meter], tariff.currency)]
    return total(line.exact for line in spent(bare, usage)) * unit, total(line.exact for line in lines) * unit


def agree(ent: Entitlements, tenant: str, tariff: Tariff, made: list[tuple[str, int, Decision]]) -> None:
    """Hold what was decided and booked against the bill of the same calls and units."""
    book, units = audit(ent, tenant), dict.fromkeys(tariff.usage, 0)
    for entry in ent.ledger.store.entries(tenant, limit=10_000):
        for transfer in entry.transfers:
            meter = transfer.source.removeprefix("metered:")
            if meter in units:
                units[meter] += transfer.amount
    calls = [Made(tool, 1, quantity) for tool, quantity, decision in made if decision.paid_by == "per_call"]
    through, apart = billed(tariff, Usage(units, calls))
    assert sum(sum(windows.values()) for meter, windows in book.used.items() if meter.startswith("spend.")) == through
    assert sum(decision.cost or 0 for _, _, decision in made) == through + apart


@given(st.data(), st.sampled_from(SELLING), calls_made)
def test_a_month_costs_what_its_calls_came_to(data: st.DataObject, kind: str, calls: list[tuple[str, int]]) -> None:
    """Calls by number, units by brackets, packages and volumes: the sum of the answers is the bill, to the decimal."""
    loaded, problems = catalog_from_text(data.draw(catalogue("UTC", [kind])))
    assert loaded is not None, problems
    with Entitlements.open(compile_catalog(loaded), "sqlite://", mode="direct", clock=HandClock()) as ent:
        ent.set_subscription("buyer", status="active", plan=kind)
        made = [(tool, quantity, ent.consume("buyer", tool, quantity=quantity)) for tool, quantity in calls]
        agree(ent, "buyer", of_plan(loaded.file, kind), [each for each in made if each[2].allowed])


@pytest.mark.parametrize("tenant", ["freight", "press", "bank", "robotics", "airline", "clinic", "museum"])
@given(parts=st.lists(st.tuples(st.sampled_from(["vex", "fu"]), st.integers(0, 3_000_000)), max_size=8))
def test_a_tenant_s_own_terms_cost_the_same(tenant: str, parts: list[tuple[str, int]]) -> None:
    """Reserved capacity and negotiated brackets, in any portions: what each came to adds up to the month's bill."""
    with Entitlements.open(compile_catalog(example()), "sqlite://", mode="direct", clock=HandClock()) as ent:
        made = [(meter, 1, ent.consume(tenant, meter=meter, quantity=number)) for meter, number in parts]
        agree(ent, tenant, of_tenant(example().file, tenant), [each for each in made if each[2].allowed])


@given(st.data(), st.sampled_from(SELLING), calls_made, st.sampled_from(TOOLS), st.integers(0, 5))
def test_a_reservation_costs_what_its_call_would(
    data: st.DataObject, kind: str, before: list[tuple[str, int]], tool: str, quantity: int
) -> None:
    """At any point of a month what is reserved is what is committed, and what the call itself would have cost."""
    loaded, _ = catalog_from_text(data.draw(catalogue("UTC", [kind])))
    assert loaded is not None
    policy, answers = compile_catalog(loaded), list[Any]()
    for reserves in (True, False):
        with Entitlements.open(policy, "sqlite://", mode="direct", clock=HandClock()) as ent:
            ent.set_subscription("buyer", status="active", plan=kind)
            for name, number in before:
                ent.consume("buyer", name, quantity=number)
            if reserves:
                held = ent.reserve("buyer", tool, quantity=quantity)
                ended = held.commit()
                assert ended.cost == held.decision.cost
            else:
                ended = ent.consume("buyer", tool, quantity=quantity)
            answers.append((ended.allowed, ended.cost, audit(ent, "buyer").used))
    assert answers[0] == answers[1]
