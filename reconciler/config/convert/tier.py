"""``pricing.json`` of tier (https://github.com/tierrun/tier): features of plans have a base price, or tiers of usage.

Amounts are cents there. A base price of a feature is part of the plan's flat price here; tiers are a usage line on a
meter; a last tier that ends somewhere is a bound on usage.
"""

import re
from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from reconciler import money
from reconciler.config.convert.given import Given, money_text
from reconciler.config.convert.made import Made
from reconciler.config.ids import slug, unique

_PLAN = re.compile(r"plan:([A-Za-z0-9:]+)@([A-Za-z0-9]+)")
_FEATURE = re.compile(r"feature:([A-Za-z0-9:]+)")
_INTERVALS = {
    "@daily": ("day", 1),
    "@weekly": ("week", 1),
    "@monthly": ("month", 1),
    "@quarterly": ("month", 3),
    "@yearly": ("year", 1),
}
_AGGREGATES = {"sum": "sum", "last": "last", "recent": "last", "perpetual": "last"}
_FEATURE_KEYS = {"title", "base", "mode", "aggregate", "tiers"}
Tier = tuple[int | None, Decimal, Decimal]


def is_tier(data: Any) -> bool:
    """Tell whether this looks like a ``pricing.json`` of tier."""
    plans = data.get("plans") if isinstance(data, dict) else None
    return isinstance(plans, dict) and any(_PLAN.fullmatch(name) for name in plans)


def convert_tier(data: Any, given: Given, made: Made) -> None:
    """Write every plan of the file; of several versions of one the newest is sold, the others are legacy."""
    plans = given.mapping(given.mapping(data, "$", {"plans", "$schema"}).get("plans", {}), "$.plans")
    newest: dict[str, str] = {}
    for key in plans:
        if found := _PLAN.fullmatch(key):
            newest[found[1]] = max(newest.get(found[1], key), key, key=_version)
    codes = Counter(str(plan.get("currency", "usd")) for plan in plans.values() if isinstance(plan, dict))
    made.settle(min(codes, key=lambda code: (-codes[code], code), default="usd"))
    for key, plan in plans.items():
        path = f"$.plans.{key}"
        found = _PLAN.fullmatch(key)
        if found is None:
            given.refuse(path, "a plan is called plan:NAME@VERSION", "rename it, as in plan:pro@1")
            continue
        sold = newest[found[1]] == key
        names = [slug(found[1])] if sold else [f"{slug(found[1])}-v{slug(found[2])}"]
        name = unique(names, made.sections["plans"].keys(), "plan")
        _Plan(given, made, path, name).write(plan, found[1], sold=sold)
    made.settle(made.settings["currency"])


def _version(key: str) -> tuple[int, str]:
    version = key.rpartition("@")[2]
    return (int(version), "") if version.isdecimal() and len(version) < 18 else (-1, version)  # noqa: PLR2004  as numbers have


class _Plan:
    def __init__(self, given: Given, made: Made, path: str, name: str) -> None:
        self._given = given
        self._made = made
        self._path = path
        self._name = name

    def write(self, plan: Any, called: str, *, sold: bool) -> None:
        """Write one plan: its flat price is the sum of the base prices, each tiered feature a usage line."""
        given, path, here = self._given, self._path, ("plans", self._name)
        fields = given.mapping(plan, path, {"title", "currency", "interval", "features"})
        currency = given.text(fields.get("currency", "usd"), f"{path}.currency").lower() or "usd"
        if currency not in money.CURRENCIES:
            given.refuse(f"{path}.currency", f"Stripe knows no currency {currency}", "write a code such as usd")
            return
        self._currency, self._places = currency, money.exponent(currency)
        said = given.text(fields.get("interval", "@monthly"), f"{path}.interval")
        if said not in _INTERVALS:
            given.refuse(f"{path}.interval", f"{said} is no interval", f"write one of {', '.join(_INTERVALS)}")
            return
        self._interval, self._count = _INTERVALS[said]
        entry: dict[str, Any] = {"name": given.text(fields.get("title", called), f"{path}.title") or called}
        if not sold:
            entry["status"] = "legacy"
            self._made.comment(here, given.note(path, "an older version, so it is legacy: kept, and no longer sold"))
        if currency != self._made.settings["currency"]:
            entry["currency"] = currency
        base, usage = Decimal(0), {}
        parts: list[str] = []
        limits: list[dict[str, Any]] = []
        granted: list[str] = []
        for key, feature in given.mapping(fields.get("features", {}), f"{path}.features").items():
            where = f"{path}.features.{key}"
            if not _FEATURE.fullmatch(key):
                given.refuse(where, "a feature is called feature:NAME", "rename it, as in feature:seats")
                continue
            content = given.mapping(feature, where, _FEATURE_KEYS)
            if content.get("tiers"):
                line = self._usage(key, content, where, limits)
                usage.update(line)
            else:
                amount = self._major(content.get("base", 0), f"{where}.base")
                base += amount
                parts += [f"{key} {money.plain(amount)}"] if amount else []
                granted.append(self._feature(key, content, where))
        entry |= self._flat(base, parts, usage=bool(usage))
        entry |= {"usage": usage} if usage else {}
        entry |= {"features": list(dict.fromkeys(granted))} if granted else {}
        self._made.sections["plans"][self._name] = entry | ({"limits": limits} if limits else {})

    def _flat(self, base: Decimal, parts: list[str], *, usage: bool) -> dict[str, Any]:
        if not base and usage:
            return {}
        word = {"day": "daily", "week": "weekly", "month": "monthly", "year": "annual"}[self._interval]
        word = word if self._count == 1 else "quarterly"
        price: dict[str, Any] = {"amount": money_text(base, self._places), "interval": self._interval}
        price |= {"interval_count": self._count} if self._count > 1 else {}
        if len(parts) > 1:
            self._made.comment(("plans", self._name, "prices", word), f"The sum of base prices: {', '.join(parts)}.")
        return {"default_price": word, "prices": {word: price}}

    def _major(self, cents: Any, path: str) -> Decimal:
        return money.to_major(self._given.amount(cents, path), self._currency)

    def _feature(self, key: str, content: Mapping[str, Any], path: str) -> str:
        name = slug(key.removeprefix("feature:"))
        title = self._title(key, content, path)
        self._made.sections["features"].setdefault(name, {"name": title[:80]})
        return name

    def _title(self, key: str, content: Mapping[str, Any], path: str) -> str:
        called = key.removeprefix("feature:")
        return self._given.text(content.get("title", called), f"{path}.title") or called

    def _usage(
        self, key: str, content: Mapping[str, Any], path: str, limits: list[dict[str, Any]]
    ) -> dict[str, dict[str, Any]]:
        """Return a usage line by its meter, nothing where Stripe cannot count so."""
        given, name = self._given, slug(key.removeprefix("feature:"))
        here = ("plans", self._name, "usage", name)
        said = given.text(content.get("aggregate", "sum"), f"{path}.aggregate")
        if said not in _AGGREGATES:
            words = given.note(
                f"{path}.aggregate", f"usage is left out: a meter of Stripe's counts sum, count or last, not {said}"
            )
            self._made.comment(("plans", self._name), words)
            return {}
        if said == "perpetual":
            self._made.comment(
                here, given.note(f"{path}.aggregate", "perpetual is written as last: it begins anew with each period")
            )
        if content.get("base"):
            given.refuse(f"{path}.base", "a feature has a base price or tiers, not both", "remove one of the two")
        name = self._meter(name, _AGGREGATES[said], self._title(key, content, path), path)
        mode = given.text(content.get("mode", "graduated"), f"{path}.mode")
        if mode not in ("graduated", "volume"):
            given.refuse(f"{path}.mode", f"{mode} is no mode", "write graduated or volume")
        tiers = self._tiers(content["tiers"], f"{path}.tiers")
        return {name: self._line(tiers, mode, name, f"{path}.tiers", limits)} if tiers else {}

    def _meter(self, name: str, aggregation: str, title: str, path: str) -> str:
        """Return the meter of a feature; another one where another plan counts the feature in another way."""
        meters = self._made.sections["meters"]
        entry = {"name": title} | ({"aggregation": aggregation} if aggregation != "sum" else {})
        if meters.setdefault(name, entry).get("aggregation", "sum") == aggregation:
            return name
        other = f"{name}-{aggregation}"
        meters.setdefault(other, entry)
        words = f"another plan counts this feature in another way, so it has a meter of its own, {other}"
        self._made.comment(("plans", self._name), self._given.note(f"{path}.aggregate", words))
        return other

    def _tiers(self, value: Any, path: str) -> list[Tier]:
        """Return bound, price of a unit and flat price of each tier, amounts in major units."""
        found: list[Tier] = []
        for index, each in enumerate(self._given.items(value, path)):
            here = f"{path}[{index}]"
            fields = self._given.mapping(each, here, {"upto", "price", "base"})
            bound = self._given.units(fields["upto"], f"{here}.upto") if "upto" in fields else None
            last = found[-1][0] if found else 0
            if bound is not None and (last is None or bound <= last):
                self._given.refuse(f"{here}.upto", f"{bound} is not above the bound before it", "order the tiers")
            unit, flat = (self._major(fields.get(name, 0), f"{here}.{name}") for name in ("price", "base"))
            found.append((bound, unit, flat))
        return found

    def _line(
        self, tiers: list[Tier], mode: str, meter: str, path: str, limits: list[dict[str, Any]]
    ) -> dict[str, Any]:
        end = tiers[-1][0]
        rhythm: dict[str, Any] = {"interval": self._interval} if self._interval != "month" else {}
        rhythm |= {"interval_count": self._count} if self._count > 1 else {}
        free = all(not unit and not flat for _, unit, flat in tiers)
        if free and end is not None:
            per = {} if self._interval == "month" else {"per": self._interval}
            self._odd_rhythm(path)
            return {"included": end, **per, "overage": "deny"}
        if end is not None:
            self._odd_rhythm(path)
            limits.append({"of": meter, "max": end, "per": self._interval})
            words = self._given.note(path, f"usage ends at {end}, which is the limit on {meter}; the price has no end")
            self._made.comment(("plans", self._name, "usage", meter), words)
        first = tiers[0]
        included = first[0] if mode == "graduated" and len(tiers) > 1 and not first[1] and not first[2] else None
        rest = tiers[1:] if included else tiers
        line = ({"included": included} if included else {}) | rhythm
        if len(rest) == 1 and not rest[0][2]:
            return line | {"overage": {"unit_amount": money_text(rest[0][1], self._places)}}
        content: dict[str, Any] = {"mode": "volume"} if mode == "volume" else {}
        content["steps"] = [self._step(each, included or 0, last=each is rest[-1]) for each in rest]
        return line | {"overage": {"tiers": self._made.table(content, f"{self._name}-{meter}")}}

    def _odd_rhythm(self, path: str) -> None:
        if self._count > 1:
            self._given.note(path, f"the bound is for each {self._interval} here, and was for {self._count} together")

    def _step(self, tier: Tier, included: int, *, last: bool) -> dict[str, Any]:
        bound, unit, flat = tier
        step: dict[str, Any] = {"up_to": "inf" if last or bound is None else bound - included}
        step |= {"unit_amount": money_text(unit, self._places)} if unit or not flat else {}
        return step | ({"flat_amount": money_text(flat, self._places)} if flat else {})
