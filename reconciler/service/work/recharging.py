"""The round that buys credits for tenants who run low: where the operator allows it and the tenant has agreed.

A purchase is begun, its request is kept, the request is sent, the outcome is written with the credits it brings: each
step in a transaction of its own. Whoever dies between two of them leaves an open purchase that any worker goes on
with, and the tenant has no other one until it has ended. What was paid is granted under the id of its payment intent,
once, whoever grants it.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from reconciler.diagnostics import ProviderError, UsageError
from reconciler.entitlements import Entitlements
from reconciler.entitlements import purchases as bought
from reconciler.entitlements.books import settle
from reconciler.entitlements.periods import SECOND
from reconciler.entitlements.purchases import UnknownPackError, fulfil, refers_of
from reconciler.entitlements.remedies import Urls
from reconciler.entitlements.standing import subscription_of
from reconciler.entitlements.terms import Terms
from reconciler.ledger.annex import LostClaimError, Statement
from reconciler.ledger.book import Book
from reconciler.ledger.jobs import Found, Job
from reconciler.provider.gateway import RequestFailedError
from reconciler.service.api.answers import decimal
from reconciler.service.work.caps import Caps, cool_until, since, why_not
from reconciler.service.work.charging import NOT_SENT, ChargeRefusedError, Request, Result, Till
from reconciler.service.work.consent import Consents
from reconciler.service.work.outbox import Outbox, notice_of
from reconciler.service.work.purchases import Purchase, Purchases
from reconciler.service.work.thresholds import CREDITS_RECHARGED, RECHARGE_FAILED
from reconciler.service.work.words import stamp

PAGE = 500
#: Purchases worked on at once.
TOGETHER = 10
#: Microseconds until a purchase is looked at again that nobody could decide.
LATER = 30 * SECOND
#: After so many microseconds a request that Stripe shows nothing of has not arrived, and will not.
ARRIVED = 600 * SECOND
_NOT_WANTED = "not_wanted"
_LOW = """
    SELECT c.tenant FROM recharge_consent c JOIN tenant t ON t.tenant = c.tenant
    WHERE c.enabled = 1 AND t.credits < ? AND c.tenant > ? ORDER BY c.tenant LIMIT ?
"""


class Recharged(NamedTuple):
    """What a round came to: purchases begun, paid, failed, dropped, and left open."""

    begun: int = 0
    paid: int = 0
    failed: int = 0
    dropped: int = 0
    open: int = 0


class Recharger:
    """Buys credits for tenants by the caps of the operator and of the tenants themselves."""

    def __init__(
        self, runtime: Entitlements, till: Till, caps: Caps, urls: Urls = lambda _kind, _id, _tenant: None
    ) -> None:
        self._runtime = runtime
        self._store = runtime.ledger.store
        self._till = till
        self._caps = caps
        self._urls = urls
        self._consents = Consents(self._store)
        self._purchases = Purchases(self._store)

    def round(self) -> Recharged:
        """Begin what is to be bought, go on with what is open, and return what came of it."""
        done = {"begun": self._begin(), "paid": 0, "failed": 0, "dropped": 0, "open": 0}
        while claimed := self._purchases.claim(TOGETHER):
            for purchase in claimed:
                done[self._go_on(purchase)] += 1
        return Recharged(**done)

    def low(self, tenant: str) -> str | None:
        """Return the pack a tenant's plan buys now, because credits are below its bound; None where it buys none."""
        book, now = self._store.read(tenant), self._store.now()
        terms = Terms(self._runtime.policy, tenant, subscription_of(book.facts))
        settle(book, terms, now)
        credits = terms.credit_terms  # noqa: A001  named for what they are
        if credits is None or credits.recharge is None or not terms.entitled(now):
            return None
        below, pack = credits.recharge
        return pack if book.credits < below else None

    def _begin(self) -> int:
        plans = self._runtime.policy.plans.values()
        most = max((plan.credits.recharge[0] for plan in plans if plan.credits and plan.credits.recharge), default=0)
        begun, after = 0, ""
        while most and (page := self._store.ask(_LOW, (most, after, PAGE))):
            for (tenant,) in page:
                begun += self._begin_for(tenant)
            after = page[-1][0]
        return begun

    def _begin_for(self, tenant: str) -> bool:
        """Begin a purchase where one may be; what is read first makes what is written last fail if it has changed."""
        consent, now = self._consents.of(tenant), self._store.now()
        attempts, last = self._purchases.attempts(tenant, since(now, self._caps))
        if consent is None or not consent.enabled:
            return False
        if why_not(attempts, self._caps, consent.monthly_cap, now) is not None:
            return False
        pack = self.low(tenant)
        if pack is None or self._taken_back(tenant, consent.at):
            return False
        try:
            self._purchases.begin(tenant, last + 1, pack, consent)
        except LostClaimError:
            return False
        return True

    def _taken_back(self, tenant: str, agreed: int) -> bool:
        """Tell whether the money of the last pack went back: what was given up is not bought again unasked."""
        last = next((each for each in self._purchases.listed(tenant) if each.state == "paid"), None)
        if last is None or last.payment is None or agreed > (last.ended or 0):
            return False
        return bought.is_reversed(self._store.read(tenant), last.payment)

    def _go_on(self, purchase: Purchase) -> str:
        """Take the next steps of a purchase, and return the state it is in then."""
        try:
            if purchase.request is None:
                kept = self._prepared(purchase)
                if kept is None:
                    return "dropped"
                purchase = kept
            elif not self._agreed(purchase):
                return self._settled(purchase, self._withdrawn(purchase))
            result = self._till.charge(Request.read(purchase.request or ""), purchase.sent or 0, self._store.now())
        except (ChargeRefusedError, UsageError) as refused:
            reason = refused.reason if isinstance(refused, ChargeRefusedError) else "not_for_sale"
            result = Result("failed", reason=reason)
        except (RequestFailedError, ProviderError) as error:
            result = Result("open", reason=str(error))
        except LostClaimError:
            return "open"
        return self._settled(purchase, result)

    def _agreed(self, purchase: Purchase) -> bool:
        consent = self._consents.of(purchase.tenant)
        return consent is not None and consent.enabled

    def _withdrawn(self, purchase: Purchase) -> Result:
        """Return what became of a request that may have been sent, whose tenant has withdrawn: it is not sent again."""
        sent = purchase.sent or 0
        found = self._till.found(Request.read(purchase.request or ""), sent)
        if found.reason != NOT_SENT:
            return found
        return Result("open" if self._store.now() - sent < ARRIVED else "dropped", reason=_NOT_WANTED)

    def _prepared(self, purchase: Purchase) -> Purchase | None:
        """Write down what will be sent; None where the purchase is not wanted any more, and is dropped unsent."""
        consent = self._consents.of(purchase.tenant)
        if consent is None or not consent.enabled or self.low(purchase.tenant) != purchase.pack:
            with suppress(LostClaimError):
                self._store.alongside([self._purchases.ended(purchase, "dropped", None, _NOT_WANTED)])
            return None
        request = self._till.prepare(purchase.tenant, purchase.pack, purchase.number)
        return self._purchases.keep(purchase, request.text(), consent)

    def _settled(self, purchase: Purchase, result: Result) -> str:
        try:
            if result.state == "paid" and result.intent is not None:
                self._paid(purchase, result.intent)
            elif result.state == "failed":
                self._failed(purchase, result)
            elif result.state == "dropped":
                self._store.alongside([self._purchases.ended(purchase, "dropped", None, result.reason)])
            else:
                self._purchases.later(purchase, result.reason, LATER)
        except UnknownPackError as error:
            # The money is there and nobody knows for how many credits: it waits for the files to say so again.
            self._purchases.later(purchase, str(error), LATER)
            return "open"
        except LostClaimError:
            # Another worker has written the same.
            return "open"
        return result.state

    def _paid(self, purchase: Purchase, intent: Mapping[str, Any]) -> None:
        """Grant what was paid for, and say so, in one transaction."""
        at, paid = int(intent["created"]) * SECOND, int(intent["amount_received"])
        sold = bought.Purchase(str(intent["id"]), purchase.tenant, at, ((purchase.pack, 1),), paid)
        pack = self._runtime.policy.packs.get(purchase.pack)
        credits = None if pack is None else decimal(pack.credits + pack.bonus)  # noqa: A001  named for what they are
        data = {
            "pack": purchase.pack,
            "credits": credits,
            "payment": sold.key,
            "amount": paid,
            "currency": intent["currency"],
        }
        ended = self._purchases.ended(purchase, "paid", sold.key)
        told = self._told(purchase, CREDITS_RECHARGED, data)
        self._runtime.ledger.alongside([ended, told], [granting(self._runtime, sold)])

    def _failed(self, purchase: Purchase, result: Result) -> None:
        """Write why nothing was bought, and say so with what the tenant can do."""
        now = self._store.now()
        attempts, _ = self._purchases.attempts(purchase.tenant, since(now, self._caps))
        after = [
            each._replace(state="failed", ended=now) if each.number == purchase.number else each for each in attempts
        ]
        data = {
            "pack": purchase.pack,
            "reason": result.reason,
            "retry_at": stamp(cool_until(after, self._caps)),
            "remedy": {
                "kind": "pack",
                "id": purchase.pack,
                "url": self._urls("pack", purchase.pack, purchase.tenant),
            },
        }
        payment = None if result.intent is None else str(result.intent["id"])
        ended = self._purchases.ended(purchase, "failed", payment, result.reason)
        self._store.alongside([ended, self._told(purchase, RECHARGE_FAILED, data)])

    def _told(self, purchase: Purchase, type_: str, data: Mapping[str, Any]) -> Statement:
        now, namespace = self._store.now(), self._runtime.policy.namespace
        seq = self._store.read(purchase.tenant).seq
        what = f"recharge/{purchase.number}"
        return Outbox.put(notice_of(namespace, purchase.tenant, type_, what, now, seq, data), now)


def granting(runtime: Entitlements, sold: bought.Purchase) -> Job:
    """Return the job that grants a purchase under its key, once; what was granted already stays as it is.

    UnknownPackError is raised by the act where the policy does not have the pack.
    """

    def act(book: Book, now: int, found: Found) -> None:
        if sold.key in found:
            return
        policy = runtime.policy
        settle(book, Terms(policy, sold.tenant, subscription_of(book.facts)), now)
        fulfil(book, policy, sold, now, found, f"purchase {sold.key}")

    return Job(sold.tenant, act, None, "", refers_of(sold))
