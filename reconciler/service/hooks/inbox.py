"""The inbox: an event is in the ledger's database before Stripe hears that it came, and stays until it has had effect.

Whoever works on it holds it for a while; who was too slow finds that somebody else has it, and nothing of theirs is
kept. What fails is tried again with pauses, and after so many tries waits for a person as ``dead``: never lost.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from reconciler.diagnostics import UsageError
from reconciler.diagnostics.visible import quoted
from reconciler.entitlements.periods import SECOND
from reconciler.ledger.annex import AnnexStore, LostClaimError, Statement
from reconciler.provider.webhooks.signature import Notice, Verifier, is_id
from reconciler.provider.webhooks.types import matters
from reconciler.service.hooks import tables

STATES = ("pending", "done", "ignored", "dead")
#: A body that is larger is none of Stripe's, in bytes.
MOST_BYTES = 1 << 20
#: How long who claimed events may take, in microseconds.
HOLD = 180 * SECOND
#: After so many tries that Stripe or the books have refused an event waits for a person.
TRIES = 12
#: Pauses between tries grow from the first to the longest, in microseconds.
FIRST_PAUSE, LONGEST_PAUSE = 5 * SECOND, 3600 * SECOND
#: How long events that are over are kept, in microseconds; Stripe lists them for 30 days.
KEPT = 40 * 86_400 * SECOND
_PAGE = 100


class Receipt(NamedTuple):
    """What became of a webhook on arrival: its state, and whether it had come before."""

    id: str
    type: str
    state: str
    duplicate: bool


class Hook(NamedTuple):
    """An event in the inbox. ``created`` in seconds, ``received`` and ``due`` in microseconds.

    ``state`` is ``pending``, ``done``, ``ignored`` or ``dead``; ``error`` is why it failed last, ``note`` what somebody
    should know of it, ``tenant`` whom it was found to be about.
    """

    id: str
    type: str
    kind: str | None
    object: str | None
    customer: str | None
    payment: str | None
    subject: str
    created: int
    received: int
    state: str
    claims: int
    attempts: int
    due: int
    error: str | None
    note: str | None
    tenant: str | None

    @property
    def notice(self) -> Notice:
        """What the event is about."""
        about = (self.object, self.kind, self.customer, self.payment)
        return Notice(self.id, self.type, self.created, False, None, None, *about)


class Depth(NamedTuple):
    """How many events are in a state, and when the oldest of them came, in microseconds."""

    state: str
    events: int
    oldest: int


class Inbox:
    """Keeps events in the ledger's database; any number of processes may work on one."""

    def __init__(
        self, store: AnnexStore, verifier: Verifier | None = None, wake: Callable[[], None] = lambda: None
    ) -> None:
        self._store = store
        self._verifier = verifier
        self._wake = wake
        store.annex(tables.NAME, tables.STEPS)

    def receive(self, raw: bytes, signature: str | None) -> Receipt:
        """Keep a webhook and return what became of it; it may be acknowledged once this returns.

        SignatureError where it is not proven, NotAnEventError for what is none; StoreUnavailableError where it could
        not be kept, so that it must come again.
        """
        if self._verifier is None:
            raise UsageError("E1701", "there is no secret to verify webhooks with")
        notice = self._verifier.notice(raw, signature)
        state = "pending" if matters(notice) else "ignored"
        new = bool(self.add([notice]))
        if new and state == "pending":
            self._wake()
        return Receipt(notice.id, notice.type, state, not new)

    def add(self, notices: Iterable[Notice], *, anew: bool = False) -> list[str]:
        """Keep events in one transaction and return the ids of those that were not there, or are to be done ``anew``.

        Those of types that mean nothing here are kept as ignored.
        """
        now, statements = self._store.now(), []
        for notice in notices:
            about = (notice.kind, notice.object, notice.customer, notice.payment, notice.subject)
            state, note = ("pending", None) if matters(notice) else ("ignored", _why_not(notice))
            values = (notice.id, notice.type, *about, notice.created, now, state, note)
            statements.append(Statement(tables.RENEW if anew else tables.ADD, values))
        written = self._store.alongside(statements)
        return [row[0] for rows in written.rows for row in rows]

    def claim(self) -> list[Hook]:
        """Take what is due of one subject, for so long as :data:`HOLD` says; nothing where nothing is due."""
        now = self._store.now()
        written = self._store.alongside([Statement(tables.CLAIM, (now + HOLD, now, now, now, now, now))])
        return sorted(Hook(*row) for row in written.rows[0])

    def later(self, hooks: Sequence[Hook], error: str | None, *, counts: bool) -> bool:
        """Give back what could not be done: to be tried again, or dead after so many tries that count.

        False where somebody else has it by now.
        """
        now, statements = self._store.now(), []
        for hook in hooks:
            if counts and hook.attempts >= TRIES:
                statements.append(ended(hook, "dead", error=error))
                continue
            pause = min(FIRST_PAUSE << min(hook.attempts - 1, 16), LONGEST_PAUSE) if error else SECOND
            values = (now + pause, error, 0 if counts else 1, hook.id, hook.claims)
            statements.append(Statement(tables.LATER, values, must=True))
        try:
            self._store.alongside(statements)
        except LostClaimError:
            return False
        return True

    def show(self, hook_id: str) -> Hook:
        """Return an event; UsageError where there is none."""
        rows = self._store.ask(f"{tables.SHOW} WHERE id = ?", (hook_id,)) if is_id(hook_id) else []
        if not rows:
            raise no_such_event(hook_id)
        return Hook(*rows[0])

    def listed(self, state: str | None = None, before: int | None = None, limit: int = _PAGE) -> list[Hook]:
        """Return events, the newest first, of a state or all, received before an instant where one is given."""
        wanted = [("state = ?", state), ("received < ?", before)]
        given = [(clause, value) for clause, value in wanted if value is not None]
        where = f" WHERE {' AND '.join(clause for clause, _ in given)}" if given else ""
        sql = f"{tables.SHOW}{where} ORDER BY received DESC, id DESC LIMIT ?"
        return [Hook(*row) for row in self._store.ask(sql, (*(value for _, value in given), limit))]

    def depths(self) -> list[Depth]:
        """Return how many events are in each state that any is in."""
        return [Depth(*row) for row in self._store.ask(tables.DEPTH)]

    def noted(self) -> int:
        """Return how many events are done with something that somebody should know."""
        return int(self._store.ask(tables.NOTED)[0][0])

    def replay(self, hook_id: str, tenant: str | None = None) -> Hook:
        """Let an event be worked off once more and return it; ``tenant`` says whose it is where nothing else does."""
        again = [Statement(tables.REPLAY, (tenant, hook_id))]
        if not is_id(hook_id) or not self._store.alongside(again).rows[0]:
            raise no_such_event(hook_id)
        self._wake()
        return self.show(hook_id)

    def clear(self, age: int = KEPT) -> int:
        """Forget events that are over and came so many microseconds ago; those that wait or are dead stay.

        Stripe's list is shorter than what is kept, so that nothing of it is taken for new.
        """
        return len(self._store.alongside([Statement(tables.CLEAR, (self._store.now() - age,))]).rows[0])


def ended(
    hook: Hook, state: str, *, error: str | None = None, note: str | None = None, tenant: str | None = None
) -> Statement:
    """Return what ends the work on a claimed event; it keeps nothing where somebody else has claimed it since."""
    return Statement(tables.ENDED, (state, error, note, tenant, hook.id, hook.claims), must=True)


def _why_not(notice: Notice) -> str:
    return "an event of a connected account" if notice.account else "a type that means nothing here"


def no_such_event(hook_id: str) -> UsageError:
    """Return the error for an event that never came."""
    return UsageError(
        "E1706", f"no event {quoted(hook_id)} is in the inbox", remedy="List them: reconciler webhooks list."
    )
