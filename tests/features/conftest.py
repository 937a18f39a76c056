"""An empty directory, a shell and an account that sells, for the tests that want them."""

from collections.abc import Iterator

import pytest

from tests.cli.conftest import here, shell
from tests.provider.payments_world import Market

__all__ = ["here", "shell"]


@pytest.fixture
def market() -> Iterator[Market]:
    """Open an account that sells."""
    world = Market()
    yield world
    world.sandbox.close()
