"""Products with their prices as plans and credit packs."""

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from reconciler.config.emit import Plain
from reconciler.config.ids import short, slug, unique
from reconciler.planning.live import Live
from reconciler.planning.pull.amounts import custom, included_units, major, number, steps
from reconciler.planning.pull.draft import Draft
from reconciler.planning.pull.names import days, is_made_up, period
from reconciler.resources.model import Values, held

_CREDIT_KEYS = ("credits", "credit_amount", "credits_amount", "credit_count", "included_credits")
_CREDITS = re.compile(r"(?<![0-9.])([1-9][0-9]{0,2}(?:[, ][0-9]{3})+|[1-9][0-9]*)( ?k)?[ -]credits?\b", re.IGNORECASE)
_FIRST = ("name", "description", "url")
_LAST = ("statement_descriptor", "tax_code", "unit_label", "tax_details")


def add_products(draft: Draft) -> None:
    """Write every product that can be written, as a credit pack where one price buys credits once, else as a plan."""
    prices: dict[str, list[Live]] = defaultdict(list)
    for price in draft.fit("price"):
        prices[held(price.values["product"])[1]].append(price)
    every: dict[str, int] = defaultdict(int)
    for price in draft.account.of("price"):
        every[held(price.values["product"])[1]] += 1
    features = _features(draft)
    for product in draft.fit("product"):
        own = prices.pop(product.id, [])
        bought = None if features[product.id] or every[product.id] != 1 else _credits(product, own)
        if bought is not None:
            _pack(draft, product, own[0], *bought)
        else:
            _Plan(draft, product, own, features[product.id]).write()
    for product_id, orphans in prices.items():
        why = "left out" if ("product", product_id) in draft.left else "archived"
        for price in orphans:
            draft.leave(price, f"its product {product_id} is {why}")


def _features(draft: Draft) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for item in draft.account.of("product_feature"):
        address = draft.address_of(item.values["entitlement_feature"])
        if address is not None:
            found[held(item.values["product"])[1]].append(address.removeprefix("features."))
    return found


def _credits(product: Live, prices: list[Live]) -> tuple[Plain, str] | None:
    """Return how many credits the only price of a product buys, and what says so; None where it buys none."""
    if len(prices) != 1 or product.values.get("default_price") != {"$id": f"price/{prices[0].id}"}:
        return None
    values = prices[0].values
    if "recurring" in values or "unit_amount_decimal" not in values or "transform_quantity" in values:
        return None
    for key in _CREDIT_KEYS:
        counted = product.metadata.get(key) or prices[0].metadata.get(key) or ""
        if re.fullmatch(r"[1-9][0-9]{0,11}", counted):
            return Plain(counted), f"the metadata key {key}"
    for where, text in {"the product's name": product.values["name"], "the nickname": values.get("nickname")}.items():
        if found := _CREDITS.search(text or ""):
            digits = int(re.sub(r"[^0-9]", "", found[1])) * (1000 if found[2] else 1)
            return Plain(str(digits)), where
    return None


def _pack(draft: Draft, product: Live, price: Live, bought: Plain, says: str) -> None:
    currency, values = price.values["currency"], price.values
    name = unique(_names(product, "pack"), draft.sections["credit_packs"].keys(), "pack")
    address = f"credit_packs.{name}"
    entry = _common(draft, product, address) | {
        "credits": bought,
        "price": major(values["unit_amount_decimal"], currency),
        **({"currency": currency} if currency != draft.currency else {}),
        **_options(values),
        **_labels(draft, price),
    }
    draft.sections["credit_packs"][name] = entry
    draft.stand(address, product)
    _key(draft, f"{address}.price", price, entry)
    draft.comment(("credit_packs", name), f"Please check: the number of credits is taken from {says}.")
    if price.metadata:
        draft.comment(("credit_packs", name), f"Metadata of {price.id} stays at Stripe alone.")


def _names(product: Live, noun: str) -> list[str]:
    name = product.values["name"]
    return [short(name, noun), slug(name), "" if is_made_up("product", product.id) else slug(product.id)]


def _common(draft: Draft, product: Live, address: str) -> dict[str, Any]:
    """Return the keys of the product itself."""
    section, name = address.split(".")
    values = product.values
    entry: dict[str, Any] = {key: values[key] for key in _FIRST if key in values}
    if "images" in values:
        entry["images"] = values["images"]
    if "marketing_features" in values:
        entry["marketing_features"] = [item["name"] for item in values["marketing_features"]]
    entry |= {key: values[key] for key in _LAST if key in values}
    if values.get("shippable"):
        entry["shippable"] = True
    if "package_dimensions" in values:
        entry["package_dimensions"] = {side: number(size) for side, size in values["package_dimensions"].items()}
    entry |= draft.metadata(product, (section, name))
    if is_made_up("product", product.id):
        draft.name_by_id(address, product)
    else:
        entry["stripe_id"] = product.id
    return entry


def _labels(draft: Draft, price: Live) -> dict[str, Any]:
    own = price.values.get("tax_behavior")
    found = {"nickname": price.values["nickname"]} if "nickname" in price.values else {}
    return found | ({"tax_behavior": own} if own and own != draft.tax_behavior else {})


def _key(draft: Draft, address: str, price: Live, entry: dict[str, Any]) -> None:
    """Name a price by its lookup key, or by its id where it has none."""
    draft.stand(address, price)
    if price.key is None:
        draft.name_by_id(address, price)
    else:
        entry["lookup_key"] = price.key


def _options(values: Values) -> dict[str, Any]:
    """Return a price's other currencies; the tax behavior of the price itself is not said again."""
    found: dict[str, Any] = {}
    for currency, option in sorted((values.get("currency_options") or {}).items()):
        own = option.get("tax_behavior")
        apart = {"tax_behavior": own} if own and own != values.get("tax_behavior") else {}
        if "custom_unit_amount" in option:
            found[currency] = {"custom_unit_amount": custom(option["custom_unit_amount"], currency), **apart}
        elif apart:
            found[currency] = {"unit_amount": major(option["unit_amount_decimal"], currency), **apart}
        else:
            found[currency] = major(option["unit_amount_decimal"], currency)
    return {"currency_options": found} if found else {}


def _sold_in(price: Live) -> set[str]:
    return {price.values["currency"], *(price.values.get("currency_options") or {})}


class _Plan:
    """One product as a plan: flat prices by how often they are due, metered ones as usage lines."""

    def __init__(self, draft: Draft, product: Live, prices: list[Live], features: list[str]) -> None:
        self._draft = draft
        self._product = product
        self._features = features
        default = product.values.get("default_price")
        self._default = None if default is None else held(default)[1]
        self._order = list(reversed(prices))
        self._order.sort(key=self._rank)

    def write(self) -> None:
        """Write the plan, or leave the product and all its prices out with one reason."""
        draft, product = self._draft, self._product
        if self._default is not None and self._default not in {price.id for price in self._order}:
            self._leave_all(f"its default price {self._default} cannot be written")
            return
        self._address = f"plans.{unique(_names(product, 'plan'), draft.sections['plans'].keys(), 'plan')}"
        metered, flat = self._parted()
        if self._default is not None and self._default not in {price.id for price in [*metered.values(), *flat]}:
            self._leave_all(f"its default price {self._default} cannot be written")
            return
        currency = self._currency(metered, flat)
        entry = _common(draft, product, self._address)
        if currency != draft.currency:
            entry["currency"] = currency
        draft.stand(self._address, product)
        beside = list(self._beside_usage(flat, metered, currency))
        prices, usage = dict(self._prices(beside, currency)), dict(self._usage(metered, currency))
        if self._default is not None:
            entry["default_price"] = draft.addresses["price", self._default].rsplit(".", 1)[1]
        entry |= ({"prices": prices} if prices else {}) | ({"usage": usage} if usage else {})
        entry |= {"features": self._features} if self._features else {}
        draft.sections["plans"][self._address.removeprefix("plans.")] = entry

    def _leave_all(self, why: str) -> None:
        self._draft.leave(self._product, why)
        for price in self._order:
            self._draft.leave(price, f"its product {self._product.id} is left out")

    def _rank(self, price: Live) -> tuple[bool, int]:
        return price.id != self._default, days(price.values.get("recurring"))

    def _parted(self) -> tuple[dict[str, Live], list[Live]]:
        """Part metered prices, one for each meter, from flat ones; what is neither is left out."""
        metered: dict[str, Live] = {}
        flat = []
        for price in self._order:
            recurring = price.values.get("recurring") or {}
            if recurring.get("usage_type") != "metered":
                flat.append(price)
                continue
            meter = self._draft.address_of(recurring["meter"]) if "meter" in recurring else None
            if "meter" not in recurring:
                self._leave(price, "it bills usage records of old, without a meter")
            elif meter is None:
                self._leave(price, "the meter it is counted on is not active, or left out")
            elif meter in metered:
                self._leave(price, f"a plan has one usage line for each meter, and for this one {metered[meter].id}")
            else:
                metered[meter] = price
        return metered, flat

    def _leave(self, price: Live, why: str) -> None:
        self._draft.leave(price, why)

    def _currency(self, metered: dict[str, Live], flat: list[Live]) -> str:
        """Return the currency of the plan: one that the price shown first is sold in and, if possible, usage too."""
        known = {price.id: price for price in [*metered.values(), *flat]}
        first = _sold_in(known[self._default]) if self._default is not None else None
        usage = [str(price.values["currency"]) for price in metered.values()]
        others = [str(price.values["currency"]) for price in flat]
        wanted = [*usage, *sorted(others, key=lambda code: code != self._draft.currency)]
        fitting = [code for code in wanted if first is None or code in first]
        return next(iter([*fitting, *wanted]), self._draft.currency)

    def _beside_usage(self, flat: list[Live], metered: dict[str, Live], currency: str) -> Iterator[Live]:
        """Yield the flat prices that one subscription can hold beside the usage of the plan."""
        used = any(price.values["currency"] == currency for price in metered.values())
        for price in flat:
            if used and currency not in _sold_in(price):
                self._leave(
                    price, f"the usage of its plan is sold in {currency}, and one subscription has one currency"
                )
            else:
                yield price

    def _prices(self, flat: list[Live], currency: str) -> Iterator[tuple[str, dict[str, Any]]]:
        taken: set[str] = set()
        for price in flat:
            name = unique(self._price_names(price, currency), taken, "price")
            taken.add(name)
            path = (*self._address.split("."), "prices", name)
            yield name, self._flat(price, ".".join(path), currency)

    def _price_names(self, price: Live, currency: str) -> Iterator[str]:
        values = price.values
        word = period(values.get("recurring"))
        own = values["currency"]
        if own != currency:
            yield f"{word}-{own}"
        else:
            yield word
        yield slug(values.get("nickname") or "")
        yield slug((price.key or "").rsplit(".", 1)[-1])
        if "unit_amount_decimal" in values:
            yield slug(f"{word}-{major(values['unit_amount_decimal'], own)}")

    def _flat(self, price: Live, address: str, plan_currency: str) -> dict[str, Any]:
        draft, values = self._draft, price.values
        currency = values["currency"]
        entry: dict[str, Any] = {}
        if "tiers" in values:
            entry["tiers"] = self._table(price, address, 0)
        elif "custom_unit_amount" in values:
            entry["custom_unit_amount"] = custom(values["custom_unit_amount"], currency)
        else:
            entry["amount"] = major(values["unit_amount_decimal"], currency)
        recurring = values.get("recurring")
        entry["interval"] = recurring["interval"] if recurring else "once"
        if recurring and recurring["interval_count"] != 1:
            entry["interval_count"] = recurring["interval_count"]
        if currency != plan_currency:
            entry["currency"] = currency
        if "transform_quantity" in values:
            entry["transform_quantity"] = values["transform_quantity"]
        if "tiers" not in values:
            entry |= _options(values)
        entry |= _labels(draft, price)
        _key(draft, address, price, entry)
        return entry | draft.metadata(price, tuple(address.split(".")))

    def _usage(self, metered: dict[str, Live], currency: str) -> Iterator[tuple[str, dict[str, Any]]]:
        for meter, price in metered.items():
            if price.values["currency"] != currency:
                self._leave(price, f"all usage of a plan is in one currency, and that of this plan is {currency}")
                continue
            name = meter.removeprefix("meters.")
            yield name, self._line(price, f"{self._address}.usage.{name}")

    def _line(self, price: Live, address: str) -> dict[str, Any]:
        draft, values = self._draft, price.values
        entry: dict[str, Any] = {}
        overage: dict[str, Any] = {}
        if "tiers" in values:
            included = included_units(values)
            if included:
                entry["included"] = included
            overage = self._behind(price, address, included)
        else:
            overage["unit_amount"] = major(values["unit_amount_decimal"], values["currency"])
            if "transform_quantity" in values:
                overage["transform_quantity"] = values["transform_quantity"]
            overage |= _options(values)
        recurring = values["recurring"]
        entry |= {"interval": recurring["interval"]} if recurring["interval"] != "month" else {}
        entry |= {"interval_count": recurring["interval_count"]} if recurring["interval_count"] != 1 else {}
        overage |= _labels(draft, price)
        _key(draft, address, price, overage)
        overage |= draft.metadata(price, tuple(address.split(".")))
        return entry | {"overage": overage}

    def _behind(self, price: Live, address: str, included: int) -> dict[str, Any]:
        """Return what a unit behind the included ones costs: one amount where there is one, else a table."""
        values = price.values
        options = values.get("currency_options") or {}
        rest = {values["currency"]: values["tiers"][1:]} | {code: each["tiers"][1:] for code, each in options.items()}
        if not included or any(len(tiers) > 1 or "flat_amount_decimal" in tiers[0] for tiers in rest.values()):
            return {"tiers": self._table(price, address, included)}
        amounts = {code: major(tiers[0]["unit_amount_decimal"], code) for code, tiers in rest.items()}
        found: dict[str, Any] = {"unit_amount": amounts.pop(values["currency"])}
        return found | ({"currency_options": dict(sorted(amounts.items()))} if amounts else {})

    def _table(self, price: Live, address: str, included: int) -> str:
        values, currency = price.values, price.values["currency"]
        skipped = 1 if included else 0
        content: dict[str, Any] = {"mode": "volume"} if values["tiers_mode"] == "volume" else {}
        content["steps"] = steps(values["tiers"][skipped:], currency, included=included)
        options = values.get("currency_options") or {}
        others = {
            code: steps(each["tiers"][skipped:], code, included=included) for code, each in sorted(options.items())
        }
        content |= {"currency_options": others} if others else {}
        _, plan, _, last = address.split(".")
        return self._draft.table(content, currency, [f"{plan}-{last}"], address)
