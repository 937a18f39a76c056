"""The section of a plan that says what the change means in money and refusals."""

import json
from pathlib import Path

from reconciler.cli.context import App
from reconciler.cli.impacting import AT_HAND, Named, UsageOptions, impact_of
from reconciler.cli.planner import page
from reconciler.cli.revisions import catalog_at
from reconciler.config.catalog import Catalog
from reconciler.diagnostics import UsageError
from reconciler.impact.markdown import impact_section
from reconciler.impact.result import Impact
from reconciler.impact.text import impact_lines

_FORMS = ("text", "json", "markdown")


def check_asked(base: str | None, form: str) -> None:
    """Refuse an impact where there is nothing to compare with, or no place for it; UsageError."""
    if base is None or Path(base).is_file():
        remedy = "Name a directory or a git revision: --impact --base main."
        raise UsageError("E1306", "--impact needs --base, the files as they are in force", remedy=remedy)
    if form not in _FORMS:
        remedy = "reconciler impact has forms of its own, a page too."
        raise UsageError("E1306", f"a plan tells its impact as {', '.join(_FORMS)}, not as {form}", remedy=remedy)


def plan_impact(app: App, base: str, head: Catalog, usage: UsageOptions) -> Impact:
    """Return the impact of a plan's change from the files of ``base``."""
    return impact_of(app, Named(base, catalog_at(app, base, usage.config)), Named(AT_HAND, head), usage)


def with_impact(app: App, text: str, impact: Impact | None, form: str) -> str:
    """Return a plan's text with the section behind it; in JSON it is the member ``impact``."""
    if impact is None:
        return text
    if form == "json":
        return json.dumps({**json.loads(text), "impact": impact.brief()}, indent=2, ensure_ascii=True) + "\n"
    return text + (impact_section(impact) if form == "markdown" else impact_lines(impact, page(app)))
