"""Compaction: old calls leave the ledger for an archive, both prove themselves, and nothing anybody has changes."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.entitlements import Entitlements
from reconciler.entitlements.ledger_calls import PASSING
from reconciler.ledger.annex import AnnexStore, Statement
from reconciler.ledger.archive import Archive, ArchiveError
from reconciler.ledger.compaction import ArchivedError, Compacted, compact, proved, whole
from reconciler.ledger.verify import verify
from tests.entitlements.worlds import HandClock, runtime

from .databases import database

DAY = 86_400_000_000
FILES = """
plans:
  pro:
    name: Pro
    usage: {calls: {included: 1000, overage: {unit_amount: 0.01}}}
    credits: {tools: {big: 5}, included: 20}
    pay: [credits, usage]
tools: {big: {counts: {}}, small: {counts: {calls: 1}}}
tenants: {acme: {name: Acme, plan: pro}, beta: {name: Beta, plan: pro}}
"""


@pytest.fixture(params=["memory", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Lend the address of an empty ledger of either kind."""
    with database(str(request.param), tmp_path) as found:
        yield found


class Books:
    """A runtime with an archive beside it."""

    def __init__(self, url: str, directory: Path) -> None:
        self.clock = HandClock()
        self.runtime: Entitlements = runtime(FILES, self.clock, url)
        self.archive = Archive(directory / "archive")

    @property
    def store(self) -> AnnexStore:
        """The store."""
        return self.runtime.ledger.store

    def live(self, tenant: str = "acme", days: int = 3, mark: str = "") -> None:
        """Let days of calls, holds, refunds, grants and exports go by."""
        for day in range(days):
            name = f"{mark}{self.clock.now}-{day}"
            self.runtime.grant(tenant, 10, key=f"pay-{name}")
            self.runtime.consume(tenant, "small", quantity=3, key=f"small-{name}")
            self.runtime.consume(tenant, "big", key=f"big-{name}")
            self.runtime.reserve(tenant, "big", key=f"held-{name}", seconds=60)
            with self.runtime.reserve(tenant, "big", key=f"job-{name}", seconds=60) as hold:
                hold.commit()
            if day % 2:
                self.runtime.refund(tenant, f"big-{name}", key=f"back-{name}")
            self.clock.now += DAY
            self.runtime.sweep()
            self.runtime.seal_over()

    def compact(self, tenant: str = "acme", days: int = 0) -> Compacted:
        """Archive what is older than so many days."""
        return compact(self.store, tenant, self.clock.now - days * DAY, PASSING, self.archive)

    def kinds(self, tenant: str = "acme") -> list[str]:
        """Return the kinds of all entries that are in the ledger."""
        return [entry.kind for entry in self.store.entries(tenant, 0, 10_000)]


@pytest.fixture
def books(url: str, tmp_path: Path) -> Iterator[Books]:
    """Lend books."""
    lent = Books(url, tmp_path)
    yield lent
    lent.runtime.close()


@pytest.mark.parametrize("url", ["memory", "file", "postgres", "partitions"], indirect=True)
def test_old_calls_leave_and_everything_still_adds_up(books: Books) -> None:
    """Calls are archived, all else stays; balance and proof are as before, and go on with what happens next."""
    books.live()
    books.live("beta", 1)
    before, entries = books.runtime.balance("acme"), books.store.entries("acme", 0, 10_000)
    done = books.compact()
    assert done.archived == sum(entry.kind in PASSING for entry in entries) > 10
    assert done.seq == entries[-1].seq
    assert not set(books.kinds()) & PASSING
    assert books.kinds()[-1] == "checkpoint"
    assert books.runtime.balance("acme")._replace(seq=before.seq) == before
    assert (verify(books.store), proved(books.store, "acme", books.archive)) == ([], [])
    assert list(books.archive.entries("acme")) == entries
    assert "consume" in books.kinds("beta")
    books.live()
    assert (verify(books.store), proved(books.store, "acme", books.archive)) == ([], [])


def test_what_is_young_stays(books: Books) -> None:
    """Entries up to the first that is not old enough are archived, and nothing behind it; again later, the rest."""
    books.live(days=4)
    first = books.compact(days=2)
    assert 0 < first.seq < books.store.read("acme").seq
    assert {"consume", "commit"} <= set(books.kinds())
    assert books.compact(days=2).archived == 0
    books.clock.now += DAY
    second = books.compact(days=2)
    assert second.seq > first.seq
    books.live(mark="later")
    third = books.compact()
    assert third.archived > 0
    assert (verify(books.store), proved(books.store, "acme", books.archive)) == ([], [])
    assert [entry.seq for entry in books.archive.entries("acme")] == list(range(1, third.seq + 1))


def test_what_was_granted_is_not_granted_again(books: Books) -> None:
    """The keys of grants stay: a payment that is told of again after its calls were archived brings nothing."""
    books.live(days=2)
    left = books.runtime.balance("acme").credits
    keys = [str(entry.key) for entry in books.store.entries("acme", 0, 10_000) if str(entry.key).startswith("pay-")]
    books.compact()
    for key in keys:
        books.runtime.grant("acme", 10, key=key)
    assert len(keys) == 2
    assert books.runtime.balance("acme").credits == left


def test_calls_behind_a_checkpoint_go_on(books: Books) -> None:
    """Holds, refunds and voids work across it, with lots that came before it; an archived call is known no more."""
    books.live(days=1)
    old = next(str(each.key) for each in books.store.entries("acme") if str(each.key).startswith("big-"))
    lot = next(str(each.key) for each in books.store.entries("acme") if str(each.key).startswith("pay-"))
    kept = books.runtime.reserve("acme", "big", key="long", seconds=40 * 86_400)
    books.runtime.consume("acme", "big", key="young")
    young = books.clock.now
    books.clock.now += 1
    books.runtime.consume("acme", "big", key="younger")
    compact(books.store, "acme", young + 1, PASSING, books.archive)
    assert books.runtime.refund("acme", "younger", key="r").restored == 5 * 10**6
    assert books.runtime.commit("acme", kept._request, owed=False)
    with pytest.raises(LookupError):
        books.runtime.refund("acme", old, key="late")
    books.runtime.void("acme", lot, key="taken")
    assert verify(books.store) == []


def test_entries_can_still_not_be_deleted(books: Books) -> None:
    """Only what a checkpoint covers may go: the rest is as append-only as ever, and nothing may be changed."""
    books.live(days=2)
    books.live("beta", 1)
    books.compact(days=1)
    last = books.store.read("acme").seq
    for sql, values in (
        ("DELETE FROM entry WHERE tenant = ? AND seq = ?", ("acme", last)),
        ("DELETE FROM entry WHERE tenant = ? AND seq = ?", ("beta", 1)),
        ("UPDATE entry SET at = 0 WHERE tenant = ? AND seq = ?", ("acme", 1)),
    ):
        with pytest.raises(Exception, match=r"append-only|cannot be reached|refuses"):
            books.store.alongside([Statement(sql, values)])
    assert verify(books.store) == []


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("DELETE FROM entry WHERE tenant = 'acme' AND kind = 'grant' AND seq < 20", "kept"),
        ("UPDATE checkpoint SET state = replace(state, '1', '2')", "state"),
        ("UPDATE checkpoint SET seq = seq - 1", "no entry names it"),
        ("UPDATE checkpoint SET at = at - 1", "at"),
        ("DELETE FROM checkpoint", "follows entry"),
        ("UPDATE export SET units = units + 1 WHERE tenant = 'acme' AND seq < 20", "exports"),
    ],
)
def test_whoever_changes_what_stayed_is_found(books: Books, sql: str, said: str) -> None:
    """Entries that stayed, the sums, their place and the exports are proved by the chain as before."""
    books.live()
    books.compact()
    assert verify(books.store) == []
    books.store.alongside([Statement(sql)])
    assert any(said in problem.what for problem in verify(books.store))


@pytest.mark.parametrize("change", ["cut", "edit", "swap", "lose", "other"])
def test_whoever_changes_an_archive_is_found(tmp_path: Path, change: str) -> None:
    """An archive that was cut, edited, reordered, lost or exchanged is told of, and no compaction goes on from it."""
    books = Books("sqlite://", tmp_path)
    books.live()
    books.live("beta")
    books.compact()
    path = books.archive.path("acme")
    lines = path.read_bytes().splitlines(keepends=True)
    if change == "cut":
        path.write_bytes(b"".join(lines[:-1]))
    elif change == "edit":
        entry = json.loads(lines[5])
        path.write_bytes(
            b"".join([*lines[:5], json.dumps([*entry[:2], entry[2] + 1, *entry[3:]]).encode() + b"\n", *lines[6:]])
        )
    elif change == "swap":
        path.write_bytes(b"".join([lines[1], lines[0], *lines[2:]]))
    elif change == "lose":
        path.unlink()
    else:
        books.compact("beta")
        path.write_bytes(books.archive.path("beta").read_bytes())
    assert proved(books.store, "acme", books.archive)
    books.live(mark="later")
    with pytest.raises(ArchiveError):
        books.compact()
    assert "consume" in books.kinds()
    assert verify(books.store) == []
    books.runtime.close()


def test_reports_of_archived_times_are_refused(tmp_path: Path) -> None:
    """A period whose calls are not all there is no smaller number, but an error; a later one is as it was."""
    books = Books("sqlite://", tmp_path)
    books.live(days=2)
    whole(books.store, "acme", None)
    end = books.clock.now
    books.compact()
    for since in (None, 0, end - DAY):
        with pytest.raises(ArchivedError, match="archived"):
            whole(books.store, "acme", since)
    whole(books.store, "acme", end)
    whole(books.store, "beta", None)
    books.runtime.close()


def test_two_at_once_archive_once(books: Books, tmp_path: Path) -> None:
    """Whoever comes second waits for nobody: the file is held, or the checkpoint has moved on."""
    books.live(days=1)
    with books.archive.writing("acme"), pytest.raises(ArchiveError, match="another process"):
        books.compact()
    elsewhere, found = Archive(tmp_path / "elsewhere"), list[Any]()
    whole_append = elsewhere.append

    def overtaken(path: Path, entries: Any) -> None:
        whole_append(path, entries)
        found.append(books.compact())

    elsewhere.append = overtaken  # type: ignore[method-assign]
    assert compact(books.store, "acme", books.clock.now, PASSING, elsewhere).archived == 0
    assert found[0].archived > 0
    assert (verify(books.store), proved(books.store, "acme", books.archive)) == ([], [])
    books.live(days=1, mark="later")
    with pytest.raises(ArchiveError, match=r"ledger's checkpoint|ends at"):
        compact(books.store, "acme", books.clock.now + 1, PASSING, Archive(tmp_path / "nowhere"))


DEEDS = st.lists(st.sampled_from(["live", "compact", "half", "torn", "again"]), min_size=1, max_size=7)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(DEEDS)
def test_whatever_order_it_comes_in_it_adds_up(tmp_path_factory: pytest.TempPathFactory, deeds: list[str]) -> None:
    """Life, compactions, archives with a torn end or with entries that never left: both sides stay whole."""
    books = Books("sqlite://", tmp_path_factory.mktemp("books"))
    for number, deed in enumerate(deeds):
        if deed == "live":
            books.live(days=1, mark=str(number))
        elif deed == "torn" and books.archive.path("acme").exists():
            with books.archive.path("acme").open("ab") as file:
                file.write(b'["acme",99')
        elif deed == "again":
            entries = books.store.entries("acme", 0, 10_000)
            checked = max((entry.seq for entry in books.archive.entries("acme")), default=0)
            if behind := [entry for entry in entries if entry.seq > checked][:3]:
                with books.archive.writing("acme") as path:
                    books.archive.append(path, behind)
        else:
            books.compact(days=1 if deed == "half" else 0)
    assert (verify(books.store), proved(books.store, "acme", books.archive)) == ([], [])
    books.runtime.close()


SCRIPT = """
import os, signal, sys
from pathlib import Path
from reconciler.entitlements.ledger_calls import PASSING
from reconciler.ledger import archive, compaction
from reconciler.ledger.ledger import open_ledger
url, directory, point = sys.argv[1:]
def die(*given):
    os.kill(os.getpid(), signal.SIGKILL)
if point == "half":
    whole = archive._line
    def line(entry, left=[7]):
        left[0] -= 1
        if left[0] < 0:
            die()
        return whole(entry)
    archive._line = line
ledger = open_ledger(url, "direct", lambda: 2**60)
store = ledger.store
if point == "written":
    store.alongside = die
if point == "done":
    kept = store.alongside
    store.alongside = lambda *given: (kept(*given), die())
compaction.compact(store, "acme", 2**60, PASSING, archive.Archive(Path(directory)))
"""


@pytest.mark.parametrize("point", ["half", "written", "done"])
@pytest.mark.parametrize("kind", ["file", "postgres"])
def test_whoever_dies_while_compacting_loses_nothing(kind: str, point: str, tmp_path: Path) -> None:
    """Killed with half an archive, before or after the deletion: the next one ends it, and both sides are whole."""
    with database(kind, tmp_path) as url:
        books = Books(url, tmp_path)
        books.live(days=2)
        before, entries = books.runtime.balance("acme"), books.store.entries("acme", 0, 10_000)
        ran = subprocess.run(
            [sys.executable, "-c", SCRIPT, url, str(books.archive.directory), point],
            env={**os.environ, "PYTHONPATH": str(Path.cwd())},
            capture_output=True,
            check=False,
        )
        assert ran.returncode == -signal.SIGKILL, ran.stderr
        assert verify(books.store) == []
        books.clock.now += DAY
        assert books.compact().archived == (0 if point == "done" else sum(entry.kind in PASSING for entry in entries))
        assert list(books.archive.entries("acme")) == entries
        assert (verify(books.store), proved(books.store, "acme", books.archive)) == ([], [])
        assert books.runtime.balance("acme").credits == before.credits
        books.runtime.close()


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["file", "postgres"])
def test_calls_go_on_while_old_ones_leave(kind: str, tmp_path: Path) -> None:
    """Runtimes that call, reserve and refund beside compactions lose nothing, and both sides add up at every moment."""
    with database(kind, tmp_path) as url:
        books = Books(url, tmp_path)
        books.clock = clock = HandClock()
        books.runtime.close()
        books.runtime = runtime(FILES, clock, url)
        done, failures, booked = threading.Event(), list[BaseException](), list[int]()

        def call(number: int) -> None:
            try:
                with runtime(FILES, clock, url) as mine:
                    made = 0
                    while not done.is_set():
                        key = f"{number}-{made}"
                        made += bool(mine.consume("acme", "small", key=key))
                        with mine.reserve("acme", "small", key=f"held-{key}") as hold:
                            hold.commit()
                        clock.now += 60_000_000
                    booked.append(made)
            except BaseException as error:  # noqa: BLE001  told below
                failures.append(error)

        threads = [threading.Thread(target=call, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        archived = 0
        for _ in range(60):
            archived += compact(books.store, "acme", clock.now - 60 * 60_000_000, PASSING, books.archive).archived
            assert verify(books.store) == []
            time.sleep(0.2)
        done.set()
        for thread in threads:
            thread.join()
        assert failures == []
        clock.now += DAY
        while (part := books.compact()).archived:
            archived += part.archived
        assert archived > 100
        kept = list(books.archive.entries("acme"))
        assert sum(entry.kind == "consume" for entry in kept) == sum(booked)
        assert (verify(books.store), proved(books.store, "acme", books.archive)) == ([], [])
        books.runtime.close()
