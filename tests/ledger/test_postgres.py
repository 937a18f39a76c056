"""What only PostgreSQL can go wrong at: partitions, waiting, broken connections, its clock, its driver."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from reconciler.ledger.base import LedgerError, StoreUnavailableError
from reconciler.ledger.book import Book
from reconciler.ledger.jobs import Job
from reconciler.ledger.ledger import open_ledger
from reconciler.ledger.postgres import PostgresStore
from reconciler.ledger.postgres_sql import CLAIM, CLAIMING, COMMIT, LOAD

from .databases import plain, schema
from .deeds import HOUR, START, Hand, grant, hand_over, spend, use
from .processes import in_child
from .relay import Relay, relayed


@pytest.fixture
def url() -> Iterator[str]:
    """Lend the address of an empty schema, whose calls may take a second."""
    with schema() as found:
        yield f"{found}&timeout=1"


def opened(url: str, clock: Hand | None = None) -> PostgresStore:
    """Open a store with a hundred credits of acme's."""
    store = PostgresStore(url, clock)
    store.transact([grant("acme", "g", 100, key="g")])
    return store


def raw(url: str) -> psycopg.Connection:
    """Connect past the ledger."""
    return psycopg.connect(plain(url).replace("&timeout=1", ""), autocommit=True)


def test_a_locked_tenant_is_not_waited_for_for_ever(url: str) -> None:
    """A call gives up on a row somebody holds, is refused as unavailable, and goes through when it is let go."""
    store = opened(url)
    with raw(url) as other:
        with other.transaction():
            other.execute("SELECT 1 FROM tenant WHERE tenant = 'acme' FOR UPDATE")
            with pytest.raises(StoreUnavailableError, match="lock timeout") as caught:
                store.transact([spend("acme", 1)])
            assert caught.value.code == "E1103"
            assert store.transact([grant("birch", "g", 1)])[0].value == 1
        assert store.transact([spend("acme", 1)])[0].value == 99
    store.close()


def test_a_silent_server_is_not_waited_for_for_ever(url: str) -> None:
    """A server that takes what is said and answers nothing is unavailable after a while, until it wakes."""
    with relayed(url) as (address, relay):
        store = opened(address)
        relay.hangs = True
        with pytest.raises(StoreUnavailableError, match="no answer in time"):
            store.transact([spend("acme", 1)])
        with pytest.raises(StoreUnavailableError, match="timeout expired"):
            store.read("acme")
        relay.hangs = False
        assert store.transact([spend("acme", 1)])[0].value == 99
        store.close()


def name_of(store: PostgresStore, statement: str) -> bytes:
    """Return how a store's only connection asks for a statement it has prepared."""
    (connection,) = store._connections._open
    return connection.prepared[statement] + b"\0"


def broken(relay: Relay, store: PostgresStore, before: bytes = b"", after: bytes = b"") -> int | None:
    """Spend one under a key while the connection breaks once; return the balance, ``None`` where nobody knows it."""
    relay.before, relay.after = before, after
    try:
        return store.transact([spend("acme", 1, "k")])[0].value
    except StoreUnavailableError:
        return None
    finally:
        assert relay.broken == 1


def test_a_connection_that_breaks_before_the_commit_costs_nothing(url: str) -> None:
    """The transaction is run again on another connection, and happens once."""
    with relayed(url) as (address, relay):
        store = opened(address)
        assert broken(relay, store, before=name_of(store, LOAD)) == 99
        assert store.read("acme").credits == 99
        store.close()


@pytest.mark.parametrize("arrives", [False, True])
def test_a_connection_that_breaks_at_the_commit(url: str, arrives: bool) -> None:
    """Nobody knows whether it was kept, and the caller is told so; asked again under its key it has happened once."""
    with relayed(url) as (address, relay):
        store = opened(address)
        commit = {"after" if arrives else "before": name_of(store, COMMIT)}
        assert broken(relay, store, **commit) is None
        again = store.transact([spend("acme", 1, "k")])[0]
        assert (again.value, again.entry is not None) == ((None, True) if arrives else (99, False))
        assert store.read("acme").credits == 99
        store.close()


def test_sessions_that_were_ended_are_replaced(url: str) -> None:
    """After a restart of the server, which ends every session, reads and writes go on by themselves."""
    store = opened(f"{url}&application_name=reconciler-ended")
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: store.read("acme"), range(20)))
    with raw(url) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'reconciler-ended'"
        )
        assert store.read("acme").credits == 100
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'reconciler-ended'"
        )
        assert store.transact([spend("acme", 1)])[0].value == 99
    store.close()


def test_refused_entries_leave_no_session_behind_that_fails(url: str) -> None:
    """However often the server refuses what is entered, what comes after it is written."""
    store = opened(url)

    def taken(book: Book, now: int, _found: object) -> None:
        book.enter("late", now, None, "g")

    for left in range(99, 85, -1):
        store.transact([Job("acme", taken)])
        assert store.transact([spend("acme", 1)])[0].value == left
    store.close()


def test_a_copy_of_the_process_leaves_the_sessions_alone(url: str) -> None:
    """A child neither ends its parent's sessions nor keeps them open when the parent dies."""
    store = opened(url)
    ((session,),) = store._ask("SELECT pg_backend_pid()")
    (ready, go), (end, ends) = os.pipe(), os.pipe()

    def middle() -> bool:
        ((own,),) = store._ask("SELECT pg_backend_pid()")
        if os.fork() == 0:
            os._exit(len(os.read(end, 1)))
        os.write(go, str(own).encode())
        os.kill(os.getpid(), signal.SIGKILL)
        return False

    def child() -> bool:
        store.transact([spend("acme", 1)])
        store.close()
        return True

    assert in_child(child)()
    assert store._ask("SELECT pg_backend_pid()") == [(session,)]
    assert not in_child(middle)()
    own = int(os.read(ready, 20))
    with raw(url) as other:
        sessions = [("there",)]
        for _ in range(1000):
            if sessions:
                time.sleep(0.01)
                sessions = other.execute("SELECT 'there' FROM pg_stat_activity WHERE pid = %s", (own,)).fetchall()
        os.write(ends, b"x")
        assert sessions == []
    store.close()
    for number in (ready, go, end, ends):
        os.close(number)


def test_a_server_that_may_not_write_is_unavailable(url: str) -> None:
    """A standby, or a primary that became one, refuses calls as unavailable and still answers reads."""
    opened(url).close()
    only = url.replace("options=", "options=-cdefault_transaction_read_only%3Don%20")
    store = PostgresStore(only)
    with pytest.raises(StoreUnavailableError, match="read-only"):
        store.transact([spend("acme", 1)])
    assert store.read("acme").credits == 100
    store.close()


def test_more_threads_than_connections(url: str) -> None:
    """Threads beyond the pool wait for a connection; every unit is spent once, and no more connections are open."""
    store = opened(f"{url}&pool=2&application_name=reconciler-pool".replace("timeout=1", "timeout=60"))
    with ThreadPoolExecutor(12) as threads, raw(url) as other:
        done = list(threads.map(lambda _: store.transact([spend("acme", 1)])[0], range(110)))
        count = other.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'reconciler-pool'")
        assert count.fetchone() == (2,)
    assert sorted(each.value for each in done if each.error is None) == list(range(100))
    assert store.read("acme").credits == 0
    store.close()


def test_the_database_s_clock_judges(url: str) -> None:
    """Entries carry the database's time, taken behind the lock; ``now`` reckons on from it without asking."""
    store = opened(url)
    with raw(url) as other:
        with ThreadPoolExecutor(1) as threads, other.transaction():
            other.execute("SELECT 1 FROM tenant WHERE tenant = 'acme' FOR UPDATE")
            waiting = threads.submit(store.transact, [spend("acme", 1)])
            _until_blocked(other)
            let_go = _time(other)
            other.execute("COMMIT")
            waiting.result()
        assert store.entries("acme")[-1].at >= let_go
        assert abs(store.now() - _time(other)) < 60_000_000
    store.close()
    assert store.now() > let_go


def _time(db: psycopg.Connection) -> int:
    (found,) = db.execute("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint").fetchone() or (0,)
    return int(found)


def _until_blocked(db: psycopg.Connection) -> None:
    """Wait until somebody waits for what this session holds."""
    asked = "SELECT 1 FROM pg_stat_activity WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))"
    while not db.execute(asked).fetchall():
        time.sleep(0.005)


def test_a_first_entry_is_written_once(url: str) -> None:
    """Many who write about the same new tenants at once all come through, one after the other."""
    store = opened(url.replace("timeout=1", "timeout=60"))
    start = threading.Barrier(6)

    def first(number: int) -> list[object]:
        start.wait()
        return [outcome.value for outcome in store.transact([grant(name, f"g{number}", 1) for name in ("x", "a", "m")])]

    with ThreadPoolExecutor(6) as threads:
        values = list(threads.map(first, range(6)))
    for tenant in range(3):
        assert sorted(value[tenant] for value in values) == [1, 2, 3, 4, 5, 6]
    store.close()


def test_claims_pass_over_what_another_settles(url: str) -> None:
    """A claim does not wait for exports another worker is just writing to, and takes the rest."""
    store = opened(url, Hand())
    store.transact([use(tenant, "calls", 0, 1) for tenant in ("acme", "birch")])
    store.transact([hand_over("acme"), hand_over("birch")])
    with raw(url) as other, other.transaction():
        other.execute("UPDATE export SET error = 'x' WHERE tenant = 'acme'")
        assert [export.tenant for export in store.claim(START, START + HOUR)] == ["birch"]
    store.close()


@pytest.mark.parametrize("one_by_one", [True, False])
def test_claims_go_one_by_one(url: str, one_by_one: bool) -> None:
    """A claim waits for another under way, which may be about to hold the like; without that both would be sent."""
    store = opened(url, Hand())
    store.transact([use("acme", "calls", 0, 1), use("acme", "calls", 3600, 1), hand_over("acme")])
    values = {"now": START, "until": START + HOUR, "limit": 1}
    with ThreadPoolExecutor(1) as threads, raw(url) as other, other.transaction():
        if one_by_one:
            other.execute(CLAIMING)
        assert len(other.execute(CLAIM, values).fetchall()) == 1
        waiting = threads.submit(store.claim, START, START + HOUR)
        if one_by_one:
            _until_blocked(other)
            other.execute("COMMIT")
        assert len(waiting.result()) == (0 if one_by_one else 1)
    store.close()


def test_partitions_are_for_new_ledgers(url: str) -> None:
    """A ledger stays split as it was made; asking for that again, or not asking, opens it."""
    opened(url).close()
    with pytest.raises(LedgerError) as caught:
        open_ledger(f"{url}&partitions=4")
    assert (caught.value.code, "partitions=0" in str(caught.value.remedy)) == ("E1131", True)
    open_ledger(f"{url}&partitions=0").close()
    with schema(3) as split:
        open_ledger(split).close()
        open_ledger(split).close()
        open_ledger(plain(split)).close()
        with pytest.raises(LedgerError, match="split into 3, not 2"):
            open_ledger(f"{plain(split)}&partitions=2")


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://h/d?partitions=many",
        "postgresql://h/d?partitions=257",
        "postgresql://h/d?pool=0",
        "postgresql://h/d?timeout=-1",
        "postgresql://h/d?nonsense=1",
        "postgresql://user:pa%zzhush@h/d",
        "postgresql://user:hush@h:port/d?sslmode",
    ],
)
def test_an_address_postgresql_cannot_read(address: str) -> None:
    """What the address cannot mean is refused before anything is opened, and its password is not repeated."""
    with pytest.raises(LedgerError) as caught:
        open_ledger(address)
    assert caught.value.code == "E1106"
    assert "hush" not in f"{caught.value} {caught.value.remedy} {caught.value.__cause__}"


def test_a_commit_is_durable_although_the_server_is_not_asked_to(url: str) -> None:
    """A session whose server answers commits before they are on the disk waits for the disk nevertheless."""
    off = url.replace("options=", "options=-csynchronous_commit%3Doff%20")
    store = opened(off)
    assert store._ask("SHOW synchronous_commit") == [("on",)]
    with raw(off) as other:
        assert other.execute("SHOW synchronous_commit").fetchall() == [("off",)]
    store.close()


def test_a_database_of_another_encoding_is_refused(url: str) -> None:
    """A database that cannot hold every name is refused when it is opened."""
    with raw(url) as other:
        other.execute("DROP DATABASE IF EXISTS reconciler_ascii")
        try:
            other.execute("CREATE DATABASE reconciler_ascii ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
        except psycopg.errors.InsufficientPrivilege as error:
            pytest.skip(f"the tests may not make a database: {error}")
        place, _, query = url.partition("?")
        try:
            with pytest.raises(LedgerError, match="SQL_ASCII"):
                open_ledger(f"{place.rpartition('/')[0]}/reconciler_ascii?{query}")
        finally:
            other.execute("DROP DATABASE reconciler_ascii WITH (FORCE)")


def test_the_driver_is_loaded_for_postgresql_alone() -> None:
    """A process with another ledger never loads psycopg; one without it is told what to install."""
    script = """
        import sys
        sys.modules["psycopg"] = None
        from reconciler.ledger.ledger import open_ledger
        from reconciler.diagnostics.errors import ReconcilerError
        open_ledger("sqlite://").close()
        try:
            open_ledger("postgresql://127.0.0.1/test")
        except ReconcilerError as error:
            print(error.code, error.remedy)
    """
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(line[8:] for line in script.splitlines())],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "E1130 pip install 'reconciler[postgres]'"
