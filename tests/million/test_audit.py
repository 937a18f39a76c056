"""The audit of a run can fail: it tells every way a ledger can be wrong, and that processes have raced on one."""

import copy
import hashlib
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from reconciler.entitlements.books import OWN

from .audit import problems
from .reading import Row, Rows, rows
from .test_million import Crowd, begin, rest
from .told import Told, told
from .worker import BOOKED, Hand, Run, opened
from .world import TENANTS, Log, Shared

Ledger = tuple[dict[str, Rows], Told]
#: A run of one thread, long enough for every kind of entry.
ALONE = 400


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    """Return the rows of a ledger at rest and what one thread was told of it."""
    home = tmp_path_factory.mktemp("alone")
    run = Run(f"sqlite:///{home / 'usage.db'}", "direct", home)
    begin(run)
    shared, random = Shared(home / "shared"), Random(1)
    with Log(home / "p1.told") as log, opened(run, shared) as ent:
        hand = Hand(ent, log, shared, "p1", 0)
        for deed in random.choices(list(BOOKED), [*BOOKED.values()], k=ALONE):
            hand.number += 1
            deed(hand)
    (home / "p1.ended").touch()
    assert rest(run) == []
    return rows(run.url), told(home, lease=False)


def test_an_honest_ledger_is_found_honest(honest: Ledger) -> None:
    """Of a ledger nobody has touched nothing is said, and there is something of every kind in it."""
    assert list(problems(*honest, lease=False)) == []
    kinds = {row.kind for each in honest[0].values() for row in each.entries}
    assert kinds >= {"consume", "reserve", "commit", "release", "grant", "reset", "refund", "void", "export", "expire"}


def _resealed(kept: Rows, entries: list[Row]) -> None:
    """Put entries in the place of those there are, numbered and chained as if nothing had happened."""
    head, kept.entries = bytes(32), []
    for seq, row in enumerate(entries, 1):
        text = f"{kept.tenant}\n{seq}\n{row.at}\n{row.kind}\n{row.key or ''}\n{row.digest}\n{row.body}"
        head = hashlib.sha256(head + text.encode()).digest()
        kept.entries.append(row._replace(seq=seq, hash=head))
    kept.seq, kept.head = len(entries), head


def _place(kept: Rows, kind: str, *, keyed: bool = True) -> int:
    found = (n for n, row in enumerate(kept.entries) if row.kind == kind and (row.key is not None) is keyed)
    return next(found)


def _gone(kept: Rows, _: Told) -> None:
    del kept.entries[_place(kept, "consume")]


def _gone_without_a_trace(kept: Rows, _: Told) -> None:
    place = _place(kept, "consume")
    _resealed(kept, [*kept.entries[:place], *kept.entries[place + 1 :]])


def _twice(kept: Rows, _: Told) -> None:
    place = _place(kept, "consume")
    _resealed(kept, [*kept.entries[: place + 1], *kept.entries[place:]])


def _twice_without_a_key(kept: Rows, _: Told) -> None:
    place = _place(kept, "consume", keyed=False)
    _resealed(kept, [*kept.entries[: place + 1], *kept.entries[place:]])


def _written_anew(kept: Rows, _: Told) -> None:
    place = _place(kept, "consume")
    kept.entries[place] = kept.entries[place]._replace(at=0)


def _dearer(kept: Rows, _: Told) -> None:
    place = _place(kept, "consume")
    row = kept.entries[place]
    content = json.loads(row.body)
    content[0][2] += 1
    kept.entries[place] = row._replace(body=json.dumps(content, separators=(",", ":")))
    _resealed(kept, kept.entries)


def _richer(kept: Rows, _: Told) -> None:
    kept.book["lots"][0][2] += 1
    kept.credits += 1


def _richer_in_the_column(kept: Rows, _: Told) -> None:
    kept.credits += 1


def _held(kept: Rows, _: Told) -> None:
    kept.book["holds"].append([f"{OWN}lease:x", 0, [], {}])


def _told_more(kept: Rows, answered: Told) -> None:
    answered.tenants[kept.tenant].calls["p1.0.1000"] = True


def _told_more_without_a_key(kept: Rows, answered: Told) -> None:
    answered.tenants[kept.tenant].plain += 1


def _told_new_twice(kept: Rows, answered: Told) -> None:
    mine = answered.tenants[kept.tenant]
    mine.first[next(iter(mine.calls))] += 1


def _not_asked(_: Rows, answered: Told) -> None:
    answered.last["p1.0"] = 0


def _granted_otherwise(kept: Rows, answered: Told) -> None:
    answered.tenants[kept.tenant].granted["first"] = 1


def _committed_otherwise(kept: Rows, answered: Told) -> None:
    mine = answered.tenants[kept.tenant]
    mine.committed[next(iter(mine.committed))] += 1


def _refunded_for_nothing(kept: Rows, answered: Told) -> None:
    answered.tenants[kept.tenant].refunded["p1.0.2000"] = "p1.0.1"


WRONG: list[Callable[[Rows, Told], None]] = [
    _gone, _gone_without_a_trace, _twice, _twice_without_a_key, _written_anew, _dearer, _richer, _richer_in_the_column,
    _held, _told_more, _told_more_without_a_key, _told_new_twice, _not_asked, _granted_otherwise, _committed_otherwise,
    _refunded_for_nothing,
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.__name__.strip("_"))
def test_what_is_wrong_is_said(honest: Ledger, wrong: Callable[[Rows, Told], None]) -> None:
    """Whatever is taken from a ledger, added to it or told otherwise, the audit finds."""
    found, answered = copy.deepcopy(honest)
    wrong(found["rich"], answered)
    assert list(problems(found, answered, lease=False))


@pytest.mark.parametrize("change", [{"units": 1}, {"state": "pending"}, {}], ids=["units", "state", "gone"])
def test_an_export_that_is_wrong_is_said(honest: Ledger, change: dict[str, object]) -> None:
    """An export with other units, one that was not sent, and one that is missing are found."""
    found, answered = copy.deepcopy(honest)
    meter, window, seq, units, state = found["metered"].exports.pop()
    if change:
        changed = (meter, window, seq, units + int("units" in change), str(change.get("state", state)))
        found["metered"].exports.append(changed)
    assert list(problems(found, answered, lease=False))


def test_more_than_a_quota_is_said(honest: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls beyond what a day allows are found."""
    monkeypatch.setattr("tests.million.audit.QUOTA", 0)
    assert any("let through in a day" in each for each in problems(*honest, lease=False))


def test_all_tenants_are_looked_at(honest: Ledger) -> None:
    """Every tenant of the run has entries, and is missed where its rows are gone."""
    assert set(honest[0]) == set(TENANTS)
    for name in TENANTS:
        found, answered = copy.deepcopy(honest)
        del found[name]
        assert list(problems(found, answered, lease=False)) == [f"{name}: nothing is there"]


@pytest.mark.soak
def test_processes_that_race_are_found_out(tmp_path: Path) -> None:
    """The run is a race: where processes believe in their own books and no index keeps them from it, the audit sees."""
    run = Run(f"sqlite:///{tmp_path / 'usage.db'}", "direct", tmp_path, careless=True)
    begin(run)
    with sqlite3.connect(tmp_path / "usage.db") as db:
        db.executescript("CREATE TABLE bare AS SELECT * FROM entry; DROP TABLE entry; ALTER TABLE bare RENAME TO entry")
    db.close()
    Crowd(run, Random(1), None).until(2000)
    assert list(problems(rows(run.url), told(tmp_path, lease=False), lease=False))
