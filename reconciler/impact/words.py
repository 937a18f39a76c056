"""An impact's numbers and remarks in words, for every form that people read."""

from collections.abc import Iterator

from reconciler.config.words import count
from reconciler.impact.result import CallRow, Impact, TenantRow, Total, major


def headline_parts(impact: Impact) -> tuple[str, str, str, str]:
    """Return what is compared, of which month, by which usage: all of it text from outside."""
    return impact.base, impact.head, impact.month, impact.source


def headline(impact: Impact, arrow: str) -> str:
    """Say in one line what is compared, by which usage."""
    base, head, month, source = headline_parts(impact)
    used = f"usage of {source}" if source else "without usage"
    return f"Impact of {base} {arrow} {head}, {month}, {used}: {count(len(impact.rows), 'tenant')}"


def effect(row: CallRow) -> str:
    """Say why calls are refused, or were."""
    return row.reason if row.effect == "refused" else f"was {row.reason}"


def sums(total: Total) -> list[tuple[str, str, str, str]]:
    """Return what all invoices of a currency come to: what, before, after, difference, for a month and a year."""
    found = []
    for what, (before, after) in (("month", total.month), ("year", total.year)):
        found.append(
            (
                what,
                amount(before, total.currency),
                amount(after, total.currency),
                signed(after - before, total.currency),
            )
        )
    return found


def amount(minor: int, currency: str) -> str:
    """Write whole minor units for people, thousands apart, without the currency."""
    whole, point, rest = major(abs(minor), currency).partition(".")
    return f"{'-' if minor < 0 else ''}{int(whole):,}{point}{rest}"


def signed(minor: int, currency: str) -> str:
    """Write a difference with its sign; nothing has none."""
    return f"{'+' if minor > 0 else ''}{amount(minor, currency)}"


def remarks(row: TenantRow) -> Iterator[str]:
    """Yield what is to be said of a tenant beside its numbers."""
    if row.plans[0] != row.plans[1] and None not in row.plans:
        yield f"plan {row.plans[0]} to {row.plans[1]}"
    if row.trial_days[0] != row.trial_days[1]:
        yield f"trial of {row.trial_days[0]} to {row.trial_days[1]} days"
    if row.why:
        yield row.why


def summary(impact: Impact) -> str:
    """Say in one line what it comes to."""
    if not impact.differs:
        return "no difference for any tenant"
    differences = [(total.month[1] - total.month[0], total.currency) for total in impact.totals]
    sums_ = [f"{signed(number, currency)} {currency} a month" for number, currency in differences]
    more, less = (sum(getattr(total, name)[0] for total in impact.totals) for name in ("more", "less"))
    found = [*sums_, f"{count(more, 'tenant')} {'pays' if more == 1 else 'pay'} more", f"{less:,} less"]
    found += [f"{impact.newly_refused:,} calls newly refused"] if impact.newly_refused else []
    found += [f"{impact.newly_allowed:,} newly allowed"] if impact.newly_allowed else []
    return ", ".join(found)


def most_refused(impact: Impact, most: int) -> list[TenantRow]:
    """Return the tenants with the most calls newly refused."""
    rows = [row for row in impact.rows if row.newly_refused]
    return sorted(rows, key=lambda row: (-row.newly_refused, row.tenant))[:most]
