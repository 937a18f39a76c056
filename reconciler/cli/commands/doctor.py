"""``reconciler doctor``: is everything in place, from the interpreter to the key's permissions."""

import json
import os
import platform
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import click

from reconciler import __version__
from reconciler.cli.account import connect
from reconciler.cli.config import locate
from reconciler.cli.context import App, common_options, pass_app
from reconciler.cli.exits import Exit
from reconciler.cli.options import AccountOptions, ConfigOptions, account_options, config_options, format_option
from reconciler.cli.schemas import all_schemas
from reconciler.config.catalog import Catalog, inspect
from reconciler.config.schemas import check_schemas
from reconciler.config.words import count
from reconciler.diagnostics import ReconcilerError
from reconciler.diagnostics.visible import visible
from reconciler.provider.binding import check_account, check_mode
from reconciler.provider.gateway import Connection, Gateway
from reconciler.provider.health import Finding, Verdict, examine, sdk


@click.command("doctor")
@config_options
@account_options
@format_option("text", "json")
@common_options
@pass_app
def command(app: App, config: ConfigOptions, account: AccountOptions, *, form: str) -> int:
    """Check installation, files, key and permissions; writes nothing."""
    findings = list(_findings(config, account))
    failed = any(each.verdict is Verdict.FAIL for each in findings)
    if form == "json":
        app.out.data(json.dumps({"ok": not failed, "checks": [asdict(each) for each in findings]}, indent=2) + "\n")
    else:
        app.out.data(_table(findings))
    return Exit.ERROR if failed else Exit.OK


def _findings(config: ConfigOptions, account: AccountOptions) -> Iterator[Finding]:
    yield Finding("reconciler", Verdict.OK, f"{__version__} on Python {platform.python_version()}")
    yield sdk()
    catalog, found = _configuration(config)
    yield from found
    connection, key = _key(account, catalog)
    yield key
    if connection is not None:
        yield from examine(connection, namespace=catalog.namespace if catalog else None)


def _configuration(config: ConfigOptions) -> tuple[Catalog | None, list[Finding]]:
    try:
        directory = locate(config)
    except ReconcilerError:
        remedy = "Run `reconciler init`, or name the directory with --config."
        return None, [Finding("configuration", Verdict.FAIL, "there is no billing.d here or above", remedy)]
    catalog, _sources, diagnostics = inspect(directory, config.env)
    if catalog is None:
        found = count(len(diagnostics), "problem")
        return None, [Finding("configuration", Verdict.FAIL, found, "Run `reconciler validate`.")]
    return catalog, [Finding("configuration", Verdict.OK, str(directory)), _schemas(directory)]


def _schemas(directory: Path) -> Finding:
    folder = Path(os.path.realpath(directory)).parent / "schemas"
    remedy = f"Run `reconciler schema --dir {folder}`."
    if not folder.is_dir():
        return Finding("schemas", Verdict.WARN, f"there is no {folder} for editors", remedy)
    differing = check_schemas(folder, all_schemas())
    if differing:
        return Finding("schemas", Verdict.FAIL, "; ".join(differing), remedy)
    return Finding("schemas", Verdict.OK, str(folder))


def _key(account: AccountOptions, catalog: Catalog | None) -> tuple[Connection | None, Finding]:
    try:
        connection = connect(account)
        if catalog is not None:
            check_mode(connection.mode, catalog.environment)
            check_account(Gateway(connection, read_only=True), catalog.environment)
    except ReconcilerError as error:
        return None, Finding("key", Verdict.FAIL, error.message, error.remedy)
    where = "embedded sandbox" if account.sandbox else connection.base or "Stripe"
    return connection, Finding("key", Verdict.OK, f"{connection.mode} key for {where}")


def _table(findings: list[Finding]) -> str:
    width = max(len(each.name) for each in findings)
    lines: list[str] = []
    for each in findings:
        lines.append(f"{each.verdict:<4}  {each.name:<{width}}  {visible(each.detail)}")
        if each.remedy and each.verdict is not Verdict.OK:
            lines.append(f"{'':<4}  {'':<{width}}  = help: {visible(each.remedy)}")
    return "\n".join(lines) + "\n"
