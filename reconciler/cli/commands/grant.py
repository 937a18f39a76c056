"""``reconciler grant``: bring in credits or a pack, once for a key."""

import json
from decimal import Decimal, InvalidOperation

import click

from reconciler.cli.books import BookOptions, book_options, instant_of, policy_of, understood, writing
from reconciler.cli.context import App, common_options, pass_app
from reconciler.cli.options import format_option
from reconciler.diagnostics import UsageError
from reconciler.diagnostics.visible import visible
from reconciler.entitlements.explain import amount
from reconciler.ledger.book import PRIORITY

LAST = 100


@click.command("grant")
@click.argument("tenant")
@click.argument("credits_", metavar="[CREDITS]", required=False)
@click.option(
    "--pack", metavar="ID", help="A credit pack of the files, with its bonus and expiry, in place of CREDITS."
)
@click.option("--key", required=True, metavar="KEY", help="Grant once for this key, however often it is tried.")
@click.option("--expires", metavar="INSTANT", help="Date or instant from which they cannot be spent any more.")
@click.option("--priority", type=click.IntRange(0, LAST), default=PRIORITY, show_default=True, help="0 is spent first.")
@click.option("--reason", default="", metavar="TEXT", help="Kept with the credits.")
@book_options
@format_option("text", "json")
@common_options
@pass_app
def command(
    app: App,
    tenant: str,
    credits_: str | None,
    *,
    pack: str | None,
    key: str,
    expires: str | None,
    priority: int,
    reason: str,
    books: BookOptions,
    form: str,
) -> None:
    """Give TENANT credits, or a pack."""
    if (credits_ is None) == (pack is None):
        raise UsageError("E1034", "name CREDITS, or a --pack")
    if pack is not None and (expires or reason):
        raise UsageError("E1034", "a pack says itself when it expires and what it is; leave out --expires and --reason")
    policy, _ = policy_of(app, books)
    until = None if expires is None else instant_of(expires, policy.zone)
    with understood(), writing(app, policy, books) as runtime:
        left = runtime.grant(
            tenant, _number(credits_), key=key, pack=pack, expires=until, priority=priority, reason=reason
        )
    if form == "json":
        app.out.data(json.dumps({"tenant": tenant, "key": key, "credits": left}, indent=2) + "\n")
    else:
        app.out.data(f"{visible(tenant)} has {amount(left, 'credit')}.\n")


def _number(text: str | None) -> Decimal | None:
    try:
        found = None if text is None else Decimal(text)
    except InvalidOperation:
        found = Decimal("nan")
    if found is not None and not found.is_finite():
        raise UsageError("E1034", f"{text!r} is not a number of credits")
    return found
