"""What changes or shows a tenant's books beside its calls: grants, refunds, subscriptions, what is due by itself."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from reconciler.entitlements.acts import Acts, checked, digest_of
from reconciler.entitlements.books import OWN, settle, settled
from reconciler.entitlements.grants import Refund, Refunded, marker, spent_parts
from reconciler.entitlements.packs import bonus_of, one_lot, pack_lots
from reconciler.entitlements.periods import SECOND, micros
from reconciler.entitlements.policy import Policy, scaled
from reconciler.entitlements.purchases import Purchase
from reconciler.entitlements.remedies import Urls
from reconciler.entitlements.standing import STATUSES, Subscription, subscription_of
from reconciler.entitlements.subscriptions import Held
from reconciler.entitlements.terms import Terms
from reconciler.entitlements.views import Balance, balance_of
from reconciler.ledger.base import LedgerError
from reconciler.ledger.book import PRIORITY, Book
from reconciler.ledger.jobs import Job, Outcome
from reconciler.ledger.ledger import Ledger, Look

_MOST_TERMS = 50_000
#: Tenants whose units are handed over in one transaction, and more than any ledger has.
_TOGETHER, _EVERY = 100, 1 << 40
#: Under this a look keeps its book with what is due worked out, and since when that holds.
_AHEAD = object()


class KeyConflictError(LedgerError):
    """An idempotency key was used before for another request."""


class Bookkeeping:
    """A policy over a ledger: every tenant's terms, and what happens to its books otherwise than by calls."""

    def __init__(self, policy: Policy, ledger: Ledger, urls: Urls) -> None:
        self._policy = policy
        self._ledger = ledger
        self._terms: dict[str, Terms] = {}
        self._acts = Acts(self._terms_of, urls)
        self._now = ledger.store.now

    @property
    def policy(self) -> Policy:
        """The policy that decides at this moment."""
        return self._policy

    @property
    def ledger(self) -> Ledger:
        """The ledger, for what is not about single calls: exports, entries, proofs."""
        return self._ledger

    def grant(
        self,
        tenant: str,
        credits: Decimal | int | None = None,  # noqa: A002  named for what they are
        *,
        key: str,
        pack: str | None = None,
        expires: datetime | None = None,
        priority: int = PRIORITY,
        reason: str = "",
    ) -> int:
        """Bring in credits, or a credit pack with its bonus, once for a key; return the balance in millionths.

        Lots are spent by priority, 0 first, then by expiry. KeyConflictError where the key was used for something else,
        LookupError for no such pack.
        """
        checked(tenant, key)
        if (credits is None) == (pack is None):
            raise ValueError("name credits or a pack")
        if pack is not None:
            lots_at, digest = pack_lots(self._policy, pack, key, priority), digest_of("grant", pack, priority)
        else:
            assert credits is not None  # noqa: S101  one of the two
            amount, until = scaled(credits), micros(expires) if expires else None
            lots_at, digest = one_lot(key, amount, priority, until, reason), digest_of("grant", amount, priority, until)
        self._once(self._acts.grant(tenant, lots_at, key, digest))
        book = self._ledger.store.read(tenant)
        settle(book, self._terms_of(book), self._now())
        return book.credits

    def void(self, tenant: str, lot: str, *, key: str, reason: str = "") -> int:
        """Take away what is left of a grant and its bonus, and return how much, in millionths.

        Refunds of calls it paid bring nothing of it back. LookupError where there was no such grant.
        """
        checked(tenant, key)
        outcome = self._once(self._acts.void(tenant, (lot, bonus_of(lot)), key, reason))
        left: int = outcome.entry.answer["credits"] if outcome.entry else outcome.value
        return left

    def refund(
        self,
        tenant: str,
        of: str,
        *,
        key: str,
        credits: Decimal | int | None = None,  # noqa: A002  named for what they are
        renew_until: datetime | None = None,
    ) -> Refunded:
        """Reverse the payment of the call made under the key ``of``: all that is left of it, or so many credits.

        They go back to the lots they came from, never more than the call cost, however often it is refunded. What has
        expired meanwhile is lost, or kept until ``renew_until``. LookupError where there is no such call.
        """
        checked(tenant, key)
        amount = None if credits is None else scaled(credits)
        store = self._ledger.store
        while True:
            entry = store.entry(tenant, f"{OWN}commit:{of}") or store.entry(tenant, of)
            if entry is None or entry.kind not in {"consume", "commit", "owed"}:
                raise LookupError(f"{tenant!r} has no finished call under the key {of!r}")
            found = {lot: store.entry(tenant, lot) for lot, _ in spent_parts(entry)}
            lots = {lot: granted.answer for lot, granted in found.items() if granted is not None}
            markers = [marker(of, 1)]
            while store.entry(tenant, markers[-1]) is not None:
                markers.append(marker(of, len(markers) + 1))
            until = None if renew_until is None else micros(renew_until)
            outcome = self._once(self._acts.refund(tenant, Refund(entry, lots, markers, amount, until), key))
            answer = outcome.entry.answer if outcome.entry is not None else outcome.value
            if answer is not None:
                return Refunded(**answer)

    def balance(self, tenant: str) -> Balance:
        """Return what a tenant has: credits by lot, holds, included units and limits with what is used of them."""
        _, book, terms, now = self._look(tenant)
        return balance_of(book, terms, now)

    def set_subscription(
        self,
        tenant: str,
        *,
        status: str,
        plan: str | None = None,
        period: tuple[datetime, datetime] | None = None,
        anchor: datetime | None = None,
        since: datetime | None = None,
        key: str | None = None,
    ) -> Subscription:
        """Keep what Stripe says of a tenant's subscription; ``since`` is when the status began, now unless said.

        ``anchor`` is the billing cycle's. Without one the known one stays where the period fits it; else it is the end
        of the period that a short month has not moved, and its start where both may be (or it is no whole months).
        ValueError for a status Stripe does not have.
        """
        checked(tenant, key)
        if status not in STATUSES:
            raise ValueError(f"{status!r} is no status of a subscription: {', '.join(sorted(STATUSES))}")
        start, end = (micros(period[0]), micros(period[1])) if period else (None, None)
        kept = Subscription(plan, status, start, end, micros(anchor) if anchor else None, micros(since) if since else 0)
        outcome = self._once(self._acts.subscribe(tenant, kept, key))
        return Subscription(*(outcome.entry.answer if outcome.entry else outcome.value))

    def fulfilling(self, purchase: Purchase) -> Job:
        """Return the job that grants a paid checkout once and takes back what its refunds and disputes leave of it."""
        checked(purchase.tenant, purchase.key)
        return self._acts.fulfil(purchase)

    def following(self, tenant: str, held: Held) -> Job:
        """Return the job that keeps what a tenant's ruling subscription says; its value is what to note, or nothing."""
        checked(tenant, None)
        return self._acts.follow(tenant, held)

    def subscription(self, tenant: str) -> Subscription | None:
        """Return what is known of a tenant's subscription."""
        return subscription_of(self._ledger.look(tenant).book.facts)

    def sweep(self, limit: int = 1000) -> int:
        """Enter what has become due by itself for tenants nobody asks about; return how many were looked at."""
        store = self._ledger.store
        tenants = store.due(store.now(), limit)
        for tenant in tenants:
            self._ledger.submit(self._acts.sweep(tenant))
        return len(tenants)

    def seal(self, before: int, limit: int = 1000) -> int:
        """Hand units counted in windows begun before an instant, in seconds, to the export; return how many windows."""
        return self._hand_over([(tenant, before) for tenant in self._ledger.store.unsent(before, limit)])

    def seal_over(self) -> int:
        """Hand over the windows in which nothing more is counted, and only those; return how many.

        A window is over with its hour, or with the billing period that ends in it, so that what a period's invoice
        waits for is handed over at once and everything else once an hour.
        """
        now = self._now()
        ready = []
        for tenant in self._ledger.store.unsent(now // SECOND + 1, _EVERY):
            book = self._ledger.store.read(tenant)
            running = self._terms_of(book).window(now)
            if book.unsent is not None and book.unsent < running:
                ready.append((tenant, running))
        return self._hand_over(ready)

    def _hand_over(self, ready: Sequence[tuple[str, int]]) -> int:
        """Hand over windows begun before an instant of their tenant, many tenants in a transaction."""
        sealed = 0
        for first in range(0, len(ready), _TOGETHER):
            jobs = [self._acts.seal(tenant, before) for tenant, before in ready[first : first + _TOGETHER]]
            for job, outcome in zip(jobs, self._ledger.store.transact(jobs), strict=True):
                sealed += self._ledger.told(job, outcome).value
        return sealed

    def _terms_of(self, book: Book) -> Terms:
        """Return the terms of a book's tenant; they are worked out anew when the policy or the subscription changes."""
        terms = self._terms.get(book.tenant)
        kept = book.facts.get("subscription")
        if terms is None or terms.policy is not self._policy or terms.kept != kept:
            if len(self._terms) >= _MOST_TERMS:
                self._terms.clear()
            terms = self._terms[book.tenant] = Terms(self._policy, book.tenant, subscription_of(book.facts), kept)
        return terms

    def _look(self, tenant: str) -> tuple[Look, Book, Terms, int]:
        """Return a look at a tenant, its book with what is due by now worked out but not written, its terms, the time.

        It is always worked out from the book as it is stored: what a look made of it earlier never happened.
        """
        look, now = self._ledger.look(tenant), self._now()
        terms = self._terms_of(look.book)
        if settled(look.book, terms, now):
            return look, look.book, terms, now
        book, since = look.known.get(_AHEAD, (look.book, now))
        if now < since or not settled(book, terms, now):
            book = look.book.copy()
            settle(book, terms, now)
            look.known = {_AHEAD: (book, now)}
        return look, book, terms, now

    def _once(self, job: Job) -> Outcome:
        outcome = self._ledger.submit(job)
        if outcome.conflict:
            raise KeyConflictError("E1120", "this key was used for another request", remedy="Use a new key.")
        return outcome
