"""``reconciler demo``: loop and runtime with real commands on the embedded sandbox, in a directory that is removed."""

import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from decimal import ROUND_UP, Decimal
from pathlib import Path

import click

from reconciler import money
from reconciler.cli.account import sandbox_connection
from reconciler.cli.config import NAME
from reconciler.cli.context import App, common_options, pass_app
from reconciler.cli.exits import Exit
from reconciler.cli.living import Living
from reconciler.cli.stage import Stage
from reconciler.cli.story import Story
from reconciler.config.catalog import Catalog, load_catalog
from reconciler.diagnostics import ReconcilerError, SourceRange, UsageError
from reconciler.provider.gateway import Gateway

SANDBOX = "sandbox.db"
_RISE = Decimal("1.1")


@click.command("demo")
@click.option("--serve", is_flag=True, help="Play with a running service: you pay on its pages and look around.")
@click.option("--pays", is_flag=True, help="With --serve: pay without you, and end.")
@common_options
@pass_app
def command(app: App, *, serve: bool, pays: bool) -> int:
    """Show the whole loop, with ./billing.d if it is there, and the runtime; needs no Stripe account."""
    if pays and not serve:
        raise UsageError("E1033", "--pays goes with --serve")
    started = time.monotonic()
    if serve:
        with tempfile.TemporaryDirectory(prefix="reconciler-demo-") as folder:
            Living(Stage(app, Path(folder)), waits=not pays).run()
        app.out.data(f"\nEverything happened as promised, in {time.monotonic() - started:.0f} s.\n")
        return Exit.OK
    with tempfile.TemporaryDirectory(prefix="reconciler-demo-") as folder:
        for name, play in (("loop", _Loop), ("story", Story)):
            stage = Stage(app, Path(folder) / name)
            stage.folder.mkdir()
            play(stage).run()
    app.out.data(f"\nEverything happened as promised, in {time.monotonic() - started:.0f} s.\n")
    return Exit.OK


class _Loop:
    """The steps, each with the exit code it must end with."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._folder = stage.folder
        self._config = stage.folder / NAME

    def run(self) -> None:
        self._write()
        self._stage.say("Check the files.")
        self._stage.call("validate")
        self._stage.say("See what would be made at Stripe, and keep that plan.")
        self._stage.call(
            "plan", f"--sandbox={SANDBOX}", "--out", "plan.json", "--detailed-exitcode", expect=Exit.CHANGES
        )
        self._stage.say("Apply the plan. What charges somebody is written only where that is allowed for the run.")
        self._stage.call("apply", "plan.json", f"--sandbox={SANDBOX}", "--allow=contracts")
        self._stage.say("Plan again: nothing is left to do.")
        self._stage.call("plan", f"--sandbox={SANDBOX}", "--detailed-exitcode")
        self._stage.say(
            "Change a price in the files. At Stripe a price cannot change, so a successor takes its key over."
        )
        self._raise_price()
        self._stage.call("apply", f"--sandbox={SANDBOX}", "--auto-approve", head=20)
        self._stage.say("Somebody edits a product in the dashboard. Drift is found ...")
        self._edit()
        self._stage.call("drift", f"--sandbox={SANDBOX}", "--detailed-exitcode", expect=Exit.CHANGES)
        self._stage.say("... and healed.")
        self._stage.call("apply", f"--sandbox={SANDBOX}", "--auto-approve")
        self._stage.say("Stripe is as the files say.")
        self._stage.call("plan", f"--sandbox={SANDBOX}", "--detailed-exitcode")

    def _write(self) -> None:
        own = Path(NAME)
        if own.is_dir():
            self._stage.say(f"Take a copy of ./{NAME}.")
            shutil.copytree(own, self._config, symlinks=True)
            return
        self._stage.say(f"Write a first {NAME}.")
        self._stage.call("init", ".")

    def _raise_price(self) -> None:
        catalog = load_catalog(self._config)
        found = next(_amounts(catalog), None)
        if found is None:
            raise ReconcilerError("E1041", f"{NAME} has no flat price that could change")
        where, amount = found
        path = self._folder / where.file
        lines = path.read_text(encoding="utf-8").split("\n")
        before = lines[where.line - 1]
        after = before[: where.column - 1] + amount + before[where.end_column - 1 :]
        lines[where.line - 1] = after
        path.write_text("\n".join(lines), encoding="utf-8")
        self._stage.show(f"{where.file}:{where.line}\n- {before.strip()}\n+ {after.strip()}\n")

    def _edit(self) -> None:
        gateway = Gateway(sandbox_connection(str(self._folder / SANDBOX)))
        product = gateway.get("/v1/products", {"limit": 1, "active": "true"})["data"][0]["id"]
        gateway.post(f"/v1/products/{product}", {"name": "Edited in the dashboard"}, secrets.token_hex(16))
        self._stage.show(f"(product {product} is renamed behind the files' back)\n")


def _amounts(catalog: Catalog) -> Iterator[tuple[SourceRange, str]]:
    """Yield positions of flat prices that are charged, each with an amount a tenth higher."""
    for name, plan in catalog.file.plans.items():
        for price_name, price in plan.prices.items():
            if plan.status == "active" and price.amount:
                currency = price.currency or plan.currency or catalog.settings.currency
                place = catalog.positions["plans", name, "prices", price_name, "amount"]
                yield place, _raised(price.amount, currency)
    for name, pack in catalog.file.credit_packs.items():
        if pack.status == "active" and pack.price:
            place = catalog.positions["credit_packs", name, "price"]
            yield place, _raised(pack.price, pack.currency or catalog.settings.currency)


def _raised(amount: Decimal, currency: str) -> str:
    return str((amount * _RISE).quantize(Decimal(1).scaleb(-money.exponent(currency)), ROUND_UP))
