"""Why a call is decided as it is: every question that is asked, in order, with what was there and who says so."""

from typing import Any, Literal, NamedTuple

from reconciler.entitlements.decision import Decision, Reason
from reconciler.entitlements.kinds.bounds import Ask, Bound, Payer, Payment, Refusal
from reconciler.entitlements.kinds.credits import Credits
from reconciler.entitlements.kinds.usage import Usage
from reconciler.entitlements.terms import Call, Terms
from reconciler.ledger.book import Book

#: Of a bound that holds, of what refuses, of a source that cannot pay, of the one that pays.
Outcome = Literal["passes", "refuses", "cannot pay", "pays"]


class Step(NamedTuple):
    """One question: ``access``, ``rate``, ``quota`` or ``payment``, and its ``outcome``.

    ``name`` is the tool, the target of a limit, or the source that would pay. ``asked`` is what the call takes of it
    and ``there`` what was left of ``limit`` before it: units or calls, for credits millionths; money is never short.
    ``source`` is ``file:line:column``, empty where nothing in the files says so.
    """

    kind: Literal["access", "rate", "quota", "payment"]
    name: str
    asked: int | None
    there: int | None
    limit: int | None
    outcome: Outcome
    reason: Reason
    resets_at: int | None
    source: str


class Explanation(NamedTuple):
    """A decision with the steps that led to it; what would come after a refusal is not asked."""

    decision: Decision
    steps: tuple[Step, ...]

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"decision": self.decision.as_json(), "steps": [step._asdict() for step in self.steps]}


def steps_of(call: Call, terms: Terms, book: Book, now: int, ask: Ask) -> tuple[Step, ...]:
    """Return the questions a call is asked, up to the one that decides; nothing is changed."""
    refused = terms.inactive(now) or call.refused
    outcome: Outcome = "passes" if refused is None else "refuses"
    found = [Step("access", call.name, None, None, None, outcome, refused or Reason.OK, call.until, call.source)]
    if refused is not None:
        return tuple(found)
    for rate in call.rates:
        weighed = rate.weigh(book, now, ask)
        bound = weighed if isinstance(weighed, Refusal) else weighed[1]
        found.append(_bound_step("rate", bound, ask.of(rate.meter)))
    for quota in call.quotas:
        room = quota.weigh(book, now, ask)
        found.append(_bound_step("quota", room if isinstance(room, Refusal) else room[1], ask.of(quota.meter)))
    for place, step in enumerate(found):
        if step.outcome == "refuses":
            return tuple(found[: place + 1])
    return (*found, *_payment_steps(call, book, now, ask))


def _bound_step(kind: Literal["rate", "quota"], bound: Bound | Refusal, asked: int) -> Step:
    if isinstance(bound, Refusal):
        reason, source, name, there, limit, resets_at, *_ = bound
        return Step(kind, name, asked, there, limit, "refuses", reason, resets_at, source)
    there = bound.remaining + asked
    return Step(kind, bound.name, asked, there, bound.limit, "passes", Reason.OK, bound.resets_at, bound.source)


def _payment_steps(call: Call, book: Book, now: int, ask: Ask) -> list[Step]:
    """Return the sources that are asked, up to the first that pays; the last that cannot pay refuses."""
    found: list[Step] = []
    for payer in call.payers:
        answer = payer.weigh(book, now, ask)
        found.append(_payer_step(payer, answer, book, now, ask, last=payer is call.payers[-1]))
        if isinstance(answer, Payment):
            break
    return found


def _payer_step(payer: Payer, answer: Payment | Refusal, book: Book, now: int, ask: Ask, *, last: bool) -> Step:
    made = payer.weigh(book, now, ask, forced=True)
    paid = made if isinstance(made, Payment) else None
    by, credits = ("", 0) if paid is None else (paid.by, paid.credits)  # noqa: A001  named for what they are
    if isinstance(answer, Refusal):
        short = isinstance(payer, Credits) or answer.reason is Reason.INSUFFICIENT_CREDITS
        asked = credits if short else (answer.remaining or 0) + answer.short
        outcome: Outcome = "refuses" if last else "cannot pay"
        there, limit = answer.remaining, answer.limit
        return Step("payment", by, asked, there, limit, outcome, answer.reason, answer.resets_at, answer.source)
    bound = answer.bound
    if answer.credits or bound is None or not isinstance(payer, Usage):
        there = book.credits if answer.credits else None
        asked_of = answer.credits or answer.cost
        return Step("payment", by, asked_of, there, None, "pays", Reason.OK, None, answer.source)
    asked_units = ask.of(bound.name)
    there = bound.remaining + asked_units
    return Step("payment", by, asked_units, there, bound.limit, "pays", Reason.OK, bound.resets_at, answer.source)
