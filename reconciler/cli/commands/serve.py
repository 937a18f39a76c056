"""``reconciler serve``: the runtime over HTTP."""

from contextlib import ExitStack

import click

from reconciler.cli.account import is_loopback
from reconciler.cli.books import BookOptions, book_options
from reconciler.cli.context import App, common_options, pass_app
from reconciler.cli.options import AccountOptions, account_options
from reconciler.diagnostics import ReconcilerError, UsageError

try:
    from reconciler.cli.hooking import secrets_of, take_hooks
    from reconciler.cli.serving import ServeOptions, account_of, opened, serve_options
    from reconciler.cli.trying import sandbox_beside
    from reconciler.cli.working import WorkOptions, join, work_options, work_settings
    from reconciler.service.operations.logs import LEVELS, configure
    from reconciler.service.serving import address_of, listen, serve
except ModuleNotFoundError as error:
    if (error.name or "").startswith("reconciler"):
        raise
    raise ReconcilerError(
        "E1506", f"serving needs packages that are not installed: {error}", remedy="pip install 'reconciler[server]'"
    ) from error


@click.command("serve", short_help="Serve the runtime over HTTP: calls, payments, health.")
@click.option("--host", default="127.0.0.1", show_default=True, metavar="HOST", help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="Port; 0 is a free one.")
@click.option(
    "--mode",
    type=click.Choice(["group", "lease", "direct"]),
    default="group",
    show_default=True,
    help="How calls reach the ledger.",
)
@click.option("--log-level", type=click.Choice(LEVELS), default="info", show_default=True, help="What is logged.")
@click.option("--no-worker", is_flag=True, help="Leave work beside the requests to another process.")
@serve_options
@work_options
@book_options
@account_options
@common_options
@pass_app
def command(
    app: App,
    *,
    host: str,
    port: int,
    mode: str,
    log_level: str,
    no_worker: bool,
    options: ServeOptions,
    doing: WorkOptions,
    books: BookOptions,
    account: AccountOptions,
) -> None:
    """Serve the runtime and payments over HTTP until SIGTERM or SIGINT; SIGHUP reads the files anew.

    Requests under way are answered before it ends. Any number of processes may share a ledger in PostgreSQL.
    """
    configure(log_level)
    work = work_settings(doing)
    with ExitStack() as stack:
        listener = stack.enter_context(listen(host, port)) if is_loopback(host) else None
        here = None if listener is None else address_of(listener)
        trial = None if account.sandbox is None else stack.enter_context(sandbox_beside(app, account.sandbox, here))
        connection = account_of(app, account) if trial is None else trial.connection
        service = stack.enter_context(
            opened(app, books, connection, options, mode=mode, worker=not no_worker, here=here)
        )
        if listener is None and not service.credentials.any:
            raise UsageError(
                "E1504",
                f"{host} can be reached by others, and there is nothing to tell them apart by",
                remedy="Make a key with `reconciler key new`, or listen on 127.0.0.1.",
            )
        join(service, work, works=not no_worker)
        take_hooks(app, service, secrets_of() if trial is None else trial.secrets, works=not no_worker)
        listener = listener or stack.enter_context(listen(host, port))
        serve(service, listener, lambda url: app.out.data(f"{url}\n"))
