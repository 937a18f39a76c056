"""Numbers, money and instants as pages write them: exact, grouped, never in another unit than they are."""

from datetime import UTC, datetime
from decimal import Decimal

from reconciler import money
from reconciler.entitlements.periods import LENGTH, SECOND, instant
from reconciler.entitlements.policy import MICRO
from reconciler.service.figures.tables import first_day, month_of_day

_DAYS = 30
#: From so many thousandths on a change is written in whole percent.
_COARSE = 1000
_MINUS = "\u2212"


def whole(number: int) -> str:
    """Write a number in groups of three."""
    return f"{number:,}"


def credits_of(micro: int) -> str:
    """Write millionths of a credit exactly."""
    return _grouped(Decimal(micro).scaleb(-6))


def minor(amount: int, currency: str) -> str:
    """Write minor units of a currency: ``1,234.50 USD``."""
    return major(money.to_major(Decimal(amount), currency), currency)


def micro_money(amount: int, currency: str) -> str:
    """Write millionths of a currency's major unit, exactly."""
    return major(money.EXACT.divide(Decimal(amount), Decimal(MICRO)), currency)


def major(amount: Decimal, currency: str) -> str:
    """Write an exact amount in major units, with at least the currency's own digits."""
    places = max(money.exponent(currency), money.decimals(amount))
    return f"{amount:,.{places}f} {currency.upper()}"


def _grouped(value: Decimal) -> str:
    return f"{value:,.{money.decimals(value)}f}"


def short(value: int) -> str:
    """Write a number where there is little room: ``20k``, ``1.5M``; exact where it is small."""
    for size, sign in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        if value >= size:
            whole_, tenth = value // size, value % size * 10 // size
            return f"{whole_:,}.{tenth}{sign}" if tenth and not value % (size // 10) else f"{whole_:,}{sign}"
    return str(value)


def short_minor(amount: int, currency: str) -> str:
    """Write minor units of a currency where there is little room, in major units."""
    size = 10 ** money.exponent(currency)
    return short(amount // size) if amount % size == 0 else f"{money.to_major(Decimal(amount), currency)}"


def percent(part: int, of: int) -> str:
    """Write a share, rounded down to a whole percent, so that 100 % is all of it."""
    return f"{part * 100 // of}%" if of else ""


def day(number: int) -> str:
    """Write a day since 1970 as an ISO date."""
    return instant(number * LENGTH["day"]).strftime("%Y-%m-%d")


def day_short(number: int) -> str:
    """Write a day since 1970 for the axis of a chart: ``3 Jan``."""
    found = instant(number * LENGTH["day"])
    return f"{found.day} {found:%b}"


def month(number: int) -> str:
    """Write a month since 1970: ``Jan 2027``."""
    return instant(first_day(number) * LENGTH["day"]).strftime("%b %Y")


def month_short(number: int) -> str:
    """Write a month since 1970 for the axis of a chart, with its year where one begins."""
    found = instant(first_day(number) * LENGTH["day"])
    return found.strftime("%b %y") if found.month == 1 else found.strftime("%b")


def moment(at: int) -> str:
    """Write an instant in microseconds to the minute, in UTC."""
    return instant(at).strftime("%Y-%m-%d %H:%M")


def seconds_moment(at: int) -> str:
    """Write an instant in seconds to the minute, in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")


def ago(at: int, now: int) -> str:
    """Write how long ago an instant was, both in microseconds, in the largest unit that fits."""
    seconds = max(now - at, 0) // SECOND
    for size, name in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            number = seconds // size
            return f"{number} {name}{'' if number == 1 else 's'} ago"
    return "just now"


def days_ago(number: int, today: int) -> str:
    """Write when a day was, seen from another."""
    passed = today - number
    if passed <= 1:
        return "today" if passed <= 0 else "yesterday"
    return f"{passed} days ago" if passed <= _DAYS else day(number)


def change(now: int, before: int) -> tuple[str, str] | None:
    """Return the change from one number to another in percent, signed, and its direction; ``None`` from nothing."""
    if before <= 0:
        return None
    tenths = abs(now - before) * 1000 // before
    if tenths == 0:
        return "no change", ""
    shown = f"{tenths // 10:,}" if tenths >= _COARSE else f"{tenths // 10}.{tenths % 10}"
    return (f"+{shown}%", "up") if now > before else (f"{_MINUS}{shown}%", "down")


def rate(part: int, of: int) -> str | None:
    """Write a rate in percent to one decimal, rounded down; ``None`` of nothing."""
    if not of:
        return None
    tenths = part * 1000 // of
    return f"{tenths // 10}.{tenths % 10}%"


def today_of(now: int) -> int:
    """Return the day since 1970 an instant in microseconds lies in."""
    return now // LENGTH["day"]


def month_of(number: int) -> int:
    """Return the month since 1970 a day since 1970 lies in."""
    return month_of_day(number)
