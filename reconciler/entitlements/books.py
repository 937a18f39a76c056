"""What happens to a book: due events, consuming, reserving, committing, subscribing, handing over to the export.

Each act weighs first and changes the book only when everything is decided, then enters it.
"""

from collections.abc import Sequence
from typing import Any

from reconciler.entitlements.beyond import bounds_of, left_of
from reconciler.entitlements.decision import Decision
from reconciler.entitlements.kinds import per_call, usage
from reconciler.entitlements.kinds.bounds import Ask
from reconciler.entitlements.measure import measures_of
from reconciler.entitlements.periods import Anchored, anchor_of
from reconciler.entitlements.policy import Grant
from reconciler.entitlements.standing import Subscription, subscription_of
from reconciler.entitlements.terms import OF_A_TOOL, Call, Terms
from reconciler.entitlements.weigh import Verdict, decision_of, forced, recharge_of, weigh
from reconciler.ledger.book import PRIORITY, Book, Hold, Lot

#: Keys of events that happen by themselves begin with this; no caller's key may.
OWN = "~"
#: Ids of holds that back calls lent to a process begin with this.
LEASE = f"{OWN}lease:"
#: What may become of a lot that is no longer there to spend, and not used up.
FATES = ("expired", "voided")
#: From so many counters on a book forgets those it can.
MANY = 64
_MONTH = f"{OWN}month:"


def gone_key(fate: str, lot: str) -> str:
    """Return the key of the entry that says a lot is gone."""
    return f"{OWN}{fate}:{lot}"


def settle(book: Book, terms: Terms, now: int) -> None:
    """Enter everything that has become due by itself, in the order of time: the same events whoever comes first.

    Expired lots and holds, credits of a month; then what the files grant once.
    """
    if settled(book, terms, now):
        return
    while (due := book.due) is not None and due <= now:
        for hold in [hold for hold in book.holds.values() if hold.expires <= due]:
            _undo(book, hold)
            book.enter("lapse", due, {"hold": hold.id}, f"{OWN}lapse:{hold.id}")
        for lot in [lot for lot in book.order if lot.expires is not None and lot.expires <= due]:
            _expire(book, lot, due)
        if book.resets_at is not None and book.resets_at <= due:
            _month(book, terms, due)
    if _month_owed(book, terms, now):
        _month(book, terms, now)
    _grants_of_files(book, terms.grants, now)


def settled(book: Book, terms: Terms, now: int) -> bool:
    """Tell whether nothing has become due by itself."""
    due = book.due
    if (due is not None and due <= now) or (terms.monthly and _month_owed(book, terms, now)):
        return False
    return not terms.grants or not any(_owed(book, grant, now) for grant in terms.grants)


def _owed(book: Book, grant: Grant, now: int) -> bool:
    return (grant.expires is None or grant.expires > now) and grant.id not in book.facts.get("granted", ())


def _month_owed(book: Book, terms: Terms, now: int) -> bool:
    """Tell whether the plan brings credits of this month that were not given, or more than were given."""
    credits = terms.credit_terms  # noqa: A001  named for what they are
    if credits is None or not credits.included or not terms.entitled(now):
        return False
    return book.resets_at is None or bool(book.facts["month"][1] < credits.included)


def _expire(book: Book, lot: Lot, now: int) -> None:
    left = book.write_off(lot, "expired")
    book.enter("expire", now, {"lot": lot.id, "credits": left}, gone_key("expired", lot.id))


def _month(book: Book, terms: Terms, now: int) -> None:
    """Give what the month includes, less what it was given already; the key names the month and the amount.

    A month that begins before the last one that was given is that one still: neither a clock that goes back nor a
    billing cycle that is moved to and fro brings credits twice. Nor does one trial after another.
    """
    credits = terms.credit_terms  # noqa: A001  named for what they are
    if credits is None or not credits.included or not terms.entitled(now):
        book.remind(None)
        return
    start, end = terms.recurring().at(now)
    given, before = book.facts.get("month", (start, 0))
    book.remind(end)
    if start > given and not _tried(book, terms, start):
        given, before = start, 0
    if credits.included <= before:
        return
    if not before:
        for lot in [lot for lot in book.order if lot.id.startswith(_MONTH) and lot.expires is not None]:
            _expire(book, lot, now)
    key, amount = f"{_MONTH}{given}:{credits.included}", credits.included - before
    book.facts["month"] = [given, credits.included]
    if _in_trial(terms):
        book.facts["tried"] = given
    lot = Lot(key, amount, amount, PRIORITY, None if credits.rollover else end, now, "included")
    book.grant(lot)
    book.enter("reset", now, lot.dump(), key)


def _in_trial(terms: Terms) -> bool:
    return terms.subscription is not None and terms.subscription.status == "trialing"


def _tried(book: Book, terms: Terms, start: int) -> bool:
    """Tell whether a month that begins in a trial is, by its length, still the last one that a trial gave."""
    last = book.facts.get("tried")
    return last is not None and _in_trial(terms) and start < Anchored(last, "month", 1).at(last)[1]


def _grants_of_files(book: Book, grants: Sequence[Grant], now: int) -> None:
    for grant in grants:
        if _owed(book, grant, now):
            key = f"{OWN}file:{grant.id}"
            book.facts["granted"] = [*book.facts.get("granted", ()), grant.id]
            lot = Lot(key, grant.credits, grant.credits, PRIORITY, grant.expires, now, grant.reason)
            book.grant(lot)
            book.enter("grant", now, lot.dump(), key)


def consume(
    book: Book, terms: Terms, call: Call, now: int, ask: Ask, key: str | None, digest: str
) -> tuple[Decision, Verdict]:
    """Decide a call and book it, all of it or nothing."""
    verdict = weigh(call, book, now, ask)
    decision = decision_of(verdict, call, terms, book)
    if verdict.refusal is None:
        price = 0 if verdict.payment is None else verdict.payment.credits
        counts, parts = _change(book, verdict, ask, price, terms.window(now))
        book.enter("consume", now, [decision.stored(), counts, parts], key, digest)
    return decision, verdict


def force(book: Book, terms: Terms, call: Call, now: int, ask: Ask, key: str, digest: str) -> list[Any]:
    """Book a call that was made although it would be refused now: counted, and paid as far as credits are there.

    Return the entry's answer, as :func:`commit` does.
    """
    verdict = forced(call, book, now, ask)
    decision = decision_of(verdict, call, terms, book)
    price = 0 if verdict.payment is None else verdict.payment.credits
    there = min(price, book.credits)
    counts, parts = _change(book, verdict, ask, there, terms.window(now))
    aside = [[name, start, 0, what] for name, start, _, what in verdict.counts]
    left = left_of(book, decision.stored(), bounds_of(call, verdict, now), aside, ask, price - there)
    stored = decision._replace(remaining=left[0], limit=left[1], bound=left[2], resets_at=left[3]).stored()
    answer = [stored, counts, parts, price - there, left.lack]
    book.enter("owed", now, answer, key, digest)
    return answer


def _change(
    book: Book, verdict: Verdict, ask: Ask, paid: int, window: int
) -> tuple[list[tuple[str, int, int]], list[list[Any]]]:
    """Change a book by a call that was decided, so many credits of it paid; return its counters and parts of lots."""
    payment = verdict.payment
    count_in(book, verdict)
    parts = book.spend(paid) if paid else []
    if payment is None:
        meter_units(book, ask.units, (), frozenset(), window)
    else:
        meter_units(book, ask.units, payment.spends, payment.apart, window)
    return [count[:3] for count in verdict.counts], parts


def reserve(
    book: Book, terms: Terms, call: Call, now: int, ask: Ask, key: str, digest: str, expires: int
) -> tuple[Decision, Verdict]:
    """Decide a call and set aside what it may cost at most, at the price of this moment, until it is committed."""
    verdict = weigh(call, book, now, ask)
    decision = decision_of(verdict, call, terms, book)
    if verdict.refusal is None:
        payment = verdict.payment
        kept = {**kept_terms(verdict, ask, decision, book, now), "measures": measures_of(call)}
        kept["bounds"] = bounds_of(call, verdict, now)
        count_in(book, verdict)
        book.hold(key, payment.credits if payment is not None else 0, expires, kept)
        book.enter("reserve", now, [decision.stored(), kept], key, digest)
    return decision, verdict


def kept_terms(verdict: Verdict, ask: Ask, decision: Decision, book: Book, now: int) -> dict[str, Any]:
    """Return what a hold keeps, as JSON values: what was asked, answered and counted, and at what price."""
    payment = verdict.payment
    apart = frozenset[str]() if payment is None else payment.apart
    return {
        "ask": ask,
        "size": ask.times,
        "decision": decision.stored(),
        "counts": verdict.counts,
        "price": None if payment is None else payment.payer.snapshot(book, now),
        "apart": sorted(apart) if apart is not None else None,
    }


def commit(book: Book, terms: Terms, hold: Hold, now: int, ask: Ask, digest: str, *, late: bool) -> list[Any]:
    """End a hold with what was really used, and return the entry's answer: decision, counters, parts, short, lack.

    Less than was reserved goes back to its lots. More is charged as far as credits are there; the rest is written
    down as short. After a hold has lapsed (``late``) the same is charged anew, as far as possible. The lack is what
    would have refused it, and by how much.
    """
    kept = hold.terms
    credits, money, spends = price_of(kept["price"], ask)  # noqa: A001  named for what they are
    counts = recount(book, kept["counts"], ask, held=not late)
    parts = [] if late else book.drop(hold, min(credits, hold.amount))
    extra = min(credits - sum(part for _, part in parts), book.credits)
    parts += book.spend(extra) if extra else []
    short = credits - sum(part for _, part in parts)
    apart = None if kept["apart"] is None else frozenset(kept["apart"])
    meter_units(book, ask.units, spends, apart, terms.window(now))
    recharge = recharge_of(terms, book.credits) if credits else None
    aside = [[name, start, 0 if late else number, what] for name, start, number, what in kept["counts"]]
    *left, lack = left_of(book, kept["decision"], kept.get("bounds", ()), aside, ask, short)
    tool, paid_by, _, unit, *_, source, revision, _ = kept["decision"]
    stored = [tool, paid_by, credits or money, unit, *left, source, revision, recharge]
    answer = [stored, counts, parts, short, lack]
    book.enter("commit", now, answer, f"{OWN}commit:{hold.id}", digest)
    return answer


def release(book: Book, hold: Hold, now: int) -> None:
    """Give back everything a hold has set aside; attempts stay counted in rates."""
    _undo(book, hold)
    book.enter("release", now, {"hold": hold.id}, f"{OWN}release:{hold.id}")


def _undo(book: Book, hold: Hold) -> None:
    recount(book, hold.terms["counts"], Ask(0, 0, ()), held=True)
    book.drop(hold, 0)


def price_of(snapshot: Sequence[Any] | None, ask: Ask) -> tuple[int, int | None, list[tuple[str, int]]]:
    """Return credits, money and charges of a call at the price it was reserved at."""
    if snapshot is None:
        return 0, 0, []
    if snapshot[0] == "credits":
        return snapshot[1] * ask.blocks * ask.times, 0, []
    if snapshot[0] == "per_call":
        _, steps, least, before, meter = snapshot
        price = per_call.charge(steps, least, before, ask.times, ask.blocks)
        return 0, price, [(meter, price)] if price else []
    prices = [(terms[5], *usage.charge(terms, before, ask.of(terms[0]))) for before, terms in snapshot[1]]
    money = [price for _, _, price in prices]
    spends = [(meter, price) for meter, _, price in prices if meter and price]
    return sum(some for _, some, _ in prices), None if None in money else sum(filter(None, money)), spends


def recount(book: Book, counts: Sequence[Sequence[Any]], ask: Ask, *, held: bool) -> list[list[Any]]:
    """Let counters that are still in the same period hold what was really used; ``held``: they hold the reservation."""
    found = []
    for id, start, number, what in counts:  # noqa: A001  the word for it everywhere
        actual = ask.counted(what)
        counter = book.counters.get(id)
        if counter is not None and counter[0] == start:
            counter[1] += actual - number if held else actual
        found.append([id, start, actual])
    return found


def count_in(book: Book, verdict: Verdict) -> None:
    """Let cells and counters hold what a verdict counts."""
    for cell, arrival in verdict.cells:
        book.cells[cell] = arrival
    for count in verdict.counts:
        counter = book.counters.get(count.id)
        if counter is not None and counter[0] == count.start:
            counter[1] += count.number
            continue
        if len(book.counters) >= MANY and count.id.startswith(OF_A_TOOL):
            _forget_tools(book, count.start)
        book.counters[count.id] = [count.start, count.number]


def _forget_tools(book: Book, month: int) -> None:
    """Drop the counters of tools priced by their number that were not called in this month: there may be any number."""
    old = [name for name, counter in book.counters.items() if name.startswith(OF_A_TOOL) and counter[0] < month]
    for name in old:
        del book.counters[name]


def meter_units(
    book: Book,
    units: Sequence[tuple[str, int]],
    spends: Sequence[tuple[str, int]],
    apart: frozenset[str] | None,
    window: int,
) -> None:
    """Count a call's units, as settled where they are paid for otherwise, and what it charges through spend meters."""
    for meter, number in units:
        if number:
            book.use(meter, window, number, billed=apart is not None and meter not in apart)
    for meter, money in spends:
        book.use(meter, window, money)


def subscribe(book: Book, subscription: Subscription, now: int, key: str | None, digest: str) -> Subscription:
    """Keep a subscription's state; credits of its month are worked out anew.

    A status that stays keeps the time it began at, unless another is said. A period without an anchor gets the one that
    fits, which is the one that was known where it does.
    """
    before = subscription_of(book.facts)
    start, end = subscription.start, subscription.end
    if subscription.anchor is None and start is not None and end is not None:
        subscription = subscription._replace(anchor=anchor_of(start, end, before.anchor if before else None))
    if not subscription.since:
        stays = before is not None and before.status == subscription.status
        subscription = subscription._replace(since=before.since if before is not None and stays else now)
    book.facts["subscription"] = list(subscription)
    call_back(book, now)
    book.remind(None)
    book.enter("subscription", now, list(subscription), key, digest)
    return subscription


def lent(book: Book) -> bool:
    """Tell whether processes hold lent calls."""
    return any(hold.startswith(LEASE) for hold in book.holds)


def call_back(book: Book, now: int) -> None:
    """Ask processes that hold lent calls to give them back: what they may do has changed, or is wanted elsewhere."""
    if lent(book):
        book.facts["recall"] = now


def seal(book: Book, before: int, now: int) -> int:
    """Hand units of windows begun before an instant, in seconds, to the export; return how many windows."""
    ready = [(meter, window) for meter, windows in book.used.items() for window in windows if window < before]
    for meter, window in ready:
        book.export(meter, window)
    if ready:
        book.enter("export", now, ready)
    return len(ready)
