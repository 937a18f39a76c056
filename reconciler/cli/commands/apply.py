"""``reconciler apply``: a saved plan, or one made now, shown and confirmed."""

import os
import shlex
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click

from reconciler import __version__
from reconciler.cli.account import connect
from reconciler.cli.applying import Apply, event, refused
from reconciler.cli.config import load
from reconciler.cli.context import App, common_options, pass_app
from reconciler.cli.exits import Exit
from reconciler.cli.handed import SecretFile
from reconciler.cli.invocation import same_target
from reconciler.cli.options import (
    MEMORY,
    AccountOptions,
    ConfigOptions,
    account_options,
    allow_option,
    base_option,
    config_options,
    format_option,
)
from reconciler.cli.planner import base_at, make, page, plan_key, read, save, shown
from reconciler.config.catalog import Catalog
from reconciler.config.models import Environment, Guards
from reconciler.config.words import count
from reconciler.diagnostics import GuardRefusedError, ReconcilerError, UsageError
from reconciler.entitlements.compile import compile_catalog
from reconciler.planning.guards import Refusal, check_guards, is_charging
from reconciler.planning.handover import check_handover
from reconciler.planning.lock import is_recorded
from reconciler.planning.plan import Plan, Target
from reconciler.planning.render import count_lines
from reconciler.planning.verify import check_config, check_entitlements, check_target
from reconciler.provider.binding import check_account, check_mode
from reconciler.provider.gateway import Connection, Gateway
from reconciler.provider.propose import entitle
from reconciler.provider.reads import Reader
from reconciler.provider.subscribers import count_subscribers
from reconciler.resources import desire
from reconciler.resources.version import API_VERSION

#: Version of the events of ``--format jsonl``: its first number rises when something is removed or means otherwise.
EVENTS = "1.0"


@click.command("apply")
@click.argument("planfile", required=False, type=click.Path(path_type=Path))
@config_options
@account_options
@format_option("text", "jsonl")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Where a new plan is kept."
)
@click.option("--auto-approve", is_flag=True, help="Apply a new plan without asking.")
@click.option(
    "--no-config",
    is_flag=True,
    help="Apply a saved plan without the files: neither what they say nor their guards are checked.",
)
@click.option(
    "--expect-changes", type=click.IntRange(0), metavar="N", help="Refuse a plan with another number of changes."
)
@click.option(
    "--webhook-secrets",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Where the signing secrets of new webhook endpoints go: JSON by address, merged.",
)
@click.option(
    "--history",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    envvar="RECONCILER_HISTORY",
    show_envvar=True,
    help="Append a line of JSON about this apply; the service shows them.",
)
@base_option
@allow_option
@common_options
@pass_app
def command(
    app: App,
    planfile: Path | None,
    config: ConfigOptions,
    account: AccountOptions,
    *,
    form: str,
    out: Path | None,
    auto_approve: bool,
    no_config: bool,
    expect_changes: int | None,
    webhook_secrets: Path | None,
    history: Path | None,
    base: str | None,
    allow: tuple[str, ...],
) -> int:
    """Make Stripe equal to the files, by a saved plan or by one that is shown and confirmed now."""
    if planfile is None and no_config:
        raise UsageError("E1026", "--no-config needs a saved plan", remedy="Name the plan file.")
    if no_config and base is not None:
        raise UsageError("E1026", "--base needs the files, and --no-config was given")
    if planfile is not None and out is not None:
        raise UsageError("E1027", "--out is for a plan made now, and a saved one was named")
    secrets = SecretFile(webhook_secrets) if webhook_secrets else None
    request = _Request(app, config, account, connect(account), form, expect_changes, base, allow, secrets, history)
    event(app, form, "version", reconciler=__version__, format=EVENTS)
    try:
        if planfile is not None:
            return request.saved(planfile, with_config=not no_config)
        return request.inline(out, ask=not auto_approve)
    except ReconcilerError as error:
        refused(app, form, error)
        raise


class _Request:
    """One call of the command: the options, and the two ways to a plan."""

    def __init__(
        self,
        app: App,
        config: ConfigOptions,
        account: AccountOptions,
        connection: Connection,
        form: str,
        expected: int | None,
        base: str | None,
        allow: tuple[str, ...],
        secrets: SecretFile | None = None,
        history: Path | None = None,
    ) -> None:
        self._app = app
        self._config = config
        self._account = account
        self._connection = connection
        self._form = form
        self._expected = expected
        self._secrets = secrets
        self._history = history
        self._base = base
        self._allow = allow

    def saved(self, planfile: Path, *, with_config: bool) -> int:
        """Apply a plan file after comparing it with the account, the clock and, unless told otherwise, the files."""
        plan = read(planfile)
        env = self._config.env or plan.target.environment
        config = ConfigOptions(self._config.directory, env)
        environment = (env, Environment.model_validate({"mode": plan.target.mode})) if env else None
        guards, namespace, catalog = Guards(), plan.target.namespace, None
        if with_config:
            catalog, _sources = load(self._app, config)
            environment, guards, namespace = catalog.environment, catalog.file.guards, catalog.namespace
        check_mode(self._connection.mode, environment)
        gateway = Gateway(self._connection)
        check_account(gateway, environment)
        account = Reader(gateway).account()
        target = Target(account, self._connection.mode, API_VERSION, namespace, env, __version__)
        check_target(plan, target, datetime.now(UTC))
        if catalog is not None:
            check_config(plan, desire(catalog), catalog.digest, compile_catalog(catalog).digest)
            base = base_at(self._app, self._base, config)
            if base is not None:
                check_entitlements(plan, entitle(catalog, base, None))
                plan = replace(plan, loosened=base.loosened(catalog))
        counted = replace(plan, subscribers=count_subscribers(Reader(gateway), plan.changes))
        self._check(plan, check_guards(counted, guards, self._allow))
        if self._form == "text":
            self._app.out.data("".join(f"{line}\n" for line in count_lines(plan, page(self._app))))
        return self._applying(plan, planfile, config, catalog).run()

    def inline(self, out: Path | None, *, ask: bool) -> int:
        """Plan, show, ask and apply; the plan is kept until it is applied as a whole, so that it can be resumed."""
        made = make(self._app, self._config, self._connection, self._allow, self._base)
        if self._form == "text":
            self._app.out.data(shown(self._app, made.plan, made.refusals, "text"))
        self._check(made.plan, made.refusals)
        if not made.plan.changes and is_recorded(made.plan, made.applied):
            return self._applying(made.plan, out, self._config, made.catalog).nothing()
        if not ask:
            _check_read(made.plan)
        elif not self._confirmed(made.plan):
            self._app.out.problem("Nothing was applied.")
            return Exit.ERROR
        planfile = out or _temporary()
        save(planfile, made.plan)
        unneeded = [] if out else [planfile]
        try:
            code = self._applying(made.plan, planfile, self._config, made.catalog).run()
        except ReconcilerError:
            _remove(unneeded)  # it was refused before its first write: there is nothing to resume
            raise
        if code == Exit.OK:
            _remove(unneeded)
        return code

    def _check(self, plan: Plan, refusals: Sequence[Refusal]) -> None:
        if self._expected is not None and len(plan.changes) != self._expected:
            raise GuardRefusedError(
                "E1031",
                f"the plan has {count(len(plan.changes), 'change')}, not {self._expected} as expected",
                remedy="Look at the plan; then give the number it has to --expect-changes.",
            )
        if refusals:
            names = " ".join(f"--allow={shlex.quote(each)}" for each in dict.fromkeys(each.allow for each in refusals))
            raise GuardRefusedError(
                "E1030",
                "guards refuse the plan, and nothing was written",
                remedy=f"If all of it is meant, allow it once with {names}.",
                details=[f"{each.guard}: {each.message}" for each in refusals],
            )
        if self._secrets is None:
            check_handover(plan.changes)

    def _confirmed(self, plan: Plan) -> bool:
        word = plan.target.account if plan.target.mode == "live" else "yes"
        do = "Apply this to" if plan.changes else "Write down that these files are applied to"
        what = f"{do} account {plan.target.account} in {plan.target.mode} mode? Type {word} to go on."
        return self._app.ask(what, "--auto-approve, or make a plan with `plan --out` and apply that file") == word

    def _applying(self, plan: Plan, planfile: Path | None, config: ConfigOptions, catalog: Catalog | None) -> Apply:
        more = [*(["--no-config"] if catalog is None else []), *(f"--allow={name}" for name in self._allow)]
        more += [f"--webhook-secrets={self._secrets.path}"] if self._secrets else []
        more += [f"--history={self._history}"] if self._history else []
        resume = f"Resume with: {same_target('apply', config, self._account, planfile, *more)}"
        if self._account.sandbox == MEMORY:
            resume = "The sandbox was in memory and ends here; with --sandbox=FILE an apply can be resumed."
        unlock = same_target("unlock", config, self._account)
        # Without the files, only a seal by key tells that the plan is what they ask for.
        records = catalog is not None or plan_key() is not None
        return Apply(
            self._app,
            self._connection,
            plan,
            catalog,
            self._form,
            resume,
            unlock,
            self._secrets,
            records=records,
            history=self._history,
        )


def _check_read(plan: Plan) -> None:
    """Refuse to charge people in live mode by a plan that nobody has seen before it is applied."""
    if plan.target.mode == "live" and any(map(is_charging, plan.changes)):
        raise GuardRefusedError(
            "E1053",
            "the plan charges people in live mode, and nobody has read it",
            remedy="Leave --auto-approve out and type the account; or plan --out FILE, review it, and apply that.",
        )


def _remove(files: Sequence[Path]) -> None:
    for each in files:
        each.unlink(missing_ok=True)


def _temporary() -> Path:
    handle, name = tempfile.mkstemp(prefix="reconciler-plan-", suffix=".json")
    os.close(handle)
    return Path(name)
