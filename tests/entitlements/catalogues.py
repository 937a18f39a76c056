"""Catalogues at random: every kind of term with numbers small enough that a few calls meet every bound."""

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Africa/Cairo", "America/St_Johns")
TOOLS = ("search", "search", "search", "parse", "exchange", "special", "free-tool", "team/draw")
METERS = ("calls", "vex", "fu")
some = st.integers(0, 6)
few = st.integers(1, 6)
price = st.sampled_from(["0.01", "0.005", "0.1", "1", "2.50", "0"])
credit = st.sampled_from(["0", "0.5", "1", "2", "3", "0.000001", "10"])
per = st.sampled_from(["hour", "day", "week", "month", "year"])
intervals = st.sampled_from(["month", "month", "day", "week", "year"])


@st.composite
def limits(draw: Any) -> list[dict[str, Any]]:
    """Draw limits: rates with and without a burst, quotas by period, on a meter, a tool, a glob."""
    found = {}
    for of in draw(st.lists(st.sampled_from(["calls", "*", "search", "vex", "team/*"]), max_size=3)):
        kind = draw(st.sampled_from(["rate", "quota"]))
        limit = {"of": of, "max": draw(few), "kind": kind}
        if kind == "rate":
            limit["per"] = draw(st.sampled_from(["second", "minute", "hour", "day"]))
            if draw(st.booleans()):
                limit["burst"] = draw(few)
        else:
            limit["per"] = draw(per)
            if limit["per"] == "month" and draw(st.booleans()):
                limit["resets_on"] = draw(st.sampled_from([1, 15, 29, 31]))
        found[of, limit["per"], kind] = limit
    return list(found.values())


@st.composite
def denied(draw: Any) -> dict[str, Any]:
    """Draw a line whose units are not sold beyond the included ones."""
    line = {"included": draw(some), "per": draw(per), "overage": "deny"}
    if line["per"] == "month" and draw(st.booleans()):
        line["resets_on"] = draw(st.sampled_from([1, 15, 29, 31]))
    return line


@st.composite
def sold(draw: Any, interval: str = "month") -> dict[str, Any]:
    """Draw a line whose units are sold by Stripe's own metered price."""
    overage = draw(st.sampled_from([{"unit_amount": "0.25"}, {"tiers": "falling"}]))
    return {"included": draw(some), "interval": interval, "overage": dict(overage)}


@st.composite
def discounts(draw: Any, scope: str, kinds: tuple[str, ...]) -> dict[str, Any]:
    """Draw steps of a discount: by percentage, or with a price in place of the default, the first perhaps without."""
    first, second = draw(few), draw(few)
    steps: list[dict[str, Any]] = [{"up_to": first}, {"up_to": first + second}, {"up_to": "inf"}]
    for step in steps[draw(st.integers(0, 1)) :]:
        kind = draw(st.sampled_from(kinds))
        step[kind] = draw(st.sampled_from(["10", "50", "100"] if kind == "percent_off" else ["0.5", "0", "3"]))
    return {"scope": scope, "steps": steps}


@st.composite
def calls(draw: Any, scope: str) -> dict[str, Any]:
    """Draw prices of calls."""
    terms: dict[str, Any] = {"tools": {"parse": draw(price), "free-tool": "0", "team/*": draw(price)}}
    if draw(some):
        terms["default"] = draw(st.sampled_from(["1", "0", "0.25"]))
    if draw(st.booleans()):
        terms["minimum"] = draw(st.sampled_from(["0.1", "2"]))
    if draw(st.booleans()):
        terms["discounts"] = draw(discounts(scope, ("percent_off", "unit_amount")[: 1 + ("default" in terms)]))
    return terms


@st.composite
def costs(draw: Any, *, keep: bool = False) -> dict[str, Any]:
    """Draw credits of calls and of a month."""
    terms: dict[str, Any] = {"tools": {"parse": draw(credit), "free-tool": "0", "team/*": draw(credit)}}
    terms["included"] = draw(st.sampled_from(["0", "3", "5.5", "20"]))
    if draw(some):
        terms["default"] = draw(credit)
    if keep:
        terms["rollover"] = True
    if draw(st.booleans()):
        terms["auto_recharge"] = {"below": draw(st.sampled_from(["1", "5", "100"])), "pack": "small"}
    return terms


@st.composite
def mixed(draw: Any) -> dict[str, Any]:
    """Draw a plan with several sources in an order of its own."""
    sources = draw(st.permutations(["usage", "credits", "per_call"]))[: draw(st.integers(2, 3))]
    interval = "month" if "per_call" in sources else draw(intervals)
    plan: dict[str, Any] = {"name": "Mixed", "pay": sources}
    if "usage" in sources:
        plan["usage"] = {"calls": draw(denied()), "vex": draw(sold(interval))}
    if "credits" in sources:
        plan["credits"] = draw(costs())
    if "per_call" in sources:
        plan["per_call"] = draw(calls("tool"))
    return plan


@st.composite
def drawn(draw: Any) -> dict[str, Any]:
    """Draw a plan whose minimum draws its units to the spend meter."""
    usage = {"calls": {"included": draw(some), "overage": {"tiers": "falling"}}, "vex": draw(denied())}
    return {"usage": usage, "minimum": {"per_month": "5"}}


@st.composite
def priced(draw: Any) -> dict[str, Any]:
    """Draw a plan that sells units of every meter."""
    interval = draw(intervals)
    return {"usage": {meter: draw(sold(interval)) for meter in ("fu", "vex", "calls")}}


@st.composite
def packed(draw: Any) -> dict[str, Any]:
    """Draw a plan that sells packages of units."""
    packs = {"divide_by": 3, "round": draw(st.sampled_from(["up", "down"]))}
    return {
        "usage": {"calls": {"included": draw(some), "overage": {"unit_amount": "0.75", "transform_quantity": packs}}}
    }


@st.composite
def overdraw(draw: Any) -> dict[str, Any]:
    """Draw a plan whose units beyond the included ones cost credits."""
    calls = {"included": draw(some), "per": draw(per), "overage": {"credits": draw(credit)}}
    fu = {"included": draw(some), "overage": {"credits": "0.5"}}
    return {"usage": {"calls": calls, "fu": fu, "vex": draw(denied())}}


KINDS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "deny": st.fixed_dictionaries(
        {
            "usage": st.fixed_dictionaries({"calls": denied(), "vex": denied()}),
            "tools": st.just(["search", "ex*", "team/*"]),
        }
    ),
    "priced": priced(),
    "drawn": drawn(),
    "volume": few.map(lambda number: {"usage": {"calls": {"included": number, "overage": {"tiers": "volume"}}}}),
    "packed": packed(),
    "overdraw": overdraw(),
    "credits": costs().map(lambda terms: {"credits": terms, "features": ["pro"]}),
    "keep": costs(keep=True).map(lambda terms: {"credits": terms}),
    "mixed": mixed(),
    "calls": calls("tool").map(lambda terms: {"per_call": terms}),
    "tenant-calls": calls("tenant").map(lambda terms: {"per_call": terms, "features": ["pro"]}),
    "flat": st.just({"prices": {"monthly": {"amount": "9", "interval": "month"}}, "default_price": "monthly"}),
}


@st.composite
def catalogue(draw: Any, zone: str, plans: Sequence[str]) -> str:
    """Draw a whole catalogue with plans of some kinds, in a time zone, as JSON, which is YAML.

    There is also a plan ``hidden``, which nobody may have where it is a draft.
    """
    settings: dict[str, Any] = {"namespace": "acme", "default_meter": "calls", "timezone": zone}
    settings["past_due_grace_days"] = draw(st.sampled_from([0, 1, 7]))
    if draw(st.booleans()):
        settings["default_plan"] = draw(st.sampled_from(plans))
    own: dict[str, Any] = {"name": "Own", "tools": ["search", "exchange"], "usage": {"calls": draw(denied())}}
    own["credits"] = [{"id": "welcome", "amount": draw(few), "expires": "2027-02-10"}]
    vip: dict[str, Any] = {"name": "Vip", "plan": draw(st.sampled_from(plans)), "limits": draw(limits())}
    vip |= {"usage": {"fu": draw(denied())}, "features": ["pro"], "tools": ["parse"]}
    if draw(st.booleans()):
        vip["credits"] = [{"id": "gift", "amount": draw(few)}, {"id": "old", "amount": 1, "expires": "2026-12-31"}]
    file = {
        "settings": settings,
        "meters": {meter: {"name": meter} for meter in METERS},
        "features": {"pro": {"name": "Pro"}},
        "tools": {
            "parse": {"quantity": {"from": "argument.rows", "per": 3, "round": draw(st.sampled_from(["up", "down"]))}},
            "exchange": {"counts": {"vex": 1, "fu": {"from": "result.units"}}},
            "special": {"requires": ["pro"], "counts": {"calls": draw(few)}},
        },
        "tiers": {
            "falling": {"steps": [{"up_to": draw(few), "unit_amount": "1"}, {"up_to": "inf", "unit_amount": "0.5"}]},
            "volume": {
                "mode": "volume",
                "steps": [
                    {"up_to": draw(few), "unit_amount": "1", "flat_amount": draw(st.sampled_from(["0", "3"]))},
                    {"up_to": "inf", "unit_amount": "0.5"},
                ],
            },
        },
        "plans": {name: {**draw(KINDS[name]), "name": name, "limits": draw(limits())} for name in plans},
        "credit_packs": {
            "small": {"name": "Small", "credits": "5", "bonus": "1.5", "price": "9.99", "expires_after": "1 month"},
            "large": {"name": "Large", "credits": "10", "price": "19.99", "expires_after": "10 days"},
        },
        "tenants": {"acme": {"name": "Acme", "plan": draw(st.sampled_from(plans))}, "own": own, "vip": vip},
    }
    status = draw(st.sampled_from(["draft", "legacy"]))
    file["plans"]["hidden"] = {"name": "Hidden", "credits": {"default": "1", "included": "2"}, "status": status}
    return json.dumps(file, indent=1)
