"""The runtime's story on the sandbox: a call refused, credits bought, calls booked once, usage billed to the cent."""

import json
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from reconciler import money
from reconciler.cli.account import sandbox_connection
from reconciler.cli.config import NAME
from reconciler.cli.stage import Stage
from reconciler.config.catalog import load_catalog
from reconciler.diagnostics import ReconcilerError
from reconciler.diagnostics.table import table
from reconciler.entitlements import Entitlements
from reconciler.pricing.invoice import Invoice
from reconciler.pricing.lines import Usage
from reconciler.pricing.subscription import contract_of, invoices_of
from reconciler.provider.gateway import Gateway

_SANDBOX = "story.db"
_CUSTOMERS = "customers.json"
_TENANT = "acme"
_CALLS = 5
#: A small catalogue of a plan, a free one, and a pack.
FILES = """\
settings: {namespace: story, default_meter: calls, default_plan: free}
meters: {calls: {name: Tool calls}}
plans:
  free: {name: Free, credits: {default: 1}}
  pro:
    name: Pro
    default_price: monthly
    prices: {monthly: {amount: 20.00, interval: month}}
    usage: {calls: {included: 2, overage: {unit_amount: 0.25}}}
credit_packs: {starter: {name: Starter, credits: 10, price: 5.00}}
tenants: {acme: {name: Acme, plan: pro}}
"""


class Story:
    """The steps, on a small catalogue of their own."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._folder = stage.folder
        self._gateway = Gateway(sandbox_connection(str(self._folder / _SANDBOX)))
        self._requests = 0

    def run(self) -> None:
        """Play it; ReconcilerError where something comes out otherwise than promised."""
        stage = self._stage
        stage.say("The same files decide inside a service. A small catalogue:")
        (self._folder / NAME).mkdir()
        (self._folder / NAME / "all.yaml").write_text(FILES, encoding="utf-8")
        stage.show(FILES)
        stage.call("apply", f"--sandbox={_SANDBOX}", "--auto-approve", "--quiet", head=0)
        stage.say("zoe is on the free plan. A call is refused, with what would help.")
        stage.call("consume", "zoe", "translate")
        stage.say("She buys the pack. A payment's key grants it once, the call's key charges it once.")
        stage.call("grant", "zoe", "--pack", "starter", "--key", "payment-1")
        stage.call("consume", "zoe", "translate", "--key", "call-1")
        stage.call("consume", "zoe", "translate", "--key", "call-1")
        stage.call("balance", "zoe")
        stage.say("acme subscribes to Pro, makes 5 calls, and what it used is sent to Stripe's meters.")
        since, clock, subscription = self._subscribe()
        stage.call("usage", "report", _TENANT)
        stage.call("usage", "flush", f"--sandbox={_SANDBOX}", "--customers", _CUSTOMERS)
        stage.say("A month goes by at the sandbox. What it bills is what the files say.")
        self._compare(since, clock, subscription)

    def _post(self, path: str, **params: Any) -> dict[str, Any]:
        self._requests += 1
        return self._gateway.post(path, params, f"story-{self._requests}").body

    def _subscribe(self) -> tuple[datetime, str, dict[str, Any]]:
        """Let the tenant subscribe, and call; return since when, its clock, and its subscription at the sandbox."""
        clock = self._post("/v1/test_helpers/test_clocks", frozen_time=int(time.time()))["id"]
        paying = {"payment_method": "pm_card_visa", "invoice_settings": {"default_payment_method": "pm_card_visa"}}
        customer = self._post("/v1/customers", name="Acme", test_clock=clock, **paying)["id"]
        prices = self._gateway.get("/v1/prices", {"limit": 100, "type": "recurring"})["data"]
        subscription = self._post(
            "/v1/subscriptions", customer=customer, items=[{"price": price["id"]} for price in prices]
        )
        (self._folder / _CUSTOMERS).write_text(json.dumps({_TENANT: customer}), encoding="utf-8")
        item = subscription["items"]["data"][0]
        since, until = (datetime.fromtimestamp(item[f"current_period_{side}"], UTC) for side in ("start", "end"))
        ledger = f"sqlite:///{self._folder / 'usage.db'}"
        with Entitlements.open(self._folder / NAME, ledger, mode="direct") as ent:
            ent.set_subscription(_TENANT, plan="pro", status="active", period=(since, until), key="subscribed")
            for number in range(_CALLS):
                ent.consume(_TENANT, "translate", key=f"acme-call-{number}")
        return since, clock, subscription

    def _compare(self, since: datetime, clock: str, subscription: dict[str, Any]) -> None:
        """Let the month end at the sandbox, and hold its invoices against those of the files."""
        end = datetime.fromtimestamp(subscription["items"]["data"][0]["current_period_end"], UTC)
        later = end + timedelta(hours=2)
        self._post(f"/v1/test_helpers/test_clocks/{clock}/advance", frozen_time=int(later.timestamp()))
        listed = self._gateway.get("/v1/invoices", {"subscription": subscription["id"]})["data"]
        billed = [int(each["total"]) for each in reversed(listed)]
        contract = contract_of(load_catalog(self._folder / NAME).file, _TENANT, since)
        priced = list(invoices_of(contract, later, lambda _: Usage({"calls": _CALLS})))
        self._stage.show(bills(priced, billed))
        if [each.total for each in priced] != billed:
            raise ReconcilerError("E1040", "the sandbox bills otherwise than the files say")


def bills(priced: list[Invoice], billed: list[int]) -> str:
    """Return each invoice with its lines by the files, and its total beside the sandbox's."""
    rows = [("invoice of", "line", "by the files", "at the sandbox")]
    for bill, total in zip(priced, billed, strict=False):
        day = f"{bill.at:%Y-%m-%d}"
        rows += [(day, line.label, _shown(line.amount, bill.currency), "") for line in bill.lines]
        rows.append((day, "total", _shown(bill.total, bill.currency), _shown(total, bill.currency)))
    return table(rows, (2, 3), "  ")


def _shown(minor: int, currency: str) -> str:
    return money.display(Decimal(minor), currency)
