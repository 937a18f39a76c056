"""Reading an account: what is alive in full pages, archived objects only by the key the files name.

The number of requests grows with objects/100 per kind. Attachments of features are the one list Stripe forces per
product, so they are read only for products that the files or the owner mark say have some.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, NamedTuple

from reconciler.config.renames import new_address
from reconciler.diagnostics import ProviderError
from reconciler.planning.live import Live, LiveState, read_object
from reconciler.planning.lock import Lock, highest, is_lock, read_lock
from reconciler.provider.gateway import Gateway, RequestFailedError
from reconciler.resources import BY_NAME, KINDS, Kind, Resource
from reconciler.resources.mark import Mark
from reconciler.resources.model import Json, references
from reconciler.resources.version import API_VERSION

PAGE = 100
LOOKUP_KEYS = 10
THREADS = 8
#: The key may not read something.
FORBIDDEN = "E0904"

#: What is alive, kind by kind; what is archived is looked up by key where the files name it, features never.
ALIVE: Mapping[str, Mapping[str, Any]] = {
    "price": {"active": "true"},
    "feature": {"archived": "false"},
    "promotion_code": {"active": "true"},
    "tax_rate": {"active": "true"},
    "payment_link": {"active": "true"},
    "portal_configuration": {"active": "true"},
}


#: Kinds that are read only where there is somebody to look after: whoever sells to nobody in git pays nothing for them.
CONTRACTS = tuple(kind for kind in KINDS if kind.contract)


@contextmanager
def _readers() -> Iterator[ThreadPoolExecutor]:
    """Give threads to read with; a signal leaves them behind, since nothing is lost with what they read."""
    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="read")
    try:
        yield pool
    except BaseException as error:
        pool.shutdown(wait=isinstance(error, Exception), cancel_futures=True)
        raise
    pool.shutdown()


@dataclass
class ReadCost:
    """How many products had their attachments listed: the one read that grows with products, not with pages."""

    attachments: int = 0


@dataclass
class Reader:
    """Reads the managed kinds of one account in parallel."""

    gateway: Gateway
    cost: ReadCost = field(default_factory=ReadCost)
    currencies: tuple[str, ...] = ()
    _locks: list[Lock] = field(default_factory=list)

    def account(self) -> str:
        """Return the id of the account the key belongs to."""
        return str(self.get("/v1/account", {})["id"])

    def state(
        self,
        desired: Sequence[Resource],
        namespace: str,
        currencies: Iterable[str] = (),
        moved: Mapping[str, str] | None = None,
    ) -> LiveState:
        """Read everything a plan for these resources has to know; ``currencies`` are expanded besides their own.

        ``moved`` maps renamed addresses, old to new: what was cancelled under an old one is looked for too.
        """
        self.currencies = tuple(sorted({*named_currencies(desired), *currencies}))
        self._locks = []
        with _readers() as pool:
            account = pool.submit(self.account)
            catalogue = [kind for kind in KINDS if kind.parent is None and not kind.contract]
            wanted = any(item.kind.contract for item in desired)
            parties = pool.map(self._alive, CONTRACTS) if wanted else iter(())
            listed = pool.map(self._alive, catalogue)
            objects = [live for lives in listed for live in lives]
            lock = highest(each for each in self._locks if each.namespace == namespace)
            contracts = wanted or bool(lock and lock.contracts)
            if contracts and not wanted:
                parties = pool.map(self._alive, CONTRACTS)
            objects += [live for lives in parties for live in lives]
            owned = _Owned(namespace, moved or {}, bool(lock and lock.contracts))
            objects += self._ended(pool, desired, objects, owned)
            objects += self._archived(pool, desired, objects)
            objects += self._paused(pool, desired, objects)
            objects += self._switched_off(desired, objects, namespace)
            objects += self._named(pool, desired, objects, namespace)
            objects += self._attachments(pool, desired, objects, namespace)
            applied = lock.applied if lock else None
            return LiveState(account.result(), self.gateway.mode, API_VERSION, tuple(objects), applied, contracts)

    def expand(self, kind: Kind) -> list[str]:
        """Return what to expand so that an answer holds every managed field.

        Brackets in another currency are shown only where that currency is named.
        """
        named = [f"currency_options.{currency}.tiers" for currency in self.currencies] if kind.name == "price" else []
        return [*kind.expand, *named]

    def one(self, kind: Kind, object_id: str) -> Live | None:
        """Read one object by id; None where it does not exist, was deleted, or is a lock and so nobody's to take."""
        params = {"expand": self.expand(kind)} if kind.expand else {}
        try:
            raw = self.gateway.get(f"{kind.path}/{object_id}", params)
        except RequestFailedError as error:
            if error.failure.status == HTTPStatus.NOT_FOUND:
                return None
            raise refused(error, kind.path) from None
        return None if raw.get("deleted") or is_lock(raw) else self.whole(kind, raw)

    def whole(self, kind: Kind, raw: Mapping[str, Any], parent: str | None = None) -> Live:
        """Read an answer's object, and the rest of a list in it that is longer than Stripe shows there."""
        cut = {
            name: value
            for name in (*kind.expand, "items")
            if isinstance(value := raw.get(name), Mapping) and value.get("object") == "list" and value.get("has_more")
        }
        lists = {name: {**value, "data": list(self.pages(value["url"], {}))} for name, value in cut.items()}
        return read_object(kind, {**raw, **lists}, parent=parent)

    def by_key(self, kind: Kind, key: Json) -> list[Live]:
        """Find the objects that hold a natural key: living ones, and of prices, products and coupons any that exist."""
        if kind.chosen_id:
            found = self.one(kind, str(key))
            return [] if found is None else [found]
        if kind.name == "price":
            return [
                *self._keyed({"lookup_keys": [key], "active": "true"}),
                *self._keyed({"lookup_keys": [key], "active": "false"}),
            ]
        return [live for live in self._alive(kind) if live.key == key]

    def beside(self, kind: Kind, owner: str) -> list[Live]:
        """Read the living objects of a kind that belong to an owner: subscriptions and credits of a customer."""
        return self._listed(kind, {str(kind.within): owner})

    def _listed(self, kind: Kind, params: Mapping[str, Any]) -> list[Live]:
        expand = {"expand": [f"data.{name}" for name in self.expand(kind)]} if kind.expand else {}
        return [self.whole(kind, raw) for raw in self._managed(self.pages(kind.path, {**params, **expand}))]

    def attached(self, product: str) -> list[Live]:
        """Read the attachments of a product."""
        kind = BY_NAME["product_feature"]
        path = kind.path.format(parent=product)
        self.cost.attachments += 1
        return [read_object(kind, raw, parent=product) for raw in self.pages(path, {})]

    def _alive(self, kind: Kind) -> list[Live]:
        return [live for live in self._listed(kind, ALIVE.get(kind.name, {})) if not live.over]

    def _ended(
        self, pool: ThreadPoolExecutor, desired: Sequence[Resource], objects: Sequence[Live], owned: "_Owned"
    ) -> Iterator[Live]:
        """Look for cancelled subscriptions of ours where one is wanted and none runs: it is not begun anew unasked."""
        kind = BY_NAME["subscription"]
        ours = {address: live.id for live in objects if (address := owned.address(live.mark))}
        missing = [item for item in desired if item.kind is kind and item.address not in ours]
        owners = {item.address: str(item.values["customer"]["$ref"]) for item in missing}
        for found in pool.map(self._cancelled, [ours[owner] for owner in owners.values() if owner in ours]):
            yield from (live for live in found if owned.address(live.mark))
        gone = {address for address, owner in owners.items() if owner not in ours}
        before = owned.before or any(live.kind.contract and owned.address(live.mark) for live in objects)
        if gone and before:
            yield from (live for live in self._deleted() if owned.address(live.mark) in gone)

    def _deleted(self) -> Iterator[Live]:
        """Yield subscriptions as they were when they ended: those of a customer that was deleted stand in no list.

        Events are kept for 30 days (https://docs.stripe.com/api/events); who may not read them learns of none.
        """
        try:
            for event in self.pages("/v1/events", {"type": "customer.subscription.deleted"}):
                yield self.whole(BY_NAME["subscription"], event["data"]["object"])
        except ProviderError as error:
            if error.code != FORBIDDEN:
                raise

    def _cancelled(self, customer: str) -> list[Live]:
        return self._listed(BY_NAME["subscription"], {"customer": customer, "status": "canceled"})

    def _managed(self, found: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Put locks aside: they are products, and no part of any catalogue."""
        for raw in found:
            if not is_lock(raw):
                yield raw
            elif (lock := read_lock(raw)) is not None:
                self._locks.append(lock)

    def _archived(
        self, pool: ThreadPoolExecutor, desired: Sequence[Resource], objects: Sequence[Live]
    ) -> Iterator[Live]:
        """Look archived prices up by the keys that the files name and no living price holds."""
        price = BY_NAME["price"]
        held = {live.key for live in objects if live.kind is price}
        missing = sorted(item.key for item in desired if item.kind is price and item.key and item.key not in held)
        batches = [
            {"lookup_keys": missing[start : start + LOOKUP_KEYS], "active": "false"}
            for start in range(0, len(missing), LOOKUP_KEYS)
        ]
        for found in pool.map(self._keyed, batches):
            yield from found

    def _paused(self, pool: ThreadPoolExecutor, desired: Sequence[Resource], objects: Sequence[Live]) -> Iterator[Live]:
        """Look paused promotion codes up by their code, so that one that is resumed keeps its redemptions."""
        kind = BY_NAME["promotion_code"]
        held = {live.key for live in objects if live.kind is kind}
        missing = sorted(item.key for item in desired if item.kind is kind and item.key and item.key not in held)
        for found in pool.map(lambda code: self._inactive(kind, code), missing):
            yield from found

    def _switched_off(self, desired: Sequence[Resource], objects: Sequence[Live], namespace: str) -> Iterator[Live]:
        """Look for links of ours that are switched off where one is wanted and none lives: its address is out there."""
        kind = BY_NAME["payment_link"]
        living = {
            live.mark.address for live in objects if live.kind is kind and _is_ours(live, namespace) and live.mark
        }
        wanted = {item.address for item in desired if item.kind is kind and item.values.get("active", True)}
        if wanted <= living:
            return
        params = {"active": "false", "expand": [f"data.{name}" for name in kind.expand]}
        found = (self.whole(kind, raw) for raw in self.pages(kind.path, params))
        yield from (live for live in found if _is_ours(live, namespace))

    def _named(
        self, pool: ThreadPoolExecutor, desired: Sequence[Resource], objects: Sequence[Live], namespace: str
    ) -> Iterator[Live]:
        """Read by id what the files name so and no list shows, where nothing of ours stands for the address yet."""
        there = {(live.kind.name, live.id) for live in objects}
        ours = {live.mark.address for live in objects if live.mark is not None and live.mark.namespace == namespace}
        missing = [
            (item.kind, item.imported)
            for item in desired
            if item.imported and item.address not in ours and (item.kind.name, item.imported) not in there
        ]
        for found in pool.map(lambda each: self.one(*each), missing):
            if found is not None:
                yield found

    def _inactive(self, kind: Kind, code: str) -> list[Live]:
        params = {"code": code, "active": "false", "expand": [f"data.{name}" for name in self.expand(kind)]}
        return [read_object(kind, raw) for raw in self.pages(kind.path, params)]

    def _keyed(self, params: Mapping[str, Any]) -> list[Live]:
        price = BY_NAME["price"]
        expand = [f"data.{name}" for name in self.expand(price)]
        return [read_object(price, raw) for raw in self.pages(price.path, {**params, "expand": expand})]

    def _attachments(
        self, pool: ThreadPoolExecutor, desired: Sequence[Resource], objects: Sequence[Live], namespace: str
    ) -> Iterator[Live]:
        named = {address for item in desired if item.kind.parent for address in references(item.values["product"])}
        keys = {key for item in desired if item.address in named for key in (item.key, item.imported)}
        addresses = {item.address for item in desired}
        products = [
            live
            for live in objects
            if live.kind.name == "product" and _has_features(live, named, keys, addresses, namespace)
        ]
        for found in pool.map(self.attached, [live.id for live in products]):
            yield from found

    def pages(self, path: str, params: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield the objects of a list, page by page; ProviderError where it cannot be read."""
        after: dict[str, str] = {}
        while True:
            page = self.get(path, {**params, "limit": PAGE, **after})
            yield from page["data"]
            if not page["has_more"] or not page["data"]:
                return
            after = {"starting_after": page["data"][-1]["id"]}

    def get(self, path: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Read one object; ProviderError where it cannot be read."""
        try:
            return self.gateway.get(path, params)
        except RequestFailedError as error:
            raise refused(error, path) from None


class _Owned(NamedTuple):
    """Whose objects are ours: a namespace, its renamed addresses; ``before``: its lock tells of contracts."""

    namespace: str
    moved: Mapping[str, str]
    before: bool

    def address(self, mark: Mark | None) -> str | None:
        """Return the address a mark of ours has today."""
        return new_address(mark.address, self.moved) if mark and mark.namespace == self.namespace else None


def named_currencies(desired: Sequence[Resource]) -> tuple[str, ...]:
    """Return the currencies that resources have brackets in besides their own, sorted: Stripe shows named ones only."""
    options = (item.values.get("currency_options") or {} for item in desired if item.kind.name == "price")
    return tuple(sorted({name for each in options for name, option in each.items() if "tiers" in option}))


def _is_ours(live: Live, namespace: str) -> bool:
    return live.mark is not None and live.mark.namespace == namespace


def _has_features(live: Live, named: set[str], keys: set[str | None], addresses: set[str], namespace: str) -> bool:
    mark = live.mark
    if mark is None or mark.namespace != namespace:
        return mark is None and live.id in keys
    return mark.address in named or (mark.features and (live.active or mark.address in addresses))


def refused(error: RequestFailedError, path: str) -> ProviderError:
    """Return the error to show for a read that failed for good."""
    failure = error.failure
    request = f" (request {failure.request_id})" if failure.request_id else ""
    if failure.status == HTTPStatus.UNAUTHORIZED:
        return ProviderError("E0903", "Stripe does not accept the key", remedy="Check STRIPE_API_KEY.")
    if failure.status == HTTPStatus.FORBIDDEN:
        return ProviderError(
            FORBIDDEN,
            f"the key may not read {path}{request}: {failure.message}",
            remedy="Give the restricted key read access.",
        )
    if failure.status is None:
        return ProviderError(
            "E0905",
            f"Stripe could not be reached: {failure.message}",
            remedy="Check the network and --api-base, then run again.",
        )
    return ProviderError("E0906", f"reading {path} failed with {failure.status}{request}: {failure.message}")
