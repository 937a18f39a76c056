"""``reconciler sandbox``: the local Stripe-compatible server."""

from pathlib import Path
from typing import Any

import click

from reconciler.cli.account import SANDBOX_KEY, check_database
from reconciler.cli.context import App, common_options, pass_app
from reconciler.diagnostics import UsageError
from reconciler.sandbox import Fault, Sandbox, Settings
from reconciler.sandbox.server import serve

_NUMBERS = {"nth": int, "every": int, "status": int, "probability": float, "seconds": float}
_TRUTH = {"true": True, "false": False}


@click.command("sandbox")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port on 127.0.0.1; default a free one.")
@click.option("--db", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Keep the state there.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="An open point of Stripe; repeatable.")
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="KEY=VALUE,…",
    help="A fault, such as kind=error,path=/v1/prices,nth=3,status=500; repeatable.",
)
@common_options
@pass_app
def command(app: App, port: int, db: Path | None, settings: tuple[str, ...], faults: tuple[str, ...]) -> None:
    """Run a local Stripe-compatible server until interrupted."""
    chosen = Settings.parse(dict(_pair(each) for each in settings))
    armed = [Fault.parse(_fault(each)) for each in faults]
    if db is not None:
        check_database(db)
    with Sandbox(str(db) if db else ":memory:", settings=chosen) as sandbox:
        sandbox.faults.add(*armed)
        serve(sandbox, port=port, ready=lambda url: _announce(app, url))


def _announce(app: App, url: str) -> None:
    app.out.data(f"export STRIPE_API_BASE={url}\nexport STRIPE_API_KEY={SANDBOX_KEY}\n")
    app.out.note(
        f"The sandbox serves {url}; any key that begins with sk_test_ has an account of its own. Ctrl-C ends it."
    )


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError("E1033", f"{text!r} is not of the form NAME=VALUE")
    return name.strip(), value.strip()


def _fault(text: str) -> dict[str, Any]:
    return {name: _typed(name, value) for name, value in map(_pair, text.split(","))}


def _typed(name: str, value: str) -> Any:
    try:
        return _NUMBERS[name](value) if name in _NUMBERS else _TRUTH.get(value, value)
    except ValueError:
        raise UsageError("E1033", f"{name} of a fault is a number, not {value!r}") from None
