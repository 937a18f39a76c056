"""``reconciler demo``: the whole loop with real commands on the embedded sandbox, in a directory that is removed."""

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from decimal import ROUND_UP, Decimal
from pathlib import Path

import click

import reconciler
from reconciler import money
from reconciler.cli.account import sandbox_connection
from reconciler.cli.config import NAME
from reconciler.cli.context import App, common_options, pass_app
from reconciler.cli.exits import Exit
from reconciler.config.catalog import Catalog, load_catalog
from reconciler.diagnostics import ReconcilerError, SourceRange
from reconciler.provider.gateway import Gateway

SANDBOX = "sandbox.db"
_RISE = Decimal("1.1")
_PRIVATE = ("STRIPE_", "RECONCILER_")


@click.command("demo")
@common_options
@pass_app
def command(app: App) -> int:
    """Show the whole loop on the sandbox, with ./billing.d if it is there; needs no Stripe account."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="reconciler-demo-") as folder:
        _Demo(app, Path(folder)).run()
    app.out.data(f"\nEverything happened as promised, in {time.monotonic() - started:.0f} s.\n")
    return Exit.OK


class _Demo:
    """The steps, each with the exit code it must end with."""

    def __init__(self, app: App, folder: Path) -> None:
        self._app = app
        self._folder = folder
        self._config = folder / NAME

    def run(self) -> None:
        self._write()
        self._say("Check the files.")
        self._call("validate")
        self._say("See what would be made at Stripe, and keep that plan.")
        self._plan(Exit.CHANGES)
        self._say("Apply the plan.")
        self._apply()
        self._say("Plan again: nothing is left to do.")
        self._call("plan", f"--sandbox={SANDBOX}", "--detailed-exitcode")
        self._say("Change a price in the files. At Stripe a price cannot change, so a successor takes its key over.")
        self._raise_price()
        self._plan(Exit.CHANGES)
        self._apply()
        self._say("Somebody edits a product in the dashboard. Drift is found ...")
        self._edit()
        self._call("drift", f"--sandbox={SANDBOX}", "--detailed-exitcode", expect=Exit.CHANGES)
        self._say("... and healed.")
        self._call("apply", f"--sandbox={SANDBOX}", "--auto-approve")
        self._say("Stripe is as the files say.")
        self._call("plan", f"--sandbox={SANDBOX}", "--detailed-exitcode")

    def _write(self) -> None:
        own = Path(NAME)
        if own.is_dir():
            self._say(f"Take a copy of ./{NAME}.")
            shutil.copytree(own, self._config, symlinks=True)
            return
        self._say(f"Write a first {NAME}.")
        self._call("init", ".")

    def _say(self, text: str) -> None:
        self._app.out.data(f"\n# {text}\n")

    def _plan(self, expect: Exit) -> None:
        self._call("plan", f"--sandbox={SANDBOX}", "--out", "plan.json", "--detailed-exitcode", expect=expect)

    def _apply(self) -> None:
        self._call("apply", "plan.json", f"--sandbox={SANDBOX}")

    def _call(self, *arguments: str, expect: Exit = Exit.OK) -> None:
        """Run a command as a user would; ReconcilerError where it ends otherwise than promised."""
        self._app.out.data(f"$ reconciler {' '.join(arguments)}\n")
        environ = {name: value for name, value in os.environ.items() if not name.startswith(_PRIVATE)}
        packages = [str(Path(reconciler.__file__).parents[1]), environ.get("PYTHONPATH", "")]
        environ["PYTHONPATH"] = os.pathsep.join(filter(None, packages))
        command_line = [sys.executable, "-m", "reconciler", *arguments]
        done = subprocess.run(command_line, cwd=self._folder, env=environ, stdin=subprocess.DEVNULL, check=False)  # noqa: S603  our own command
        if done.returncode != expect:
            raise ReconcilerError("E1040", f"`{arguments[0]}` ended with exit code {done.returncode}, not {expect:d}")

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
        self._app.out.data(f"{where.file}:{where.line}\n- {before.strip()}\n+ {after.strip()}\n")

    def _edit(self) -> None:
        gateway = Gateway(sandbox_connection(str(self._folder / SANDBOX)))
        product = gateway.get("/v1/products", {"limit": 1, "active": "true"})["data"][0]["id"]
        gateway.post(f"/v1/products/{product}", {"name": "Edited in the dashboard"}, secrets.token_hex(16))
        self._app.out.data(f"(product {product} is renamed behind the files' back)\n")


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
