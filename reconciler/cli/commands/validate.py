"""``reconciler validate``: every problem of the files, at its line."""

import os
import sys

import click

from reconciler.cli.config import locate
from reconciler.cli.context import App, common_options, pass_app
from reconciler.cli.exits import Exit
from reconciler.cli.options import ConfigOptions, config_options, format_option
from reconciler.config.catalog import Catalog, inspect
from reconciler.config.words import count
from reconciler.diagnostics.annotations import render_github
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


@click.command("validate")
@config_options
@format_option("text", "concise", "json", "github")
@common_options
@pass_app
def command(app: App, config: ConfigOptions, form: str) -> int:
    """Check the files and show every problem at its line; needs neither key nor network."""
    catalog, sources, diagnostics = inspect(locate(config), config.env)
    if form == "json":
        app.out.data(render_json(diagnostics, sources.line))
    elif form == "github":
        app.out.data(render_github(diagnostics))
    else:
        color = app.out.colors(sys.stdout)
        full = form == "text"
        app.out.data(render_text(diagnostics, sources.line, color=color, width=app.out.width, full=full))
        if os.environ.get("GITHUB_ACTIONS") == "true":
            app.out.data(render_github(diagnostics))
    if catalog is None:
        return Exit.CONFIG
    if form in ("text", "concise"):
        app.out.data(summary(catalog))
    return Exit.OK


def summary(catalog: Catalog) -> str:
    """Count what a valid catalogue holds."""
    sizes = {word: len(getattr(catalog.file, section)) for section, word in _COUNTED.items()}
    counts = [count(size, word) for word, size in sizes.items() if size]
    return f"OK: {', '.join(counts) or 'nothing is sold yet'}.\n"
