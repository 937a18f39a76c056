"""Who is subscribed to what a plan takes off sale: live subscriptions, counted price by price.

Archiving a price leaves its subscriptions as they are (https://docs.stripe.com/products-prices/manage-prices), so
nobody would notice: whoever reviews the plan has to see how many there are.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from reconciler.diagnostics import ProviderError
from reconciler.planning.change import Action, Change, is_active
from reconciler.provider.reads import FORBIDDEN, THREADS, Reader
from reconciler.resources.subscription import OVER


def count_subscribers(reader: Reader, changes: Sequence[Change]) -> Mapping[str, int | None]:
    """Return the number of live subscriptions by id of each recurring price that is retired, replaced or archived.

    None where the key may not read subscriptions: unknown is not none.
    """
    prices = [*unknown_subscribers(changes)]
    if not prices:
        return {}
    with ThreadPoolExecutor(min(THREADS, len(prices)), thread_name_prefix="read") as pool:
        return dict(zip(prices, pool.map(lambda price: _count(reader, price), prices), strict=True))


def unknown_subscribers(changes: Sequence[Change]) -> Mapping[str, int | None]:
    """Return the prices that :func:`count_subscribers` counts for, each with None: where nobody can be asked."""
    return {change.id: None for change in changes if change.id is not None and _leaves_the_shelf(change)}


def _leaves_the_shelf(change: Change) -> bool:
    before = change.before
    if change.kind.name != "price" or before is None or not before.values.get("recurring"):
        return False
    gone = change.action in (Action.RETIRE, Action.REPLACE)
    return gone or (is_active(before) and not is_active(change.after))


def _count(reader: Reader, price: str) -> int | None:
    try:
        listed = reader.pages("/v1/subscriptions", {"price": price})
        return sum(each["status"] not in OVER for each in listed)
    except ProviderError as error:
        if error.code != FORBIDDEN:
            raise
        return None
