"""What an invoice comes to: discounts on its lines, taxes on what is left, and the sums. Pure.

Order, as Stripe documents it: discounts of the lines, then those of the invoice, each on what the ones before left
(https://docs.stripe.com/billing/subscriptions/coupons); then credit grants; then taxes
(https://docs.stripe.com/billing/subscriptions/usage-based/billing-credits).
"""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

from reconciler.sandbox.billing import taxes
from reconciler.sandbox.billing.discounts import amount_off
from reconciler.sandbox.billing.rounding import exact, rounded, spread, spread_down
from reconciler.sandbox.settings import Settings
from reconciler.sandbox.wire import Obj


def discounted(
    lines: Sequence[Obj], of_invoice: Sequence[str], coupons: Mapping[str, Obj], settings: Settings
) -> list[Obj]:
    """Return the lines with their ``discount_amounts``, and with ``pretax_credit_amounts`` of the discounts alone.

    ``of_invoice`` are the ids of the invoice's own discounts, ``coupons`` the coupon of every discount named.
    """
    taken: list[list[Obj]] = [[] for _ in lines]
    left = [line["amount"] for line in lines]
    wides = dict.fromkeys([*of_invoice, *(own for line in lines for own in line.get("_wide") or ())])
    for discount_id, wide in [*((own, False) for own in _of_lines(lines)), *((own, True) for own in wides)]:
        coupon = coupons[discount_id]
        places = [
            index
            for index, line in enumerate(lines)
            if line["discountable"]
            and discount_id in (_wide_of(line, of_invoice) if wide else line["discounts"])
            and _covers(coupon, line)
        ]
        shares = _shares([left[index] for index in places], coupon, lines[0]["currency"] if lines else "", settings)
        for index, share in zip(places, shares, strict=True):
            left[index] -= share
            taken[index].append({"amount": share, "discount": discount_id})
    return [
        {
            **line,
            "discount_amounts": amounts,
            "pretax_credit_amounts": [{**amount, "type": "discount"} for amount in amounts],
        }
        for line, amounts in zip(lines, taken, strict=True)
    ]


def _wide_of(line: Obj, of_invoice: Sequence[str]) -> Sequence[str]:
    """Return the invoice's discounts a line takes, or those it takes in their place."""
    own: Sequence[str] | None = line.get("_wide")
    return of_invoice if own is None else own


def _of_lines(lines: Sequence[Obj]) -> Iterator[str]:
    """Yield the discounts of the lines, each once: first what stands first on its line."""
    longest = max((len(line["discounts"]) for line in lines), default=0)
    ordered = [line["discounts"][place] for place in range(longest) for line in lines if place < len(line["discounts"])]
    yield from dict.fromkeys(ordered)


def _covers(coupon: Obj, line: Obj) -> bool:
    """Tell whether a coupon applies to a line: to those of its products, and of its time where it is backdated."""
    only, span = coupon["applies_to"], coupon.get("_span")
    if only is not None and line["_product"] not in only["products"]:
        return False
    if span is None:
        return True
    begins, (start, end) = line["period"]["start"], span
    return start <= begins and (end is None or begins < end)


def _shares(amounts: Sequence[int], coupon: Obj, currency: str, settings: Settings) -> list[int]:
    """Return what a coupon takes off each of the amounts that are left; an amount off is spread in proportion."""
    if coupon["percent_off"] is not None:
        part = exact(coupon["percent_off"]) / 100
        if settings.percent_off_rounds_per_line or any(amount < 0 for amount in amounts):
            return [rounded(amount * part, settings) for amount in amounts]
        return spread(rounded(Fraction(sum(amounts)) * part, settings), amounts)
    weights = [max(amount, 0) for amount in amounts]
    share = spread_down if settings.amount_off_rest_to_largest else spread
    return share(min(amount_off(coupon, currency) or 0, sum(weights)), weights)


def net(line: Obj) -> int:
    """Return what is left of a line after discounts and credit grants."""
    return int(line["amount"] - sum(credit["amount"] for credit in line["pretax_credit_amounts"]))


def taxed(lines: Sequence[Obj], rates: Mapping[str, Obj], exempt: str, settings: Settings) -> list[Obj]:
    """Return the lines with their ``taxes``, and the inclusive tax in their price that is not owed (``_spared``).

    ``rates`` are the tax rates that the lines' ``_tax_rates`` name, ``exempt`` is the customer's ``tax_exempt``.
    """
    own = [[rates[rate] for rate in line["_tax_rates"]] for line in lines]
    computed = taxes.levied([net(line) for line in lines], own, exempt, settings)
    return [line | found for line, found in zip(lines, computed, strict=True)]


def sums(lines: Sequence[Obj], rates: Mapping[str, Obj], exempt: str, settings: Settings) -> Obj:
    """Return an invoice's sums over its discounted and taxed lines: subtotals, totals, and the lists of their parts."""
    own = {discount for line in lines for discount in line["discounts"]}
    subtotals = [line["amount"] - _taken(line, own) for line in lines]
    line_rates = [[rates[rate] for rate in line["_tax_rates"]] for line in lines]
    before = taxes.levied(subtotals, line_rates, exempt, settings)
    untaxed = [found["_spared"] + taxes.of_behavior(found["taxes"], "inclusive") for found in before]
    inside = sum(taxes.of_behavior(line["taxes"], "inclusive") for line in lines)
    on_top = sum(taxes.of_behavior(line["taxes"], "exclusive") for line in lines)
    total = sum(net(line) - line["_spared"] for line in lines)
    return {
        "subtotal": sum(subtotals),
        "subtotal_excluding_tax": sum(subtotals) - sum(untaxed),
        "total": total + on_top,
        "total_discount_amounts": _by(lines, "discount_amounts"),
        "total_excluding_tax": total - inside,
        "total_pretax_credit_amounts": _by(lines, "pretax_credit_amounts"),
        "total_taxes": taxes.summed(lines),
    }


def _taken(line: Obj, discounts: set[str]) -> int:
    return sum(taken["amount"] for taken in line["discount_amounts"] if taken["discount"] in discounts)


def _by(lines: Sequence[Obj], name: str) -> list[Obj]:
    """Add up the lines' amounts that have everything but the amount in common."""
    found: dict[tuple[tuple[str, object], ...], int] = {}
    for line in lines:
        for part in line[name]:
            key = tuple((field, value) for field, value in part.items() if field != "amount")
            found[key] = found.get(key, 0) + part["amount"]
    return [{"amount": amount, **dict(key)} for key, amount in found.items()]
