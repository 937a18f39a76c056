"""Columns of rows on their way into PostgreSQL."""

from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.ledger.base import RefusedError
from reconciler.ledger.postgres import PostgresStore
from reconciler.ledger.postgres_arrays import blobs, numbers, texts
from reconciler.ledger.postgres_link import Connection

from .databases import schema
from .deeds import grant

READ = "SELECT * FROM unnest($1::text[], $2::bigint[], $3::bytea[])"
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",))) | st.sampled_from(
    ['"', "\\", '","', "NULL", "{}", "\n", "'", "\\x00", '\\"']
)
ROW = st.tuples(TEXT | st.none(), st.integers(-(2**63), 2**63 - 1) | st.none(), st.binary(max_size=40))


@pytest.fixture(scope="module")
def store() -> Iterator[PostgresStore]:
    """Lend a store in an empty schema."""
    with schema() as url:
        store = PostgresStore(url)
        yield store
        store.close()


@pytest.fixture(scope="module")
def connection(store: PostgresStore) -> Iterator[Connection]:
    """Lend a connection for as long as the module needs."""
    with store._lent(600) as lent:
        yield lent


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=60)
@given(rows=st.lists(ROW, min_size=1, max_size=6))
def test_the_server_reads_what_was_written(
    connection: Connection, rows: list[tuple[str | None, int | None, bytes]]
) -> None:
    """Every row arrives as it was, whatever signs its text has."""
    text, number, blob = zip(*rows, strict=True)
    assert connection.exchange((READ, (texts(text), numbers(number), blobs(blob)))) == [rows]


def test_no_rows_are_none(connection: Connection) -> None:
    """Empty columns are arrays too."""
    assert connection.exchange((READ, (texts([]), numbers([]), blobs([])))) == [[]]


@pytest.mark.parametrize("values", [["a\0b", "c"], ["a\0b", None]])
def test_a_zero_byte_is_refused(store: PostgresStore, values: list[str | None]) -> None:
    """No text in PostgreSQL can hold one: nothing is written, and no value moves to the row beside it."""
    with store._lent(600) as lent, pytest.raises(psycopg.DataError):
        lent.exchange((READ, (texts(values), numbers([1, 2]), blobs([b"", b""]))))


def test_an_entry_with_a_zero_byte_is_refused(store: PostgresStore) -> None:
    """Its caller is told, and those beside it are served."""
    bad, good = store.transact([grant("acme", "g", 1, key="a\0b"), grant("birch", "g", 1)])
    assert isinstance(bad.error, RefusedError)
    assert good.value == 1


def test_the_first_error_is_raised_and_nothing_behind_it_ran(store: PostgresStore) -> None:
    """Statements that are sent together stop at the first the server refuses."""
    division = ("SELECT 1 / $1::bigint", ("0",))
    with store._lent(600) as lent, pytest.raises(psycopg.errors.DivisionByZero):
        lent.exchange(("BEGIN", ()), division, ("SELECT set_config('x.y', 'ran', false)", ()), ("COMMIT", ()))
    with store._lent(600) as lent:
        assert lent.exchange(("SELECT current_setting('x.y', true)", ())) == [[(None,)]]
