"""Reading an account that nobody prepared: everything alive of the managed kinds, and how much is archived."""

from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from reconciler.config.ids import slug
from reconciler.diagnostics import ReconcilerError
from reconciler.planning.live import Live, read_object
from reconciler.planning.lock import is_lock
from reconciler.planning.pull.draft import Account, Key
from reconciler.planning.pull.fit import oddity
from reconciler.provider.gateway import Gateway
from reconciler.provider.reads import ALIVE, THREADS, Reader
from reconciler.resources import BY_NAME, KINDS, Kind

_ARCHIVED: Mapping[str, Mapping[str, Any]] = {
    "price": {"active": "false"},
    "feature": {"archived": "true"},
    "promotion_code": {"active": "false"},
    "tax_rate": {"active": "false"},
}
_LONGEST_NAMESPACE = 30


def read_account(gateway: Gateway) -> Account:
    """Read everything alive; of what is archived only how much there is. Sends nothing but GET."""
    reader = Reader(gateway)
    account = reader.account()
    with ThreadPoolExecutor(THREADS, thread_name_prefix="read") as pool:
        kinds = [kind for kind in KINDS if kind.parent is None and not kind.contract]
        raws = dict(
            zip((kind.name for kind in kinds), pool.map(lambda kind: _listed(reader, kind), kinds), strict=True)
        )
        currencies = {code for raw in raws["price"] if raw.get("tiers") for code in raw.get("currency_options") or {}}
        if currencies:
            reader.currencies = tuple(sorted(currencies))
            raws["price"] = _listed(reader, BY_NAME["price"])
        archived = Counter(dict(pool.map(lambda name: _archived(reader, name), _ARCHIVED)))
        objects: list[Live] = []
        odd: dict[Key, str] = {}
        for name, found in raws.items():
            for raw in found:
                live = read_object(BY_NAME[name], raw)
                objects.append(live)
                archived[name] += not live.active
                if (why := oddity(name, raw)) is not None:
                    odd[name, live.id] = why
        products = [live.id for live in objects if live.kind.name == "product" and live.active]
        for attached in pool.map(reader.attached, products):
            objects += attached
    return Account(
        account, gateway.mode, tuple(objects), odd, {name: count for name, count in archived.items() if count}
    )


def _listed(reader: Reader, kind: Kind) -> list[dict[str, Any]]:
    params: dict[str, Any] = dict(ALIVE.get(kind.name, {}))
    if kind.expand:
        params["expand"] = [f"data.{name}" for name in reader.expand(kind)]
    return [raw for raw in reader.pages(kind.path, params) if not is_lock(raw)]


def _archived(reader: Reader, name: str) -> tuple[str, int]:
    return name, sum(1 for _ in reader.pages(BY_NAME[name].path, _ARCHIVED[name]))


def choose_namespace(gateway: Gateway, account: Account, chosen: str | None) -> str:
    """Return the namespace of the new files: the one asked for, or one made from the account's name.

    ReconcilerError where the account holds objects of it already, which files without them would retire.
    """
    namespace = chosen or _from_name(gateway)
    marked = sum(live.mark is not None and live.mark.namespace == namespace for live in account.objects)
    meters = sum(str(live.key).startswith(f"{namespace}.") for live in account.of("meter"))
    if not marked and not meters:
        return namespace
    what = (
        f"{marked} objects of namespace {namespace}" if marked else f"meters whose event names begin with {namespace}."
    )
    raise ReconcilerError(
        "E0710",
        f"the account holds {what}, so these files cannot have it",
        remedy="Choose another one with --namespace NAME.",
    )


def _from_name(gateway: Gateway) -> str:
    raw = gateway.get("/v1/account")
    profile, dashboard = raw.get("business_profile") or {}, (raw.get("settings") or {}).get("dashboard") or {}
    for text in (profile.get("name"), dashboard.get("display_name")):
        name = slug(text or "").replace("_", "-").strip("-")[:_LONGEST_NAMESPACE].strip("-")
        if name and name[0].isalpha():
            return name
    return "main"
