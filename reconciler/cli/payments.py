"""What ``checkout``, ``link`` and ``portal`` share: what is chosen, the desk that sells it, and how a page is told."""

import functools
import json
from collections.abc import Callable
from typing import Any

import click

from reconciler.cli.account import connect
from reconciler.cli.config import load
from reconciler.cli.context import App
from reconciler.cli.exits import Exit
from reconciler.cli.options import AccountOptions, ConfigOptions
from reconciler.config.words import count
from reconciler.diagnostics.visible import visible
from reconciler.entitlements.explain import moment
from reconciler.entitlements.periods import SECOND
from reconciler.provider.binding import check_mode
from reconciler.provider.gateway import Connection
from reconciler.provider.payments import Choice, Outcome, Page, Payments

Command = Callable[..., Any]
#: https://docs.stripe.com/api/checkout/sessions/create: lines of a link are bounded alike in the files.
_MOST = 10**6
_KINDS = {
    "checkout.session": "Checkout session",
    "payment_link": "Payment link",
    "billing_portal.session": "Portal session",
}
_SIMULATED = "Simulated, in the sandbox: no money moves.\n"


def choice_options(function: Command) -> Command:
    """Add the options that say what is sold; the command takes ``choice: Choice``."""

    @functools.wraps(function)
    def bundled(
        *args: Any,
        plan: str | None,
        price: str | None,
        interval: str | None,
        pack: str | None,
        quantity: int | None,
        **kwargs: Any,
    ) -> Any:
        return function(*args, choice=Choice(plan, price, interval, pack, quantity), **kwargs)

    for option in (
        click.option("--quantity", type=click.IntRange(1, _MOST), metavar="N", help="How many seats or packs."),
        click.option("--pack", metavar="ID", help="Sell a credit pack of the files."),
        click.option(
            "--interval",
            type=click.Choice(["day", "week", "month", "year"]),
            help="The plan's price of this billing interval.",
        ),
        click.option(
            "--price", metavar="ID", help="A price of the plan; default the tenant's, then the plan's default."
        ),
        click.option("--plan", metavar="ID", help="Sell a plan of the files, with what its usage is charged by."),
    ):
        bundled = option(bundled)
    return bundled


def desk(app: App, config: ConfigOptions, account: AccountOptions) -> Payments:
    """Return what sells from the files, in the account of the key or in the sandbox that was chosen."""
    connection = connect(account)
    catalog, _sources = load(app, config)
    return Payments(catalog, connection)


def account_of(app: App, config: ConfigOptions, account: AccountOptions) -> Connection:
    """Return the account, where its key is of the environment's mode."""
    connection = connect(account)
    catalog, _sources = load(app, config)
    check_mode(connection.mode, catalog.environment)
    return connection


def tell(app: App, page: Page, form: str) -> None:
    """Write a page to stdout, and what there is to note about it to stderr."""
    for note in page.notes:
        app.out.note(visible(f"note: {note}"))
    app.out.data(json.dumps(page.as_json(), indent=2) + "\n" if form == "json" else page_text(page))


def page_text(page: Page) -> str:
    """Return a page for people: what it is, its address on a line of its own, and what to know about it."""
    sells = f", {page.sells}" if page.sells else ""
    lines = [f"{_KINDS.get(page.kind, page.kind)} for {page.tenant}{sells}: {page.id}"]
    lines.append(f"  {page.url}" if page.url else f"  There is nothing left to pay: it is {page.state}.")
    facts = [
        ("of the files", page.declared),
        ("customer", page.customer),
        ("key", page.key),
        ("until", moment(page.expires_at * SECOND) if page.expires_at is not None else None),
    ]
    known = ", ".join(f"{name} {value}" for name, value in facts if value)
    lines += [f"  {known}"] if known else []
    mode = _mode(simulated=page.simulated, livemode=page.livemode)
    return "".join(visible(line) + "\n" for line in lines) + f"  {mode}"


def outcome_text(outcome: Outcome) -> str:
    """Return how a watch ended, for people."""
    looks = count(outcome.looks, "look")
    session = f" in {outcome.session}" if outcome.session and outcome.session != outcome.id else ""
    seen = f"it is {outcome.seen}" if outcome.seen else "nothing answered"
    words = {
        "paid": f"{outcome.id} is paid{session} ({outcome.payment_status}).",
        "expired": f"{outcome.id} has expired and was not paid.",
        "timeout": f"{outcome.id} was not paid in time: {seen}, after {looks}. Nothing was changed.",
    }
    return visible(words[outcome.state]) + "\n" + _mode(simulated=outcome.simulated, livemode=outcome.livemode)


def outcome_json(outcome: Outcome) -> str:
    """Return how a watch ended, for programs."""
    return json.dumps(outcome._asdict(), indent=2) + "\n"


def outcome_code(outcome: Outcome) -> Exit:
    """Return the exit code: 7 where it may still be paid, 1 where it cannot any more."""
    return {"paid": Exit.OK, "expired": Exit.ERROR}.get(outcome.state, Exit.PARTLY)


def _mode(*, simulated: bool, livemode: bool | None) -> str:
    """Say in a line what a payment is there; nothing where that is not known."""
    if simulated:
        return _SIMULATED
    if livemode is None:
        return ""
    return "Live: this is real money.\n" if livemode else "Test mode: no money moves.\n"
