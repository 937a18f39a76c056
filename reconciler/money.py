"""Exact money: decimals in major units, the minor units Stripe counts in, and what Stripe can hold.

No float enters this module. Exponents follow Stripe's list of zero-decimal and three-decimal currencies
(https://docs.stripe.com/currencies#zero-decimal), its special cases before it: UGX is charged with two decimals.
"""

from decimal import Context, Decimal, Inexact, InvalidOperation

#: Enough digits that no sum or product of amounts Stripe can hold is ever rounded; anything longer traps.
EXACT = Context(prec=60, traps=[Inexact, InvalidOperation])

#: ``unit_amount_decimal`` holds at most this many decimal places of a minor unit.
MAX_MINOR_DECIMALS = 12

#: Stripe's largest charge by card: twelve digits in minor units (https://docs.stripe.com/currencies).
MAX_MINOR_AMOUNT = Decimal(999_999_999_999)

#: The largest charge every way of paying takes, eight digits in minor units, where a currency has no limit of its own.
COMMON_MINOR_AMOUNT = Decimal(99_999_999)
LARGER_MINOR_AMOUNT = {"idr": MAX_MINOR_AMOUNT, "cop": Decimal(9_999_999_999), "inr": Decimal(999_999_999)}

#: Currencies whose amounts have two decimals at Stripe that must be zero (https://docs.stripe.com/currencies#special-cases).
WHOLE_MAJOR = frozenset({"isk", "ugx"})

ZERO_DECIMAL = frozenset("bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf".split())
THREE_DECIMAL = frozenset("bhd jod kwd omr tnd".split())
TWO_DECIMAL = frozenset(
    """aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bmd bnd bob brl bsd bwp byn bzd cad cdf chf cny cop crc
    cve czk dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gtq gyd hkd hnl hrk htg huf idr ils inr isk jmd kes kgs
    khr kyd kzt lak lbp lkr lrd lsl mad mdl mkd mmk mnt mop mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd pab pen
    pgk php pkr pln qar ron rsd rub sar sbd scr sek sgd shp sle sos srd std szl thb tjs top try ttd twd tzs uah ugx usd
    uyu uzs wst xcd xcg yer zar zmw""".split()
)
CURRENCIES = ZERO_DECIMAL | THREE_DECIMAL | TWO_DECIMAL


def exponent(currency: str) -> int:
    """Return the number of decimal digits between the major and the minor unit: 2 for usd, 0 for jpy, 3 for kwd."""
    if currency in ZERO_DECIMAL:
        return 0
    return 3 if currency in THREE_DECIMAL else 2


def to_minor(major: Decimal, currency: str) -> Decimal:
    """Convert an exact amount in major units to minor units, still exact: ``0.005`` usd is ``0.5`` cents."""
    return EXACT.scaleb(major, exponent(currency)).normalize(EXACT)


def to_major(minor: Decimal, currency: str) -> Decimal:
    """Convert an exact amount in minor units to major units: ``0.5`` cents is ``0.005`` usd."""
    return EXACT.scaleb(minor, -exponent(currency)).normalize(EXACT)


def plain(value: Decimal) -> str:
    """Write a decimal without exponent and without trailing zeros: ``Decimal('1E-7')`` gives ``0.0000001``."""
    text = format(value.normalize(EXACT), "f")
    return "0" if text in {"-0", ""} else text


def decimals(value: Decimal) -> int:
    """Count the digits after the point that are needed to write the value exactly."""
    digits = value.normalize(EXACT).as_tuple().exponent
    return max(0, -digits) if isinstance(digits, int) else 0


def display(minor: Decimal, currency: str) -> str:
    """Write an amount for people: at least the currency's own digits, more where the amount is finer: ``0.005 usd``."""
    major = to_major(minor, currency)
    places = max(exponent(currency), decimals(major))
    return f"{major:.{places}f} {currency}"
