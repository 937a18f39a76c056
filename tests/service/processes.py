"""The service in a process of its own, and callers that count what they were told."""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from reconciler.service.identity.keys import OPERATOR, TENANT, new_key, sha256_of

KEY, OPERATOR_KEY = new_key(TENANT), new_key(OPERATOR)
TERMS = """
settings: {{namespace: acme, currency: usd, default_meter: calls}}
meters: {{calls: {{name: Calls}}}}
plans: {{pro: {{name: Pro, credits: {{default: {cost}}}}}}}
tenants:
  acme:
    name: Acme
    plan: pro
    credits: [{{id: all, amount: {credits}, reason: test}}]
    api_keys: [{{id: ci, sha256: "{sha256}"}}]
"""


def files(folder: Path, granted: int = 1_000_000, cost: int = 1) -> None:
    """Write the files: one tenant with credits."""
    (folder / "billing.d").mkdir(exist_ok=True)
    text = TERMS.format(credits=granted, cost=cost, sha256=sha256_of(KEY))
    (folder / "billing.d" / "all.yaml").write_text(text)


class Serving:
    """A server of these files and a ledger; leaving kills it where it still runs."""

    def __init__(self, folder: Path, ledger: str, *options: str) -> None:
        command = [sys.executable, "-m", "reconciler", "serve", "--port", "0", "--ledger", ledger, *options]
        environ = {**os.environ, "RECONCILER_OPERATOR_KEYS": f"ops:{sha256_of(OPERATOR_KEY)}"}
        self._log = (folder / "log").open("a+b")
        self.process = subprocess.Popen(command, cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=self._log)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().decode().strip()
        assert self.url, self.log()

    def log(self) -> str:
        """Return what the process has logged."""
        self._log.seek(0)
        return self._log.read().decode()

    def connect(self) -> http.client.HTTPConnection:
        """Open a connection to it."""
        return http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=30)

    def ask(self, method: str, path: str, body: Any = None, key: str = KEY, once: str | None = None) -> tuple[int, Any]:
        """Ask once, and return status and JSON."""
        connection = self.connect()
        try:
            return asked(connection, method, path, body, key, once)
        finally:
            connection.close()

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(30)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._log.close()


def asked(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: Any = None,
    key: str = KEY,
    once: str | None = None,
) -> tuple[int, Any]:
    """Ask over a connection that is kept."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    if once is not None:
        headers["Idempotency-Key"] = once
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


class Callers:
    """Threads that consume, each call under a key of its own, until the server is gone; ``told`` are keys of calls."""

    def __init__(self, server: Serving, number: int, name: str = "c") -> None:
        self.told: list[str] = []
        self.refused = 0
        self._server = server
        self._threads = [threading.Thread(target=self._call, args=(f"{name}{at}",)) for at in range(number)]
        for thread in self._threads:
            thread.start()

    def _call(self, name: str) -> None:
        with contextlib.closing(self._server.connect()) as connection:
            self._consume(name, connection)

    def _consume(self, name: str, connection: http.client.HTTPConnection) -> None:
        for number in range(1_000_000):
            key = f"{name}-{number}"
            try:
                status, _ = asked(connection, "POST", "/v1/consume", {"tool": "search"}, once=key)
            except (OSError, http.client.HTTPException, ValueError):
                return
            if status == 200:
                self.told.append(key)
            elif status == 402:
                self.refused += 1
                return

    def wait_for(self, number: int) -> None:
        """Wait until so many calls were answered."""
        while len(self.told) < number and any(thread.is_alive() for thread in self._threads):
            threading.Event().wait(0.005)

    def join(self) -> list[str]:
        """Wait until nobody calls any more, and return the keys that were told."""
        for thread in self._threads:
            thread.join(60)
        return self.told
