"""``serve --sandbox``: one command from files to a refusal that can be paid for, and the webhook that follows."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from reconciler.cli.buyer import pay
from reconciler.service.identity.keys import sha256_of
from tests.service.processes import KEY, OPERATOR_KEY, Serving

FILES = f"""
settings: {{namespace: acme, currency: usd, default_meter: calls}}
meters: {{calls: {{name: Calls}}}}
plans: {{credits: {{name: Credits, credits: {{default: 1}}}}}}
credit_packs: {{small: {{name: Small, credits: 10, price: 9.99}}}}
tenants: {{acme: {{name: Acme, plan: credits, api_keys: [{{id: ci, sha256: "{sha256_of(KEY)}"}}]}}}}
"""
SANDBOX = "--sandbox=sandbox.db"


def bought(server: Serving, credits_: str) -> dict[str, Any]:
    """Buy what the refusal names, and wait until the tenant has so many credits; return the refusal."""
    status, refused = server.ask("POST", "/v1/consume", {"tool": "search", "quantity": int(credits_)})
    assert status == 402
    pay(refused["remedy"]["url"])
    until = time.monotonic() + 30
    while server.ask("GET", "/v1/balance")[1]["credits"] != credits_:
        assert time.monotonic() < until, server.log()[-2000:]
        time.sleep(0.05)
    return dict(refused)


def test_a_refusal_can_be_paid_at_the_sandbox(tmp_path: Path) -> None:
    """Applied files and one command: a refusal names a page that opens, and what is paid there arrives.

    A service that starts anew on the same sandbox is told of events, and the one before is told no more.
    """
    (tmp_path / "billing.d").mkdir()
    (tmp_path / "billing.d" / "all.yaml").write_text(FILES)
    apply = [sys.executable, "-m", "reconciler", "apply", SANDBOX, "--auto-approve", "--quiet"]
    subprocess.run(apply, cwd=tmp_path, env=os.environ, check=True, capture_output=True)
    ledger = f"sqlite:///{tmp_path / 'usage.db'}"
    with Serving(tmp_path, ledger, SANDBOX) as server:
        assert bought(server, "10")["accepts"][0]["type"] == "stripe-checkout"
        assert server.end() == 0
    with Serving(tmp_path, ledger, SANDBOX) as server:
        bought(server, "20")
        listed = server.ask("GET", "/v1/webhooks?limit=100", key=OPERATOR_KEY)[1]
        assert {each["state"] for each in listed["events"]} <= {"done", "ignored"}
        assert server.end() == 0
