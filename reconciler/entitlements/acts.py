"""Jobs for the ledger: each request as an act on the tenant's book, and the digest that tells repeat from conflict."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from reconciler.entitlements import books, grants
from reconciler.entitlements.books import OWN, settle
from reconciler.entitlements.decision import Decision, Reason
from reconciler.entitlements.measure import ask_of
from reconciler.entitlements.remedies import Urls, with_remedy
from reconciler.entitlements.standing import Subscription
from reconciler.entitlements.terms import Terms
from reconciler.ledger.book import Book, Hold, Lot
from reconciler.ledger.entry import Entry, well_named
from reconciler.ledger.jobs import Found, Job

_SHORT = 64
#: Returns the terms of a book's tenant under the policy of this moment.
TermsOf = Callable[[Book], Terms]


class NameRefusedError(ValueError):
    """A tenant or key the ledger cannot store: empty, too long, unprintable, or marked as one of its own."""


def digest_of(*request: Any) -> str:
    """Return what was asked, the same for the same request: short ones as they are, long ones as their SHA-256."""
    text = repr(request)
    return text if len(text) <= _SHORT else hashlib.sha256(text.encode()).hexdigest()


def checked(tenant: str, key: str | None) -> None:
    """Refuse names the ledger cannot hold."""
    if not well_named(tenant):
        raise NameRefusedError(f"{tenant!r} cannot name a tenant: 1 to 255 printable characters")
    if key is not None and (not well_named(key) or key.startswith(OWN)):
        raise NameRefusedError(f"{key!r} cannot be a key: 1 to 255 printable characters, the first not '~'")


class Acts:
    """Builds jobs; everything they need of the world is what they are given here."""

    def __init__(self, terms_of: TermsOf, urls: Urls) -> None:
        self._terms_of = terms_of
        self._urls = urls

    def consume(
        self, tenant: str, name: str, *, meter: bool, quantity: int, units: Mapping[str, int] | None, key: str | None
    ) -> Job:
        """Return the job of a call that is made now."""
        digest = "" if key is None else digest_of("consume", name, meter, quantity, units and sorted(units.items()))
        terms_of, urls = self._terms_of, self._urls

        def act(book: Book, now: int, _found: Found) -> Decision:
            terms = terms_of(book)
            settle(book, terms, now)
            call = terms.call(name, meter=meter)
            ask = ask_of(call, quantity, units)
            decision, verdict = books.consume(book, terms, call, now, ask, key, digest)
            return (
                decision if verdict.refusal is None else with_remedy(decision, verdict.refusal, call, terms, ask, urls)
            )

        return Job(tenant, act, key, digest)

    def reserve(
        self,
        tenant: str,
        name: str,
        *,
        meter: bool,
        quantity: int,
        units: Mapping[str, int] | None,
        key: str,
        lasts: int,
        times: int = 1,
    ) -> Job:
        """Return the job that sets aside what a call may cost, for so many microseconds by the store's clock."""
        digest = digest_of("reserve", name, meter, quantity, units and sorted(units.items()), lasts, times)
        terms_of, urls = self._terms_of, self._urls

        def act(book: Book, now: int, _found: Found) -> Decision:
            terms = terms_of(book)
            settle(book, terms, now)
            call = terms.call(name, meter=meter)
            ask = ask_of(call, quantity, units, times)
            decision, verdict = books.reserve(book, terms, call, now, ask, key, digest, now + lasts)
            return (
                decision if verdict.refusal is None else with_remedy(decision, verdict.refusal, call, terms, ask, urls)
            )

        return Job(tenant, act, key, digest)

    def commit(
        self, tenant: str, name: str, *, meter: bool, quantity: int, units: Mapping[str, int] | None, hold: str
    ) -> Job:
        """Return the job that ends a hold with what was used; what has lapsed is charged anew as far as possible."""
        digest = digest_of("commit", quantity, units and sorted(units.items()))
        terms_of = self._terms_of

        def act(book: Book, now: int, found: Found) -> list[Any] | None:
            terms = terms_of(book)
            settle(book, terms, now)
            kept = book.holds.get(hold)
            reserved = found.get((tenant, hold))
            if kept is None and (reserved is None or (tenant, f"{OWN}release:{hold}") in found):
                return None
            ask = ask_of(terms.call(name, meter=meter), quantity, units)
            if kept is not None:
                return books.commit(book, terms, kept, now, ask)
            assert reserved is not None  # noqa: S101  one of the two is there
            return books.commit(book, terms, Hold(hold, 0, [], reserved.answer[1]), now, ask, late=True)

        return Job(tenant, act, f"{OWN}commit:{hold}", digest, (hold, f"{OWN}release:{hold}"))

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

    def grant(self, tenant: str, lots: Sequence[tuple[str, int, int, int | None, str]], key: str) -> Job:
        """Return the job that brings in lots: id, credits, priority, expiry, reason; the first id is the key."""
        digest = digest_of("grant", lots)
        terms_of = self._terms_of

        def act(book: Book, now: int, _found: Found) -> int:
            settle(book, terms_of(book), now)
            for id, amount, priority, expires, reason in lots:  # noqa: A001  the word for it everywhere
                grants.grant(book, Lot(id, amount, amount, priority, expires, now, reason), now, id, digest)
            book.facts.pop("recharging", None)
            return book.credits

        return Job(tenant, act, key, digest)

    def void(self, tenant: str, lots: Sequence[str], key: str, reason: str) -> Job:
        """Return the job that takes away what is left of lots."""
        digest = digest_of("void", lots, reason)
        terms_of = self._terms_of

        def act(book: Book, now: int, _found: Found) -> int:
            settle(book, terms_of(book), now)
            return grants.void(book, lots, now, key, digest, reason)

        return Job(tenant, act, key, digest)

    def refund(
        self,
        tenant: str,
        entry: Entry,
        lots: Mapping[str, list[Any]],
        markers: Sequence[str],
        *,
        amount: int | None,
        key: str,
        renew_until: int | None,
    ) -> Job:
        """Return the job that reverses a call's payment; it returns ``None`` where another refund came between."""
        digest = digest_of("refund", entry.key, amount)
        terms_of = self._terms_of

        def act(book: Book, now: int, found: Found) -> dict[str, int] | None:
            terms = terms_of(book)
            settle(book, terms, now)
            *past, following = markers
            if (tenant, following) in found:
                return None
            done = found[tenant, past[-1]].answer["refunded"] if past else 0
            came, total = grants.refund(book, terms, entry, done, amount, lots, now, renew_until=renew_until)
            answer = {**came._asdict(), "refunded": total}
            book.enter("refund", now, answer, key, digest)
            book.enter("refunded", now, {"of": entry.key, "refunded": total}, following)
            return answer

        return Job(tenant, act, key, digest, tuple(markers))

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

    def sweep(self, tenant: str) -> Job:
        """Return the job that enters what has become due by itself."""
        terms_of = self._terms_of
        return Job(tenant, lambda book, now, _found: settle(book, terms_of(book), now))

    def seal(self, tenant: str, before: int) -> Job:
        """Return the job that hands windows begun before an instant, in seconds, to the export."""
        return Job(tenant, lambda book, now, _found: books.seal(book, before, now))


def unknown(tenant: str, tool: str, digest: str) -> Decision:
    """Return the refusal while the ledger cannot be reached."""
    return Decision(False, Reason.STORE_UNAVAILABLE, tenant, tool, config_digest=digest)
