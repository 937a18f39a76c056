"""Every kind of ledger, in every mode: what the tests of the contract run on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.ledger.base import Store
from reconciler.ledger.ledger import Ledger, Mode, open_ledger

from .databases import database
from .deeds import Hand

KINDS = ("file", "memory", "postgres", "partitions")
#: Those that live outside the process.
SHARED = ("file", "postgres", "partitions")


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Name a kind of database."""
    return str(request.param)


@pytest.fixture(params=["direct", "group"])
def mode(request: pytest.FixtureRequest) -> str:
    """Name a way jobs reach the store."""
    return str(request.param)


@pytest.fixture
def url(kind: str, tmp_path: Path) -> Iterator[str]:
    """Lend the address of an empty ledger."""
    with database(kind, tmp_path) as found:
        yield found


@pytest.fixture
def clock() -> Hand:
    """Lend a clock that is set by hand."""
    return Hand()


@pytest.fixture
def ledger(url: str, mode: Mode, clock: Hand) -> Iterator[Ledger]:
    """Lend an open ledger."""
    opened = open_ledger(url, mode, clock)
    yield opened
    opened.close()


@pytest.fixture
def store(url: str, clock: Hand) -> Iterator[Store]:
    """Lend an open store."""
    opened = open_ledger(url, "direct", clock).store
    yield opened
    opened.close()
