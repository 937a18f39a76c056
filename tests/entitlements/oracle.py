"""What becomes of a tenant's books, beside :mod:`tests.entitlements.judge`: the second half of the oracle."""

from copy import deepcopy
from datetime import datetime
from fractions import Fraction
from typing import Any

from .judge import DAY, Account, Answer, Ask, Count, Judge, Lot, Made, Paid, anchored, stamp


class Oracle(Judge):
    """All tenants under a catalogue, at instants that are given."""

    def due(self, tenant: str) -> int | None:
        """Return when something happens by itself next."""
        account = self.account(tenant)
        instants = [lot.expires for lot in account.lots.values() if lot.expires is not None]
        instants += [call.expires for call in account.held.values()]
        instants += [account.reminder] if account.reminder is not None else []
        return min(instants, default=None)

    def settle(self, tenant: str, now: int) -> None:
        """Let everything happen that is due, in the order of time."""
        account = self.account(tenant)
        while (due := self.due(tenant)) is not None and due <= now:
            for key, call in list(account.held.items()):
                if call.expires <= due:
                    self._undo(account, call)
                    account.calls[key].state = "lapsed"
                    account.forget()
            for lot in list(account.lots.values()):
                if lot.expires is not None and lot.expires <= due:
                    account.gone[lot.id] = "expired"
                    del account.lots[lot.id]
            if account.reminder is not None and account.reminder <= due:
                self._month(tenant, due)
        included, _ = self.included(tenant)
        owed = account.reminder is None or (account.month is not None and account.month[1] < included)
        if included and owed and self.inactive(tenant, now) is None:
            self._month(tenant, now)
        _, own, _, _ = self.standing(tenant)
        for grant in own.get("credits", ()):
            until = None if "expires" not in grant else stamp(datetime.fromisoformat(grant["expires"] + "T00:00:00Z"))
            if grant["id"] not in account.files and (until is None or until > now):
                account.files.add(grant["id"])
                self._bring(account, Lot(f"~file:{grant['id']}", Fraction(grant["amount"]), 50, until, now))

    def _month(self, tenant: str, now: int) -> None:
        account, (included, keeps) = self.account(tenant), self.included(tenant)
        account.reminder = None
        if not included or self.inactive(tenant, now) is not None:
            return
        start, account.reminder = self.months(tenant, now)
        if account.month is None or start > account.month[0]:
            for lot in [lot for lot in account.lots.values() if lot.id.startswith("~month:")]:
                if lot.expires is not None:
                    account.gone[lot.id] = "expired"
                    del account.lots[lot.id]
            account.month = (start, Fraction(0))
        begun, given = account.month
        if included > given:
            account.month = (begun, included)
            name = f"~month:{begun}:{int(included * 1_000_000)}"
            self._bring(account, Lot(name, included - given, 50, None if keeps else account.reminder, now))

    @staticmethod
    def _bring(account: Account, lot: Lot) -> None:
        account.lots[lot.id] = lot
        account.granted[lot.id] = deepcopy(lot)

    @staticmethod
    def _undo(account: Account, call: Made) -> None:
        for count in call.counts:
            count.number = 0
        for lot, part in call.parts:
            account.give_back(lot, part)
        call.parts = []

    def check(self, tenant: str, name: str, now: int, quantity: int, units: Any, *, meter: bool) -> Answer:
        """Decide without a trace."""
        kept = deepcopy(self.accounts)
        self.settle(tenant, now)
        ask = self.ask(self.measures(name, meter=meter), quantity, units)
        answer = self.decide(tenant, name, now, ask, meter=meter)[0]
        self.accounts = kept
        return answer

    def consume(self, tenant: str, name: str, now: int, quantity: int, units: Any, key: str, *, meter: bool) -> Answer:
        """Decide a call and book it under a key."""
        self.settle(tenant, now)
        account, measures = self.account(tenant), self.measures(name, meter=meter)
        ask = self.ask(measures, quantity, units)
        answer, paid, counts, filled = self.decide(tenant, name, now, ask, meter=meter)
        if answer.reason == "ok":
            call = self._make(account, ask, measures, paid, counts, filled, now)
            call.parts = account.spend(paid.credits) if paid is not None and paid.credits else []
            self._meter(account, call, ask, paid.spends if paid is not None else [])
            account.calls[key] = call
            account.forget()
        return answer

    def reserve(
        self, tenant: str, name: str, now: int, quantity: int, units: Any, key: str, lasts: int, *, meter: bool
    ) -> Answer:
        """Decide a call and hold what it may cost."""
        self.settle(tenant, now)
        account, measures = self.account(tenant), self.measures(name, meter=meter)
        ask = self.ask(measures, quantity, units)
        answer, paid, counts, filled = self.decide(tenant, name, now, ask, meter=meter)
        if answer.reason == "ok":
            call = self._make(account, ask, measures, paid, counts, filled, now)
            call.parts = account.spend(paid.credits) if paid is not None and paid.credits else []
            call.state, call.expires = "held", now + lasts
            account.calls[key] = call
        return answer

    def _make(
        self,
        account: Account,
        ask: Ask,
        measures: Any,
        paid: Paid | None,
        counts: list[Count],
        filled: list[tuple[str, Fraction]],
        now: int,
    ) -> Made:
        for bucket, level in filled:
            account.buckets[bucket] = (level, now)
        counts = [*counts, *(paid.counts if paid is not None else [])]
        account.counts += counts
        free = (Fraction(0), Fraction(0), [])
        price = paid.price if paid is not None else lambda _: free
        return Made(ask, counts, [], price, paid.apart if paid is not None else set(), measures)

    @staticmethod
    def _meter(account: Account, call: Made, ask: Ask, spends: list[tuple[str, Fraction]]) -> None:
        for meter, number in ask.units:
            if number:
                billed = call.apart is not None and meter not in call.apart
                account.meter(call, meter, Fraction(number), billed=billed)
        for meter, money in spends:
            account.meter(call, meter, money * 1_000_000, billed=True)

    def commit(self, tenant: str, key: str, now: int, quantity: int, units: Any) -> tuple[Fraction, Fraction]:
        """End a reservation with what was used; return what it costs, and how much of that credits were short of."""
        self.settle(tenant, now)
        account = self.account(tenant)
        call = account.calls[key]
        ask = self.ask(call.measures, quantity, units)
        credits, money, spends = call.price(ask)  # noqa: A001  named for what they are
        for count in call.counts:
            count.number = ask.of(count.what)
        keep, parts = credits, []
        for lot, part in call.parts:
            used = min(part, keep)
            keep -= used
            if used:
                parts.append((lot, used))
            if part - used:
                account.give_back(lot, part - used)
        extra = min(keep, account.credits)
        call.parts = parts + (account.spend(extra) if extra else [])
        self._meter(account, call, ask, spends)
        call.state, call.ask = "made", ask
        account.forget()
        return credits or money, keep - extra

    def release(self, tenant: str, key: str, now: int) -> bool:
        """Give back what a reservation holds."""
        self.settle(tenant, now)
        call = self.account(tenant).calls[key]
        if call.state != "held":
            return False
        self._undo(self.account(tenant), call)
        call.state = "released"
        self.account(tenant).forget()
        return True

    def grant(self, tenant: str, key: str, amount: Fraction, now: int, expires: int | None, priority: int) -> None:
        """Bring in credits."""
        self.settle(tenant, now)
        self._bring(self.account(tenant), Lot(key, amount, priority, expires, now))

    def buy(self, tenant: str, key: str, pack: str, now: int) -> None:
        """Bring in a pack with its bonus."""
        self.settle(tenant, now)
        terms, expires = self.section("credit_packs")[pack], None
        if "expires_after" in terms:
            number, unit = terms["expires_after"].split()
            if unit.startswith("day"):
                expires = now + int(number) * DAY
            else:
                expires = anchored(now, now, unit.removesuffix("s"), int(number))[1]
        for name, part in ((key, terms["credits"]), (f"~bonus:{key}", terms.get("bonus", "0"))):
            if Fraction(part):
                self._bring(self.account(tenant), Lot(name, Fraction(part), 50, expires, now))

    def void(self, tenant: str, lot: str, now: int) -> Fraction:
        """Take away a grant and its bonus."""
        self.settle(tenant, now)
        account, left = self.account(tenant), Fraction(0)
        for name in (lot, f"~bonus:{lot}"):
            if name in account.granted:
                account.gone[name] = "voided"
                left += account.lots.pop(name).left if name in account.lots else 0
        return left

    def refund(
        self, tenant: str, key: str, now: int, amount: Fraction | None, until: int | None, name: str
    ) -> tuple[Fraction, Fraction, Fraction]:
        """Reverse a call's payment; return what went to its lots, to a new one, and what is lost."""
        self.settle(tenant, now)
        account = self.account(tenant)
        call = account.calls[key]
        whole = sum((part for _, part in call.parts), Fraction(0))
        left = whole - call.refunded if amount is None else min(amount, whole - call.refunded)
        back, skip, restored, expired, voided = left, call.refunded, Fraction(0), Fraction(0), Fraction(0)
        for lot, part in reversed(call.parts):
            passed = min(skip, part)
            skip -= passed
            given = min(part - passed, back)
            back -= given
            until_ = account.granted[lot].expires
            if account.gone.get(lot) == "voided":
                voided += given
            elif lot in account.gone or (until_ is not None and until_ <= now):
                expired += given
            elif given:
                account.give_back(lot, given)
                restored += given
        renewed = expired if until is not None and until > now else Fraction(0)
        if renewed:
            self._bring(account, Lot(name, renewed, 0, until, now))
        call.refunded += left
        if not call.uncounted and call.refunded == whole and (whole or amount is None):
            call.uncounted = True
            for count in call.counts:
                count.number = 0
            for meter, number, billed in call.metered:
                if billed:
                    account.exported[meter] -= number
        return restored, renewed, expired + voided - renewed

    def subscribe(self, tenant: str, plan: str | None, status: str, anchor: int | None, now: int) -> None:
        """Keep what is said of a subscription."""
        self.settle(tenant, now)
        account = self.account(tenant)
        before = account.subscription
        since = before[3] if before is not None and before[1] == status else now
        account.subscription = (plan, status, anchor, since)
        account.reminder = None
        self.settle(tenant, now)

    def sweep(self, now: int) -> None:
        """Let happen what is due for tenants nobody asks about."""
        for tenant in list(self.accounts):
            due = self.due(tenant)
            if due is not None and due <= now:
                self.settle(tenant, now)
