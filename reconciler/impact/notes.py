"""What an impact does not know, in sentences: said once each, with the tenants and tools it is about."""

from collections.abc import Iterator, Sequence

from reconciler.config.words import count
from reconciler.impact.replay import Replay
from reconciler.impact.result import Note, TenantRow
from reconciler.impact.side import Side
from reconciler.impact.used import Recorded

_ORDER = ("rate", "second", "minute", "hour", "day", "week", "year")


class Doubts:
    """Gathers, tenant by tenant, what could not be told."""

    def __init__(self, before: Side, after: Side) -> None:
        self._sides = (before, after)
        self._coarse: set[str] = set()
        self._unknown: set[tuple[str, str]] = set()
        self._assumed = 0

    def heard(self, replay: Replay, recorded: Recorded) -> None:
        """Take in what one replay of a tenant could not tell."""
        self._coarse |= replay.coarse
        self._unknown |= replay.unknown
        if replay.side is self._sides[0]:
            self._assumed += recorded.assumed

    def notes(self, rows: Sequence[TenantRow], *, given: bool) -> list[Note]:
        """Return everything there is to say; ``given`` says that there was any usage to look at."""
        return list(self._notes(rows, given=given))

    def _notes(self, rows: Sequence[TenantRow], *, given: bool) -> Iterator[Note]:
        if not given:
            yield Note("No usage was given: fixed fees, least charges and trials alone are compared")
        else:
            without = [row.tenant for row in rows if not row.used and row.month is not None]
            yield from _about(without, "{} without usage, compared by fixed fees alone")
        apart = [row.tenant for row in rows if row.month is None]
        yield from _about(apart, "{} in no total, because there are no two invoices that compare")
        yield from self._untold()
        already = [row for row in rows if row.refused[0]]
        if already:
            number = sum(row.refused[0] for row in already)
            some = f"{number:,} of what was used is refused by the old files too, and on no invoice"
            yield Note(some, tuple(row.tenant for row in already))
        for policy, told in _REACHED.items():
            yield from _about([row.tenant for row in rows if row.on_change == policy], told)
        kept = [row.tenant for row in rows if "grandfather" in row.usage_on_change]
        yield from _about(kept, _USAGE_KEPT)
        yield from self._packs()

    def _untold(self) -> Iterator[Note]:
        if self._coarse:
            kinds = [f"per {each}" for each in _ORDER[1:] if each in self._coarse]
            what = ["rate limits"] if "rate" in self._coarse else []
            what += [f"bounds {', '.join(kinds)}"] if kinds else []
            yield Note(
                f"Some usage is a sum without the instants of its calls: {' and '.join(what)} could not be replayed "
                "for it; of quotas those per month alone were"
            )
        if self._unknown:
            said = "Calls that count a meter by what they return or are given, which is not recorded, count none"
            yield Note(said, tuple(f"{tool} on {meter}" for tool, meter in sorted(self._unknown)))
        if self._assumed:
            some = count(self._assumed, "call")
            yield Note(f"The quantity of {some} is not recorded, where the files price by it: taken as one")

    def _packs(self) -> Iterator[Note]:
        old, new = (side.policy.packs for side in self._sides)
        changed = [
            name
            for name in sorted(old.keys() & new.keys())
            if (old[name].price, old[name].currency) != (new[name].price, new[name].currency)
        ]
        if changed:
            yield Note("Credit packs whose price changes are bought, not invoiced, and in no total", tuple(changed))


#: Whose new flat price Stripe does not charge at once.
_REACHED = {
    "grandfather": "The flat price of {} changes for new customers only (on_change: grandfather); the figures are as "
    "if they paid it",
    "at_renewal": "The flat price of {} changes at the next renewal (on_change: at_renewal)",
}
#: Usage is charged at new prices from a period's end at the earliest, so only those are told who never pay them.
_USAGE_KEPT = (
    "Usage prices of {} change for new customers only (on_change: grandfather); the figures are as if they paid them"
)


def _about(tenants: Sequence[str], told: str) -> Iterator[Note]:
    if tenants:
        yield Note(told.format(count(len(tenants), "tenant")), tuple(tenants))
