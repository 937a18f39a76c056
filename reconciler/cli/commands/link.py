"""``reconciler link``: a payment link for a tenant, and waiting until it is paid."""

import click

from reconciler.cli.context import App, common_options, pass_app
from reconciler.cli.exits import Exit
from reconciler.cli.options import AccountOptions, ConfigOptions, account_options, config_options, format_option
from reconciler.cli.payments import (
    account_of,
    choice_options,
    desk,
    outcome_code,
    outcome_json,
    outcome_text,
    tell,
)
from reconciler.diagnostics import UsageError
from reconciler.provider.payments import Choice, Watcher

_FOR = "for"


class _Links(click.Group):
    """A group whose first word may be left out: ``link acme`` is ``link for acme``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and not set(args[:1]) & set(ctx.help_option_names):
            args = [_FOR, *args]
        return super().parse_args(ctx, args)


@click.group("link", cls=_Links, no_args_is_help=True)
@common_options
def command() -> None:
    """Give TENANT a payment link (`link TENANT` is `link for TENANT`), or wait until one is paid."""


@command.command(_FOR, short_help="Give a tenant the payment link of a plan or a pack.")
@click.argument("tenant")
@choice_options
@click.option("--name", metavar="ID", help="A payment link of the files, in place of a plan or a pack.")
@config_options
@account_options
@format_option("text", "json")
@common_options
@pass_app
def _for(
    app: App,
    tenant: str,
    *,
    choice: Choice,
    name: str | None,
    config: ConfigOptions,
    account: AccountOptions,
    form: str,
) -> None:
    """Give TENANT the files' payment link of a plan or a pack, else one of its own that can be paid once.

    The same command finds the same link again until it is paid.
    """
    if name is not None and choice != Choice():
        raise UsageError("E1034", "--name says what is sold; leave the other options out")
    payments = desk(app, config, account)
    tell(app, payments.link(tenant, choice) if name is None else payments.declared_link(tenant, name), form)


@command.command("wait", short_help="Wait until a link or a checkout session is paid.")
@click.argument("object_id", metavar="ID")
@config_options
@account_options
@format_option("text", "json")
@common_options
@pass_app
def _wait(app: App, object_id: str, *, config: ConfigOptions, account: AccountOptions, form: str) -> Exit:
    """Wait up to 30 seconds until ID, a checkout session or a link that can be paid once, is paid. Changes nothing.

    Exits with 7 where it may still be paid, with 1 where it cannot any more.
    """
    outcome = Watcher(account_of(app, config, account)).watch(object_id)
    app.out.data(outcome_json(outcome) if form == "json" else outcome_text(outcome))
    return outcome_code(outcome)
