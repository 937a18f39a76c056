"""An impact in every form: for a terminal, a program, a pull request, a browser, a spreadsheet."""

import csv
import io
import json

from reconciler.cli.context import App
from reconciler.cli.planner import page
from reconciler.cli.usages import harmless
from reconciler.impact.markdown import impact_markdown
from reconciler.impact.page import impact_page
from reconciler.impact.result import Impact, TenantRow, major
from reconciler.impact.text import impact_text

_FIELDS = (
    "tenant",
    "name",
    "plan_before",
    "plan_after",
    "currency_before",
    "currency_after",
    "month_before",
    "month_after",
    "month_difference",
    "year_before",
    "year_after",
    "year_difference",
    "calls",
    "newly_refused",
    "newly_allowed",
    "trial_days_before",
    "trial_days_after",
    "on_change",
    "usage_on_change",
    "remark",
)


def shown(app: App, found: Impact, form: str) -> str:
    """Return an impact in a form."""
    if form == "json":
        return json.dumps(found.as_json(), indent=2) + "\n"
    if form == "csv":
        return impact_csv(found)
    if form == "html":
        return impact_page(found)
    return impact_markdown(found) if form == "markdown" else impact_text(found, page(app))


def impact_csv(impact: Impact) -> str:
    """Write a row for every tenant, amounts in major units; text a spreadsheet would take for a formula is marked."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, _FIELDS, lineterminator="\n")
    writer.writeheader()
    for row in impact.rows:
        writer.writerow({name: harmless(value) for name, value in _fields(row).items()})
    return buffer.getvalue()


def _fields(row: TenantRow) -> dict[str, object]:
    found: dict[str, object] = {"tenant": row.tenant, "name": row.name}
    for when, plan, cost, days in zip(
        ("before", "after"), row.plans, (row.before, row.after), row.trial_days, strict=True
    ):
        found |= {f"plan_{when}": plan or "", f"trial_days_{when}": days}
        found |= {f"currency_{when}": cost.currency if cost else ""}
        found |= {f"month_{when}": major(cost.month, cost.currency) if cost else ""}
        found |= {f"year_{when}": major(cost.year, cost.currency) if cost else ""}
    for span, difference in (("month", row.month), ("year", row.year)):
        found[f"{span}_difference"] = "" if difference is None else major(difference, str(row.currency))
    found |= {"calls": row.calls, "newly_refused": row.newly_refused, "newly_allowed": row.newly_allowed}
    policies = {"on_change": row.on_change, "usage_on_change": " ".join(row.usage_on_change)}
    return found | policies | {"remark": row.why}
