"""The runtime: may this tenant make this call, what does it cost, and the books of what was used.

Every method may be called from any thread. What cannot be decided is refused: an unknown tenant, a store that is not
there.
"""

import hashlib
import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from time import monotonic
from typing import Self

from reconciler.entitlements.acts import Acts, checked, unknown
from reconciler.entitlements.books import OWN, settle, settled
from reconciler.entitlements.decision import Decision, Reason, replay
from reconciler.entitlements.grants import Refunded, marker, spent_parts
from reconciler.entitlements.measure import ask_of
from reconciler.entitlements.opening import policy_of
from reconciler.entitlements.packs import pack_lots
from reconciler.entitlements.periods import SECOND, micros
from reconciler.entitlements.policy import Policy, scaled
from reconciler.entitlements.remedies import Urls, with_remedy
from reconciler.entitlements.reservation import Reservation
from reconciler.entitlements.standing import STATUSES, Subscription, subscription_of
from reconciler.entitlements.terms import Terms
from reconciler.entitlements.views import Balance, balance_of
from reconciler.entitlements.weigh import FOREVER, decision_of, holds_until, weigh
from reconciler.ledger.base import Clock, LedgerError, StoreUnavailableError
from reconciler.ledger.book import PRIORITY, Book
from reconciler.ledger.jobs import Job, Outcome
from reconciler.ledger.ledger import Ledger, Look, Mode, open_ledger

#: How long a hold lasts unless said otherwise, in seconds.
HOLD_SECONDS = 600
_MOST_TERMS = 50_000


def _nowhere(_kind: str, _id: str, _tenant: str) -> None:
    return None


class Entitlements:
    """Decides calls by a policy and keeps their books in a ledger. Close it, or use it as a context manager."""

    def __init__(self, policy: Policy, ledger: Ledger, urls: Urls = _nowhere) -> None:
        self._policy = policy
        self._ledger = ledger
        self._urls = urls
        self._terms: dict[str, Terms] = {}
        self._acts = Acts(self._terms_of, urls)
        self._looks = ledger.looks
        self._now = ledger.store.now

    @classmethod
    def open(
        cls,
        source: str | Path | Policy,
        ledger: str = "sqlite:///usage.db",
        *,
        mode: Mode = "group",
        env: str | None = None,
        clock: Clock | None = None,
        urls: Urls = _nowhere,
    ) -> Self:
        """Open a directory of YAML, a compiled policy file, or a policy, with a ledger by its address.

        ConfigError with every problem where the files are wrong, PolicyError for a bad policy file, LedgerError for
        the ledger.
        """
        return cls(policy_of(source, env), open_ledger(ledger, mode, clock), urls)

    @property
    def policy(self) -> Policy:
        """The policy that decides at this moment."""
        return self._policy

    @property
    def ledger(self) -> Ledger:
        """The ledger, for what is not about single calls: exports, entries, proofs."""
        return self._ledger

    def reload(self, source: str | Path | Policy, env: str | None = None) -> Policy:
        """Replace the policy at once and as a whole, and return it; where it cannot be read the old one stays."""
        self._policy = policy = policy_of(source, env)
        return policy

    def check(
        self,
        tenant: str,
        tool: str | None = None,
        *,
        meter: str | None = None,
        quantity: int = 1,
        units: Mapping[str, int] | None = None,
    ) -> Decision:
        """Decide a call without making it; nothing is written."""
        plain = quantity == 1 and units is None and meter is None
        if plain and (look := self._looks.get(tenant)) is not None and look.until > monotonic():
            known = look.known.get(tool)
            if known is not None and known[0] is self._policy and known[1] > self._now():
                found: Decision = known[2]
                return found
        name = _one(tool, meter)
        try:
            look, terms, now = self._look(tenant)
        except StoreUnavailableError:
            return unknown(tenant, name, self._policy.revision)
        call = terms.call(name, meter=tool is None)
        ask = ask_of(call, quantity, units)
        verdict = weigh(call, look.book, now, ask)
        decision = decision_of(verdict, call, terms, look.book)
        if verdict.refusal is not None:
            decision = with_remedy(decision, verdict.refusal, call, terms, ask, self._urls)
        if plain and (until := holds_until(call, look.book, now)) is not None:
            look.known[tool] = (terms.policy, until, decision)
        return decision

    def check_many(self, tenant: str, tools: Iterable[str]) -> dict[str, Decision]:
        """Decide one call of each tool, each as if it were the only one."""
        return {tool: self.check(tenant, tool) for tool in tools}

    def feature(self, tenant: str, feature: str) -> bool:
        """Tell whether a tenant has a feature now."""
        look = self._looks.get(tenant)
        if look is not None and look.until > monotonic():
            known = look.known.get(self._policy)
            if known is not None and known[0] > self._now():
                return feature in known[1]
        try:
            look, terms, now = self._look(tenant)
        except StoreUnavailableError:
            return False
        features = terms.features if terms.entitled(now) else frozenset[str]()
        until = terms.standing.until
        look.known[self._policy] = (FOREVER if until is None or now >= until else until, features)
        return feature in features

    def consume(
        self,
        tenant: str,
        tool: str | None = None,
        *,
        meter: str | None = None,
        quantity: int = 1,
        units: Mapping[str, int] | None = None,
        key: str | None = None,
    ) -> Decision:
        """Decide a call and book it in one step, all of its meters or none.

        With a ``key`` it is booked once: the same call again gets the first answer, another call under the key is
        refused as ``key_conflict``. A refused call is not kept: it may be tried again under its key.
        """
        name, job = self.consuming(tenant, tool, meter, quantity, units, key)
        return self._decided(tenant, name, job)

    def consuming(
        self,
        tenant: str,
        tool: str | None,
        meter: str | None,
        quantity: int,
        units: Mapping[str, int] | None,
        key: str | None,
    ) -> tuple[str, Job]:
        """Return the name a call is decided under, and its job for the ledger."""
        name = _one(tool, meter)
        checked(tenant, key)
        return name, self._acts.consume(tenant, name, meter=tool is None, quantity=quantity, units=units, key=key)

    def reserve(
        self,
        tenant: str,
        tool: str | None = None,
        *,
        meter: str | None = None,
        quantity: int = 1,
        units: Mapping[str, int] | None = None,
        key: str | None = None,
        seconds: int = HOLD_SECONDS,
    ) -> Reservation:
        """Set aside what a call may cost at most until it is committed or released, or so many seconds have passed."""
        name, key = _one(tool, meter), key or uuid.uuid4().hex
        checked(tenant, key)
        meters = tool is None
        job = self._acts.reserve(
            tenant, name, meter=meters, quantity=quantity, units=units, key=key, lasts=seconds * SECOND
        )
        return Reservation(self._decided(tenant, name, job), self, key, quantity, units, meter=meters)

    def commit(self, held: Reservation, quantity: int, units: Mapping[str, int] | None) -> Decision:
        """End a reservation with what was used; :meth:`Reservation.commit` is the way to call it."""
        tenant, name = held.decision.tenant, held.decision.tool
        job = self._acts.commit(tenant, name, meter=held.meter, quantity=quantity, units=units, hold=held.key)
        outcome = self._ledger.submit(job)
        if outcome.conflict:
            return self._conflict(tenant, name)
        answer = outcome.entry.answer if outcome.entry is not None else outcome.value
        if answer is None:
            return self._conflict(tenant, name)
        return replay(tenant, answer[0])._replace(replayed=outcome.entry is not None)

    def release(self, tenant: str, key: str) -> bool:
        """Give back what a reservation holds; false where it was ended before."""
        return bool(self._ledger.submit(self._acts.release(tenant, key)).value)

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

        Lots are spent by priority, 0 first, then by expiry. KeyConflictError where the key was used for something else.
        """
        checked(tenant, key)
        if (credits is None) == (pack is None):
            raise ValueError("name credits or a pack")
        if pack is not None:
            lots = pack_lots(self._policy, pack, key, self._ledger.store.now(), priority)
        else:
            assert credits is not None  # noqa: S101  one of the two
            lots = [(key, scaled(credits), priority, micros(expires) if expires else None, reason)]
        self._once(self._acts.grant(tenant, lots, key))
        return self._ledger.store.read(tenant).credits

    def void(self, tenant: str, lot: str, *, key: str, reason: str = "") -> int:
        """Take away what is left of a grant and its bonus, and return how much, in millionths."""
        checked(tenant, key)
        outcome = self._once(self._acts.void(tenant, (lot, f"{OWN}bonus:{lot}"), key, reason))
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
            if entry is None or entry.kind not in {"consume", "commit"}:
                raise LookupError(f"{tenant!r} has no finished call under the key {of!r}")
            found = {lot: store.entry(tenant, lot) for lot, _ in spent_parts(entry)}
            lots = {lot: granted.answer for lot, granted in found.items() if granted is not None}
            markers = [marker(of, 1)]
            while store.entry(tenant, markers[-1]) is not None:
                markers.append(marker(of, len(markers) + 1))
            until = None if renew_until is None else micros(renew_until)
            job = self._acts.refund(tenant, entry, lots, markers, amount=amount, key=key, renew_until=until)
            outcome = self._once(job)
            answer = outcome.entry.answer if outcome.entry is not None else outcome.value
            if answer is not None:
                return Refunded(answer["restored"], answer["renewed"], answer["lost"])

    def balance(self, tenant: str) -> Balance:
        """Return what a tenant has: credits by lot, holds, included units and limits with what is used of them."""
        look, terms, now = self._look(tenant)
        return balance_of(look.book, terms, now)

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

        ``anchor`` is the billing cycle's; without one the period's start is. ValueError for a status Stripe does not
        have.
        """
        checked(tenant, key)
        if status not in STATUSES:
            raise ValueError(f"{status!r} is no status of a subscription: {', '.join(sorted(STATUSES))}")
        start, end = (micros(period[0]), micros(period[1])) if period else (None, None)
        kept = Subscription(
            plan, status, start, end, micros(anchor) if anchor else start, micros(since) if since else 0
        )
        outcome = self._once(self._acts.subscribe(tenant, kept, key))
        return Subscription(*(outcome.entry.answer if outcome.entry else outcome.value))

    def subscription(self, tenant: str) -> Subscription | None:
        """Return what is known of a tenant's subscription."""
        return subscription_of(self._ledger.look(tenant).book.facts)

    def tenant_of_key(self, secret: str) -> tuple[str, str] | None:
        """Return tenant and key id of an API key, ``None`` where no file has its hash."""
        return self._policy.tenant_of_key.get(hashlib.sha256(secret.encode()).hexdigest())

    def sweep(self, limit: int = 1000) -> int:
        """Enter what has become due by itself for tenants nobody asks about; return how many were looked at."""
        store = self._ledger.store
        tenants = store.due(store.now(), limit)
        for tenant in tenants:
            self._ledger.submit(self._acts.sweep(tenant))
        return len(tenants)

    def seal(self, before: int, limit: int = 1000) -> int:
        """Hand units counted in windows begun before an instant, in seconds, to the export; return how many windows."""
        tenants = self._ledger.store.unsent(before, limit)
        return sum(self._ledger.submit(self._acts.seal(tenant, before)).value for tenant in tenants)

    def close(self) -> None:
        """Finish what is waiting and close the ledger."""
        self._ledger.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _terms_of(self, book: Book) -> Terms:
        """Return the terms of a book's tenant; they are worked out anew when the policy or the subscription changes."""
        terms = self._terms.get(book.tenant)
        kept = book.facts.get("subscription")
        if terms is None or terms.policy is not self._policy or terms.kept != kept:
            if len(self._terms) >= _MOST_TERMS:
                self._terms.clear()
            terms = self._terms[book.tenant] = Terms(self._policy, book.tenant, subscription_of(book.facts), kept)
        return terms

    def _look(self, tenant: str) -> tuple[Look, Terms, int]:
        """Return a look at a tenant's book, with what is due by now worked out but not written."""
        look, now = self._ledger.look(tenant), self._now()
        terms = self._terms_of(look.book)
        if not settled(look.book, terms, now):
            book = look.book.copy()
            settle(book, terms, now)
            look.book, look.known = book, {}
        return look, terms, now

    def _once(self, job: Job) -> Outcome:
        outcome = self._ledger.submit(job)
        if outcome.conflict:
            raise KeyConflictError("E1120", "this key was used for another request", remedy="Use a new key.")
        return outcome

    def _decided(self, tenant: str, name: str, job: Job) -> Decision:
        try:
            outcome = self._ledger.submit(job)
        except StoreUnavailableError:
            return unknown(tenant, name, self._policy.revision)
        return self.answered(tenant, name, outcome)

    def answered(self, tenant: str, name: str, outcome: Outcome) -> Decision:
        """Return a job's outcome as a decision: new, the first answer again, or a conflict."""
        if outcome.entry is None:
            found: Decision = outcome.value
            return found
        if outcome.conflict:
            return self._conflict(tenant, name)
        return replay(tenant, outcome.entry.answer[0])

    def _conflict(self, tenant: str, name: str) -> Decision:
        return Decision(False, Reason.KEY_CONFLICT, tenant, name, config_digest=self._policy.revision)


class KeyConflictError(LedgerError):
    """An idempotency key was used before for another request."""


def _one(tool: str | None, meter: str | None) -> str:
    if (tool is None) == (meter is None):
        raise ValueError("name a tool or a meter")
    return tool if tool is not None else str(meter)
