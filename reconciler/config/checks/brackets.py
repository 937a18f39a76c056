"""Tables of price brackets, and discount steps, which have the same bounds."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from reconciler.config.models import Step, Tier
from reconciler.config.models.offers import Discounts, DiscountStep, PerCall
from reconciler.config.source import Path_
from reconciler.config.terms import table_uses
from reconciler.config.view import View
from reconciler.diagnostics import Diagnostic


def bounds_ascend(view: View) -> Iterator[Diagnostic]:
    """E0310, E0311: bounds rise from step to step, and the last step, and only it, is open."""
    for path, steps in _all_steps(view):
        for index, (before, after) in enumerate(pairwise(steps)):
            here = (*path, index + 1, "up_to")
            if before.up_to == "inf":
                summary = "a bracket without upper bound is not the last one"
                yield view.error("E0311", (*path, index, "up_to"), summary, "write inf in the last step only")
            elif after.up_to != "inf" and after.up_to <= before.up_to:
                summary = f"up_to {after.up_to} is not above {before.up_to}, the bound before it"
                remedy = "order the steps by bound; up_to is an inclusive upper bound, not a width"
                yield view.error("E0310", here, summary, remedy, ((*path, index, "up_to"), "the bound before it"))
        if steps[-1].up_to != "inf":
            summary = f"the last step ends at {steps[-1].up_to}, what is beyond it has no price"
            yield view.error("E0311", (*path, len(steps) - 1, "up_to"), summary, "write up_to: inf in the last step")


def steps_priced(view: View) -> Iterator[Diagnostic]:
    """E0312: a bracket has a unit amount, a flat amount or both."""
    for path, step in view.each(Step):
        if step.unit_amount is None and step.flat_amount is None:
            yield view.error(
                "E0312", (*path, "up_to"), "the bracket has no price", "add unit_amount or flat_amount; 0 is free"
            )


def discounts_stated(view: View) -> Iterator[Diagnostic]:
    """E0313: a discount step says one thing; the first may say nothing; a replaced default price exists."""
    for path, step in view.each(DiscountStep):
        stated = [name for name in ("percent_off", "unit_amount") if getattr(step, name) is not None]
        if len(stated) > 1:
            summary = "a step has percent_off or unit_amount, not both"
            yield view.error(
                "E0313", (*path, "unit_amount"), summary, "remove one of the two", ((*path, "percent_off"), "the other")
            )
        elif not stated and path[-1] != 0:
            summary = "only the first step may be without a discount"
            yield view.error("E0313", (*path, "up_to"), summary, "add percent_off or unit_amount")
        if "unit_amount" in stated and _terms(view, path).default is None:
            summary = "unit_amount replaces the default price, and there is none"
            yield view.error("E0313", (*path, "unit_amount"), summary, "add per_call.default, or write percent_off")


def tables_in_currency(view: View) -> Iterator[Diagnostic]:
    """E0307: a table with a currency of its own is used by prices in that currency."""
    for path, table, currency in table_uses(view.file):
        target = view.file.tiers.get(table)
        if target and target.currency and target.currency != currency:
            summary = f"the tiers are in {target.currency}, the price is in {currency}"
            remedy = f"use a table in {currency}, or leave the table's currency out"
            yield view.error("E0307", path, summary, remedy, (("tiers", table, "currency"), "the table's currency"))


def table_options_fit(view: View) -> Iterator[Diagnostic]:
    """E0306: the brackets in another currency have the bounds of the table itself."""
    for path, table in view.each(Tier):
        bounds = [step.up_to for step in table.steps]
        for code, steps in table.currency_options.items():
            if [step.up_to for step in steps] != bounds:
                summary = f"the brackets in {code} have other bounds than the table"
                remedy = f"write the bounds {', '.join(map(str, bounds))}"
                yield view.error(
                    "E0306", (*path, "currency_options", code), summary, remedy, ((*path, "steps"), "the table")
                )


def _all_steps(view: View) -> Iterator[tuple[Path_, tuple[Any, ...]]]:
    """Yield every list of price steps and of discount steps: both have bounds."""
    for path, table in view.each(Tier):
        yield (*path, "steps"), table.steps
        yield from (((*path, "currency_options", code), steps) for code, steps in table.currency_options.items())
    for path, discounts in view.each(Discounts):
        yield (*path, "steps"), discounts.steps


def _terms(view: View, path: Path_) -> PerCall:
    terms = view.file.plans[str(path[1])].per_call
    assert terms is not None  # noqa: S101  a discount step stands inside per_call
    return terms
