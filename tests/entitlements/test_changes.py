"""What changes between two policies: nothing for equal ones, every edit, and calls as the runtime decides them."""

import hashlib
import json
import random
from collections.abc import Iterator
from copy import deepcopy
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from reconciler.entitlements import Decision, Entitlements, Policy
from reconciler.entitlements.changes import CallChange, Changes, changes
from reconciler.entitlements.compile import compile_directory
from reconciler.ledger.book import Book, Lot
from reconciler.ledger.jobs import Found, Job

from .worlds import HandClock, policy

ROOT = Path(__file__).parents[2]
BASE = """
settings: {namespace: acme, default_meter: calls, default_plan: free}
meters: {calls: {name: Calls}, tokens: {name: Tokens}}
features: {reports: {name: Reports}}
tiers:
  steps: {steps: [{up_to: 100, unit_amount: 0.05, flat_amount: 1.00}, {up_to: inf, unit_amount: 0.04}]}
tools:
  report: {requires: [reports]}
  rows: {quantity: {from: argument.rows, per: 100, round: up}}
  chat: {counts: {calls: 1, tokens: {from: result.tokens}}}
plans:
  pro:
    name: Pro
    prices: {monthly: {amount: 49, interval: month}}
    usage:
      calls: {included: 5000, overage: {unit_amount: 0.25}}
      tokens: {included: 100, overage: {tiers: steps}}
    features: [reports]
    limits: [{of: chat, max: 50, per: hour, kind: quota}, {of: "*", max: 10, per: minute, kind: rate, burst: 20}]
  payg:
    name: Pay
    per_call:
      default: 1.00
      tools: {chat: 5.00, "rows*": 0.50, echo: 0}
      minimum: 0.25
      discounts: {scope: tool, steps: [{up_to: 100}, {up_to: inf, percent_off: 10}]}
  credits:
    name: Credits
    credits: {default: 1, tools: {chat: 10}, included: 5}
  free:
    name: Free
    usage: {calls: {included: 100, per: month, overage: deny}}
    tools: [echo, "look-*"]
credit_packs:
  small: {name: Small, credits: 100, price: 9.99}
tenants:
  acme: {name: Acme, plan: pro}
  zoo: {name: Zoo, plan: pro}
  bank:
    name: Bank
    plan: pro
    usage: {calls: {included: 9000, overage: {unit_amount: 0.20}}}
    credits: [{id: welcome, amount: 5, reason: hello}]
    api_keys: [{id: ci, sha256: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}]
"""


@cache
def base() -> Policy:
    """Compile the sample once."""
    return policy(BASE)


def edited(*edits: tuple[str, str]) -> Changes:
    """Compare the sample with itself after replacing texts, each of which stands there once."""
    text = BASE
    for old, new in edits:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return changes(base(), policy(text))


def loaded(content: dict[str, Any]) -> Policy:
    """Return a policy with this content."""
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=True)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Policy.load(json.dumps({"format": 1, "digest": digest, "content": content}))


def said(found: Changes, of: str) -> dict[tuple[str, int, str, int], tuple[str, str, str]]:
    """Return the calls that change for someone: tool, quantity, counter and count to effect and both prices."""
    calls = [call for group in found.groups if of in group.of for call in group.calls]
    return {
        (call.name, *call.spot): (call.effect, _short(call.before), _short(call.after)) for call in calls if call.name
    }


def _short(outcome: Any) -> str:
    return f"{outcome.cost} {outcome.unit}".strip() if outcome.allowed else outcome.reason


@pytest.mark.parametrize("make", [base, lambda: compile_directory(ROOT / "billing.d")], ids=["sample", "company"])
def test_equal_policies_differ_in_nothing(make: Any) -> None:
    """A policy and its copy read back from a file give no change, and that is false."""
    one = make()
    found = changes(one, Policy.load(one.dump()))
    assert (bool(found), found.terms, found.groups) == (False, (), ())


def test_a_dearer_unit_is_dearer_behind_what_is_included() -> None:
    """A price of overage changes no call within what is included, and every one behind it, for whom it concerns."""
    found = edited(("overage: {unit_amount: 0.25}", "overage: {unit_amount: 0.30}"))
    assert [term.address for term in found.terms] == ["plans.pro.lines.calls.rate.brackets"]
    assert said(found, "plans.pro")[("*", 1, "usage/calls", 5000)] == ("dearer", "0.25 usd", "0.3 usd")
    assert ("*", 1, "", 0) not in said(found, "plans.pro")
    (group,) = found.groups
    assert (group.of, group.tenants) == (("plans.pro",), ("acme", "zoo"))


def test_fewer_included_units_are_dearer_where_they_were_free() -> None:
    """With fewer included units the calls in between cost what was free before; those behind stay as they are."""
    found = said(edited(("included: 5000", "included: 4000")), "plans.pro")
    assert found[("*", 1, "usage/calls", 4000)] == ("dearer", "0", "0.25 usd")
    assert max(used for name, _, counter, used in found if name == "*" and counter == "usage/calls") == 4000


def test_what_is_refused_and_what_is_allowed() -> None:
    """A tool taken out of a plan is refused, one put in is allowed, and the file's line is named."""
    found = edited(("tools: [echo, ", "tools: [sing, "))
    calls = said(found, "plans.free")
    assert calls[("echo", 1, "", 0)] == ("refused", "0", "tool_not_in_plan")
    assert calls[("sing", 1, "", 0)] == ("allowed", "tool_not_in_plan", "0")
    assert ("look-*", 1, "", 0) not in calls
    (term,) = found.terms
    assert (term.address, term.source.rpartition(":")[0]) == ("plans.free.tools", "billing.d/test.yaml:30")


def test_a_price_finer_than_a_millionth_is_compared_exactly() -> None:
    """Tokens at fractions of a millionth become dearer by their exact price."""
    old = BASE.replace("included: 5000, overage: {unit_amount: 0.25}", "overage: {unit_amount: 0.00000015}")
    found = changes(policy(old), policy(old.replace("0.00000015", "0.00000016")))
    call = next(call for group in found.groups for call in group.calls if call.name == "*")
    assert (call.effect, call.before.cost, call.after.cost) == ("dearer", Decimal("1.5E-7"), Decimal("1.6E-7"))


def test_a_removed_plan_refuses_its_subscribers_and_a_new_one_is_no_change_for_anybody() -> None:
    """Who has a plan that is gone can call nothing; a plan nobody has yet is a term only."""
    gone = edited(("  payg:\n", "  paid:\n"))
    assert said(gone, "plans.payg")[("chat", 1, "", 0)] == ("refused", "5 usd", "subscription_inactive")
    assert {group.of for group in gone.groups} == {("plans.payg",)}
    assert [term.address for term in gone.terms] == ["plans.paid", "plans.payg"]


def test_tenants_who_change_alike_are_told_of_once() -> None:
    """Tenants moved to another plan are one group; one with a line of its own is told of apart, with its own price."""
    moved = edited(
        ("acme: {name: Acme, plan: pro}", "acme: {name: Acme, plan: free}"),
        ("zoo: {name: Zoo, plan: pro}", "zoo: {name: Zoo, plan: free}"),
    )
    (group,) = moved.groups
    assert (group.of, group.tenants) == (("tenants.acme", "tenants.zoo"), ("acme", "zoo"))
    own = edited(("0.20", "0.10"))
    assert [group.of for group in own.groups] == [("tenants.bank",)]
    assert said(own, "tenants.bank")[("*", 1, "usage/calls", 9000)] == ("cheaper", "0.2 usd", "0.1 usd")


def test_strangers_are_told_of_when_their_plan_is_another() -> None:
    """Another default plan changes the calls of tenants that are not in the files, and of nobody else."""
    found = edited(("default_plan: free", "default_plan: pro"))
    assert [group.of for group in found.groups] == [("strangers",)]
    assert said(found, "strangers")[("*", 1, "", 0)] == ("allowed", "tool_not_in_plan", "0")


def test_a_block_of_another_size_is_seen_by_calls_of_its_size() -> None:
    """Halving the block doubles the price of a call that filled one, and leaves a small call as it is."""
    found = said(edited(("per: 100, round", "per: 50, round")), "plans.payg")
    assert found[("rows", 100, "", 0)] == ("dearer", "0.5 usd", "1 usd")
    assert ("rows", 1, "", 0) not in found


def test_changes_are_json_and_the_same_every_time() -> None:
    """The data is what JSON gives back, sorted by address, and does not depend on the order of the files."""
    found = edited(("included: 5000", "included: 4000"), ("max: 50,", "max: 40,"))
    assert json.loads(json.dumps(found.as_json())) == json.loads(json.dumps(found.as_json(), sort_keys=True))
    assert [term.address for term in found.terms] == sorted(term.address for term in found.terms)
    other = loaded(dict(reversed(json.loads(json.dumps(base().content())).items())))
    assert changes(other, policy(BASE.replace("included: 5000", "included: 4000"))).as_json() == {
        **edited(("included: 5000", "included: 4000")).as_json()
    }


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Yield every number, text, truth and nothing of JSON with its path, places in files apart."""
    if isinstance(value, dict):
        for name, item in value.items():
            if name not in {"source", "config_digest"}:
                yield from leaves(item, (*path, name))
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from leaves(item, (*path, place))
    else:
        yield path, value


@cache
def content() -> dict[str, Any]:
    """Return the sample's tables as JSON."""
    return json.loads(json.dumps(base().content()))


def another(value: Any) -> Any:
    """Return a value of the same type that is not the same."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    return f"{value}x" if isinstance(value, str) else value


#: Only some words stand here; another one is no policy.
ENUMERATED = {"meter", "of", "per", "kind", "mode", "over", "zone", "interval"}


@given(st.sampled_from([leaf for leaf in leaves(content()) if leaf[1] is not None]))
def test_every_edit_is_reported(leaf: tuple[tuple[str | int, ...], Any]) -> None:
    """Whatever one value of a policy is changed, the change says so, with the value it had and the one it has."""
    path, value = leaf
    assume(path[-1] not in ENUMERATED)
    whole = deepcopy(content())
    inside = whole
    for step in path[:-1]:
        inside = inside[step]
    inside[path[-1]] = another(value)
    after = loaded(whole)
    found = changes(base(), after)
    assert found, path
    assert changes(after, base()).terms == tuple(
        term._replace(before=term.after, after=term.before) for term in found.terms
    )
    assert any(_holds(term.before, value) for term in found.terms), found.terms
    assert any(_holds(term.after, another(value)) for term in found.terms), found.terms


def _holds(whole: Any, value: Any) -> bool:
    return whole == value or any(item == value for _, item in leaves(whole))


EDITS = (
    ("included: 5000", "included: 20"),
    ("included: 5000", "included: 0"),
    ("unit_amount: 0.25", "unit_amount: 0.5"),
    ("unit_amount: 0.25", "unit_amount: 0.00000015"),
    ("overage: {unit_amount: 0.25}", "overage: deny"),
    ("{included: 5000, overage: {unit_amount: 0.25}}", "{included: 10, per: month, overage: {credits: 2}}"),
    ("up_to: 100, unit_amount: 0.05", "up_to: 3, unit_amount: 0.07"),
    ("{up_to: inf, unit_amount: 0.04}", "{up_to: inf, unit_amount: 0.01, flat_amount: 2}"),
    ("max: 50, per: hour", "max: 2, per: hour"),
    ("max: 50, per: hour", "max: 50, per: day"),
    ("burst: 20", "burst: 10"),
    ("features: [reports]", "features: []"),
    ("chat: 5.00", "chat: 0.10"),
    ("echo: 0", "echo: 0.01"),
    ("minimum: 0.25", "minimum: 0.75"),
    ("percent_off: 10", "percent_off: 50"),
    ("[{up_to: 100}, ", "[{up_to: 4}, "),
    ("scope: tool", "scope: tenant"),
    ("default: 1.00", "default: 2.00"),
    ("default: 1, tools: {chat: 10}", "tools: {chat: 11}"),
    ("included: 100, per: month", "included: 3, per: day"),
    ("tools: [echo, ", "tools: ["),
    ("per: 100, round: up", "per: 10, round: down"),
    ("default_plan: free", "default_plan: credits"),
    ("default_meter: calls", "default_meter: tokens"),
    ("zoo: {name: Zoo, plan: pro}", "zoo: {name: Zoo, plan: payg, features: [reports]}"),
    ("{included: 9000, overage: {unit_amount: 0.20}}", "{included: 9, overage: {unit_amount: 0.10}}"),
)


def decide(side: Policy, of: str, name: str, *, meter: bool, quantity: int, counter: str, used: int) -> Decision:
    """Ask the runtime itself about a call, with plenty of credits and one counter as it is told."""
    kind, _, target = of.partition(".")
    tenant = target if kind == "tenants" else "somebody"

    def act(book: Book, now: int, _found: Found) -> None:
        book.grant(Lot("plenty", 10**15, 10**15, 50, None, now, ""))
        if counter:
            book.counters[counter] = [now, used]
        book.enter("grant", now, None)

    with Entitlements.open(side, "sqlite://", mode="direct", clock=HandClock()) as ent:
        if kind == "plans":
            ent.set_subscription(tenant, status="active", plan=target)
        ent.ledger.submit(Job(tenant, act))
        known = side.tools.of(name)
        units = {m: 1 for m, n in known.counts.items() if isinstance(n, str)} if known and not meter else None
        if meter:
            return ent.check(tenant, meter=name, units={name: 1})
        return ent.check(tenant, name, quantity=quantity, units=units)


def heard(decision: Decision) -> tuple[Any, ...]:
    """Return what a change says about a call."""
    cost = decision.price
    unit = decision.unit if cost is None or cost else ""
    return (True, "ok", decision.paid_by, cost, unit) if decision else (False, decision.reason, "", Decimal(0), "")


def agrees(outcome: Any, decision: Decision) -> bool:
    """Tell whether an outcome is a decision; a price that no decision can hold is none there."""
    told = heard(decision)
    return tuple(outcome) == told or (told[3] is None and (*outcome[:3], None, outcome[4]) == told)


pairs = st.lists(st.sampled_from(EDITS), unique_by=lambda edit: edit[0], min_size=1, max_size=3)


def applied(edits: list[tuple[str, str]]) -> Policy | None:
    """Return the sample after edits; ``None`` where one took the text of another away."""
    text = BASE
    for old, new in edits:
        if text.count(old) != 1:
            return None
        text = text.replace(old, new)
    return policy(text)


@settings(max_examples=40)
@given(pairs, st.randoms(use_true_random=False))
def test_what_is_said_of_a_call_is_what_the_runtime_decides(edits: list[tuple[str, str]], draw: Any) -> None:
    """Every call that is told of is decided by both policies as it says."""
    after = applied(edits)
    assume(after is not None)
    assert after is not None
    told: list[tuple[str, CallChange]] = [
        (group.of[0], call) for group in changes(base(), after).groups for call in group.calls
    ]
    for of, call in draw.sample(told, min(len(told), 8)):
        given = {"meter": call.meter, **call.spot._asdict()}
        assert agrees(call.before, decide(base(), of, call.name, **given)), call
        assert agrees(call.after, decide(after, of, call.name, **given)), call


SUBJECTS = ("plans.pro", "plans.payg", "plans.credits", "plans.free", "tenants.zoo", "tenants.bank", "strangers")
NAMES = ("chat", "rows", "report", "echo", "look-up", "anything", "rows-fast")
#: What speaks for tools that no file names.
SPOKEN_FOR = {"look-up": "look-*", "rows-fast": "rows*", "anything": "*"}
COUNTERS = ("", "usage/calls", "usage/tokens", "limit/chat/hour/1", "per_call/chat", "per_call")


@pytest.mark.parametrize("edit", EDITS, ids=[f"{number}-{new[:30]}" for number, (_, new) in enumerate(EDITS)])
def test_no_call_changes_in_silence(edit: tuple[str, str]) -> None:
    """Where the runtime decides a call otherwise, its tool, or the pattern that speaks for it, is told of."""
    after = applied([edit])
    assert after is not None
    told: dict[str, set[str]] = {}
    for group in changes(base(), after).groups:
        for of in group.of:
            told.setdefault(of, set()).update(call.name for call in group.calls)
    draw = random.Random(str(edit))
    for _ in range(60):
        of, name, counter = draw.choice(SUBJECTS), draw.choice(NAMES), draw.choice(COUNTERS)
        used = draw.choice((0, 2, 3, 9, 20, 99, 100, 4999, 5000, 8999, 9000)) if counter else 0
        spot = {"meter": False, "quantity": draw.choice((1, 10, 100)), "counter": counter, "used": used}
        if heard(decide(base(), of, name, **spot)) != heard(decide(after, of, name, **spot)):
            people = {of, "plans.pro"} if of == "tenants.zoo" else {of, "plans.free"} if of == "strangers" else {of}
            names = {heard_of for one in people for heard_of in told.get(one, ())}
            assert SPOKEN_FOR.get(name, name) in names, (of, name, spot)
