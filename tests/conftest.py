"""Options, profiles and the judge of the whole suite."""

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from hypothesis.internal.conjecture import providers

from reconciler.sandbox import Request, Response, Sandbox
from tests import openapi

#: Every run judges by the same examples unless somebody explores: a change fails by what it changes, not by the draw.
hypothesis.settings.register_profile(
    "same",
    derandomize=True,
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.register_profile("explore", deadline=None, max_examples=1000, print_blob=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))
if hypothesis.settings.get_current_profile_name() == "same":
    # Else constants of the loaded modules are drawn too: others after any change, and in another order of tests.
    providers.is_local_module_file = lambda _path: False

#: What the replies of the running test did not keep of Stripe's OpenAPI document.
_BREACHES: list[str] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--update-expected``, which writes the expected outputs of golden cases anew instead of comparing them."""
    parser.addoption("--update-expected", action="store_true", help="write golden files instead of comparing")


def pytest_configure(config: pytest.Config) -> None:
    """Let Stripe's OpenAPI document, where it is installed, judge every reply any sandbox of the run gives."""
    cache = getattr(config, "cache", None)
    document = openapi.load(cache.mkdir("openapi") if cache else Path(tempfile.mkdtemp()))
    if document is None:
        return
    dispatch = Sandbox.dispatch

    def judged(self: Sandbox, request: Request) -> Response:
        response = dispatch(self, request)
        if response.headers.get("content-type") == "application/json":
            _BREACHES.extend(_check(document, request, response))
        return response

    Sandbox.dispatch = judged  # type: ignore[method-assign]  # the whole run is judged


def _check(document: openapi.Document, request: Request, response: Response) -> Iterator[str]:
    try:
        body = json.loads(response.body)
    except ValueError:
        return  # a fault broke it on purpose
    yield from document.check(request.method, request.path.partition("?")[0], response.status, body)


@pytest.fixture(autouse=True)
def _replies_as_documented() -> Iterator[None]:
    """Fail the test whose sandbox answered otherwise than Stripe's OpenAPI document says."""
    _BREACHES.clear()
    yield
    hint = "What only a later version of the API has is waived in tests/openapi_waivers.py, with its reason."
    assert not _BREACHES, "\n".join([*dict.fromkeys(_BREACHES), hint])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what long runs have counted, which nobody sees otherwise where they run beside each other."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == "counts":
                terminalreporter.write_line(str(value))
