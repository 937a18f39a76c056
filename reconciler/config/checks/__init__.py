"""Rules across the language: one pure function per rule, from a view to the problems it finds."""

from collections.abc import Callable, Iterator

from reconciler.config.checks import (
    brackets,
    contracts,
    imports,
    limits,
    money,
    moved,
    plans,
    references,
    selling,
    spend,
    together,
    usage,
)
from reconciler.config.view import View
from reconciler.diagnostics import Diagnostic

Check = Callable[[View], Iterator[Diagnostic]]

CHECKS: tuple[Check, ...] = (
    references.settings_present,
    references.zone_known,
    references.defined,
    references.offered,
    references.prices_defined,
    references.tools_reached,
    references.features_granted,
    references.tools_allowed,
    references.tables_used,
    money.currencies_known,
    money.amounts_held,
    money.charges_rounded,
    money.charges_common,
    money.options_differ,
    money.options_fit,
    money.fine_numbers,
    brackets.bounds_ascend,
    brackets.steps_priced,
    brackets.discounts_stated,
    brackets.tables_in_currency,
    brackets.table_options_fit,
    spend.charges_whole,
    spend.discounts_whole,
    together.one_currency,
    together.one_rhythm,
    plans.one_amount,
    plans.custom_amounts,
    plans.packages,
    plans.payment_order,
    plans.intervals_short,
    plans.trials_possible,
    plans.prices_differ,
    plans.listed_once,
    plans.limits_sensible,
    plans.limits_meant,
    usage.periods_used,
    usage.counts_fit,
    usage.last_values,
    selling.tenants_buy,
    contracts.subscriptions_possible,
    contracts.items_counted,
    contracts.quantities_paid,
    contracts.coupons_apply,
    contracts.rates_usable,
    contracts.credits_usable,
    selling.links_sell,
    selling.links_in_step,
    selling.packs_expire_once,
    selling.coupons_consistent,
    selling.restrictions_consistent,
    selling.codes_within_coupons,
    selling.portal_changes_possible,
    selling.keys_unique,
    limits.metadata_free,
    limits.overrides_unique,
    limits.codes_unique,
    moved.moves_possible,
    moved.protected_known,
    imports.imports_possible,
)


def run_checks(view: View) -> list[Diagnostic]:
    """Run every rule and return all they find."""
    return [problem for check in CHECKS for problem in check(view)]
