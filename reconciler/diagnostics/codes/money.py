"""E0301-E0399, W0301-W0399: currencies, amounts and price brackets."""

from reconciler.diagnostics.codes.model import Explanation

_PRO = "plans:\n  pro: {{name: Pro, prices: {{monthly: {{{0}, interval: month}}}}}}\n"


def _price(amount: str) -> str:
    return _PRO.format(amount)


def _steps(steps: str) -> str:
    return f"tiers:\n  bulk: {{steps: [{steps}]}}\n" + _price("tiers: bulk")


def _payg(terms: str) -> str:
    return f"plans:\n  payg: {{name: Pay as you go, per_call: {{{terms}}}}}\n"


def _usage(price: str, overage: str) -> str:
    usage = f"usage: {{calls: {{overage: {{{overage}}}}}}}"
    return (
        "meters: {calls: {name: Calls}}\n"
        f"plans:\n  pro:\n    name: Pro\n    prices: {{monthly: {{{price}, interval: month}}}}\n    {usage}\n"
    )


_AMOUNTS = {
    "E0301": Explanation(
        "unknown currency",
        "Stripe charges in the currencies listed at https://docs.stripe.com/currencies, written in lower case.",
        "settings: {namespace: acme, currency: eru}\n",
        "settings: {namespace: acme, currency: eur}\n",
    ),
    "E0302": Explanation(
        "amount finer than Stripe holds",
        "A unit amount has at most twelve decimals of the minor unit (the cent).",
        _price("amount: 0.000000000000001"),
        _price("amount: 0.00000000000001"),
    ),
    "E0303": Explanation(
        "not whole minor units",
        "Amounts that are charged as they are (flat amounts, coupons, minimums, amounts a customer chooses) are "
        "whole cents, or whole yen in a currency without decimals.",
        "coupons:\n  five: {amount_off: 5.005}\n",
        "coupons:\n  five: {amount_off: 5.01}\n",
    ),
    "E0304": Explanation(
        "amount too large",
        "Stripe charges at most twelve digits of the minor unit.",
        _payg("default: 10000000000"),
        _payg("default: 9999999999.99"),
    ),
    "E0305": Explanation(
        "option in the currency itself",
        "currency_options holds the amounts in other currencies; Stripe refuses the price's own among them.",
        _price("amount: 5, currency_options: {usd: 6}"),
        _price("amount: 5, currency_options: {eur: 6}"),
    ),
    "E0306": Explanation(
        "option of another form",
        "In every currency a price has the same form: an amount, an amount the customer chooses, or brackets with the "
        "same bounds. The brackets in other currencies stand in the table of tiers.",
        _price("amount: 5, currency_options: {eur: {tax_behavior: inclusive}}"),
        _price("amount: 5, currency_options: {eur: {unit_amount: 6, tax_behavior: inclusive}}"),
    ),
    "E0307": Explanation(
        "tiers in another currency",
        "A table of tiers that names its currency can only be used by prices in that currency.",
        "tiers:\n  bulk: {currency: eur, steps: [{up_to: inf, unit_amount: 1}]}\n" + _price("tiers: bulk"),
        "tiers:\n  bulk: {steps: [{up_to: inf, unit_amount: 1}]}\n" + _price("tiers: bulk"),
    ),
    "E0308": Explanation(
        "no common currency",
        "A subscription, and a payment link, is paid in one currency: everything in it needs an amount in that one.",
        _usage("amount: 5, currency: eur", "unit_amount: 0.01"),
        _usage("amount: 5", "unit_amount: 0.01"),
    ),
    "E0309": Explanation(
        "not whole millionths",
        "Prices per call, minimums, and brackets that one Stripe price cannot express are charged through a spend "
        "meter that counts millionths of the major unit. A finer charge, also after a percentage off, would be lost.",
        _payg("default: 0.0000001"),
        _payg("default: 0.000001"),
    ),
    "E0314": Explanation(
        "too many decimals",
        "Credits are counted in millionths, sizes of packages in hundredths.",
        "credit_packs:\n  small: {name: Small, credits: 0.0000001, price: 1}\n",
        "credit_packs:\n  small: {name: Small, credits: 0.000001, price: 1}\n",
    ),
    "E0315": Explanation(
        "amount the customer chooses",
        "Stripe lets customers choose an amount only for what is paid once, between a minimum and a maximum.",
        _price("custom_unit_amount: {minimum: 5}"),
        "plans:\n  pro: {name: Pro, prices: {gift: {custom_unit_amount: {minimum: 5}, interval: once}}}\n",
    ),
    "E0316": Explanation(
        "packages combined",
        "transform_quantity divides the quantity before a fixed amount is applied. Brackets, chosen amounts and "
        "credits have no such amount.",
        "tiers:\n  bulk: {steps: [{up_to: inf, unit_amount: 1}]}\n"
        + _price("tiers: bulk, transform_quantity: {divide_by: 10, round: up}"),
        _price("amount: 1, transform_quantity: {divide_by: 10, round: up}"),
    ),
    "E0317": Explanation(
        "one amount",
        "A price has one of amount, tiers and custom_unit_amount; an overage one of unit_amount, tiers and credits; a "
        "coupon one of percent_off and amount_off.",
        "coupons:\n  both: {percent_off: 10, amount_off: 5}\n",
        "coupons:\n  one: {percent_off: 10}\n",
    ),
    "W0301": Explanation(
        "currency not offered by all parts",
        "One part of a plan has an amount in a currency that another part lacks, so the plan is not sold in it.",
        _usage("amount: 5, currency_options: {eur: 5}", "unit_amount: 0.01"),
        _usage("amount: 5, currency_options: {eur: 5}", "unit_amount: 0.01, currency_options: {eur: 0.01}"),
    ),
    "W0302": Explanation(
        "digits that must be zero",
        "Charges in bhd, jod, kwd, omr and tnd have three decimals, the last of which must be zero at Stripe; charges "
        "in isk and ugx have two, both zero.",
        _price("amount: 5.125, currency: kwd"),
        _price("amount: 5.120, currency: kwd"),
    ),
    "W0303": Explanation(
        "large charge",
        "Stripe takes up to twelve digits of the minor unit by card, but only eight by every way of paying (more in "
        "idr, cop and inr).",
        _price("amount: 1000000"),
        _price("amount: 999999.99"),
    ),
}

_BRACKETS = {
    "E0310": Explanation(
        "bounds that do not rise",
        "up_to is the inclusive upper bound of a bracket, not its width, so each bound is above the one before.",
        _steps("{up_to: 100, unit_amount: 3}, {up_to: 50, unit_amount: 2}, {up_to: inf, unit_amount: 1}"),
        _steps("{up_to: 100, unit_amount: 3}, {up_to: 150, unit_amount: 2}, {up_to: inf, unit_amount: 1}"),
    ),
    "E0311": Explanation(
        "open bracket",
        "The last bracket, and only the last, has no upper bound: every quantity has a price.",
        _steps("{up_to: 100, unit_amount: 3}, {up_to: 500, unit_amount: 2}"),
        _steps("{up_to: 100, unit_amount: 3}, {up_to: inf, unit_amount: 2}"),
    ),
    "E0312": Explanation(
        "bracket without a price",
        "A bracket needs unit_amount, flat_amount or both. Free units are written unit_amount: 0.",
        _steps("{up_to: 100}, {up_to: inf, unit_amount: 1}"),
        _steps("{up_to: 100, unit_amount: 0}, {up_to: inf, unit_amount: 1}"),
    ),
    "E0313": Explanation(
        "discount step",
        "Each step says percent_off or unit_amount; the first may say nothing. unit_amount replaces the default price, "
        "so there must be one.",
        _payg("default: 1, discounts: {scope: tool, steps: [{up_to: 9, percent_off: 5}, {up_to: inf}]}"),
        _payg("default: 1, discounts: {scope: tool, steps: [{up_to: 9}, {up_to: inf, percent_off: 5}]}"),
    ),
}

CODES = {**_AMOUNTS, **_BRACKETS}
