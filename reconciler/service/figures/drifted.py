"""Whether the account is still as the files were applied: looked at now and then, and noted beside the figures."""

from datetime import UTC, datetime

from reconciler.config.catalog import Catalog
from reconciler.ledger.annex import AnnexStore
from reconciler.planning.drift import is_explained, select_drift
from reconciler.planning.lock import TERM
from reconciler.provider.gateway import Gateway
from reconciler.provider.history import read_history
from reconciler.provider.propose import propose
from reconciler.service.figures.notes import note

NAME = "drift"
#: Addresses that are named; more of them are counted.
_NAMED = 20


def read_drift(store: AnnexStore, catalog: Catalog, gateway: Gateway) -> int:
    """Compare the account with the files, note what was changed behind their back, and return how many objects.

    ``waiting`` is what the files say and nobody has applied. ProviderError where the account cannot be read.
    """
    made = propose(catalog, gateway, plan_id="0" * 32, now=datetime.now(UTC))
    applied = made.live.applied
    since = 0 if applied is None else int(applied.instant.timestamp()) - TERM
    history = None if is_explained(made.plan) else read_history(gateway, since)
    changes = select_drift(made.plan, history, applied).changes
    addresses = sorted({each.address for each in changes})
    waiting = len(made.plan.changes) - len(changes)
    said = {"changed": len(addresses), "addresses": addresses[:_NAMED], "waiting": max(waiting, 0)}
    store.alongside([note(NAME, store.now(), said)])
    return len(addresses)
