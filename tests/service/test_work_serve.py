"""``reconciler serve`` with its own work: options that are refused, and notices that leave a process of its own."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli.working import SECRETS, WorkOptions, work_settings
from reconciler.diagnostics import UsageError
from reconciler.entitlements import Entitlements
from reconciler.service.work.signing import HEADER, verify
from reconciler.service.work.watching import LOW

from .receiver import OK, receiver

SECRET = "0123456789abcdef"
URL = "https://hooks.example/"
FILES = """
settings: {namespace: acme, currency: usd, default_meter: calls}
meters: {calls: {name: Calls}}
plans: {free: {name: Free, usage: {calls: {included: 2, per: month, overage: deny}}}}
tenants: {acme: {name: Acme, plan: free}}
"""


@pytest.mark.parametrize(
    ("options", "secrets"),
    [
        ({"notices_url": URL}, ""),
        ({"notices_url": URL}, "short"),
        ({"notices_url": URL}, f"{SECRET},short"),
        ({"notices_url": "http://hooks.example/"}, SECRET),
        ({"notices_url": "https://hooks.example:8443/"}, SECRET),
        ({"credits_low": "many"}, ""),
        ({"credits_low": "-1"}, ""),
        ({"credits_low": "NaN"}, ""),
        ({"credits_low": "Infinity"}, ""),
    ],
)
def test_options_that_cannot_be_are_refused(options: Any, secrets: str) -> None:
    """No secret, a short one, http, a port nobody allowed, no number: an error before anything is opened."""
    with pytest.raises(UsageError):
        work_settings(WorkOptions(**options), {SECRETS: secrets})


def test_options_become_settings() -> None:
    """Several secrets, further ports, a bound of credits and caps; nothing is told or bought by default."""
    default = work_settings(WorkOptions(), {SECRETS: SECRET})
    assert (default.callback, default.caps, default.credits_low) == (None, None, LOW)
    options = WorkOptions("https://hooks.example:8443/", (8443,), credits_low="2.5", auto_recharge=7)
    found = work_settings(options, {SECRETS: f"{SECRET}-new, {SECRET}-old"})
    assert found.callback is not None
    assert found.callback.secrets == [f"{SECRET}-new", f"{SECRET}-old"]
    assert (found.credits_low, found.caps and found.caps.monthly) == (2_500_000, 7)


def test_a_served_ledger_tells_a_receiver(tmp_path: Path) -> None:
    """A process that serves finds what was crossed, sends it signed, and ends when it is told to."""
    (tmp_path / "billing.d").mkdir()
    (tmp_path / "billing.d" / "all.yaml").write_text(FILES)
    ledger = f"sqlite:///{tmp_path / 'usage.db'}"
    with Entitlements.open(tmp_path / "billing.d", ledger, journal=tmp_path / "journal") as runtime:
        for _ in range(2):
            assert runtime.consume("acme", meter="calls")
    came = threading.Event()

    def answer(_request: bytes) -> bytes:
        came.set()
        return OK

    with receiver(answer) as there:
        command = [sys.executable, "-m", "reconciler", "serve", "--port", "0", "--ledger", ledger, "--notices-here"]
        serving = subprocess.Popen(
            [*command, "--notices-url", there.url()],
            cwd=tmp_path,
            env={**os.environ, SECRETS: SECRET},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            assert came.wait(60)
        finally:
            serving.send_signal(signal.SIGTERM)
            _, said = serving.communicate(timeout=60)
        assert serving.returncode in {0, 143}, said
        assert SECRET.encode() not in said
        head, _, body = there.requests[0].partition(b"\r\n\r\n")
    fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    told = json.loads(body)
    at = int(fields[HEADER].split(",")[0].removeprefix("t="))
    verify(body, fields[HEADER], [SECRET], at)
    assert (told["type"], told["tenant"], told["data"]["percent"]) == ("limit_near", "acme", 100)
