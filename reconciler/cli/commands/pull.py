"""``reconciler pull``: files that say what an account holds, proven by a plan that has nothing to do but to mark."""

from pathlib import Path

import click

from reconciler.cli.account import connect
from reconciler.cli.adopting import Adopting
from reconciler.cli.context import App, common_options, pass_app
from reconciler.cli.exits import Exit
from reconciler.cli.files import check_empty, check_namespace, write_files
from reconciler.cli.invocation import same_target
from reconciler.cli.options import AccountOptions, ConfigOptions, account_options
from reconciler.config.words import count
from reconciler.planning.pull.proof import Pulled, pull
from reconciler.provider.gateway import Connection, Gateway
from reconciler.provider.pull import choose_namespace, read_account


@click.command("pull")
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Where to.")
@click.option(
    "--namespace", metavar="NAME", help="Owner of the objects from now on; default made from the account's name."
)
@account_options
@click.option("--adopt", is_flag=True, help="Mark what the files say as well: ask, then write owner marks alone.")
@click.option("--auto-approve", is_flag=True, help="With --adopt: write without asking.")
@common_options
@pass_app
def command(
    app: App, out: Path, namespace: str | None, account: AccountOptions, *, adopt: bool, auto_approve: bool
) -> int:
    """Read an account and write it down as files in DIR; without --adopt nothing is written to Stripe."""
    check_empty(out)
    check_namespace(namespace)
    connection = connect(account)
    pulled = _read(app, connection, namespace)
    write_files(out, pulled.files)
    app.out.data("".join(f"{out / name}\n" for name in pulled.files))
    _tell(app, pulled)
    config = ConfigOptions(out, "production" if connection.mode == "live" else None)
    if adopt:
        return Adopting(app, config, account, connection).run(None, form="text", dry_run=False, ask=not auto_approve)
    app.out.note(f"Next: {same_target('plan', config, account)}")
    app.out.note(f"Then: {same_target('import', config, account, None, '--match')}")
    return Exit.OK


def _read(app: App, connection: Connection, namespace: str | None) -> Pulled:
    gateway = Gateway(connection, read_only=True)
    account = read_account(gateway)
    pulled = pull(account, choose_namespace(gateway, account, namespace))
    app.out.note(f"Read {account.id} with {count(gateway.requests, 'request')}.")
    return pulled


def _tell(app: App, pulled: Pulled) -> None:
    draft = pulled.draft
    app.out.data(f"{count(len(draft.live), 'object')} written down, {len(draft.left)} left out.\n")
    for each in draft.left.values():
        app.out.note(f"left out: {each.words}")
    for path, texts in draft.comments.items():
        for text in texts:
            app.out.note(f"{'.'.join(map(str, path))}: {text}")
