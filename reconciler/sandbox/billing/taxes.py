"""Taxes by tax rates: several on a line, inclusive and exclusive, exact, in the shape lines and invoices show them.

Source: https://docs.stripe.com/billing/taxes/tax-rates, with its rounding: each line's tax to the nearest minor unit
(https://support.stripe.com/questions/rounding-rules-for-stripe-fees).
"""

from collections.abc import Sequence
from fractions import Fraction
from itertools import chain

from reconciler.sandbox.billing.rounding import exact, rounded
from reconciler.sandbox.settings import Settings
from reconciler.sandbox.wire import Obj

#: Why nothing is taxed, by the customer's ``tax_exempt``.
_EXEMPT = {"exempt": "customer_exempt", "reverse": "reverse_charge"}
#: The reason beside a tax that a tax rate set by hand computes.
_BY_HAND = "not_available"


def taxes(bases: Sequence[int], rates: Sequence[Sequence[Obj]], exempt: str, settings: Settings) -> list[list[Obj]]:
    """Return the ``taxes`` of each line: ``bases`` are amounts after discounts, ``rates`` the tax rates of each.

    ``exempt`` is the customer's ``tax_exempt``.
    """
    reason = _EXEMPT.get(exempt) if settings.exempt_customers_pay_no_tax else None
    lines = [_exact_taxes(base, own, settings) for base, own in zip(bases, rates, strict=True)]
    if reason:
        amounts = [[0] * len(line) for line in lines]
    elif settings.tax_rounds_per_line:
        amounts = [[rounded(tax, settings) for _, tax in line] for line in lines]
    else:
        amounts = _rounded_once(lines, rates, settings)
    return [
        [
            {
                "amount": amount,
                "tax_behavior": "inclusive" if rate["inclusive"] else "exclusive",
                "tax_rate_details": {"tax_rate": rate["id"]},
                "taxability_reason": reason or _BY_HAND,
                "taxable_amount": rounded(net, settings),
                "type": "tax_rate_details",
            }
            for rate, (net, _), amount in zip(own, line, line_amounts, strict=True)
        ]
        for own, line, line_amounts in zip(rates, lines, amounts, strict=True)
    ]


def levied(bases: Sequence[int], rates: Sequence[Sequence[Obj]], exempt: str, settings: Settings) -> list[Obj]:
    """Return the ``taxes`` of each line, and as ``_spared`` the inclusive tax that an exempt customer does not pay.

    What is spared is taken out of the price: 100.00 with 10 % inside is 90.91 (https://docs.stripe.com/tax/tax-rates,
    customer tax exemptions).
    """
    owed, full = (taxes(bases, rates, status, settings) for status in (exempt, "none"))
    return [
        {"taxes": own, "_spared": of_behavior(all_of_it, "inclusive") - of_behavior(own, "inclusive")}
        for own, all_of_it in zip(owed, full, strict=True)
    ]


def _exact_taxes(base: int, rates: Sequence[Obj], settings: Settings) -> list[tuple[Fraction, Fraction]]:
    """Return taxable amount and tax of each rate: inclusive taxes are inside the base, exclusive ones on top of it."""
    inside = sum((exact(rate["percentage"]) for rate in rates if rate["inclusive"]), Fraction(0))
    net = base / (1 + inside / 100)
    on_top = net if settings.exclusive_tax_skips_inclusive else Fraction(base)
    nets = [net if rate["inclusive"] else on_top for rate in rates]
    return [(own, own * exact(rate["percentage"]) / 100) for own, rate in zip(nets, rates, strict=True)]


def _rounded_once(
    lines: Sequence[Sequence[tuple[Fraction, Fraction]]], rates: Sequence[Sequence[Obj]], settings: Settings
) -> list[list[int]]:
    """Round the sum of each rate and share it out over the lines, so that they still add up to it."""
    totals: dict[str, Fraction] = {}
    for rate, (_, tax) in zip(chain(*rates), chain(*lines), strict=True):
        totals[rate["id"]] = totals.get(rate["id"], Fraction(0)) + tax
    amounts = [[tax.__floor__() for _, tax in line] for line in lines]
    for rate_id, total in totals.items():
        places = [
            (row, column) for row, own in enumerate(rates) for column, rate in enumerate(own) if rate["id"] == rate_id
        ]
        left = rounded(total, settings) - sum(amounts[row][column] for row, column in places)
        places.sort(key=lambda at: amounts[at[0]][at[1]] - lines[at[0]][at[1]][1])
        for row, column in places[:left]:
            amounts[row][column] += 1
    return amounts


def summed(lines: Sequence[Obj]) -> list[Obj]:
    """Return an invoice's ``total_taxes``: the taxes of its lines by rate, behavior and reason."""
    totals: dict[tuple[str, str, str], Obj] = {}
    for tax in chain.from_iterable(line["taxes"] for line in lines):
        key = (tax["tax_rate_details"]["tax_rate"], tax["tax_behavior"], tax["taxability_reason"])
        held = totals.get(key, {**tax, "amount": 0, "taxable_amount": 0})
        sums = {name: held[name] + tax[name] for name in ("amount", "taxable_amount")}
        totals[key] = held | sums
    return list(totals.values())


def of_behavior(of_line: Sequence[Obj], behavior: str) -> int:
    """Return the sum of the taxes with a behavior, ``inclusive`` or ``exclusive``."""
    return sum(tax["amount"] for tax in of_line if tax["tax_behavior"] == behavior)
