"""Requests drawn from the document of the API: no failure of ours, and no answer but as it is documented.

Schemathesis draws them, where it is installed (``pip install 'reconciler[fuzz]'``).
"""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from tests.service.test_selling import SOLD, Shop
from tests.service.world import FILES

schemathesis = pytest.importorskip(
    "schemathesis", reason="schemathesis is not installed: pip install 'reconciler[fuzz]'"
)
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:Using `httpx`")
#: A schema says less than a validator does: of what it allows, some is refused with 422.
_MORE_IS_REFUSED = "positive_data_acceptance"


@pytest.fixture
def shop() -> Iterator[Shop]:
    """Open a shop whose files have something of everything."""
    shared = {name: FILES[name] for name in ("meters", "features", "tools")}
    found = Shop(files={**SOLD, **shared})
    yield found
    found.close()


def drawn(shop: Shop, key: Any, examples: int) -> int:
    """Send so many requests to each operation as somebody, judge every answer, and return how many it were."""
    schema = schemathesis.openapi.from_asgi("/openapi.json", shop.served.app)
    named = {check.__name__: check for check in schemathesis.checks.CHECKS.get_all()}
    sent = 0
    for operation in schema.get_all_operations():

        @settings(max_examples=examples, suppress_health_check=list(HealthCheck))
        @given(case=operation.ok().as_strategy())
        def ask(case: Any) -> None:
            nonlocal sent
            sent += 1
            headers = {} if key is None else {"Authorization": f"Bearer {key}"}
            case.call_and_validate(headers=headers, excluded_checks=[named[_MORE_IS_REFUSED], named["ignored_auth"]])

        ask()
    return sent


@pytest.mark.parametrize("who", ["operator", "acme", "stranger"])
def test_no_request_that_the_document_allows_breaks_anything(shop: Shop, who: str) -> None:
    """Whoever asks, every operation answers with a status and a body that the document has, and never a 500."""
    assert drawn(shop, getattr(shop.served, who).key, 4) > 40


@pytest.mark.soak
@pytest.mark.parametrize("who", ["operator", "acme"])
def test_many_requests_that_the_document_allows_break_nothing(shop: Shop, who: str) -> None:
    """The same of many more requests."""
    assert drawn(shop, getattr(shop.served, who).key, 200) > 2000
