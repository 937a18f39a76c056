"""A repository checked out, a GitHub, a sandbox over HTTP, and a runner between them."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.sandbox import Sandbox
from reconciler.sandbox.server import Server

from .hosts import REPOSITORY, ROOT, GitHub, Runner, github, program

HEAD, MERGED = "a" * 40, "b" * 40
PULL_REQUEST = {"pull_request": {"number": 12, "head": {"sha": HEAD, "repo": {"full_name": REPOSITORY}}}}
FILES = """\
settings: {namespace: acme, currency: usd}
plans:
  pro:
    name: Pro
    default_price: monthly
    prices:
      monthly: {amount: 49.99, interval: month}
"""


@pytest.fixture
def hub() -> Iterator[GitHub]:
    """Serve a GitHub."""
    with github() as state:
        yield state


@pytest.fixture
def account() -> Iterator[Sandbox]:
    """Give the account the pipeline works on."""
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def stripe(account: Sandbox) -> Iterator[str]:
    """Serve the account and return its base address."""
    with Server(account) as server:
        yield server.url


@pytest.fixture
def runner(bench: Runner, stripe: str) -> Runner:
    """Return a runner whose Stripe is the sandbox."""
    bench.environ["STRIPE_API_BASE"] = stripe
    return bench


@pytest.fixture
def bench(tmp_path: Path, hub: GitHub) -> Runner:
    """Return a runner in a checkout whose ``reconciler`` is this source; it reaches no Stripe."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "temp").mkdir()
    files(tmp_path, FILES)
    environ = {
        "PATH": os.pathsep.join([str(program(tmp_path)), os.environ["PATH"]]),
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "GITHUB_ACTIONS": "true",
        "GITHUB_ACTION_PATH": str(ROOT),
        "GITHUB_API_URL": hub.url,
        "GITHUB_EVENT_NAME": "pull_request",
        "GITHUB_EVENT_PATH": str(tmp_path / "event.json"),
        "GITHUB_REPOSITORY": REPOSITORY,
        "GITHUB_SHA": MERGED,
        "GITHUB_WORKSPACE": str(tmp_path),
        "RUNNER_TEMP": str(tmp_path / "temp"),
        "STRIPE_API_BASE": "http://127.0.0.1:9",
        "STRIPE_API_KEY": "sk_test_sandbox",
    }
    made = Runner(tmp_path, environ, PULL_REQUEST)
    event(made, PULL_REQUEST)
    return made


def files(folder: Path, text: str) -> None:
    """Write the configuration."""
    (folder / "billing.d").mkdir(exist_ok=True)
    (folder / "billing.d" / "all.yaml").write_text(text)


def event(runner: Runner, content: dict[str, object], name: str = "pull_request") -> None:
    """Say what set the job off."""
    runner.event = content
    runner.environ["GITHUB_EVENT_NAME"] = name
    Path(runner.environ["GITHUB_EVENT_PATH"]).write_text(json.dumps(content))
