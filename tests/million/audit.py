"""The books after a run, by the rows of the database and what callers were told: all once, nothing else, all closed."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from .accounts import Accounts
from .reading import Row, Rows
from .told import Tenant, Told
from .world import MICRO, PAYING, QUOTA


def problems(rows: Mapping[str, Rows], told: Told, *, lease: bool) -> Iterator[str]:
    """Yield what is wrong with a ledger at rest; ``lease``: some of it was lent to processes."""
    for name in sorted({*rows, *told.tenants} - {""}):
        kept = rows.get(name)
        if kept is None:
            yield f"{name}: nothing is there"
            continue
        for what in _tenant(kept, told, lease=lease):
            yield f"{name}: {what}"


def _tenant(kept: Rows, told: Told, *, lease: bool) -> Iterator[str]:
    accounts, mine = Accounts(kept.tenant), told.tenants[kept.tenant]
    for row in kept.entries:
        yield from accounts.enter(row)
    yield from accounts.closes(kept)
    if kept.book["holds"]:
        yield "something is held for ever"
    yield from _calls(kept, accounts, mine, told, lease=lease)
    yield from _ends(accounts, mine)
    yield from _grants(accounts, mine)
    yield from _exports(kept, mine)
    yield from _sums(kept, accounts)
    if not lease:
        yield from _quotas(kept)


def _calls(kept: Rows, accounts: Accounts, mine: Tenant, told: Told, *, lease: bool) -> Iterator[str]:
    """Compare calls: what was answered is there once, what was not at most once, and nothing nobody asked for."""
    there = {key for key, row in accounts.keys.items() if row.kind == "consume"}
    for key, certain in mine.calls.items():
        if certain and key not in there:
            yield f"the call {key} was answered and is not there"
    for key in there:
        if not told.asked(key):
            yield f"nobody made the call {key}"
    if not lease:
        for key, times in mine.first.items():
            if times > 1:
                yield f"the call {key} was charged {times} times"
    plain = sum(_plain(row) for row in kept.entries)
    if not mine.plain <= plain <= mine.plain + mine.loose:
        yield f"{mine.plain} calls without a key were answered, {mine.loose} may be there as well, {plain} are"


def _plain(row: Row) -> int:
    """Return how many calls without a key an entry books."""
    if row.kind == "settle":
        return int(json.loads(row.body)[1][3]["calls"])
    return int(row.kind == "consume" and row.key is None)


def _ends(accounts: Accounts, mine: Tenant) -> Iterator[str]:
    """Compare reservations: made, and ended with what was told."""
    for key in mine.reserved:
        if key not in accounts.keys:
            yield f"the reservation {key} is not there"
    for key, used in mine.committed.items():
        row = accounts.keys.get(f"~commit:{key}")
        if row is None or _price(row) != used * MICRO:
            yield f"the reservation {key} was committed with {used}, and {row} is there"


def _price(row: Row) -> int:
    """Return what the caller was told a call costs."""
    return int(json.loads(row.body)[1][0][2])


def _units(row: Row) -> int:
    """Return how many units an entry counts."""
    flat = json.loads(row.body)[0]
    moves = list(zip(flat[0::3], flat[1::3], flat[2::3], strict=True))
    return sum(amount for source, _, amount in moves if source.startswith("metered:")) - sum(
        amount for _, target, amount in moves if target.startswith("metered:")
    )


def _grants(accounts: Accounts, mine: Tenant) -> Iterator[str]:
    """Compare what came in, went back and was taken away."""
    for key, amount in mine.granted.items():
        if accounts.lots.get(key, {}).get("granted") != amount:
            yield f"{amount} were granted as {key}, and {accounts.lots.get(key)} is there"
    for key in (*mine.refunded, *mine.voided):
        if key not in accounts.keys:
            yield f"the refund or void {key} is not there"
    back: defaultdict[str, int] = defaultdict(int)
    for key, row in accounts.keys.items():
        if row.kind == "refunded":
            answer = json.loads(row.body)[1]
            back[answer["of"]] = max(back[answer["of"]], answer["refunded"])
            if answer["refunded"] > MICRO:
                yield f"more was refunded by {key} than a call costs"


def _exports(kept: Rows, mine: Tenant) -> Iterator[str]:
    """Compare exports: each was sent, under the same numbers however often, and nothing else was."""
    there = {(meter, window, seq): units for meter, window, seq, units, _ in kept.exports}
    if there != mine.sent:
        yield f"{len(there)} exports are there, {len(mine.sent)} were sent, not the same"
    if any(state != "sent" for *_, state in kept.exports):
        yield "an export is not marked as sent"
    if kept.book["used"]:
        yield "units were never handed over"


def _sums(kept: Rows, accounts: Accounts) -> Iterator[str]:
    """Compare what was paid and counted with the calls: each counts once, and costs its price, less what went back."""
    calls = price = short = back = uncounted = 0
    for row in kept.entries:
        answer: Any = json.loads(row.body)[1]
        if row.kind == "consume":
            calls += 1
            price += MICRO
        elif row.kind == "settle":
            calls += answer[3]["calls"]
            price += MICRO * answer[3]["calls"]
            short += answer[3]["short"]
        elif row.kind == "commit":
            calls += 1
            price += _price(row)
            short += answer[3]
        elif row.kind == "refund":
            back += answer["restored"] + answer["renewed"]
            uncounted -= _units(row)
    spent = sum(lot["spent"] for lot in accounts.lots.values())
    if kept.tenant in PAYING and spent != price - short - back:
        yield f"{calls} calls cost {price}, {spent} are spent, {short} were short, {back} went back"
    if -accounts.units["metered:calls"] != calls - uncounted:
        yield f"{calls} calls were made, {uncounted} taken back, {-accounts.units['metered:calls']} units counted"


def _quotas(kept: Rows) -> Iterator[str]:
    """Compare what was counted in each day with the quota; nothing is refunded of those who have one."""
    days: defaultdict[tuple[str, int], int] = defaultdict(int)
    for row in kept.entries:
        if row.kind == "consume":
            for name, start, number in json.loads(row.body)[1][1]:
                days[name, start] += number
    if kept.tenant == "limited" and max(days.values(), default=0) > QUOTA:
        yield f"{max(days.values())} calls were let through in a day"
