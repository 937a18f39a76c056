"""Catalogues that use every kind, and single edits to them, each with the addresses it can reach."""

import copy
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from .test_roundtrip import amounts, ids, names, prices, tiers

Sections = dict[str, Any]
#: An edit changes the sections in place and returns the addresses it can reach, ``*`` for any part of one.
Edit = Callable[[st.DrawFn, Sections], set[str]]

OTHERS = ("eur", "jpy")
INTERVALS = ("month", "year")
cents = st.builds("{}.{:02}".format, st.integers(1, 900), st.integers(0, 99))


@st.composite
def options(draw: st.DrawFn) -> dict[str, str]:
    """Draw the same amount in no, one or two other currencies."""
    return {currency: draw(amounts(currency)) for currency in draw(st.sets(st.sampled_from(OTHERS)))}


@st.composite
def lines(draw: st.DrawFn, table: Sections) -> Sections:
    """Draw a usage line: per unit, by the table, in packages, in several currencies, or refused beyond a number."""
    form = draw(st.sampled_from(["unit", "tiers", "package", "deny"]))
    included = draw(st.sampled_from([0, 0, 1000]))
    if form == "deny":
        return {"included": included, "overage": "deny"}
    if form == "tiers":
        held_by_one_price = table["mode"] == "graduated"
        return {"included": included if held_by_one_price else 0, "overage": {"tiers": "table"}}
    overage: Sections = {"unit_amount": draw(cents), "nickname": draw(names)}
    if form == "package":
        overage["transform_quantity"] = {"divide_by": 100, "round": draw(st.sampled_from(["up", "down"]))}
        if included:
            return {"included": included, "overage": {name: overage[name] for name in overage if name != "nickname"}}
    return {"included": included, "overage": overage | {"currency_options": draw(options())}}


@st.composite
def plans(draw: st.DrawFn, table: Sections) -> Sections:
    """Draw a plan."""
    plan: Sections = {"name": draw(names), "status": draw(st.sampled_from(["active", "active", "legacy"]))}
    interval = draw(st.sampled_from(INTERVALS))
    flat = {"amount": draw(cents), "interval": interval, "currency_options": draw(options())}
    plan["prices"] = {"base": flat} | draw(
        st.dictionaries(st.sampled_from(["more", "most"]), prices("usd"), max_size=2)
    )
    plan["default_price"] = "base"
    plan["features"] = sorted(draw(st.sets(st.sampled_from(["support", "export"]))))
    if draw(st.booleans()):
        plan["usage"] = {"calls": draw(lines(table))}
    if draw(st.booleans()):
        plan["metadata"] = draw(st.dictionaries(ids, names, max_size=2))
    return plan


events = st.lists(
    st.sampled_from(["invoice.paid", "customer.created", "customer.deleted"]), min_size=1, max_size=3, unique=True
)


@st.composite
def portals(draw: st.DrawFn) -> Sections:
    """Draw what customers may do for themselves."""
    portal: Sections = {"headline": draw(names), "invoice_history": draw(st.booleans())}
    portal["customer_update"] = sorted(draw(st.sets(st.sampled_from(["email", "phone"]))))
    if draw(st.booleans()):
        portal["subscription_cancel"] = {"mode": draw(st.sampled_from(["at_period_end", "immediately"]))}
    return portal


@st.composite
def coupons(draw: st.DrawFn) -> Sections:
    """Draw a coupon."""
    coupon: Sections = {"name": "Launch", "duration": draw(st.sampled_from(["once", "forever"]))}
    if draw(st.booleans()):
        coupon["percent_off"] = str(draw(st.integers(1, 100)))
    else:
        coupon |= {"amount_off": str(draw(st.integers(1, 90))), "currency_options": {"eur": "4.5"}}
    return coupon


@st.composite
def catalogues(draw: st.DrawFn) -> Sections:
    """Draw a catalogue; ids of Stripe's are sometimes chosen in the files."""
    table = draw(tiers("usd"))
    sections: Sections = {
        "meters": {"calls": {"name": "Calls"}, "tokens": {"name": "Tokens"}},
        "features": {"support": {"name": "Support"}, "export": {"name": "Export"}},
        "tiers": {"table": table},
        "plans": {"pro": draw(plans(table)), "team": draw(plans(table))},
        "credit_packs": {"small": {"name": "Small", "credits": 100, "price": draw(cents)}},
        "coupons": {"launch": draw(coupons())},
        "promotion_codes": {"code": {"coupon": "launch", "code": "LAUNCH"}},
        "tax_rates": {"vat": {"display_name": "VAT", "percentage": "21", "inclusive": False}},
        "tenants": {"globex": {"name": "Globex", "usage": {"calls": draw(tenant_lines())}}},
        "payment_links": {
            "pack": {"items": [{"pack": "small", "quantity": draw(st.integers(1, 3))}]},
            "globex": {"items": [{"tenant": "globex", "reserved": "calls"}], "tenant": "globex"},
        },
        "portal": draw(portals()),
        "webhooks": {
            "inbox": {"url": "https://example.com/in", "events": draw(events), "disabled": draw(st.booleans())}
        },
    }
    team = sections["plans"]["team"]
    if team["status"] == "active":
        sections["portal"]["subscription_update"] = {"plans": ["team"]}
        if team["prices"]["base"]["interval"] == "month":
            sections["payment_links"]["team"] = {"items": [{"plan": "team"}, {"pack": "small"}]}
    for section, name, key in (("plans", "pro", "stripe_id"), ("coupons", "launch", "stripe_id")):
        if draw(st.booleans()):
            sections[section][name][key] = f"chosen_{name}"
    if sections["plans"]["pro"]["status"] == "active" and draw(st.booleans()):
        sections["coupons"]["launch"]["applies_to"] = ["plans.pro"]
    return sections


def on_sale(sections: Sections) -> Sections:
    """Return the catalogue as it was while all its plans were sold, under the ids it has now."""
    then = copy.deepcopy({name: content for name, content in sections.items() if name != "moved"})
    for plan in then["plans"].values():
        plan["status"] = "active"
    return then


@st.composite
def tenant_lines(draw: st.DrawFn) -> Sections:
    """Draw a tenant's own usage, with the price of the reservation."""
    line: Sections = {"included": draw(st.integers(0, 1000)), "overage": {"unit_amount": draw(cents)}}
    return line | {"reserved_price": {"amount": draw(cents), "interval": "month"}}


@st.composite
def edited(draw: st.DrawFn, name: str) -> tuple[Sections, Sections, set[str]]:
    """Draw a catalogue that allows an edit, the same after it, and the addresses the edit can reach."""
    allows = NEEDS.get(name, bool)
    before = draw(catalogues().filter(allows))
    after = copy.deepcopy(before)
    return before, after, EDITS[name](draw, after)


def base_amount(draw: st.DrawFn, sections: Sections) -> set[str]:
    """Change what a plan costs."""
    sections["plans"]["pro"]["prices"]["base"]["amount"] = draw(cents)
    return {"plans.pro", "plans.pro.prices.base"}


def add_currency(draw: st.DrawFn, sections: Sections) -> set[str]:
    """Sell a plan in one more currency."""
    currency = draw(st.sampled_from(_missing_currencies(sections)))
    sections["plans"]["pro"]["prices"]["base"]["currency_options"][currency] = draw(amounts(currency))
    return {"plans.pro", "plans.pro.prices.base"}


def lookup_key(_draw: st.DrawFn, sections: Sections) -> set[str]:
    """Choose a price's lookup key."""
    sections["plans"]["pro"]["prices"]["base"]["lookup_key"] = "chosen-key"
    return {"plans.pro", "plans.pro.prices.base"}


def nickname(draw: st.DrawFn, sections: Sections) -> set[str]:
    """Name a price for the dashboard."""
    sections["plans"]["pro"]["prices"]["base"]["nickname"] = draw(names)
    return {"plans.pro", "plans.pro.prices.base"}


def drop_price(_draw: st.DrawFn, sections: Sections) -> set[str]:
    """Stop selling a price beside the default."""
    name = max(sections["plans"]["pro"]["prices"].keys() - {"base"})
    del sections["plans"]["pro"]["prices"][name]
    return {f"plans.pro.prices.{name}"}


def drop_feature(_draw: st.DrawFn, sections: Sections) -> set[str]:
    """Take a feature out of a plan."""
    name = sections["plans"]["pro"]["features"].pop()
    return {"plans.pro", f"plans.pro.features.{name}"}


def rename(_draw: st.DrawFn, sections: Sections) -> set[str]:
    """Rename a plan, and say so."""
    sections["plans"]["gold"] = sections["plans"].pop("pro")
    coupon = sections["coupons"]["launch"]
    if "applies_to" in coupon:
        coupon["applies_to"] = ["plans.gold"]
    sections["moved"] = [{"from": "plans.pro", "to": "plans.gold"}]
    return {"plans.pro*", "plans.gold*", "coupons.launch"}


def retire(_draw: st.DrawFn, sections: Sections) -> set[str]:
    """Sell a plan no longer, or again."""
    plan = sections["plans"]["pro"]
    plan["status"] = "legacy" if plan["status"] == "active" else "active"
    return {"plans.pro*"}


def remove(_draw: st.DrawFn, sections: Sections) -> set[str]:
    """Take a plan out of the files."""
    del sections["plans"]["team"]
    sections["payment_links"].pop("team", None)
    sections["portal"].pop("subscription_update", None)
    return {"plans.team*", "meters.spend.usd", "payment_links.team", "portal"}


def add(draw: st.DrawFn, sections: Sections) -> set[str]:
    """Sell a new plan."""
    sections["plans"]["new"] = draw(plans(sections["tiers"]["table"]))
    return {"plans.new*", "meters.spend.usd"}


def plan_name(draw: st.DrawFn, sections: Sections) -> set[str]:
    """Give a plan another name for customers."""
    sections["plans"]["pro"]["name"] = draw(names)
    return {"plans.pro"}


def metadata(draw: st.DrawFn, sections: Sections) -> set[str]:
    """Write other metadata on a plan."""
    sections["plans"]["pro"]["metadata"] = draw(st.dictionaries(ids, names, max_size=2))
    return {"plans.pro"}


def include_more(draw: st.DrawFn, sections: Sections) -> set[str]:
    """Include another number of units."""
    line = sections["plans"]["pro"]["usage"]["calls"]
    line["included"] = draw(st.sampled_from([0, 10, 100, 5000]))
    if "transform_quantity" in line["overage"] and line["included"]:
        line["overage"].pop("nickname", None)
        line["overage"].pop("currency_options", None)
    return {"plans.pro", "plans.pro.usage.calls", "plans.pro.spend", "meters.spend.usd"}


def drop_usage(_draw: st.DrawFn, sections: Sections) -> set[str]:
    """Meter a plan no longer."""
    del sections["plans"]["pro"]["usage"]
    return {"plans.pro.usage.calls", "plans.pro.spend", "meters.spend.usd"}


def move_bound(_draw: st.DrawFn, sections: Sections) -> set[str]:
    """Move the first bound of the table, in every currency; whatever has a price by the table follows."""
    table = sections["tiers"]["table"]
    for steps in (table["steps"], *table.get("currency_options", {}).values()):
        bound = steps[0]["up_to"]
        following = steps[1]["up_to"]
        steps[0]["up_to"] = bound + 1 if following == "inf" or following > bound + 1 else max(1, bound - 1)
    users = {
        f"plans.{plan}.prices.{name}"
        for plan, terms in sections["plans"].items()
        for name, price in terms["prices"].items()
        if price.get("tiers") == "table"
    }
    lines_ = {f"plans.{plan}.usage.calls" for plan, terms in sections["plans"].items() if "usage" in terms}
    return users | lines_ | {"payment_links.team", "portal"}


def percent(draw: st.DrawFn, sections: Sections) -> set[str]:
    """Give another percentage off."""
    sections["coupons"]["launch"]["percent_off"] = str(draw(st.integers(1, 100)))
    return {"coupons.launch", "promotion_codes.code"}


def amount_off(draw: st.DrawFn, sections: Sections) -> set[str]:
    """Give another amount off."""
    sections["coupons"]["launch"]["amount_off"] = str(draw(st.integers(1, 90)))
    return {"coupons.launch", "promotion_codes.code"}


def coupon_name(_draw: st.DrawFn, sections: Sections) -> set[str]:
    """Give a coupon another name."""
    sections["coupons"]["launch"]["name"] = "Summer"
    return {"coupons.launch"}


def code(_draw: st.DrawFn, sections: Sections) -> set[str]:
    """Restrict a promotion code."""
    sections["promotion_codes"]["code"]["restrictions"] = {"minimum_amount": "10", "currency_options": {"eur": "9"}}
    return {"promotion_codes.code"}


def pack_price(draw: st.DrawFn, sections: Sections) -> set[str]:
    """Sell a pack for another price."""
    sections["credit_packs"]["small"]["price"] = draw(cents)
    return {"credit_packs.small", "credit_packs.small.price", "payment_links.pack", "payment_links.team"}


def tax(_draw: st.DrawFn, sections: Sections) -> set[str]:
    """Change a tax rate."""
    sections["tax_rates"]["vat"]["percentage"] = "22"
    return {"tax_rates.vat"}


def meter_name(_draw: st.DrawFn, sections: Sections) -> set[str]:
    """Rename a meter for the dashboard, and with it the product of the tenants that pay for it."""
    sections["meters"]["calls"]["name"] = "Tool calls"
    return {"meters.calls", "meters.calls.product"}


def tenant_price(draw: st.DrawFn, sections: Sections) -> set[str]:
    """Change what a tenant pays for a reservation."""
    sections["tenants"]["globex"]["usage"]["calls"]["reserved_price"]["amount"] = draw(cents)
    return {"tenants.globex.usage.calls.reserved_price", "payment_links.globex"}


def link_terms(_draw: st.DrawFn, sections: Sections) -> set[str]:
    """Let codes be redeemed at a link, and lead customers on."""
    sections["payment_links"]["pack"] |= {"allow_promotion_codes": True, "after_completion_url": "https://example.com"}
    return {"payment_links.pack"}


def link_quantity(draw: st.DrawFn, sections: Sections) -> set[str]:
    """Sell another number at a link."""
    sections["payment_links"]["pack"]["items"][0]["quantity"] = draw(st.integers(4, 9))
    return {"payment_links.pack"}


def link_off(draw: st.DrawFn, sections: Sections) -> set[str]:
    """Switch a link off, also where something else about it changes."""
    sections["payment_links"]["pack"] |= {"active": False, "allow_promotion_codes": draw(st.booleans())}
    sections["payment_links"]["pack"]["items"][0]["quantity"] += draw(st.integers(0, 1))
    return {"payment_links.pack"}


def portal_terms(draw: st.DrawFn, sections: Sections) -> set[str]:
    """Let customers do something else for themselves."""
    update = sections["portal"].get("subscription_update")
    sections["portal"] = draw(portals()) | ({"subscription_update": update} if update else {})
    return {"portal"}


def portal_gone(_draw: st.DrawFn, sections: Sections) -> set[str]:
    """Have no portal any more: as the account's default it stays, and is no longer ours."""
    del sections["portal"]
    return {"portal"}


def webhook(draw: st.DrawFn, sections: Sections) -> set[str]:
    """Send other events, elsewhere, or none at all."""
    sections["webhooks"]["inbox"] |= {"url": "https://example.com/out", "events": draw(events)}
    sections["webhooks"]["inbox"]["disabled"] = draw(st.booleans())
    return {"webhooks.inbox"}


def _missing_currencies(sections: Sections) -> list[str]:
    return sorted(set(OTHERS) - sections["plans"]["pro"]["prices"]["base"]["currency_options"].keys())


def _overage(sections: Sections) -> Any:
    return sections["plans"]["pro"].get("usage", {}).get("calls", {}).get("overage", "deny")


def _spendable(sections: Sections) -> bool:
    """Tell whether the line may go to the spend meter, which counts millionths: a volume table with units does."""
    table = sections["tiers"]["table"]
    if table["mode"] == "graduated" or "tiers" not in _overage(sections):
        return True
    rows = (table["steps"], *table.get("currency_options", {}).values())
    return all(len(step["unit_amount"].partition(".")[2]) <= 6 for steps in rows for step in steps)


def _replaceable(sections: Sections, field: str) -> bool:
    """Tell whether the coupon has the field and may change it: under an id of the files' choice it may not (E0703)."""
    coupon = sections["coupons"]["launch"]
    return field in coupon and "stripe_id" not in coupon


EDITS: dict[str, Edit] = {
    "another amount": base_amount,
    "choose a lookup key": lookup_key,
    "name a price": nickname,
    "add a currency": add_currency,
    "drop a price": drop_price,
    "drop a feature": drop_feature,
    "rename a plan": rename,
    "retire a plan": retire,
    "remove a plan": remove,
    "add a plan": add,
    "name a plan": plan_name,
    "other metadata": metadata,
    "include more units": include_more,
    "drop a usage line": drop_usage,
    "move a bound": move_bound,
    "another percentage": percent,
    "another amount off": amount_off,
    "name a coupon": coupon_name,
    "restrict a code": code,
    "price a pack": pack_price,
    "change a tax": tax,
    "name a meter": meter_name,
    "price a reservation": tenant_price,
    "change a link": link_terms,
    "sell more at a link": link_quantity,
    "switch a link off": link_off,
    "change the portal": portal_terms,
    "drop the portal": portal_gone,
    "move a webhook": webhook,
}
#: What a catalogue must have for an edit, where not every one has it.
NEEDS: dict[str, Callable[[Sections], bool]] = {
    "add a currency": lambda sections: bool(_missing_currencies(sections)),
    "drop a price": lambda sections: len(sections["plans"]["pro"]["prices"]) > 1,
    "drop a feature": lambda sections: bool(sections["plans"]["pro"]["features"]),
    "include more units": lambda sections: _overage(sections) != "deny" and _spendable(sections),
    "drop a usage line": lambda sections: _overage(sections) != "deny",
    "move a bound": lambda sections: len(sections["tiers"]["table"]["steps"]) > 1,
    "another percentage": lambda sections: _replaceable(sections, "percent_off"),
    "another amount off": lambda sections: _replaceable(sections, "amount_off"),
}
