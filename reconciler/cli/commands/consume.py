"""``reconciler consume``: decide a call and book it, once for a key."""

import click

from reconciler.cli.books import BookOptions, book_options, numbers, policy_of, understood, writing
from reconciler.cli.commands.check import answer
from reconciler.cli.context import App, common_options, pass_app
from reconciler.cli.exits import Exit
from reconciler.cli.options import call_options, format_option, refusal_exitcode


@click.command("consume")
@click.argument("tenant")
@call_options
@click.option("--key", metavar="KEY", help="Book it once for this key, however often it is tried.")
@book_options
@format_option("text", "json")
@refusal_exitcode
@common_options
@pass_app
def command(
    app: App,
    tenant: str,
    tool: str | None,
    *,
    meter: str | None,
    quantity: int,
    units: tuple[str, ...],
    key: str | None,
    books: BookOptions,
    form: str,
    exit_code: bool,
) -> int:
    """Book a call of TOOL for TENANT if it is allowed; a refusal is an answer, and books nothing."""
    policy, _ = policy_of(app, books)
    with understood(), writing(app, policy, books) as runtime:
        decision = runtime.consume(tenant, tool, meter=meter, quantity=quantity, units=numbers(units), key=key)
    answer(app, decision, policy, form)
    return Exit.GUARD if exit_code and not decision.allowed else Exit.OK
