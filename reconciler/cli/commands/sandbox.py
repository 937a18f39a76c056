"""``reconciler sandbox``: the local Stripe-compatible server."""

import json
import os
import shlex
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import click

from reconciler.cli.account import SANDBOX_KEY, check_database
from reconciler.cli.context import App, common_options, pass_app
from reconciler.cli.files import read_bounded
from reconciler.config.source import load_text
from reconciler.diagnostics import UsageError
from reconciler.sandbox import Fault, Sandbox, Settings, Webhooks
from reconciler.sandbox.faults import parse_all
from reconciler.sandbox.fidelity import statement
from reconciler.sandbox.journal import Entry
from reconciler.sandbox.rate import Profile as Rate
from reconciler.sandbox.seed import seed as seed_with
from reconciler.sandbox.server import serve
from reconciler.sandbox.webhooks import Profile as Retries

_LARGEST_FILE = 64 * 1024 * 1024
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command("sandbox")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port on 127.0.0.1; default a free one.")
@click.option("--db", type=_FILE, metavar="FILE", help="Keep the state there.")
@click.option("--seed", type=_FILE, metavar="FILE", help="Make the requests of a Stripe fixtures file first.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="An open point of Stripe; repeatable.")
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="KEY=VALUE,…",
    help="A fault, such as kind=error,path=/v1/prices,nth=3,status=500; repeatable.",
)
@click.option("--faults", "plan", type=_FILE, metavar="FILE", help="Faults from a YAML or JSON file.")
@click.option("--rate", type=click.Choice(get_args(Rate)), default="off", help="Limit requests as Stripe does.")
@click.option("--webhook-host", "hosts", multiple=True, metavar="HOST", help="A host beside this one to post to.")
@click.option(
    "--webhook-retries",
    "retries",
    type=click.Choice(get_args(Retries)),
    default="sandbox",
    help="Try webhooks again as in a Stripe sandbox, or for days as in live mode.",
)
@click.option("--log", is_flag=True, help="Write a line for every request.")
@click.option("--fidelity", is_flag=True, help="Print what it does of what Stripe has, as Markdown, and end.")
@common_options
@pass_app
def command(
    app: App,
    port: int,
    db: Path | None,
    seed: Path | None,
    settings: tuple[str, ...],
    faults: tuple[str, ...],
    plan: Path | None,
    rate: Rate,
    hosts: tuple[str, ...],
    retries: Retries,
    log: bool,  # noqa: FBT001  click calls with keywords
    fidelity: bool,  # noqa: FBT001  as above
) -> None:
    """Run a local Stripe-compatible server until interrupted."""
    if fidelity:
        app.out.data(statement())
        return
    chosen = Settings.parse(dict(_pair(each) for each in settings))
    armed = [*map(Fault.from_text, faults), *(parse_all(_data(plan)) if plan else ())]
    webhooks = Webhooks(hosts=frozenset(hosts), profile=retries)
    if db is not None:
        check_database(db)
    write = _logger(app) if log else None
    with Sandbox(str(db) if db else ":memory:", settings=chosen, rate=rate, log=write, webhooks=webhooks) as sandbox:
        if seed:
            _seed(app, sandbox, seed)
        sandbox.faults.add(*armed)
        serve(sandbox, port=port, ready=lambda url: _announce(app, url))


def _announce(app: App, url: str) -> None:
    app.out.data(f"export STRIPE_API_BASE={url}\nexport STRIPE_API_KEY={SANDBOX_KEY}\n")
    app.out.note(
        f"The sandbox serves {url}; any key that begins with sk_test_ has an account of its own. Ctrl-C ends it."
    )


def _logger(app: App) -> Any:
    def write(entry: Entry) -> None:
        app.out.note(entry.line())

    return write


def _seed(app: App, sandbox: Sandbox, file: Path) -> None:
    done = seed_with(sandbox, _data(file), environ=os.environ)
    app.out.note(f"Seeded with {len(done.names)} requests of {file}." if done.names else f"Restored {file}.")
    for name, value in done.env.items():
        app.out.data(f"export {name}={shlex.quote(value)}\n")


def _data(file: Path) -> Any:
    """Read a YAML or JSON file of plain data."""
    content = read_bounded(file, _LARGEST_FILE)
    if file.suffix == ".json":
        try:
            return json.loads(content)
        except ValueError as error:
            raise UsageError("E1209", f"{file} is not JSON: {error}") from None
    document, problems = load_text(content, file.name)
    if document is None or problems:
        lines = [f"{problem.range}: {problem.summary}" if problem.range else problem.summary for problem in problems]
        raise UsageError("E1209", f"{file} cannot be read", details=lines)
    return _plain(document.root)


def _plain(value: Any) -> Any:
    """Return what JSON has: YAML's exact decimals are numbers there."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return float(value) if isinstance(value, Decimal) else value


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError("E1033", f"{text!r} is not of the form NAME=VALUE")
    return name.strip(), value.strip()
