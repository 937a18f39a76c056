"""The runtime: may this tenant make this call, what does it cost, and the books of what was used.

Every method may be called from any thread. What cannot be decided is refused: an unknown tenant, a store that is not
there.
"""

import hashlib
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from time import monotonic
from typing import Literal, Self

from reconciler.entitlements.acts import Request, checked, unknown
from reconciler.entitlements.bookkeeping import Bookkeeping
from reconciler.entitlements.decision import Decision, Reason, replay
from reconciler.entitlements.degraded import Degraded
from reconciler.entitlements.kinds.bounds import Ask
from reconciler.entitlements.leases import Leases
from reconciler.entitlements.measure import ask_of, measured_on
from reconciler.entitlements.opening import policy_of
from reconciler.entitlements.periods import SECOND
from reconciler.entitlements.policy import Policy
from reconciler.entitlements.remedies import Urls, with_remedy
from reconciler.entitlements.reservation import Reservation
from reconciler.entitlements.steps import Steps, ask, carry_out
from reconciler.entitlements.terms import Call, Terms
from reconciler.entitlements.weigh import FOREVER, decision_of, holds_until, weigh
from reconciler.entitlements.why import Explanation, steps_of
from reconciler.ledger.base import Clock, StoreUnavailableError
from reconciler.ledger.book import Book
from reconciler.ledger.jobs import Job, Outcome
from reconciler.ledger.ledger import Ledger, open_ledger

#: How long a hold lasts unless said otherwise, in seconds.
HOLD_SECONDS = 600
JOURNAL = Path("reconciler-journal")


def _nowhere(_kind: str, _id: str, _tenant: str) -> None:
    return None


class Entitlements(Bookkeeping):
    """Decides calls by a policy and keeps their books in a ledger. Close it, or use it as a context manager."""

    def __init__(
        self, policy: Policy, ledger: Ledger, urls: Urls = _nowhere, journal: Path = JOURNAL, *, lease: bool = False
    ) -> None:
        super().__init__(policy, ledger, urls)
        self._urls = urls
        self._looks = ledger.looks
        self.degraded = Degraded(ledger, self._acts, journal)
        self.leases = Leases(ledger, self._acts, self.answered, journal) if lease else None

    @property
    def urls(self) -> Urls:
        """Where a tenant buys a plan or pack."""
        return self._urls

    @classmethod
    def open(
        cls,
        source: str | Path | Policy,
        ledger: str = "sqlite:///usage.db",
        *,
        mode: Literal["direct", "group", "lease"] = "group",
        env: str | None = None,
        clock: Clock | None = None,
        urls: Urls = _nowhere,
        journal: str | Path = JOURNAL,
    ) -> Self:
        """Open a directory of YAML, a compiled policy file, or a policy, with a ledger by its address.

        ``journal`` is the directory for what the ledger has to learn later: calls made out of a lease, or while it was
        away. All processes of a machine share it; it is made when it is needed.

        ConfigError with every problem where the files are wrong, PolicyError for a bad policy file, LedgerError for
        the ledger.
        """
        books = open_ledger(ledger, "group" if mode == "lease" else mode, clock)
        return cls(policy_of(source, env), books, urls, Path(journal), lease=mode == "lease")

    def reload(self, source: str | Path | Policy, env: str | None = None) -> Policy:
        """Replace the policy at once and as a whole, and return it; where it cannot be read the old one stays."""
        self._policy = policy = policy_of(source, env)
        self._looks.clear()
        if self.leases is not None:
            self.leases.settle()
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
            look, book, terms, now = self._look(tenant)
        except StoreUnavailableError:
            return unknown(tenant, name, self._policy.revision)
        call = terms.call(name, meter=tool is None)
        ask = ask_of(call, quantity, units)
        decision = self._answer(call, terms, book, now, ask)
        if plain and (until := holds_until(call, book, now)) is not None:
            look.known[tool] = (terms.policy, until, decision)
        return decision

    def explain(
        self,
        tenant: str,
        tool: str | None = None,
        *,
        meter: str | None = None,
        quantity: int = 1,
        units: Mapping[str, int] | None = None,
    ) -> Explanation:
        """Return what a check would answer, with every question on the way to it; StoreUnavailableError as it is."""
        name = _one(tool, meter)
        _, book, terms, now = self._look(tenant)
        call = terms.call(name, meter=tool is None)
        ask = ask_of(call, quantity, units)
        return Explanation(self._answer(call, terms, book, now, ask), steps_of(call, terms, book, now, ask))

    def _answer(self, call: Call, terms: Terms, book: Book, now: int, ask: Ask) -> Decision:
        """Decide a call by a book that is only looked at."""
        verdict = weigh(call, book, now, ask)
        decision = decision_of(verdict, call, terms, book)
        if verdict.refusal is None:
            return decision
        return with_remedy(decision, verdict.refusal, call, terms, book, now, ask, self._urls)

    def check_many(self, tenant: str, tools: Iterable[str]) -> dict[str, Decision]:
        """Decide one call of each tool, each as if it were the only one; what is measured on the call counts as one."""
        found = {}
        for name in tools:
            tool = self._policy.tools.of(name)
            units = dict.fromkeys(measured_on(tool.counts.items()), 1) if tool is not None else {}
            found[name] = self.check(tenant, name, units=units or None)
        return found

    def feature(self, tenant: str, feature: str) -> bool:
        """Tell whether a tenant has a feature now."""
        look = self._looks.get(tenant)
        if look is not None and look.until > monotonic():
            known = look.known.get(self._policy)
            if known is not None and known[0] > self._now():
                return feature in known[1]
        try:
            look, _, terms, now = self._look(tenant)
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
        if self.leases is not None and tool is not None and quantity == 1 and units is None and meter is None:
            if key is not None:
                checked(tenant, key)
            found = self.leases.consume(tenant, tool, key)
            if found is not None:
                return found
        request = self.consumed(self.request(tenant, tool, meter, quantity, units, key))
        try:
            return carry_out(self.consuming(tenant, request), self._ledger)
        except StoreUnavailableError:
            return self.degraded.let_through(self.terms(tenant), request)

    def consuming(self, tenant: str, request: Request) -> Steps[Decision]:
        """Decide a call and book it, in steps."""
        if self.leases is not None:
            known = self.leases.known(tenant, request)
            if known is not None:
                return known
            if request.plain:
                return (yield from self.leases.decide(tenant, request))
        return self.answered(tenant, request.name, (yield from ask(self._acts.consume(tenant, request))))

    def asking(self, tenant: str, request: Request) -> Job:
        """Return the job that decides a call and books it, where nothing is leased."""
        return self._acts.consume(tenant, request)

    def reserving(self, tenant: str, request: Request, seconds: int) -> Steps[Reservation]:
        """Set aside what a call may cost, in steps."""
        outcome = yield from ask(self._acts.reserve(tenant, request, seconds * SECOND))
        return Reservation(self.answered(tenant, request.name, outcome), self, request)

    def committing(self, tenant: str, request: Request, *, owed: bool) -> Steps[Decision]:
        """End a reservation, in steps."""
        if owed:
            outcome = yield from self.degraded.owing(tenant, request, ends=True)
        else:
            outcome = yield from ask(self._acts.commit(tenant, request))
        answer = outcome.value if outcome.entry is None else outcome.entry.answer
        if outcome.conflict or answer is None:
            return self._conflict(tenant, request.name)
        return replay(tenant, answer)._replace(replayed=outcome.entry is not None, degraded=owed)

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
        request = keyed(self.request(tenant, tool, meter, quantity, units, key))
        try:
            return carry_out(self.reserving(tenant, request, seconds), self._ledger)
        except StoreUnavailableError:
            return self.without_ledger(tenant, request)

    def without_ledger(self, tenant: str, request: Request) -> Reservation:
        """Return a reservation as the tool's rule has it while the ledger is away."""
        return Reservation(self.degraded.answer(self.terms(tenant), request), self, request)

    def commit(self, tenant: str, request: Request, *, owed: bool) -> Decision:
        """End a reservation with what was used; :meth:`Reservation.commit` is the way to call it.

        What the ledger cannot be told now, or never heard of (``owed``), is noted and booked later.
        """
        try:
            return carry_out(self.committing(tenant, request, owed=owed), self._ledger)
        except StoreUnavailableError:
            return self.degraded.note(self.terms(tenant), request, held=not owed, ends=owed)

    def release(self, tenant: str, key: str) -> bool:
        """Give back what a reservation holds; false where it was ended before, or its end has to do it."""
        try:
            return bool(self._ledger.submit(self._acts.release(tenant, key)).value)
        except StoreUnavailableError:
            return False

    def request(
        self,
        tenant: str,
        tool: str | None,
        meter: str | None,
        quantity: int,
        units: Mapping[str, int] | None,
        key: str | None,
    ) -> Request:
        """Return a call as the ledger's jobs take it; ValueError where tenant, key or what is called cannot be."""
        checked(tenant, key)
        return tuple.__new__(Request, (_one(tool, meter), tool is None, quantity, units, key))

    def consumed(self, request: Request) -> Request:
        """Return a call to consume, with a key where it may be let through while the ledger is away.

        The ledger may have booked what it did not answer; only by the key it is not booked again.
        """
        tool = None if request.meter else self._policy.tools.of(request.name)
        return keyed(request) if tool is not None and tool.on_error else request

    def terms(self, tenant: str) -> Terms:
        """Return a tenant's terms by what is known of it without asking the ledger."""
        look = self._looks.get(tenant)
        return self._terms_of(Book(tenant) if look is None else look.book)

    def tenant_of_key(self, secret: str) -> tuple[str, str] | None:
        """Return tenant and key id of an API key, ``None`` where no file has its hash."""
        return self._policy.tenant_of_key.get(hashlib.sha256(secret.encode()).hexdigest())

    def close(self) -> None:
        """Finish what is waiting, give back what is lent, and close the ledger."""
        try:
            if self.leases is not None:
                self.leases.close()
        finally:
            try:
                self.degraded.close()
            finally:
                self._ledger.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def answered(self, tenant: str, name: str, outcome: Outcome) -> Decision:
        """Return a job's outcome as a decision: new, the first answer again, or a conflict."""
        if outcome.entry is None:
            found: Decision = outcome.value
            return found
        if outcome.conflict:
            return self._conflict(tenant, name)
        return replay(tenant, outcome.entry.answer)

    def _conflict(self, tenant: str, name: str) -> Decision:
        return Decision(False, Reason.KEY_CONFLICT, tenant, name, config_digest=self._policy.revision)


def keyed(request: Request) -> Request:
    """Return a call with a key, one of its own where none was given."""
    return request if request.key is not None else request._replace(key=uuid.uuid4().hex)


def _one(tool: str | None, meter: str | None) -> str:
    if (tool is None) == (meter is None):
        raise ValueError("name a tool or a meter")
    return tool if tool is not None else str(meter)
