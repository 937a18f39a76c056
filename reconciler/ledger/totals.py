"""What a ledger holds in all, for whoever watches it: questions that both databases answer without the entries."""

from typing import NamedTuple

from reconciler.ledger.annex import AnnexStore


class Waiting(NamedTuple):
    """Exports in one state: how many, and the start of the oldest window among them, in seconds since 1970."""

    number: int
    oldest: int


class Totals(NamedTuple):
    """Tenants with entries, credits they have and credits that are held, in millionths; exports that are not sent."""

    tenants: int
    credits: int
    held: int
    exports: dict[str, Waiting]


def totals(store: AnnexStore) -> Totals:
    """Return what a ledger holds in all; a look at every tenant's row and at every export that is on its way."""
    ((tenants, credits, held),) = store.ask(  # noqa: A001  named for what they are
        "SELECT COUNT(*), COALESCE(SUM(credits), 0), COALESCE(SUM(held), 0) FROM tenant"
    )
    exports = store.ask("SELECT state, COUNT(*), MIN(\"window\") FROM export WHERE state <> 'sent' GROUP BY state")
    waiting = {state: Waiting(int(number), int(oldest)) for state, number, oldest in exports}
    return Totals(int(tenants), int(credits), int(held), waiting)
