"""Every known billing model in use, through the runtime, from the example catalogue itself."""

from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest

from reconciler.config.catalog import load_catalog
from reconciler.entitlements import Decision, Entitlements, Policy
from reconciler.entitlements.compile import compile_catalog
from reconciler.entitlements.periods import micros
from reconciler.pricing.lines import Usage
from reconciler.pricing.subscription import Contract, bill
from reconciler.pricing.tariff import of_plan
from tests.example.cases import CASES

from .audit import audit
from .sequences import FEATURES, PACKS, QUANTITIES, SEQUENCES, START, TRIALS, Call, Grant, Left, Sequence, Use
from .worlds import HandClock

DIRECTORY = Path(__file__).parents[2] / "billing.d"


@cache
def policies() -> dict[str, Policy]:
    """Return the policy of the catalogue, and the same one read back from a compiled file."""
    made = compile_catalog(load_catalog(DIRECTORY))
    return {"yaml": made, "file": Policy.load(made.dump())}


def address(case: str, part: str) -> str:
    """Return the id in ``billing.d`` of a plan or pack of a case."""
    return CASES[case][part][0].split(".")[1]


def plan_of(case: str, plan: str | None) -> str:
    """Return the plan of a case in ``billing.d``: the named one, or the one all its parts are of."""
    if plan is not None:
        return address(case, f"plans.{plan}")
    (only,) = {address(case, part) for part in CASES[case] if CASES[case][part][0].startswith("plans.")}
    return only


def opened(source: str, clock: HandClock) -> Entitlements:
    """Open a runtime on the catalogue."""
    return Entitlements.open(policies()[source], "sqlite://", mode="direct", clock=clock)


@pytest.mark.parametrize("source", ["yaml", "file"])
@pytest.mark.parametrize("sequence", SEQUENCES, ids=lambda sequence: f"{sequence.case}-{sequence.plan}")
def test_a_sequence_comes_out_as_known(sequence: Sequence, source: str) -> None:
    """Every call of every known sequence is allowed, or refused with its reason, and leaves the known balance."""
    clock = HandClock(START)
    with opened(source, clock) as ent:
        ent.set_subscription("acme", status=sequence.status, plan=plan_of(sequence.case, sequence.plan))
        if sequence.credits:
            ent.grant("acme", sequence.credits, key="opening")
        for step in sequence.steps:
            if step.at is not None:
                clock.set(step.at)
            take(ent, sequence.case, step)
        audit(ent)


def take(ent: Entitlements, case: str, step: Call | Use | Grant | Left) -> None:
    """Take one step and hold it against what is known of it."""
    match step:
        case Call():
            for number in range(step.times):
                if number in {0, step.times - 1}:
                    judge(ent.check("acme", step.tool), step, case)
                judge(ent.consume("acme", step.tool), step, case)
        case Use():
            judge(ent.check("acme", meter=step.meter, quantity=step.units), step, case)
            judge(ent.consume("acme", meter=step.meter, quantity=step.units), step, case)
        case Grant():
            until = None if step.expires is None else datetime.fromisoformat(step.expires).replace(tzinfo=UTC)
            ent.grant("acme", step.credits, key=step.lot, expires=until)
        case Left():
            assert ent.balance("acme").credits == step.credits * 1_000_000


def judge(decision: Decision, step: Call | Use, case: str) -> None:
    """Compare an answer with what a step must come to; a refused rate and quota say when to come back."""
    assert (decision.allowed, decision.reason) == (step.refused is None, step.refused or "ok")
    if step.refused == "rate_limited":
        assert decision.retry_after is not None
        assert 0 < decision.retry_after <= 60_000_000
    if isinstance(step, Call):
        pack = None if step.recharge is None else address(case, f"credits.packs.{step.recharge}")
        assert decision.recharge == pack
    if isinstance(step, Call) and step.upgrade_to is not None:
        assert decision.remedy is not None
        assert (decision.remedy.kind, decision.remedy.id) == ("plan", plan_of(case, step.upgrade_to))


@pytest.mark.parametrize(("case", "plan", "feature", "granted"), FEATURES)
def test_a_plan_grants_its_features(case: str, plan: str, feature: str, *, granted: bool) -> None:
    """A feature is there under the plans that grant it, and no longer when the subscription ends."""
    with opened("yaml", HandClock(START)) as ent:
        assert not ent.feature("acme", feature)
        ent.set_subscription("acme", status="active", plan=plan_of(case, plan))
        assert ent.feature("acme", feature) == granted
        ent.set_subscription("acme", status="canceled", plan=plan_of(case, plan))
        assert not ent.feature("acme", feature)


@pytest.mark.parametrize(("case", "plan", "start", "end"), TRIALS)
def test_a_trial_entitles_and_costs_nothing(case: str, plan: str, start: str, end: str) -> None:
    """A trial lasts the plan's days, its first invoice is zero, and the trialing tenant may call."""
    begun, over = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (start, end))
    contract = Contract(of_plan(load_catalog(DIRECTORY).file, plan_of(case, plan)), begun)
    assert contract.anchor == over
    assert bill(contract, Usage({"calls": 3}), (begun, over)).total == 0
    assert bill(contract, Usage({"calls": 3}), (over, over + timedelta(days=31))).total > 0
    clock = HandClock(start)
    with opened("yaml", clock) as ent:
        ent.set_subscription("acme", status="trialing", plan=plan_of(case, plan), period=(begun, over))
        assert ent.consume("acme", "any-tool")
        clock.now = micros(over)
        ent.set_subscription("acme", status="active", plan=plan_of(case, plan), period=(over, over + timedelta(28)))
        assert ent.consume("acme", "any-tool")
        assert ent.balance("acme").allowances[0].used == 1


@pytest.mark.parametrize(("case", "pack", "credits", "price"), PACKS)
def test_a_pack_brings_what_it_sells(case: str, pack: str, credits: int, price: int) -> None:  # noqa: A002
    """A pack brings its credits with the bonus and costs its price."""
    name = address(case, f"credits.packs.{pack}")
    with opened("yaml", HandClock(START)) as ent:
        assert ent.grant("acme", pack=name, key="cs_1") == credits * 1_000_000
        sold = ent.policy.packs[name]
        assert (sold.price, sold.currency) == (price * 10_000, "usd")
        audit(ent)


@pytest.mark.parametrize(("case", "calls", "credits"), QUANTITIES)
def test_calls_cost_their_credits(case: str, calls: tuple[tuple[str, int, int], ...], credits: int) -> None:  # noqa: A002
    """Calls cost credits by their begun blocks; nothing is no block."""
    with opened("yaml", HandClock(START)) as ent:
        ent.set_subscription("acme", status="active", plan=plan_of(case, None))
        ent.grant("acme", 1000, key="opening")
        for tool, times, quantity in calls:
            for _ in range(times):
                assert ent.consume("acme", tool, quantity=quantity)
        assert ent.balance("acme").credits == (1000 - credits) * 1_000_000
        audit(ent)


def test_every_known_sequence_is_here() -> None:
    """None is missing: 22 sequences of 68 steps, 8 features, 2 trials, 7 packs, 7 quantities."""
    assert len(SEQUENCES) == 22
    assert sum(len(sequence.steps) for sequence in SEQUENCES) == 68
    assert (len(FEATURES), len(TRIALS), len(PACKS), len(QUANTITIES)) == (8, 2, 7, 7)
    assert {sequence.case for sequence in SEQUENCES} <= set(CASES)
