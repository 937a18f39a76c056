"""A spend meter counts millionths of the major unit, so whatever is charged through one is whole in them."""

from collections.abc import Iterator
from decimal import Decimal

from reconciler import money
from reconciler.config.models import BillingPlan
from reconciler.config.models.offers import PerCall
from reconciler.config.source import Path_
from reconciler.config.terms import Line, lines, sold, through_spend
from reconciler.config.view import View
from reconciler.diagnostics import Diagnostic

_SCALE = 6
_REMEDY = "such charges are counted in millionths of the major unit; write at most six decimals"


def charges_whole(view: View) -> Iterator[Diagnostic]:
    """E0309: prices of calls, and of units that go through the spend meter, are whole millionths."""
    for path, terms in view.each(PerCall):
        for where, price in _prices(terms):
            if not _whole(price):
                yield _finer(view, (*path, *where), price)
    for path, price, line in _amounts_of_lines(view):
        if not _whole(price):
            note = "this line is charged through the spend meter"
            yield view.error(
                "E0309", path, f"{money.plain(price)} is not a whole number of millionths", _REMEDY, (line, note)
            )


def discounts_whole(view: View) -> Iterator[Diagnostic]:
    """E0309: every price of a call is a whole number of millionths after every percentage off."""
    for path, terms in view.each(PerCall):
        steps = terms.discounts.steps if terms.discounts else ()
        for index, step in enumerate(steps):
            here = (*path, "discounts", "steps", index)
            if step.unit_amount is not None and not _whole(step.unit_amount):
                yield _finer(view, (*here, "unit_amount"), step.unit_amount)
            for where, price in _prices(terms) if step.percent_off else ():
                charge = money.EXACT.scaleb(money.EXACT.multiply(price, 100 - (step.percent_off or 0)), -2)
                if where != ("minimum",) and _whole(price) and not _whole(charge):
                    summary = (
                        f"{money.plain(price)} less {money.plain(step.percent_off or Decimal(0))} % is "
                        f"{money.plain(charge)}, not a whole number of millionths"
                    )
                    yield view.error("E0309", (*here, "percent_off"), summary, _REMEDY, ((*path, *where), "the price"))


def _finer(view: View, path: Path_, price: Decimal) -> Diagnostic:
    return view.error("E0309", path, f"{money.plain(price)} is not a whole number of millionths", _REMEDY)


def _prices(terms: PerCall) -> Iterator[tuple[Path_, Decimal]]:
    if terms.default is not None:
        yield ("default",), terms.default
    for tool, price in terms.tools.items():
        yield ("tools", tool), price
    if terms.minimum is not None:
        yield ("minimum",), terms.minimum


def _amounts_of_lines(view: View) -> Iterator[tuple[Path_, Decimal, Path_]]:
    """Yield every unit price of a line that goes through the spend meter, with the line's path."""
    for line in lines(view.file):
        overage = sold(line.terms)
        if overage is None or not through_spend(view.file, _plan(view, line), line.terms):
            continue
        if overage.unit_amount is not None:
            yield (*line.path, "overage", "unit_amount"), overage.unit_amount, line.path
        table = view.file.tiers.get(overage.tiers or "")
        for index, step in enumerate(table.steps if table else ()):
            if step.unit_amount is not None:
                yield ("tiers", overage.tiers or "", "steps", index, "unit_amount"), step.unit_amount, line.path


def _plan(view: View, line: Line) -> BillingPlan | None:
    """Return the plan whose minimum draws a line to the spend meter: a tenant's own line too."""
    if line.plan is not None:
        return line.plan
    return view.file.plans.get(view.file.tenants[str(line.path[1])].plan or "")


def _whole(price: Decimal) -> bool:
    return money.decimals(price) <= _SCALE
