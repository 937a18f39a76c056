"""What the files say about calls, as immutable tables: all a decision needs, and one JSON file to ship it in.

Amounts are integers: credits in millionths, prices in millionths of the currency's major unit, instants in microseconds
since 1970, UTC. ``source`` is ``file:line:column`` of the YAML that says so.
"""

import hashlib
import json
from collections.abc import Mapping
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from reconciler.diagnostics.errors import ReconcilerError
from reconciler.ledger.entry import MAX_AMOUNT
from reconciler.pricing.calls import ByTool

FORMAT = 1
MICRO = 1_000_000
#: The spend meter of a currency is named by it behind this; no meter of the files can be.
SPEND = "spend."


def scaled(amount: Decimal | int) -> int:
    """Return a number of credits or major units in millionths; ValueError where that is not whole and above zero."""
    exact = Decimal(amount) * MICRO
    if exact <= 0 or exact != int(exact) or exact > MAX_AMOUNT:
        raise ValueError(f"{amount} is not an amount above zero with at most six decimals")
    return int(exact)


class PolicyError(ReconcilerError):
    """A policy file is not one, was altered, or is of another format."""


class Limit(NamedTuple):
    """At most ``max`` calls of the tools ``of`` stands for, or units of that meter, ``per`` period.

    A rate refills continuously and lets ``burst`` happen at one instant; a quota begins anew with its period.
    """

    of: str
    max: int
    per: str
    kind: str
    burst: int
    resets_on: int
    upgrade_to: str | None
    source: str


class Rate(NamedTuple):
    """What units cost beyond the included ones: brackets ``(up_to, unit, flat)``, for packages of so many units."""

    mode: str
    package: int
    up: bool
    brackets: tuple[tuple[int | None, int, int], ...]


class Fine(NamedTuple):
    """A rate whose amounts are finer than millionths: ``rate`` in units of ten to the minus ``places``."""

    places: int
    rate: Rate


class Line(NamedTuple):
    """Units of a meter a plan includes. ``over`` says what happens beyond: ``deny``, ``priced``, or ``credits`` a unit.

    ``per`` is a calendar period, or ``subscription`` where the units are sold and follow its billing period, of so many
    ``interval`` s. ``rate`` is absent where units are not sold; where a price is finer than a millionth it is ``fine``.
    ``spend`` is the spend meter the charge goes through, if it does.
    """

    meter: str
    included: int
    over: str
    credits: int
    per: str
    resets_on: int
    interval: str
    interval_count: int
    currency: str
    rate: Rate | None
    fine: Fine | None
    spend: str
    source: str


class Step(NamedTuple):
    """Calls up to number ``up_to`` of a month (``None``: all further ones) cost ``price`` each."""

    up_to: int | None
    price: int


class CallPrices(NamedTuple):
    """Steps of prices by tool or glob, discounts worked in; counted per ``tool``, or all together (``tenant``).

    A call costs ``least`` at least; a tool whose price is zero has no steps and is free.
    """

    currency: str
    listed: Mapping[str, tuple[Step, ...]]
    default: tuple[Step, ...] | None
    least: int
    scope: str
    source: str


class CreditCosts(NamedTuple):
    """Credits of calls by tool or glob; ``included`` come every month; ``recharge`` is a bound and the pack to buy."""

    listed: Mapping[str, int]
    default: int | None
    included: int
    rollover: bool
    recharge: tuple[int, str] | None
    source: str


class Plan(NamedTuple):
    """A plan's terms; ``tools`` are names and globs, ``None`` is every tool; ``price`` of a month orders remedies."""

    id: str
    name: str
    status: str
    features: frozenset[str]
    tools: tuple[str, ...] | None
    limits: tuple[Limit, ...]
    lines: Mapping[str, Line]
    calls: CallPrices | None
    credits: CreditCosts | None
    pay: tuple[str, ...]
    price: int | None
    currency: str
    source: str


class Tool(NamedTuple):
    """What is true of a tool in every plan: features it needs, how a call is counted, what happens without a ledger.

    ``quantity`` is where the number stands, the size of a block, whether a begun block counts; ``counts`` maps meters
    to a number or to where it stands. ``on_error`` is how many calls a process lets through: 0 none, -1 all.
    """

    title: str | None
    requires: tuple[str, ...]
    quantity: tuple[str, int, bool] | None
    counts: Mapping[str, int | str]
    on_error: int
    source: str


class Grant(NamedTuple):
    """Credits a file gives a tenant once."""

    id: str
    credits: int
    expires: int | None
    reason: str
    source: str


class Tenant(NamedTuple):
    """A tenant's plan and what it has beside or in place of it."""

    name: str
    plan: str | None
    features: frozenset[str]
    tools: tuple[str, ...]
    limits: tuple[Limit, ...]
    lines: Mapping[str, Line]
    grants: tuple[Grant, ...]
    keys: Mapping[str, str]
    source: str


class Pack(NamedTuple):
    """Credits that are sold; ``lasts`` is a number and ``day``, ``month`` or ``year``, ``expires`` an instant."""

    id: str
    name: str
    credits: int
    bonus: int
    price: int
    currency: str
    status: str
    lasts: tuple[int, str] | None
    expires: int | None
    source: str


class Meter(NamedTuple):
    """A meter as the export needs it: event name, payload keys, aggregation (``sum`` or ``count``).

    ``window`` is the length in seconds of the UTC hours or days in which only the newest event counts; 0 is none.
    """

    event_name: str
    aggregation: str
    customer_key: str
    value_key: str
    window: int


class Policy:
    """Everything the runtime knows; replaced whole, never changed. ``config_digest`` names the files it is made of.

    ``revision`` is its beginning, which stands in every decision.
    """

    def __init__(
        self,
        *,
        config_digest: str,
        namespace: str,
        zone: str,
        default_plan: str | None,
        grace_days: int,
        default_meter: str | None,
        features: Mapping[str, str],
        meters: Mapping[str, Meter],
        tools: Mapping[str, Tool],
        plans: Mapping[str, Plan],
        packs: Mapping[str, Pack],
        tenants: Mapping[str, Tenant],
    ) -> None:
        self.config_digest = config_digest
        self.revision = config_digest[:16]
        self.namespace = namespace
        self.zone = zone
        self.default_plan = default_plan
        self.grace_days = grace_days
        self.default_meter = default_meter
        self.features = features
        self.meters = meters
        self.tools = ByTool(tools)
        self.plans = plans
        self.packs = packs
        self.tenants = tenants

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the content; the same files give the same digest."""
        return hashlib.sha256(_text(self.content()).encode()).hexdigest()

    @cached_property
    def tenant_of_key(self) -> Mapping[str, tuple[str, str]]:
        """Tenant and key id by the SHA-256 of an API key."""
        return {digest: (tenant, name) for tenant, terms in self.tenants.items() for name, digest in terms.keys.items()}

    def content(self) -> dict[str, Any]:
        """Return the tables as JSON values."""
        return {
            "config_digest": self.config_digest,
            "namespace": self.namespace,
            "zone": self.zone,
            "default_plan": self.default_plan,
            "grace_days": self.grace_days,
            "default_meter": self.default_meter,
            "features": self.features,
            "meters": {name: meter._asdict() for name, meter in self.meters.items()},
            "tools": {name: tool._asdict() for name, tool in self.tools.listed.items()},
            "plans": {name: _plain(plan) for name, plan in self.plans.items()},
            "packs": {name: pack._asdict() for name, pack in self.packs.items()},
            "tenants": {name: _plain(tenant) for name, tenant in self.tenants.items()},
        }

    def dump(self) -> str:
        """Write the policy file: JSON with the digest of its content, in the order of the files, which decides ties."""
        return _text({"format": FORMAT, "digest": self.digest, "content": self.content()}) + "\n"

    @classmethod
    def load(cls, text: str) -> "Policy":
        """Read a policy file; PolicyError where it is no policy, of another format, or altered."""
        try:
            whole = json.loads(text)
            found, digest, content = whole["format"], whole["digest"], whole["content"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise PolicyError("E1110", "this is not a compiled policy") from error
        if found != FORMAT:
            raise PolicyError("E1111", f"the policy has format {found}, this version reads {FORMAT}", remedy=_COMPILE)
        if hashlib.sha256(_text(content).encode()).hexdigest() != digest:
            raise PolicyError("E1112", "the policy was altered after it was compiled", remedy=_COMPILE)
        try:
            parts = {
                "meters": {name: Meter(**meter) for name, meter in content["meters"].items()},
                "tools": {name: _tool(tool) for name, tool in content["tools"].items()},
                "plans": {name: _plan(plan) for name, plan in content["plans"].items()},
                "packs": {name: _pack(pack) for name, pack in content["packs"].items()},
                "tenants": {name: _tenant(tenant) for name, tenant in content["tenants"].items()},
            }
            return cls(**{**content, **parts})
        except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise PolicyError("E1110", "this is not a compiled policy") from error


_COMPILE = "Compile it anew: reconciler policy compile."


def read_policy(path: Path) -> Policy:
    """Read a compiled policy file; PolicyError where it cannot be read or is not one."""
    try:
        return Policy.load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError("E1113", f"cannot read the policy {path}: {error}") from error


def _text(content: Any) -> str:
    return json.dumps(content, separators=(",", ":"), ensure_ascii=True)


def _plain(terms: Plan | Tenant) -> dict[str, Any]:
    """Turn named tuples below a plan or tenant into mappings, sets into sorted lists."""
    found = terms._asdict()
    found["features"] = sorted(terms.features)
    found["limits"] = [limit._asdict() for limit in terms.limits]
    found["lines"] = {
        meter: {
            **line._asdict(),
            "rate": line.rate and line.rate._asdict(),
            "fine": line.fine and {"places": line.fine.places, "rate": line.fine.rate._asdict()},
        }
        for meter, line in terms.lines.items()
    }
    if isinstance(terms, Tenant):
        found["grants"] = [grant._asdict() for grant in terms.grants]
    else:
        found["calls"] = terms.calls and terms.calls._asdict()
        found["credits"] = terms.credits and terms.credits._asdict()
    return found


def _lines(found: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **found,
        "features": frozenset(found["features"]),
        "tools": None if found["tools"] is None else tuple(found["tools"]),
        "limits": tuple(Limit(**limit) for limit in found["limits"]),
        "lines": {
            meter: Line(
                **{
                    **line,
                    "rate": line["rate"] and _rate(line["rate"]),
                    "fine": line["fine"] and Fine(line["fine"]["places"], _rate(line["fine"]["rate"])),
                }
            )
            for meter, line in found["lines"].items()
        },
    }


def _rate(found: Mapping[str, Any]) -> Rate:
    return Rate(**{**found, "brackets": tuple((up_to, unit, flat) for up_to, unit, flat in found["brackets"])})


def _plan(found: Mapping[str, Any]) -> Plan:
    calls, credits = found["calls"], found["credits"]  # noqa: A001  named for what they are
    return Plan(
        **{
            **_lines(found),
            "pay": tuple(found["pay"]),
            "calls": calls and CallPrices(**{**calls, **_prices(calls)}),
            "credits": credits
            and CreditCosts(**{**credits, "recharge": credits["recharge"] and tuple(credits["recharge"])}),
        }
    )


def _prices(found: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "listed": {tool: tuple(Step(*step) for step in steps) for tool, steps in found["listed"].items()},
        "default": None if found["default"] is None else tuple(Step(*step) for step in found["default"]),
    }


def _tool(found: Mapping[str, Any]) -> Tool:
    return Tool(
        **{
            **found,
            "requires": tuple(found["requires"]),
            "quantity": found["quantity"] and tuple(found["quantity"]),
        }
    )


def _pack(found: Mapping[str, Any]) -> Pack:
    return Pack(**{**found, "lasts": found["lasts"] and tuple(found["lasts"])})


def _tenant(found: Mapping[str, Any]) -> Tenant:
    return Tenant(**{**_lines(found), "grants": tuple(Grant(**grant) for grant in found["grants"])})
