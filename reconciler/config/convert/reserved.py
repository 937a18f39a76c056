"""``reserved.json``: reserved units and overage tiers per tenant, as tenants with usage of their own.

Shape: ``{tenant: {vex_reserved, vex_overage_tiers: [{threshold, price_per_unit, stripe_item}], …}}``. A threshold is
the last unit beyond the reserved ones that its price is for; where the first one is 0, it is the last unit before.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from reconciler.config.convert.given import Given, money_text
from reconciler.config.convert.made import Made
from reconciler.config.ids import slug, unique

_KEY = re.compile(r"([a-z][a-z0-9]*)_(reserved|overage_tiers|reserved_item)")
_NAMES = {"vex": ("Verified exchanges", "exchange"), "fu": ("Fallback units", "unit")}


def is_reserved(data: Any) -> bool:
    """Tell whether this looks like a ``reserved.json``."""
    entries = [each for each in data.values() if isinstance(each, dict)] if isinstance(data, dict) else []
    return any(_KEY.fullmatch(key) for each in entries for key in each)


def convert_reserved(data: Any, given: Given, made: Made) -> None:
    """Write every tenant of the file."""
    for tenant, terms in given.mapping(data, "$").items():
        path = f"$.{tenant}"
        if not isinstance(terms, dict):
            given.note(path, "not carried over; it is no tenant")
            continue
        name = unique([slug(tenant)], made.sections["tenants"].keys(), "tenant")
        known = [key for key in terms if _KEY.fullmatch(key)]
        if not known:
            given.note(path, "not carried over; it has no units of its own, so it needs a plan")
            continue
        given.mapping(terms, path, {*known, "subscription_plan", "tenant_id", "name"})
        usage = {}
        for meter in dict.fromkeys(_meter(key) for key in known):
            _add_meter(made, meter)
            usage[meter] = _line(terms, meter, path, name, given, made)
        entry = {"name": given.text(terms.get("name") or tenant, f"{path}.name") or tenant, "usage": usage}
        if "tenant_id" in terms:
            entry["metadata"] = {"tenant_id": given.text(terms["tenant_id"], f"{path}.tenant_id")}
        made.sections["tenants"][name] = entry
        if "subscription_plan" in terms:
            said = given.text(terms["subscription_plan"], f"{path}.subscription_plan")
            words = given.note(
                f"{path}.subscription_plan", f"{said} is a Stripe price; name the plan that has it as plan"
            )
            made.comment(("tenants", name), words)
    made.settle("usd", tenants=True)


def _meter(key: str) -> str:
    found = _KEY.fullmatch(key)
    return found[1] if found else key


def _add_meter(made: Made, meter: str) -> None:
    name, unit = _NAMES.get(meter, (meter.upper(), "unit"))
    made.sections["meters"].setdefault(meter, {"name": name, "unit": unit})


def _line(terms: Mapping[str, Any], meter: str, path: str, tenant: str, given: Given, made: Made) -> dict[str, Any]:
    here = ("tenants", tenant, "usage", meter)
    line: dict[str, Any] = {"included": given.units(terms.get(f"{meter}_reserved", 0), f"{path}.{meter}_reserved")}
    item = terms.get(f"{meter}_reserved_item")
    if item is not None:
        made.comment(
            here, given.note(f"{path}.{meter}_reserved_item", f"{item} is not carried over; say reserved_price")
        )
    brackets = _brackets(terms, meter, path, given)
    if not brackets:
        line["overage"] = "deny"
        words = "there is no price beyond the reserved units, so they are refused (overage: deny)"
        made.comment(here, given.note(f"{path}.{meter}_overage_tiers", words))
        return line
    bounds, last = brackets[:-1], brackets[-1]
    if last[0] is not None:
        words = f"the threshold {last[0]} of the last tier has no price beyond it, so the tier goes on without bound"
        made.comment(here, given.note(f"{path}.{meter}_overage_tiers", words))
    if not bounds:
        line["overage"] = {"unit_amount": money_text(last[1], 2)}
        return line
    steps: list[dict[str, Any]] = [{"up_to": bound, "unit_amount": money_text(price, 2)} for bound, price in bounds]
    steps.append({"up_to": "inf", "unit_amount": money_text(last[1], 2)})
    line["overage"] = {"tiers": made.table({"steps": steps}, f"{tenant}-{meter}")}
    return line


def _brackets(terms: Mapping[str, Any], meter: str, path: str, given: Given) -> list[tuple[int | None, Decimal]]:
    """Return upper bounds beyond the reserved units with their prices; no bound for a last tier that had none."""
    where = f"{path}.{meter}_overage_tiers"
    found: list[tuple[int, Decimal]] = []
    for index, tier in enumerate(given.items(terms.get(f"{meter}_overage_tiers", []), where)):
        here = f"{where}[{index}]"
        fields = given.mapping(tier, here, {"threshold", "price_per_unit", "stripe_item"})
        threshold = given.units(fields.get("threshold"), f"{here}.threshold")
        found.append((threshold, given.amount(fields.get("price_per_unit"), f"{here}.price_per_unit")))
        if fields.get("stripe_item"):
            words = f"{fields['stripe_item']} is not carried over; prices are found by address, or named in imports"
            given.note(f"{here}.stripe_item", words)
    thresholds = [threshold for threshold, _ in found]
    if thresholds != sorted(set(thresholds)) and not given.problems:
        given.refuse(where, "the thresholds do not rise", "order the tiers by threshold")
    if found and found[0][0] == 0:
        given.note(where, "the first threshold is 0, so a threshold is read as the last unit before its price")
        return [*zip(thresholds[1:], (price for _, price in found), strict=False), (None, found[-1][1])]
    return list(found)
