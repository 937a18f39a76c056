"""Whom a change of prices reaches, as the new files say: those who pay already, or new customers only."""

from collections.abc import Iterator
from typing import NamedTuple

from reconciler.config.contracts import subscription_items
from reconciler.config.models import Overage
from reconciler.config.renames import new_address
from reconciler.impact.side import Side
from reconciler.pricing.subscription import Contract
from reconciler.pricing.tariff import Licensed, Metered, Tariff


class Reach(NamedTuple):
    """By which policy the flat price changes, empty where it does not, and by which ones what is charged for usage.

    Reservations count as usage: they are what a tenant pays for units.
    """

    flat: str = ""
    usage: tuple[str, ...] = ()


def reach(after: Side, tenant: str, old: Contract, new: Contract) -> Reach:
    """Return the policies of all that changes for a tenant, by its id in the new files.

    Where it pays another price than before, that is a change of its own, and its subscription says when it holds.
    """
    flat = _flat(after, tenant, old.tariff, new.tariff)
    return Reach(flat, tuple(sorted(set(_usage(after, tenant, old.tariff, new.tariff)))))


def _flat(after: Side, tenant: str, old: Tariff, new: Tariff) -> str:
    was, will = (each.prices.get(each.chosen or "") for each in (old, new))
    if was is None or will is None:
        return ""
    if new_address(was.address, after.catalog.moved) != will.address:
        return _own(after, tenant) if _terms(was) != _terms(will) else ""
    if _terms(was) != _terms(will):
        _, plan, _, price = will.address.split(".", 3)
        return after.file.plans[plan].prices[price].on_change
    return _own(after, tenant) if old.quantity != new.quantity else ""


def _usage(after: Side, tenant: str, old: Tariff, new: Tariff) -> Iterator[str]:
    for meter in old.usage.keys() & new.usage.keys():
        was, will = old.usage[meter], new.usage[meter]
        if _terms(was) == _terms(will) or will.spent:
            continue
        same = new_address(was.address, after.catalog.moved) == will.address
        yield _line(after, tenant, will.address) if same else _own(after, tenant)
    reserved = {new_address(each.address, after.catalog.moved): each for each in old.reserved}
    for each in new.reserved:
        if each.address in reserved and _terms(reserved[each.address]) != _terms(each):
            yield _policies(after, tenant).get(each.address, "")
    if old.spend and new.spend and old.spend.minimum != new.spend.minimum:
        same = new_address(old.spend.address, after.catalog.moved) == new.spend.address
        yield _spend(after, tenant, new.spend.address) if same else _own(after, tenant)


def _policies(after: Side, tenant: str) -> dict[str, str]:
    """Return the policies of the prices of a tenant's subscription, by address."""
    known = tenant in after.file.tenants
    return {item.address: item.on_change for item in subscription_items(after.file, tenant)} if known else {}


def _line(after: Side, tenant: str, address: str) -> str:
    """Return the policy of a usage line, a plan's or a tenant's own."""
    said = _policies(after, tenant).get(address)
    if said is not None:
        return said
    section, owner, _, meter = address.split(".")
    overage = (after.file.plans if section == "plans" else after.file.tenants)[owner].usage[meter].overage
    return overage.on_change if isinstance(overage, Overage) else ""


def _spend(after: Side, tenant: str, address: str) -> str:
    """Return the policy of a spend price: by its plan's minimum, or the tenant's own."""
    section, owner, _ = address.split(".")
    if section != "plans":
        return _own(after, tenant)
    least = after.file.plans[owner].minimum
    return least.on_change if least else "grandfather"


def _own(after: Side, tenant: str) -> str:
    """Return when a change of the tenant's own holds; empty where its subscription is not of the files."""
    found = after.file.tenants.get(tenant)
    return found.subscription.on_change if found and found.subscription else ""


def _terms(price: Licensed | Metered) -> tuple[object, ...]:
    return price.rate, price.interval, price.interval_count
