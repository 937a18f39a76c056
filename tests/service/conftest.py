"""Ledgers for tests of the service, on both databases, and a service over one in memory."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import here, shell
from tests.ledger.databases import database
from tests.service.world import Served

__all__ = ["here", "shell"]


@pytest.fixture(params=["memory", "postgres"])
def kind(request: pytest.FixtureRequest) -> str:
    """Name a kind of database."""
    return str(request.param)


@pytest.fixture
def url(kind: str, tmp_path: Path) -> Iterator[str]:
    """Lend the address of an empty ledger."""
    with database(kind, tmp_path) as found:
        yield found


@pytest.fixture
def served() -> Iterator[Served]:
    """Serve a small catalogue from memory."""
    world = Served()
    yield world
    world.close()
