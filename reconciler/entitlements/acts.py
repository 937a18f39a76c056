"""Jobs for the ledger: each request as an act on the tenant's book, and the digest that tells repeat from conflict."""

import ast
import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from reconciler.entitlements import books, grants, purchases, subscriptions
from reconciler.entitlements.books import FATES, OWN, gone_key, settle
from reconciler.entitlements.decision import Decision, Reason
from reconciler.entitlements.kinds.bounds import Ask
from reconciler.entitlements.measure import ask_of, asked
from reconciler.entitlements.remedies import Urls, with_remedy
from reconciler.entitlements.slices import Lent, lend, settle_slice
from reconciler.entitlements.standing import Subscription, subscription_of
from reconciler.entitlements.terms import Call, Terms
from reconciler.ledger.book import Book, Hold, Lot
from reconciler.ledger.entry import well_named
from reconciler.ledger.jobs import Found, Job

_SHORT = 64
#: Where the quantity stands in what was asked for.
_QUANTITY = 3
#: Returns the terms of a book's tenant under the policy of this moment.
TermsOf = Callable[[Book], Terms]
#: Returns the lots of a grant that is made at an instant.
LotsAt = Callable[[int], Sequence[Lot]]


class NameRefusedError(ValueError):
    """A tenant or key the ledger cannot store: empty, too long, unprintable, or marked as one of its own."""


def digest_of(*request: Any) -> str:
    """Return what was asked, the same for the same request: short ones as they are, long ones as their SHA-256."""
    text = repr(request)
    return text if len(text) <= _SHORT else hashlib.sha256(text.encode()).hexdigest()


def _digest_of(what: str, name: str, meter: bool, quantity: int, *more: Any) -> str:  # noqa: FBT001  as in Request
    digest = digest_of(what, name, meter, quantity, *more)
    return digest if digest.startswith("(") else f"{digest}*{quantity}"


# Calls without units of their own are few and made again and again; equal numbers of two types are written differently.
_digest_of_call = lru_cache(4096, typed=True)(_digest_of)


def quantity_of(digest: str) -> int:
    """Return the quantity of a call by the digest its entry keeps, which is none where the call was plain."""
    if digest.startswith("("):
        return int(ast.literal_eval(digest)[_QUANTITY])
    return int(digest.rpartition("*")[2]) if digest else 1


def checked(tenant: str, key: str | None) -> None:
    """Refuse names the ledger cannot hold."""
    if not well_named(tenant):
        raise NameRefusedError(f"{tenant!r} cannot name a tenant: 1 to 255 printable characters")
    if key is not None and (not well_named(key) or key.startswith(OWN)):
        raise NameRefusedError(f"{key!r} cannot be a key: 1 to 255 printable characters, the first not '~'")


class Request(NamedTuple):
    """A call as it was asked for: a tool's, or units of a meter directly, with a key or without."""

    name: str
    meter: bool = False
    quantity: int = 1
    units: Mapping[str, int] | None = None
    key: str | None = None

    def digest(self, what: str, *more: int) -> str:
        """Return what was asked apart from the key, the same for the same request; the quantity can be read in it."""
        if self.units:
            return _digest_of(what, self.name, self.meter, self.quantity, sorted(self.units.items()), *more)
        return _digest_of_call(what, self.name, self.meter, self.quantity, None, *more)

    @property
    def plain(self) -> bool:
        """Whether it is one call of a tool without numbers of its own."""
        return not self.meter and self.quantity == 1 and self.units is None


def _prepared(book: Book, now: int, request: Request, terms_of: TermsOf) -> tuple[Terms, Call, Ask]:
    """Bring a book up to date and return what a request means for its tenant."""
    terms = terms_of(book)
    settle(book, terms, now)
    name, meter, quantity, units, _ = request
    call = terms.call(name, meter=meter)
    return terms, call, ask_of(call, quantity, units)


class Acts:
    """Builds jobs; everything they need of the world is what they are given here."""

    def __init__(self, terms_of: TermsOf, urls: Urls) -> None:
        self._terms_of = terms_of
        self._urls = urls

    def consume(self, tenant: str, request: Request, lent: list[bool] | None = None) -> Job:
        """Return the job of a call made now; a refusal adds to ``lent`` whether calls were lent at that moment."""
        key, terms_of, urls = request.key, self._terms_of, self._urls
        # Without a key nobody compares what was asked: it is kept where the quantity is not the one it is without.
        digest = "" if key is None and request.quantity == 1 else request.digest("consume")

        def act(book: Book, now: int, _found: Found) -> Decision:
            terms, call, ask = _prepared(book, now, request, terms_of)
            decision, verdict = books.consume(book, terms, call, now, ask, key, digest)
            if verdict.refusal is None:
                return decision
            if lent is not None:
                lent.append(books.lent(book))
            return with_remedy(decision, verdict.refusal, call, terms, book, now, ask, urls)

        return tuple.__new__(Job, (tenant, act, key, digest, ()))

    def owed(self, tenant: str, request: Request) -> Job:
        """Return the job of a call that was made while the ledger was away: it is booked, whatever it finds.

        What credits are short of is written down; everything else is counted beyond its bound. The act returns a list
        whose first is the decision as the ledger keeps it, like that of :meth:`commit`.
        """
        digest, terms_of = request.digest("consume"), self._terms_of

        def act(book: Book, now: int, _found: Found) -> list[Any]:
            terms, call, ask = _prepared(book, now, request, terms_of)
            decision, verdict = books.consume(book, terms, call, now, ask, request.key, digest)
            if verdict.refusal is not None:
                return books.force(book, terms, call, now, ask, str(request.key), digest)
            return [decision.stored()]

        return Job(tenant, act, request.key, digest)

    def reserve(self, tenant: str, request: Request, lasts: int) -> Job:
        """Return the job that sets aside what a call may cost, for so many microseconds by the store's clock."""
        digest, key = request.digest("reserve", lasts), str(request.key)
        terms_of, urls = self._terms_of, self._urls

        def act(book: Book, now: int, _found: Found) -> Decision:
            terms, call, ask = _prepared(book, now, request, terms_of)
            decision, verdict = books.reserve(book, terms, call, now, ask, key, digest, now + lasts)
            if verdict.refusal is None:
                return decision
            return with_remedy(decision, verdict.refusal, call, terms, book, now, ask, urls)

        return Job(tenant, act, key, digest)

    def commit(self, tenant: str, request: Request) -> Job:
        """Return the job that ends the hold under the request's key with what was used.

        What has lapsed is charged anew as far as possible; the act returns ``None`` where there is nothing to end.
        """
        hold, terms_of, digest = str(request.key), self._terms_of, request.digest("commit")
        released = f"{OWN}release:{hold}"

        def act(book: Book, now: int, found: Found) -> list[Any] | None:
            terms = terms_of(book)
            settle(book, terms, now)
            kept, reserved = book.holds.get(hold), found.get(hold)
            late = kept is None
            if kept is None:
                if reserved is None or released in found:
                    return None
                kept = Hold(hold, 0, [], reserved.answer[1])
            ask = asked(kept.terms["measures"], request.quantity, request.units)
            return books.commit(book, terms, kept, now, ask, digest, late=late)

        return Job(tenant, act, f"{OWN}commit:{hold}", digest, (hold, released))

    def release(self, tenant: str, hold: str) -> Job:
        """Return the job that gives back a hold; one that is ended already stays as it is."""
        terms_of = self._terms_of

        def act(book: Book, now: int, _found: Found) -> bool:
            settle(book, terms_of(book), now)
            kept = book.holds.get(hold)
            if kept is None:
                return False
            books.release(book, kept, now)
            return True

        return Job(tenant, act, f"{OWN}release:{hold}", "")

    def lend(self, tenant: str, name: str, *, most: int, hold: str, lasts: int) -> Job:
        """Return the job that lends a process up to so many plain calls."""
        terms_of = self._terms_of

        def act(book: Book, now: int, _found: Found) -> Lent:
            terms = terms_of(book)
            settle(book, terms, now)
            call = terms.call(name)
            return lend(book, terms, call, now, ask_of(call, 1, None), most, hold, now + lasts)

        return Job(tenant, act, hold)

    def settle(self, tenant: str, hold: str, used: int, keys: Sequence[tuple[str, str]]) -> Job:
        """Return the job that books what was used of lent calls."""
        terms_of, slice_key = self._terms_of, f"{OWN}commit:{hold}"

        def act(book: Book, now: int, found: Found) -> dict[str, int] | None:
            terms = terms_of(book)
            settle(book, terms, now)
            kept, lent = book.holds.get(hold), found.get(hold)
            if kept is not None:
                return settle_slice(book, terms, kept, now, used, keys, found, late=False)
            if lent is None:
                return None
            lapsed = Hold(hold, 0, [], lent.answer[1])
            return settle_slice(book, terms, lapsed, now, used, keys, found, late=True)

        return Job(tenant, act, slice_key, "", (hold, *(key for key, _ in keys)))

    def recall(self, tenant: str) -> Job:
        """Return the job that asks the holders of lent calls to give them back."""

        def act(book: Book, now: int, _found: Found) -> None:
            books.call_back(book, now)
            book.enter("recall", now, None)

        return Job(tenant, act)

    def grant(self, tenant: str, lots_at: LotsAt, key: str, digest: str) -> Job:
        """Return the job that brings in lots as they are at the instant of the store; the first one's id is the key."""
        terms_of = self._terms_of

        def act(book: Book, now: int, _found: Found) -> None:
            settle(book, terms_of(book), now)
            for lot in lots_at(now):
                grants.grant(book, lot, now, lot.id, digest)

        return Job(tenant, act, key, digest)

    def void(self, tenant: str, lots: Sequence[str], key: str, reason: str) -> Job:
        """Return the job that takes away what is left of lots."""
        digest = digest_of("void", lots, reason)
        terms_of = self._terms_of

        def act(book: Book, now: int, found: Found) -> int:
            known = [lot for lot in lots if lot in found]
            if not known:
                raise LookupError(f"{tenant!r} was never granted {lots[0]!r}")
            settle(book, terms_of(book), now)
            books.call_back(book, now)
            left = grants.void(book, known, now, key, digest, reason)
            for lot in known:
                if gone_key("voided", lot) not in found:
                    book.enter("voided", now, {"lot": lot}, gone_key("voided", lot))
            return left

        return Job(tenant, act, key, digest, (*lots, *(gone_key("voided", lot) for lot in lots)))

    def refund(self, tenant: str, asked: grants.Refund, key: str) -> Job:
        """Return the job that reverses a call's payment; it returns ``None`` where another refund came between."""
        digest = digest_of("refund", asked.entry.key, asked.amount)
        terms_of, lots = self._terms_of, [lot for lot, _ in grants.spent_parts(asked.entry)]

        def act(book: Book, now: int, found: Found) -> dict[str, int] | None:
            terms = terms_of(book)
            settle(book, terms, now)
            *past, following = asked.markers
            if following in found:
                return None
            before = found[past[-1]].answer if past else {"refunded": 0, "uncounted": False}
            written = {entry.key for entry in book.fresh}
            gone = {
                lot: fate
                for fate in FATES
                for lot in lots
                if gone_key(fate, lot) in found or gone_key(fate, lot) in written
            }
            return grants.refund(book, terms, asked, before, gone, now, key, digest)._asdict()

        gone_keys = (gone_key(fate, lot) for fate in FATES for lot in lots)
        return Job(tenant, act, key, digest, (*asked.markers, *gone_keys))

    def subscribe(self, tenant: str, subscription: Subscription, key: str | None) -> Job:
        """Return the job that keeps a subscription's state."""
        digest = digest_of("subscribe", subscription)
        terms_of = self._terms_of

        def act(book: Book, now: int, _found: Found) -> Subscription:
            settle(book, terms_of(book), now)
            kept = books.subscribe(book, subscription, now, key, digest)
            settle(book, terms_of(book), now)
            return kept

        return Job(tenant, act, key, digest)

    def fulfil(self, purchase: purchases.Purchase) -> Job:
        """Return the job that brings a tenant's book to what a purchase is worth now; repeated, it changes nothing."""
        digest, terms_of = digest_of("purchase", purchase.packs), self._terms_of

        def act(book: Book, now: int, found: Found) -> purchases.Reversed:
            terms = terms_of(book)
            settle(book, terms, now)
            outcome = purchases.fulfil(book, terms.policy, purchase, now, found, digest)
            settle(book, terms, now)
            return outcome

        return Job(purchase.tenant, act, None, "", purchases.refers_of(purchase))

    def follow(self, tenant: str, held: subscriptions.Held) -> Job:
        """Return the job that keeps what a tenant's ruling subscription says; the act returns what to note about it."""
        terms_of = self._terms_of

        def act(book: Book, now: int, _found: Found) -> str:
            terms = terms_of(book)
            settle(book, terms, now)
            before = subscription_of(book.facts)
            told = subscriptions.follow(held, terms.policy, tenant, before.plan if before else None)
            if told is None:
                return ""
            if told.subscription != before:
                books.subscribe(book, told.subscription, now, None, "")
                settle(book, terms_of(book), now)
            return told.note

        return Job(tenant, act)

    def sweep(self, tenant: str) -> Job:
        """Return the job that enters what has become due by itself."""
        terms_of = self._terms_of
        return Job(tenant, lambda book, now, _found: settle(book, terms_of(book), now))

    def seal(self, tenant: str, before: int) -> Job:
        """Return the job that hands windows begun before an instant, in seconds, to the export."""
        terms_of = self._terms_of

        def act(book: Book, now: int, _found: Found) -> int:
            settle(book, terms_of(book), now)
            return books.seal(book, before, now)

        return Job(tenant, act)


def unknown(tenant: str, tool: str, digest: str) -> Decision:
    """Return the refusal while the ledger cannot be reached."""
    return Decision(False, Reason.STORE_UNAVAILABLE, tenant, tool, config_digest=digest)
