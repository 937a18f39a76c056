"""``reconciler validate``: every problem of the files, at its line."""

import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from reconciler.cli.config import locate
from reconciler.cli.context import App, common_options, pass_app
from reconciler.cli.exits import Exit
from reconciler.cli.github import Value, tell
from reconciler.cli.options import ConfigOptions, config_options, format_option
from reconciler.cli.output import in_github
from reconciler.cli.places import placed, prefix
from reconciler.config.catalog import Catalog, inspect
from reconciler.config.words import count
from reconciler.diagnostics import ConfigError, Diagnostic, Severity
from reconciler.diagnostics.annotations import render_github
from reconciler.diagnostics.markdown import render_markdown
from reconciler.diagnostics.render import render_json, render_text

_COUNTED = {
    "plans": "plan",
    "credit_packs": "pack",
    "tenants": "tenant",
    "meters": "meter",
    "tools": "tool",
    "features": "feature",
    "tiers": "tier table",
    "coupons": "coupon",
    "promotion_codes": "promotion code",
    "tax_rates": "tax rate",
    "payment_links": "payment link",
    "webhooks": "webhook",
}


#: Forms that other programs read, loaded by name: whoever validates at a terminal waits for none of them.
_REPORTS = {"sarif": "sarif", "junit": "junit", "gitlab": "codequality"}
_SHOWN = ("text", "concise")


@click.command("validate")
@config_options
@format_option(*_SHOWN, "json", "github", *_REPORTS)
@common_options
@pass_app
def command(app: App, config: ConfigOptions, form: str) -> int:
    """Check the files and show every problem at its line; needs neither key nor network."""
    try:
        directory = locate(config)
    except ConfigError as error:
        if form not in _REPORTS:
            raise
        app.out.data(_report(form, error.diagnostics, ()))
        return Exit.CONFIG
    catalog, sources, diagnostics = inspect(directory, config.env)
    before = prefix(directory, os.environ, Path.cwd())
    if form == "json":
        app.out.data(render_json(diagnostics, sources.line))
    elif form == "github":
        app.out.data(render_github(placed(diagnostics, before)), commands=True)
    elif form in _REPORTS:
        app.out.data(_report(form, placed(diagnostics, before), [f"{before}{file}" for file in sources.lines]))
    else:
        color = app.out.colors(sys.stdout)
        full = form == "text"
        app.out.data(render_text(diagnostics, sources.line, color=color, width=app.out.width, full=full))
        if in_github(os.environ):
            app.out.data(render_github(placed(diagnostics, before)), commands=True)
    if catalog is not None and form in _SHOWN:
        app.out.data(summary(catalog))
    return _tell(app, catalog, diagnostics)


def _tell(app: App, catalog: Catalog | None, diagnostics: Sequence[Diagnostic]) -> int:
    """Tell a GitHub job what was found, and return the exit code."""
    errors = sum(each.severity is Severity.ERROR for each in diagnostics)
    title = f"{count(errors, 'error')} in the files" if catalog is None else summary(catalog).strip()
    outputs: dict[str, Value] = {
        "valid": catalog is not None,
        "errors": errors,
        "warnings": len(diagnostics) - errors,
        "summary": title,
    }
    code = Exit.CONFIG if catalog is None else Exit.OK
    return tell(app.out, code, render_markdown(diagnostics, title), outputs)


def _report(form: str, diagnostics: Sequence[Diagnostic], files: Sequence[str]) -> str:
    module = importlib.import_module(f"reconciler.diagnostics.{_REPORTS[form]}")
    text: str = getattr(module, f"render_{form}")(diagnostics, files)
    return text


def summary(catalog: Catalog) -> str:
    """Count what a valid catalogue holds."""
    sizes = {word: len(getattr(catalog.file, section)) for section, word in _COUNTED.items()}
    counts = [count(size, word) for word, size in sizes.items() if size]
    return f"OK: {', '.join(counts) or 'nothing is sold yet'}.\n"
