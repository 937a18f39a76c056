"""Processes that buy credits and are killed in the middle of a payment: each is paid once and granted once."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.sandbox.server import Server
from tests.ledger.databases import database
from tests.loop.world import KEY
from tests.provider.test_usage_kill import Deadly

from .recharging_world import FILES, POLICY, Shop

#: A worker of its own process on the clock in a file; it does one round.
SCRIPT = """
import sys
from pathlib import Path
from reconciler.config.catalog import load_catalog
from reconciler.entitlements import Entitlements
from reconciler.entitlements.policy import read_policy
from reconciler.ledger.ledger import open_ledger
from reconciler.provider.gateway import Connection, Gateway
from reconciler.provider.limiter import UNLIMITED
from reconciler.provider.retry import Backoff
from reconciler.service.work.caps import Caps
from reconciler.service.work.charging import Till
from reconciler.service.work.recharging import Recharger
base, key, ledger, policy, files, now = sys.argv[1:]
gateway = Gateway(Connection(key, base=base, rates=UNLIMITED), backoff=Backoff(tries=1))
with Entitlements(read_policy(Path(policy)), open_ledger(ledger, "direct", lambda: int(now))) as runtime:
    Recharger(runtime, Till(gateway, load_catalog(Path(files))), Caps(monthly=100)).round()
"""


class DeadlyPayments(Deadly):
    """A sandbox at which a payment kills the worker that makes it, before or after it is carried out."""

    deadly = "/v1/payment_intents"


@pytest.mark.parametrize(("kind", "after"), [("file", False), ("postgres", True)])
def test_a_worker_that_is_killed_while_it_pays(kind: str, tmp_path: Path, after: bool) -> None:
    """Killed as Stripe takes the payment, or before: another process ends it with the same key, under a later claim."""
    (tmp_path / "policy.json").write_text(POLICY.dump())
    (tmp_path / "billing.d").mkdir()
    settings = {"namespace": "acme", "currency": "usd", "default_meter": "calls"}
    (tmp_path / "billing.d" / "all.yaml").write_text(json.dumps({"settings": settings, **FILES}))
    with database(kind, tmp_path) as url:
        shop = Shop(url, kind=DeadlyPayments)
        shop.agreed()
        sandbox = shop.sandbox
        assert isinstance(sandbox, DeadlyPayments)
        with Server(sandbox) as server:

            def run() -> subprocess.Popen[str]:
                files = [str(tmp_path / name) for name in ("policy.json", "billing.d")]
                command = [sys.executable, "-c", SCRIPT, server.url, KEY, url, *files, str(shop.clock.now * 10**6)]
                return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)

            victim = run()
            sandbox.countdown, sandbox.after, sandbox.victim = 1, after, victim
            _, complaint = victim.communicate(timeout=60)
            sandbox.victim = None
            assert victim.returncode == -signal.SIGKILL, complaint
            assert ([each.state for each in shop.listed()], shop.credits()) == (["open"], 5)
            assert len(shop.intents(status=None)) == after
            shop.round()
            assert shop.credits() == 5
            shop.clock.now += 121
            ended = run()
            _, complaint = ended.communicate(timeout=60)
            assert ended.returncode == 0, complaint
            assert shop.credits() == 110
        assert len(shop.intents(status=None)) == 1
        shop.proved()
        shop.runtime.close()
