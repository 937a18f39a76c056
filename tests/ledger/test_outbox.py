"""The outbox of a store: who may send what when, and what a later answer may change."""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.ledger.base import Export, LedgerError, StoreUnavailableError
from reconciler.ledger.book import Book, Lot
from reconciler.ledger.jobs import Found, Job
from reconciler.ledger.ledger import Ledger, open_ledger
from reconciler.ledger.sqlite_schema import MIGRATIONS

HOUR = 3600
NOW = 1_000_000_000_000
LATER = NOW + 60_000_000


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    """Open a ledger of each kind."""
    opened = open_ledger(url, "direct")
    yield opened
    opened.close()


def used(ledger: Ledger, tenant: str, **units: int) -> None:
    """Count units by meter in a window of their own and hand them to the export."""

    def act(book: Book, now: int, _found: Found) -> None:
        window = book.seq * HOUR
        for meter, number in units.items():
            book.use(meter, window, number)
            book.export(meter, window)
        book.enter("export", now, None)

    ledger.submit(Job(tenant, act))


def names(exports: list[Export]) -> list[tuple[str, str, int]]:
    """Name exports shortly."""
    return [(export.tenant, export.meter, export.units) for export in exports]


def test_a_claim_is_in_doubt_until_it_is_settled(ledger: Ledger) -> None:
    """From the claim on an export may have arrived; the first such instant stays through further attempts."""
    used(ledger, "acme", calls=3)
    (first,) = ledger.store.claim(NOW, LATER)
    assert (first.attempts, first.doubt, first.state) == (1, NOW, "pending")
    (second,) = ledger.store.claim(LATER, LATER + 1)
    assert (second.attempts, second.doubt) == (2, NOW)
    ledger.store.settle([second._replace(doubt=0)])
    (third,) = ledger.store.claim(LATER + 1, LATER + 2)
    assert (third.attempts, third.doubt) == (3, LATER + 1)


def test_nobody_sends_beside_the_holder(ledger: Ledger) -> None:
    """While an export is held, others of its tenant and meter wait, also new ones; other tenants and meters do not."""
    used(ledger, "acme", calls=1)
    used(ledger, "acme", calls=2)
    assert names(ledger.store.claim(NOW, LATER, 1)) == [("acme", "calls", 1)]
    used(ledger, "acme", calls=3, fu=4)
    used(ledger, "zoo", calls=5)
    assert names(ledger.store.claim(NOW, LATER)) == [("zoo", "calls", 5), ("acme", "fu", 4)]
    assert ledger.store.claim(NOW, LATER) == []
    assert names(ledger.store.claim(LATER, LATER + 1)) == [
        ("acme", "calls", 1),
        ("zoo", "calls", 5),
        ("acme", "calls", 2),
        ("acme", "calls", 3),
        ("acme", "fu", 4),
    ]


def test_only_the_last_holder_settles(ledger: Ledger) -> None:
    """A holder whose time is over cannot take back the doubt of the next one; what it knows to be sent counts."""
    used(ledger, "acme", calls=1)
    (late,) = ledger.store.claim(NOW, LATER)
    (holder,) = ledger.store.claim(LATER, LATER + 1)
    ledger.store.settle([late._replace(state="dead", doubt=0, error="x", due=0)])
    assert list(ledger.store.exports()) == [holder]
    ledger.store.settle([late._replace(state="sent", doubt=0)])
    ledger.store.settle([holder._replace(state="pending", error="y", due=0)])
    (kept,) = ledger.store.exports()
    assert (kept.state, kept.error) == ("sent", None)
    assert ledger.store.claim(LATER + 2, LATER + 3) == []


def test_the_dead_are_revived_as_doubtful_as_they_were(ledger: Ledger) -> None:
    """Reviving makes dead exports of a tenant, or all, due again and forgets no doubt; others stay as they are."""
    for tenant in ("acme", "zoo", "sent"):
        used(ledger, tenant, calls=1)
    claimed = ledger.store.claim(NOW, LATER)
    ledger.store.settle(
        [export._replace(state="sent" if export.tenant == "sent" else "dead", error="why") for export in claimed]
    )
    assert ledger.store.revive("acme") == 1
    assert [(each.tenant, each.state) for each in ledger.store.exports()] == [
        ("acme", "pending"),
        ("sent", "sent"),
        ("zoo", "dead"),
    ]
    (again,) = ledger.store.claim(NOW + 5, LATER)
    assert (again.tenant, again.doubt, again.attempts) == ("acme", NOW, 2)
    assert ledger.store.revive() == 1


def test_what_was_sent_can_be_taken_back(ledger: Ledger) -> None:
    """What is refused later is dead or pending again, once as it was read, and may have arrived; others stay sent."""
    for tenant in ("acme", "stays", "waits"):
        used(ledger, tenant, calls=1)
    ledger.store.settle([each._replace(state="sent", doubt=0) for each in ledger.store.claim(NOW, LATER)])
    sent = {each.tenant: each for each in ledger.store.exports()}
    ledger.store.recall([sent["acme"]._replace(state="dead", error="why"), sent["waits"]._replace(state="pending")])
    ledger.store.recall([sent["acme"]._replace(state="pending"), sent["stays"]._replace(state="dead", attempts=9)])
    found = {each.tenant: each for each in ledger.store.exports()}
    assert found["acme"] == sent["acme"]._replace(state="dead", error="why", due=0, doubt=1, refused=1)
    assert found["waits"] == sent["waits"]._replace(state="pending", due=0, doubt=1, refused=1)
    assert found["stays"] == sent["stays"]
    assert [each.tenant for each in ledger.store.claim(LATER, LATER + 1)] == ["waits"]
    assert ledger.store.revive() == 1


def granted(ledger: Ledger) -> None:
    """Bring in a few credits."""

    def act(book: Book, now: int, _found: Found) -> None:
        book.grant(Lot("a", 5, 5, 50, None, now, ""))
        book.enter("grant", now, None)

    ledger.submit(Job("acme", act))


def test_a_reader_reads_and_nothing_else(tmp_path: Path) -> None:
    """A ledger opened for reading shows what is there, also while it is written; all that writes is refused."""
    path = tmp_path / "a ledger?#%41.db"
    url = f"sqlite:///{path}"
    with open_ledger(url, "direct") as writer, open_ledger(url, "read") as reader:
        granted(writer)
        before = path.read_bytes()
        assert reader.store.read("acme").credits == 5
        assert [balance.credits for balance in reader.store.balances()] == [5]
        for write in (
            lambda: granted(reader),
            lambda: reader.store.claim(NOW, LATER),
            lambda: reader.store.settle([]),
            reader.store.revive,
        ):
            with pytest.raises(LedgerError) as caught:
                write()
            assert caught.value.code == "E1109"
        assert path.read_bytes() == before
    assert reader.store.close() is None


@pytest.mark.parametrize("content", [None, b"", b"no database at all, nor ever one"])
def test_a_reader_makes_no_ledger(tmp_path: Path, content: bytes | None) -> None:
    """What is not there, empty or no database is refused and left as it is."""
    path = tmp_path / "usage.db"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(LedgerError) as caught:
        open_ledger(f"sqlite:///{path}", "read")
    assert caught.value.code == ("E1108" if content == b"" else "E1101")
    assert isinstance(caught.value, StoreUnavailableError) == (content != b"")
    assert (path.read_bytes() if path.exists() else None) == content


def test_a_reader_needs_no_right_to_write(tmp_path: Path) -> None:
    """Whoever may read the file alone, and write neither to it nor beside it, reads the books."""
    path = tmp_path / "usage.db"
    with open_ledger(f"sqlite:///{path}", "direct") as writer:
        granted(writer)
    (tmp_path / "usage.db.lock").unlink()
    (tmp_path / ".usage.db.bell").unlink()
    path.chmod(0o444)
    for folder in (tmp_path, *tmp_path.parents[:-2]):
        folder.chmod(folder.stat().st_mode | 0o555)
    tmp_path.chmod(0o555)
    as_root = os.geteuid() == 0
    if as_root:
        os.seteuid(65534)
    try:
        with open_ledger(f"sqlite:///{path}", "read") as reader:
            assert reader.store.read("acme").credits == 5
    finally:
        if as_root:
            os.seteuid(0)
    assert [each.name for each in tmp_path.iterdir()] == ["usage.db"]


def test_what_is_streamed_is_held_by_nobody(ledger: Ledger) -> None:
    """A streamed export is not claimed and keeps nobody waiting; what is learnt of it counts once, as it was read."""
    for tenant in ("acme", "back", "lost"):
        used(ledger, tenant, calls=1)
    claimed = ledger.store.claim(NOW, LATER)
    ledger.store.settle([each._replace(state="streamed", due=LATER) for each in claimed])
    assert ledger.store.claim(LATER, LATER + 1) == []
    used(ledger, "acme", calls=2)
    assert names(ledger.store.claim(NOW, LATER)) == [("acme", "calls", 2)]
    streamed = {each.tenant: each for each in ledger.store.exports(state="streamed")}
    assert {each.doubt for each in streamed.values()} == {NOW}
    ledger.store.confirm([streamed["acme"]._replace(state="sent"), streamed["back"]._replace(state="pending", due=0)])
    ledger.store.confirm([streamed["acme"]._replace(state="pending"), streamed["lost"]._replace(attempts=7)])
    ledger.store.recall([streamed["lost"]._replace(state="dead", error="why")])
    ledger.store.confirm([streamed["lost"]._replace(state="sent")])
    found = [(each.tenant, each.state, each.refused) for each in ledger.store.exports() if each.units == 1]
    assert found == [("acme", "sent", 0), ("back", "pending", 0), ("lost", "dead", 1)]
    assert [each.tenant for each in ledger.store.claim(NOW, LATER)] == ["back"]


def test_exports_of_late_windows_alone(ledger: Ledger) -> None:
    """Exports can be asked for from a window on, that one included."""
    for number in range(1, 4):
        used(ledger, "acme", calls=number)
    assert [each.units for each in ledger.store.exports("acme", since=HOUR)] == [2, 3]
    assert [each.units for each in ledger.store.exports(since=HOUR + 1)] == [3]


def test_exports_of_an_earlier_version_are_kept(tmp_path: Path) -> None:
    """A ledger of before the stream keeps its exports as they are, and takes the new state."""
    path = tmp_path / "old.db"
    old = Export("acme", "calls", HOUR, 1, 5, "dead", 2, 7, "why", 9, 3)
    with sqlite3.connect(path, isolation_level=None) as db:
        for script in MIGRATIONS[:2]:
            db.executescript(script)
        db.execute("PRAGMA user_version = 2")
        db.execute("INSERT INTO export VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", old)
    db.close()
    with open_ledger(f"sqlite:///{path}", "direct") as ledger:
        assert list(ledger.store.exports()) == [old]
        ledger.store.revive()
        (claimed,) = ledger.store.claim(NOW, LATER)
        ledger.store.settle([claimed._replace(state="streamed")])
        assert [each.state for each in ledger.store.exports()] == ["streamed"]
