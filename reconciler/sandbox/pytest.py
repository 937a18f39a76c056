"""Fixtures for pytest: ``pytest_plugins = ["reconciler.sandbox.pytest"]`` in a ``conftest.py`` turns them on."""

from collections.abc import Iterator

import pytest
import stripe

from reconciler.sandbox.core import TEST_KEY, Sandbox
from reconciler.sandbox.server import Server


@pytest.fixture
def stripe_sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """Open a fresh sandbox in this process, in memory; ``stripe_sandbox.faults`` and the rest are at hand."""
    monkeypatch.setattr(stripe, "enable_telemetry", False)
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def stripe_client(stripe_sandbox: Sandbox) -> stripe.StripeClient:
    """Return an SDK client of the fresh sandbox, without a socket."""
    return stripe_sandbox.client()


@pytest.fixture
def stripe_sandbox_server(stripe_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Serve the fresh sandbox on a loopback port, which delivers webhooks by itself; ``.url`` is its address.

    ``STRIPE_API_BASE`` and ``STRIPE_API_KEY`` are set for the test. Needs the extra ``reconciler[server]``.
    """
    with Server(stripe_sandbox) as server:
        monkeypatch.setenv("STRIPE_API_BASE", server.url)
        monkeypatch.setenv("STRIPE_API_KEY", TEST_KEY)
        yield server
