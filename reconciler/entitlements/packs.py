"""A bought credit pack as lots: the credits, and the bonus as a lot of its own that goes with them."""

from reconciler.entitlements.books import OWN
from reconciler.entitlements.periods import LENGTH, Anchored
from reconciler.entitlements.policy import Pack, Policy


def pack_lots(
    policy: Policy, pack_id: str, key: str, now: int, priority: int
) -> list[tuple[str, int, int, int | None, str]]:
    """Return the lots of a pack bought now: id, credits, priority, expiry, reason; LookupError for no such pack."""
    pack = policy.packs.get(pack_id)
    if pack is None:
        raise LookupError(f"there is no credit pack {pack_id!r}")
    expires = expiry(pack, now)
    lots = [(key, pack.credits, priority, expires, f"pack {pack.id}")]
    if pack.bonus:
        lots.append((f"{OWN}bonus:{key}", pack.bonus, priority, expires, f"bonus of pack {pack.id}"))
    return lots


def expiry(pack: Pack, now: int) -> int | None:
    """Return when credits of a pack bought at an instant expire: days later, or on the same day months later."""
    if pack.expires is not None or pack.lasts is None:
        return pack.expires
    number, unit = pack.lasts
    if unit == "day":
        return now + number * LENGTH["day"]
    return Anchored(now, unit, number).at(now)[1]
