"""What a paid checkout brings, and what its refunds and disputes take back, worked out together.

Everything follows from the purchase as the payment provider has it at one moment, so it does not matter in which order,
how late or how often somebody hears of the payment, a refund or a dispute.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from reconciler.entitlements import grants
from reconciler.entitlements.books import FATES, call_back, gone_key
from reconciler.entitlements.packs import bonus_of, pack_lots
from reconciler.entitlements.policy import Policy
from reconciler.ledger.book import PRIORITY, Book, Lot
from reconciler.ledger.entry import Entry

#: Under this a book keeps what is claimed of each lot of a purchase; purchases without refunds are not in it.
_REVERSED = "reversed"


class UnknownPackError(LookupError):
    """A pack was paid for, under ``key``, that the policy does not have: nobody knows how many credits it is."""

    def __init__(self, key: str, pack: str) -> None:
        super().__init__(f"credit pack {pack} was paid for, and these files do not have it")
        self.key = key


class TakenKeyError(LookupError):
    """The ``key`` of a purchase is that of a call of its tenant, so that nothing can be granted under it."""

    def __init__(self, key: str) -> None:
        super().__init__(f"{key} is the key of a call of this tenant's already: grant what was paid for by hand")
        self.key = key


class Purchase(NamedTuple):
    """A paid checkout of credit packs: its ``key``, the instant it was paid, each pack once with its quantity.

    ``paid`` is the money that came in and ``returned`` how much of it is refunded or disputed, in minor units.
    """

    key: str
    tenant: str
    at: int
    packs: tuple[tuple[str, int], ...]
    paid: int
    returned: int = 0


class Reversed(NamedTuple):
    """What became of a purchase: whether it was granted now, and the net credits taken back now, in millionths."""

    granted: bool
    taken: int


def names_of(purchase: Purchase) -> list[str]:
    """Return the ids its lots have, bonus lots included: the first pack's is the key of the purchase."""
    keys = [key for _, key in _keys(purchase)]
    return [*keys, *(bonus_of(key) for key in keys)]


def refers_of(purchase: Purchase) -> tuple[str, ...]:
    """Return the keys of the entries that :func:`fulfil` has to see."""
    names = names_of(purchase)
    return (*names, *(gone_key(fate, name) for fate in FATES for name in names))


def _keys(purchase: Purchase) -> list[tuple[str, str]]:
    """Return packs in the order of their ids, each with the key of its grant."""
    packs = sorted(pack for pack, _ in purchase.packs)
    return [(pack, purchase.key if not place else f"{purchase.key}/{pack}") for place, pack in enumerate(packs)]


def lots_of(policy: Policy, purchase: Purchase) -> list[Lot]:
    """Return the lots a purchase brings, as many packs in one lot as were bought; UnknownPackError for no such pack."""
    quantities, found = dict(purchase.packs), []
    for pack, key in _keys(purchase):
        if pack not in policy.packs:
            raise UnknownPackError(purchase.key, pack)
        for lot in pack_lots(policy, pack, key, PRIORITY)(purchase.at):
            lot.granted = lot.remaining = lot.granted * quantities[pack]
            found.append(lot)
    return found


def share(granted: int, paid: int, returned: int) -> int:
    """Return how much of a lot belongs to the money that went back: all of it where all did, rounded down before."""
    return granted * min(returned, paid) // paid if paid else 0


def fulfil(
    book: Book, policy: Policy, purchase: Purchase, now: int, found: Mapping[str, Entry], digest: str
) -> Reversed:
    """Grant a purchase unless it was, and take back what is left of the share that was refunded or is disputed.

    What was spent already is taken as soon as it comes back to the lot; a dispute that is won gives back what it took.
    With nothing changed, UnknownPackError where a pack that is not granted yet is unknown, and TakenKeyError.
    """
    if any(name in found and found[name].kind != "grant" for name in names_of(purchase)):
        raise TakenKeyError(purchase.key)
    new = [] if purchase.key in found else lots_of(policy, purchase)
    for lot in new:
        grants.grant(book, lot, now, lot.id, digest)
    lots = [lot.dump() for lot in new] or [found[name].answer for name in names_of(purchase) if name in found]
    return Reversed(bool(new), _reverse(book, purchase, lots, now, found))


def is_reversed(book: Book, key: str) -> bool:
    """Tell whether any of a purchase is taken back, or to be."""
    return key in book.facts.get(_REVERSED, {})


def _reverse(
    book: Book, purchase: Purchase, lots: Sequence[Sequence[Any]], now: int, found: Mapping[str, Entry]
) -> int:
    """Claim of each lot what belongs to the money that went back; the entry has the claim, and what was there."""
    before: Mapping[str, int] = book.facts.get(_REVERSED, {}).get(purchase.key, {})
    claimed, claims, moved = dict[str, int](), dict[str, int](), dict[str, int]()
    for values in lots:
        name, granted = values[0], values[1]
        want = share(granted, purchase.paid, purchase.returned)
        had = before.get(name, 0)
        if want:
            claimed[name] = want
        if want > had:
            claims[name], moved[name] = want - had, book.claim(name, want - had)
        elif want < had:
            lot = book.lots.get(name) or _emptied(values)
            claims[name], moved[name] = want - had, -book.unclaim(lot, had - want, _fate(lot, now, found))
    if not moved:
        return 0
    call_back(book, now)
    kept = {key: value for key, value in book.facts.get(_REVERSED, {}).items() if key != purchase.key}
    book.facts[_REVERSED] = {**kept, purchase.key: claimed} if claimed else kept
    answer = {"purchase": purchase.key, "paid": purchase.paid, "returned": purchase.returned}
    answer |= {"lots": moved, "claims": claims}
    book.enter("reversal", now, answer)
    return sum(moved.values())


def _emptied(values: Sequence[Any]) -> Lot:
    lot = Lot(*values)
    lot.remaining = 0
    return lot


def _fate(lot: Lot, now: int, found: Mapping[str, Entry]) -> str:
    """Return what has become of a lot otherwise, if anything: taken away as a whole, or run out."""
    if gone_key("voided", lot.id) in found:
        return "voided"
    return "expired" if lot.expires is not None and lot.expires <= now else ""
