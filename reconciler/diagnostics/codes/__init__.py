"""Every stable diagnostic code with its explanation, merged from one table per group of codes."""

from collections.abc import Mapping
from types import MappingProxyType

from reconciler.diagnostics.codes import (
    account,
    catalog,
    command,
    ledger,
    money,
    payments,
    plans,
    sandbox,
    service,
    structure,
    text,
    usage,
    webhooks,
)
from reconciler.diagnostics.codes.model import Explanation

__all__ = ["EXPLANATIONS", "Explanation"]

_TABLES = (
    text.CODES,
    structure.CODES,
    money.CODES,
    plans.CODES,
    catalog.CODES,
    account.CODES,
    command.CODES,
    ledger.CODES,
    sandbox.CODES,
    usage.CODES,
    payments.CODES,
    webhooks.CODES,
    service.CODES,
)


def _merge(tables: tuple[Mapping[str, Explanation], ...]) -> Mapping[str, Explanation]:
    merged = {code: explanation for table in tables for code, explanation in table.items()}
    if len(merged) != sum(map(len, tables)):
        raise AssertionError("two tables explain the same code")
    return MappingProxyType(dict(sorted(merged.items())))


EXPLANATIONS = _merge(_TABLES)
