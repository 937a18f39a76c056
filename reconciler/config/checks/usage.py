"""Usage lines whose keys have an effect, and counts and limits that fit their meters."""

from collections.abc import Iterator

from reconciler.config.models import Overage, Price, UsageLine
from reconciler.config.models.offers import Limit
from reconciler.config.source import Path_
from reconciler.config.terms import Line, lines, sold, through_spend
from reconciler.config.view import View
from reconciler.diagnostics import Diagnostic
from reconciler.diagnostics.visible import quoted

#: Keys of an overage that say something about a Stripe price of its own.
_OF_A_PRICE = ("nickname", "tax_behavior", "metadata", "lookup_key", "currency_options", "on_change")


def periods_used(view: View) -> Iterator[Diagnostic]:
    """E0410: no key of a usage line or price is without effect."""
    for line in lines(view.file):
        for key, reason in _useless(view, line):
            inside = key in Overage.model_fields and key not in UsageLine.model_fields
            path = (*line.path, "overage", key) if inside else (*line.path, key)
            yield view.error("E0410", path, f"{key} has no effect: {reason}", f"remove {key}")
    for path, price in view.each(Price):
        for key in ("interval_count", "on_change") if price.interval == "once" else ():
            if key in price.model_fields_set:
                summary = f"{key} has no effect: the price is paid once"
                yield view.error("E0410", (*path, key), summary, f"remove {key}")


def _useless(view: View, line: Line) -> Iterator[tuple[str, str]]:
    terms = line.terms
    written = terms.model_fields_set
    if sold(terms) is not None:
        reason = "sold units follow the billing period of the subscription"
        yield from ((key, reason) for key in ("per", "resets_on") if key in written)
    else:
        reason = "nothing is billed; the included units return by per"
        yield from ((key, reason) for key in ("interval", "interval_count") if key in written)
        if terms.resets_on is not None and terms.per != "month":
            yield "resets_on", f"the units return every {terms.per}, only months begin on a chosen day"
    if not isinstance(terms.overage, Overage):
        return
    if terms.overage.credits is not None:
        yield from _written(terms.overage, _OF_A_PRICE, "the unit is paid with credits, there is no Stripe price")
    elif through_spend(view.file, line.plan, terms):
        yield from _written(terms.overage, _OF_A_PRICE, "the line is charged through the spend meter")
        reason = "the line is charged through the spend meter, which is billed every month"
        yield from ((key, reason) for key in ("interval", "interval_count") if key in written)


def _written(overage: Overage, keys: tuple[str, ...], reason: str) -> Iterator[tuple[str, str]]:
    return ((key, reason) for key in keys if key in overage.model_fields_set)


def counts_fit(view: View) -> Iterator[Diagnostic]:
    """E0416: a meter that counts its events is counted one a call."""
    for tool, terms in view.file.tools.items():
        for name, counted in terms.counts.items():
            meter = view.file.meters.get(name)
            if meter and meter.aggregation == "count" and counted != 1:
                summary = f"meter {quoted(name)} counts calls, whatever number they carry"
                other = (("meters", name, "aggregation"), "its aggregation")
                path = ("tools", tool, "counts", name)
                yield view.error("E0416", path, summary, "write 1, or give the meter aggregation sum", other)


def last_values(view: View) -> Iterator[Diagnostic]:
    """E0416: nothing that the runtime would have to count is on a meter that keeps the last value.

    A line that is one Stripe price on such a meter is sound: Stripe bills what the service reports there itself.
    """
    for path, name in _counted(view):
        meter = view.file.meters.get(name)
        if meter and meter.aggregation == "last":
            summary = f"meter {quoted(name)} keeps the last value, and what is counted is added up"
            remedy = "give the meter aggregation sum, or name another; last values only you can report to Stripe"
            yield view.error("E0416", path, summary, remedy, (("meters", name, "aggregation"), "its aggregation"))


def _counted(view: View) -> Iterator[tuple[Path_, str]]:
    """Yield every place that lets the runtime count on a meter, or ask what was counted, with the meter."""
    if view.settings.default_meter:
        yield ("settings", "default_meter"), view.settings.default_meter
    for tool, terms in view.file.tools.items():
        yield from ((("tools", tool, "counts", name), name) for name in terms.counts)
    yield from (((*path, "of"), limit.of) for path, limit in view.each(Limit))
    for line in lines(view.file):
        if sold(line.terms) is None or through_spend(view.file, line.plan, line.terms):
            yield line.path, str(line.path[-1])
