"""A tenant's invoice beside Stripe's: from options to the two sides, and how they are told."""

import json
import textwrap
from collections.abc import Iterator
from decimal import Decimal
from functools import partial
from typing import Any

from reconciler import money
from reconciler.cli.account import connect, find_key
from reconciler.cli.books import BookOptions, entries_of, month_of, open_reading
from reconciler.cli.config import load
from reconciler.cli.context import App
from reconciler.cli.options import AccountOptions
from reconciler.config.catalog import Catalog
from reconciler.diagnostics.visible import visible
from reconciler.entitlements.compile import compile_catalog
from reconciler.entitlements.explain import moment
from reconciler.entitlements.periods import instant, micros
from reconciler.entitlements.standing import subscription_of
from reconciler.entitlements.terms import Terms
from reconciler.entitlements.usage_billed import BilledUse
from reconciler.ledger.annex import AnnexStore
from reconciler.pricing.invoice import Line
from reconciler.provider.binding import check_account, check_mode
from reconciler.provider.gateway import Connection, Gateway
from reconciler.provider.preview import NoPreview, Preview, preview_of
from reconciler.provider.statement import (
    Statement,
    StatementRow,
    begun,
    beside,
    contract_in,
    invoice_due,
    notes_of,
    sent_of,
)

#: The least room for words beside the amounts; with less they stand on lines of their own.
_LEAST = 24
_OTHER_PERIOD = "it is asked about the running period only"


def statement_of(app: App, tenant: str, month: str | None, books: BookOptions, account: AccountOptions) -> Statement:
    """Return a tenant's statement, of the running period unless a month says in which another one begins."""
    catalog, _sources = load(app, books.config)
    connection = _connection(catalog, account)
    with open_reading(app, books) as ledger:
        return statement_in(catalog, ledger.store, tenant, month, connection)


def _connection(catalog: Catalog, account: AccountOptions) -> Connection | None:
    """Return the account, None where none was named; one that may not be used is refused."""
    if account.sandbox is None and find_key() is None:
        return None
    connection = connect(account)
    check_mode(connection.mode, catalog.environment)
    check_account(Gateway(connection, read_only=True), catalog.environment)
    return connection


def statement_in(
    catalog: Catalog, store: AnnexStore, tenant: str, month: str | None = None, connection: Connection | None = None
) -> Statement:
    """Return a tenant's statement by a catalogue, a ledger, and the account, where one may be asked."""
    subscription = subscription_of(store.read(tenant).facts)
    terms = Terms(compile_catalog(catalog), tenant, subscription)
    months = terms.recurring()
    running = months.at(store.now())
    chosen = running if month is None else months.at(month_of(month, catalog.settings.timezone)[1] - 1)
    period = (instant(begun(subscription, chosen)), instant(chosen[1]))
    stripe: Preview | NoPreview = NoPreview("there is no Stripe key")
    if connection is not None:
        asked = chosen == running
        stripe = preview_of(connection, catalog.namespace, tenant) if asked else NoPreview(_OTHER_PERIOD)
    contract = contract_in(catalog, tenant, subscription, stripe)
    used = BilledUse(entries_of(store, tenant, micros(period[0])), partial(store.entry, tenant))
    invoice = invoice_due(tenant, contract, used, period)
    rows = beside(contract, invoice, stripe, sent_of(used, store.exports(tenant)), period)
    own = catalog.file.tenants.get(tenant)
    return Statement(
        tenant,
        terms.standing.plan.id if terms.standing.plan else None,
        period,
        invoice,
        rows,
        stripe,
        notes_of(invoice, rows, stripe, period, credits_=bool(own and own.money_credits)),
        connection is not None and connection.simulated,
    )


def statement_json(statement: Statement) -> str:
    """Return a statement for programs; amounts are decimal text in major units."""
    invoice, stripe = statement.invoice, statement.stripe

    def major(minor: int | Decimal | None) -> str | None:
        return None if minor is None else money.plain(money.to_major(Decimal(minor), invoice.currency))

    data: dict[str, Any] = {
        "tenant": statement.tenant,
        "plan": statement.plan,
        "period": [each.isoformat() for each in statement.period],
        "currency": invoice.currency,
        "prices": [
            {
                "address": row.address,
                "files": major(row.files),
                "stripe": major(row.stripe),
                "reason": row.reason or None,
                "lines": [
                    {
                        "label": line.label,
                        "quantity": money.plain(line.quantity),
                        "unit": major(line.unit),
                        "exact": major(line.exact),
                        "amount": major(line.amount),
                        "details": list(line.details),
                    }
                    for line in row.lines
                ],
            }
            for row in statement.rows
        ],
        "totals": {name: {"files": major(ours), "stripe": major(theirs)} for name, ours, theirs in _totals(statement)},
        "stripe": None,
        "notes": list(statement.notes),
        "simulated": statement.simulated,
    }
    if isinstance(stripe, Preview):
        data["stripe"] = {
            "subscription": stripe.subscription,
            "currency": stripe.currency,
            "start": stripe.start,
            "end": stripe.end,
            "livemode": stripe.livemode,
        }
    return json.dumps(data, indent=2) + "\n"


def _totals(statement: Statement) -> Iterator[tuple[str, int, int | None]]:
    """Yield the sums under the lines, both sides; Stripe's only in the currency of the files."""
    invoice, stripe = statement.invoice, statement.stripe
    there = stripe if isinstance(stripe, Preview) and stripe.currency == invoice.currency else None
    yield "subtotal", invoice.subtotal, there and there.subtotal
    yield "discounts", -invoice.discount, there and -there.discount
    yield "money credits", -invoice.credit, there and -there.credit
    yield "taxes", invoice.tax, there and there.tax
    yield "total", invoice.total, there and there.total


def statement_text(statement: Statement, width: int) -> str:
    """Return a statement for people: a row for each price, its lines below it, then the sums."""
    currency = statement.invoice.currency
    start, end = (moment(micros(each)) for each in statement.period)
    plan = f", plan {statement.plan}" if statement.plan else ""
    where = ", beside the sandbox" if statement.simulated and isinstance(statement.stripe, Preview) else ""
    head = f"{statement.tenant}{plan}, due {end} for what was used since {start}, in {currency}{where}"
    lines = [*textwrap.wrap(visible(head), width), *_laid(list(_cells(statement)), width)]
    for note in statement.notes:
        lines += textwrap.wrap(visible(f"note: {note}"), width, subsequent_indent="  ")
    return "".join(f"{line}\n" for line in lines)


def _known(statement: Statement) -> bool:
    return any(theirs is not None for _, _, theirs in _totals(statement))


#: Words with their indent, the amount of the files, and that of Stripe.
_Cell = tuple[str, str, str]


def _cells(statement: Statement) -> Iterator[_Cell]:
    currency, known = statement.invoice.currency, _known(statement)
    yield "", "files", "Stripe" if known else ""
    for row in statement.rows:
        ours, theirs = _amount(row.files, currency), _amount(row.stripe, currency)
        alone = len(row.lines) == 1
        yield f"  {row.lines[0].label if alone else row.address}", ours, theirs
        for line in row.lines:
            if not alone:
                yield f"    {line.label} = {_amount(line.amount, currency)}", "", ""
            yield from _details(line, "    " if alone else "      ")
        if row.reason:
            yield f"    != {_by(row, currency)}{row.reason}", "", ""
    for name, mine, other in _totals(statement):
        if mine or other or name in ("subtotal", "total"):
            yield name, _amount(mine, currency), _amount(other, currency)


def _details(line: Line, indent: str) -> Iterator[_Cell]:
    for each in line.details:
        yield f"{indent}{each}", "", ""


def _by(row: StatementRow, currency: str) -> str:
    if row.files is None or row.stripe is None:
        return ""
    return f"{money.display(Decimal(row.stripe - row.files), currency)}: "


def _amount(minor: int | None, currency: str) -> str:
    if minor is None:
        return ""
    places = money.exponent(currency)
    return f"{money.to_major(Decimal(minor), currency):,.{places}f}"


def _laid(cells: list[_Cell], width: int) -> list[str]:
    """Lay the rows out: words left, wrapped where they are long, amounts in columns flush right.

    Where the columns leave no room for words, those stand above their amounts.
    """
    mine, theirs = (max(len(cell[place]) for cell in cells) for place in (1, 2))
    amounts = 2 + mine + (2 + theirs if theirs else 0)
    longest = max(len(words) for words, ours, other in cells if ours or other)
    room = min(longest, width - amounts)
    above = room < min(longest, _LEAST)
    lines: list[str] = []
    for words, ours, other in cells:
        columns = f"  {ours:>{mine}}" + (f"  {other:>{theirs}}" if theirs else "") if ours or other else ""
        below = " " * (len(words) - len(words.lstrip()) + 2)
        given = room if columns and not above else width
        parts = textwrap.wrap(visible(words), given, subsequent_indent=below, break_on_hyphens=False)
        if columns and above:
            lines += [*parts, f"{columns:>{width}}".rstrip()]
        else:
            lines += [f"{parts[0] if parts else '':<{room if columns else 0}}{columns}".rstrip(), *parts[1:]]
    return lines
