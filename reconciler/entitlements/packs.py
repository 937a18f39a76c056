"""Credits that come in, as lots: a number of them, or a bought pack with its bonus as a lot of its own."""

from collections.abc import Callable

from reconciler.entitlements.books import OWN
from reconciler.entitlements.periods import LENGTH, Anchored
from reconciler.entitlements.policy import Pack, Policy
from reconciler.ledger.book import Lot


def one_lot(key: str, amount: int, priority: int, expires: int | None, reason: str) -> Callable[[int], list[Lot]]:
    """Return what makes the lot of a grant at an instant; its id is the grant's key."""
    return lambda now: [Lot(key, amount, amount, priority, expires, now, reason)]


def pack_lots(policy: Policy, pack_id: str, key: str, priority: int) -> Callable[[int], list[Lot]]:
    """Return what makes the lots of a pack that is bought at an instant; LookupError for no such pack."""
    pack = policy.packs.get(pack_id)
    if pack is None:
        raise LookupError(f"there is no credit pack {pack_id!r}")

    def lots_at(now: int) -> list[Lot]:
        expires = expiry(pack, now)
        parts = [(key, pack.credits, f"pack {pack.id}"), (bonus_of(key), pack.bonus, f"bonus of pack {pack.id}")]
        return [Lot(name, part, part, priority, expires, now, reason) for name, part, reason in parts if part]

    return lots_at


def bonus_of(key: str) -> str:
    """Return the id of the lot that holds the bonus of a grant."""
    return f"{OWN}bonus:{key}"


def expiry(pack: Pack, now: int) -> int | None:
    """Return when credits of a pack bought at an instant expire: days later, or on the same day months later."""
    if pack.expires is not None or pack.lasts is None:
        return pack.expires
    number, unit = pack.lasts
    if unit == "day":
        return now + number * LENGTH["day"]
    return Anchored(now, unit, number).at(now)[1]
