"""The whole story with servers: refused, bought on a page, told by a webhook, allowed, billed, refunded."""

import contextlib
import json
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from reconciler.cli.buyer import CARD, pay
from reconciler.cli.config import NAME
from reconciler.cli.stage import Stage
from reconciler.cli.story import FILES, bills
from reconciler.config.catalog import load_catalog
from reconciler.diagnostics import ReconcilerError
from reconciler.pricing.lines import Usage
from reconciler.pricing.subscription import contract_of, invoices_of
from reconciler.provider.gateway import Connection, Gateway
from reconciler.provider.limiter import UNLIMITED
from reconciler.sandbox import Sandbox
from reconciler.sandbox.server import Server
from reconciler.service.identity.keys import OPERATOR, new_key, sha256_of

_KEY = "sk_test_sandbox"
_LEDGER = "usage.db"
_CALLS = 5
#: What of an answer a reader wants to see here.
_SHOWN = ("code", "detail", "allowed", "paid_by", "cost", "unit", "remaining", "replayed", "accepts")
_MONTH_AND_MORE = 32 * 86_400
#: Seconds a webhook may take here, and a person to pay.
_PATIENCE, _PERSON = 30, 900


class Living:
    """The steps; ``waits`` for a person to pay and to look around, or pays itself and ends."""

    def __init__(self, stage: Stage, *, waits: bool) -> None:
        self._stage = stage
        self._waits = waits
        self._operator = new_key(OPERATOR)
        self._url = f"http://127.0.0.1:{_free_port()}"

    def run(self) -> None:
        """Play it; ReconcilerError where something comes out otherwise than promised."""
        stage = self._stage
        stage.say("The service beside the files. A small catalogue:")
        (stage.folder / NAME).mkdir()
        (stage.folder / NAME / "all.yaml").write_text(FILES, encoding="utf-8")
        stage.show(FILES)
        with Sandbox() as sandbox, Server(sandbox) as stripe:
            self._sandbox = sandbox
            self._gateway = Gateway(Connection(_KEY, base=stripe.url, rates=UNLIMITED, simulated=True))
            stage.environ |= {"STRIPE_API_BASE": stripe.url, "STRIPE_API_KEY": _KEY}
            stage.say(f"A Stripe-compatible server runs at {stripe.url}. The files are applied to it.")
            stage.call("apply", "--auto-approve", "--quiet", head=0)
            with self._serving():
                self._buy_credits()
                self._subscribe()
                self._take_back()
                self._look_around()

    @contextlib.contextmanager
    def _serving(self) -> Iterator[None]:
        """Run the service, told of what happens at Stripe by webhooks."""
        hook = self._post("/v1/webhook_endpoints", url=f"{self._url}/v1/webhooks/stripe", enabled_events=["*"])
        environ = {
            **self._stage.environment(),
            "STRIPE_WEBHOOK_SECRET": hook["secret"],
            "RECONCILER_OPERATOR_KEYS": f"demo:{sha256_of(self._operator)}",
        }
        command = ["serve", "--port", self._url.rpartition(":")[2], "--ledger", f"sqlite:///{_LEDGER}"]
        command += ["--return-origin", self._url]
        self._stage.say(f"The service takes webhooks and answers at {self._url}.")
        self._stage.show(f"$ reconciler {' '.join(command)}\n")
        with (self._stage.folder / "serve.log").open("wb") as log:
            running = subprocess.Popen(  # noqa: S603  our own command
                [sys.executable, "-m", "reconciler", *command],
                cwd=self._stage.folder,
                env=environ,
                stdout=log,
                stderr=log,
            )
            try:
                self._until("the service answers", lambda: running.poll() is None and self._answers())
                yield
            finally:
                running.terminate()
                running.wait()

    def _buy_credits(self) -> None:
        self._stage.say("zoe is on the free plan, and has no credits. A call is refused, and told where to pay.")
        refused = self._call("zoe", expect=402)
        page = refused["remedy"]["url"]
        self._pay(page)
        self._stage.say("Stripe told the service, and the credits are there. The same call is allowed.")
        self._until("the credits are there", lambda: self._credits("zoe") == "10")
        self._call("zoe", key="call-1")
        self._stage.say("Sent again with its key, it is not charged again.")
        self._call("zoe", key="call-1")

    def _subscribe(self) -> None:
        self._stage.say("acme subscribes to Pro on a page of its own, and makes 5 calls.")
        asked = {"tenant": "acme", "plan": "pro", "success_url": f"{self._url}/"}
        self._pay(self._ask("POST", "/v1/checkout", asked)["url"])
        self._until("the subscription is known", lambda: self._ask("GET", "/v1/tenants/acme/balance")["subscription"])
        (found,) = self._gateway.get("/v1/subscriptions", {"limit": 2})["data"]
        for number in range(_CALLS):
            self._call("acme", key=f"acme-{number}", quiet=True)
        self._stage.call("usage", "report", "acme", "--ledger", f"sqlite:///{_LEDGER}")
        self._stage.say("A month goes by at Stripe, which bills what the files say.")
        self._stage.call("usage", "flush", "--ledger", f"sqlite:///{_LEDGER}")
        self._sandbox.clock.advance(_MONTH_AND_MORE)
        self._compare(found)

    def _take_back(self) -> None:
        self._stage.say("zoe gets her money back. What is left of the pack goes with it.")
        (session,) = [
            each
            for each in self._gateway.get("/v1/checkout/sessions", {"limit": 10})["data"]
            if each["metadata"].get("tenant") == "zoe"
        ]
        self._post("/v1/refunds", payment_intent=session["payment_intent"])
        self._until("the credits are gone", lambda: self._credits("zoe") == "0")
        self._call("zoe", expect=402)

    def _look_around(self) -> None:
        """Leave everything running for a person to look at."""
        if not self._waits:
            return
        self._stage.say("Every figure of this stands on the service's pages. Ctrl-C ends it.")
        self._stage.secret(f"Open {self._url}/ and sign in with the operator's key {self._operator}\n")
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                time.sleep(1)

    def _pay(self, page: str) -> None:
        """Let somebody pay on a page."""
        if not self._waits:
            self._stage.show(f"(paid on {page} with the test card {CARD['card_number']})\n")
            pay(page)
            return
        card = ", ".join((CARD["card_number"], CARD["card_expiry"], CARD["card_cvc"]))
        self._stage.show(f"Open {page}\nand pay with the test card {card}.\n")
        before = self._paid()
        self._until("it is paid", lambda: self._paid() > before, _PERSON)

    def _paid(self) -> int:
        listed = self._gateway.get("/v1/checkout/sessions", {"limit": 100})["data"]
        return sum(each["status"] == "complete" for each in listed)

    def _compare(self, subscription: dict[str, Any]) -> None:
        """Hold the invoices of the subscription against those of the files."""
        since = datetime.fromtimestamp(subscription["start_date"], UTC)
        asked = {"subscription": subscription["id"]}
        self._until("the month is billed", lambda: len(self._gateway.get("/v1/invoices", asked)["data"]) > 1)
        billed = [int(each["total"]) for each in reversed(self._gateway.get("/v1/invoices", asked)["data"])]
        contract = contract_of(load_catalog(self._stage.folder / NAME).file, "acme", since)
        later = datetime.fromtimestamp(self._sandbox.clock(), UTC)
        priced = list(invoices_of(contract, later, lambda _: Usage({"calls": _CALLS})))
        self._stage.show(bills(priced, billed))
        if [each.total for each in priced] != billed:
            raise ReconcilerError("E1040", "the sandbox bills otherwise than the files say")

    def _credits(self, tenant: str) -> str:
        return str(self._ask("GET", f"/v1/tenants/{tenant}/balance")["credits"])

    def _call(self, tenant: str, *, key: str | None = None, expect: int = 200, quiet: bool = False) -> dict[str, Any]:
        """Make a call through the service and show the answer."""
        asked = {"tenant": tenant, "tool": "translate"}
        answer = self._ask("POST", "/v1/consume", asked, expect=expect, key=key)
        if not quiet:
            shown = json.dumps({name: answer[name] for name in _SHOWN if answer.get(name) is not None}, indent=2)
            once = f"\nIdempotency-Key: {key}" if key else ""
            self._stage.show(f"POST /v1/consume{once}\n{json.dumps(asked)}\n\n{expect} {shown}\n")
        return answer

    def _ask(
        self, method: str, path: str, body: Any = None, *, expect: int = 200, key: str | None = None
    ) -> dict[str, Any]:
        """Ask the service as its operator; ReconcilerError for another status than is promised."""
        content = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self._operator}", "Content-Type": "application/json"}
        headers |= {"Idempotency-Key": key} if key else {}
        request = urllib.request.Request(self._url + path, content, headers, method=method)  # noqa: S310  our server
        try:
            with urllib.request.urlopen(request, timeout=_PATIENCE) as answer:  # noqa: S310  as above
                status, text = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read()
        if status != expect:
            raise ReconcilerError("E1040", f"{method} {path} was answered with {status}: {text.decode()}")
        return dict(json.loads(text))

    def _answers(self) -> bool:
        try:
            self._ask("GET", "/healthz")
        except (OSError, ReconcilerError):
            return False
        return True

    def _post(self, path: str, **params: Any) -> dict[str, Any]:
        return self._gateway.post(path, params, secrets.token_hex(8)).body

    def _until(self, what: str, comes_true: Callable[[], Any], patience: float = _PATIENCE) -> None:
        until = time.monotonic() + patience
        while not comes_true():
            if time.monotonic() > until:
                log = (self._stage.folder / "serve.log").read_text(errors="replace")
                raise ReconcilerError("E1040", f"it did not come about that {what}", details=log.splitlines()[-10:])
            time.sleep(0.1)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
