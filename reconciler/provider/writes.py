"""One write: look, send with a key of its own, and believe only what an answer or a read-back proves.

The key is a hash of the plan, the write and the attempt. The attempt starts at 0 in every run and advances only when
Stripe answered from memory and a read shows that nothing is there, so a retry never writes twice and a stored failure
never blocks for a day.
"""

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Protocol

from reconciler.diagnostics import ProviderError, ReconcilerError
from reconciler.planning.change import TRANSFER, Op, Step, as_made, second_key, states_before
from reconciler.planning.live import Live
from reconciler.planning.migration import is_subscriber
from reconciler.planning.plan import Plan
from reconciler.planning.verify import Ids, matches
from reconciler.provider.gateway import Answer, Gateway, RequestFailedError
from reconciler.provider.reads import Reader
from reconciler.provider.retry import Failure
from reconciler.resources.items import SCHEDULES, named, phases, successors
from reconciler.resources.model import Values

ATTEMPTS = 3
#: Writes that reach a subscription through a schedule of it, whose answer is that schedule.
SCHEDULING = (Op.SCHEDULE, Op.PHASES, Op.RELEASE)
_STORED = "Stripe answers from memory, and what is there is not as it says; a new plan asks anew"


class Status(StrEnum):
    """How a write ended."""

    APPLIED = "applied"
    ALREADY = "already"
    FAILED = "failed"
    STALE = "stale"
    SKIPPED = "skipped"
    UNCERTAIN = "uncertain"
    DIFFERS = "differs"


class Keeper(Protocol):
    """Where secrets go that an answer shows once; safe for many threads. Raises ReconcilerError where it cannot."""

    def expect(self, address: str) -> None:
        """Make ready for the secret of an address: one that is held for it belongs to what was there before."""

    def keep(self, address: str, secret: str) -> None:
        """Keep the secret of an address for good before returning."""


@dataclass(frozen=True, slots=True)
class Result:
    """A write with how it ended, in words where it did not simply succeed; ``told`` is for people, as a link's URL.

    ``id`` is the object's id at Stripe, where the write has left one.
    """

    step: Step
    status: Status
    message: str = ""
    request_id: str | None = None
    code: str | None = None
    told: str | None = None
    id: str | None = None


class Writer:
    """Carries out the writes of one plan; safe for many threads."""

    def __init__(
        self, gateway: Gateway, reader: Reader, plan: Plan, ids: dict[str, str], keeper: Keeper | None = None
    ) -> None:
        self._gateway = gateway
        self._reader = reader
        self._plan = plan
        self._ids = ids
        self._keeper = keeper
        self._lock = threading.Lock()

    def write(self, step: Step) -> Result:
        """Carry out one write; every failure is a result, never an exception."""
        try:
            current = self._current(step)
            early = self._look(step, current)
            if early is None and self._keeper is not None and _hands_over(step):
                self._keeper.expect(step.change.address)
        except ReconcilerError as error:
            return Result(step, Status.FAILED, f"not sent, because {error.message}", code=error.code)
        if early is not None:
            return early
        try:
            return self._delete(step) if step.op is Op.DELETE else self._send(step, current)
        except ProviderError as error:
            return Result(
                step, Status.UNCERTAIN, f"whether it happened could not be read: {error.message}", code=error.code
            )

    def _current(self, step: Step) -> Live | None:
        """Read the object of a write just before it."""
        kind = step.change.kind
        if step.op is Op.CREATE or kind.parent is not None:
            return None
        return self._reader.one(kind, self._object(step))

    def _look(self, step: Step, current: Live | None) -> Result | None:
        """Compare what is there with what was planned; return how the write ended where there is nothing to send."""
        taken = self._taken_by(step)
        if taken is not None:
            return Result(step, Status.STALE, f"its key is held by {taken} since the plan was checked")
        kind = step.change.kind
        if step.op is Op.CREATE or kind.parent is not None:
            return None
        object_id, ids = self._object(step), self._known()
        if step.sets is None if current is None else _reached(step, current, ids):
            return Result(step, Status.ALREADY)
        if is_subscriber(step.change) and (current is None or current.over or not _expected(step, current, ids)):
            return Result(step, Status.SKIPPED, "it changed since the plan was checked")
        if current is None or not _expected(step, current, ids):
            return Result(step, Status.STALE, f"{object_id} was changed since the plan was checked")
        return None

    def _send(self, step: Step, current: Live | None) -> Result:
        """Send until an answer, or a look at the account, proves how the write ended."""
        path, params = self._path(step, current), self._params(step, current)
        outcome: Answer | Failure = Failure(None, None, "nothing was sent")
        for attempt in range(ATTEMPTS):
            outcome = self._post(step, path, params, self._idempotency_key(step, params, attempt))
            second = second_key(step.change, f"{self._plan.id} {attempt}")
            if second and isinstance(outcome, Failure) and self._key_is_used_up(outcome, step, params):
                params = {**params, step.change.kind.key or "": second}
                continue
            live = self._found(step, params, outcome)
            if live is not None:
                return self._ended(step, live, outcome.request_id)
            if isinstance(outcome, Failure) and not (outcome.replayed or outcome.server_error):
                break
        if isinstance(outcome, Failure):
            return _failed(step, outcome)
        return Result(step, Status.UNCERTAIN, _STORED, outcome.request_id)

    def _post(self, step: Step, path: str, params: Values, key: str) -> Answer | Failure:
        """Send once; a secret in the answer is handed over before anything else, and is nowhere after."""
        try:
            answer = self._gateway.post(path, params, key)
        except RequestFailedError as error:
            return error.failure
        secret = answer.body.pop(step.change.kind.hands_over or "", None)
        if secret is not None and self._keeper is not None:
            self._keeper.keep(step.change.address, str(secret))
        return answer

    def _found(self, step: Step, params: Values, outcome: Answer | Failure) -> Live | None:
        """Return the object a write has left; None where nothing proves that it was carried out.

        An answer that may be a stored one is believed only if the object it tells of is still as it says.
        """
        ids = self._known()
        if step.op in SCHEDULING:
            there = self._there(step, self._object(step))
            return there if there is not None and _reached(step, there, ids) else None
        if isinstance(outcome, Failure):
            unknown = outcome.ambiguous or outcome.replayed
            candidates = self._candidates(step, params) if unknown else ()
            found = [live for live in candidates if live is not None]
            made = (live for live in found if self._is_made(step, live) and not live.over)
            return next((live for live in found if _reached(step, live, ids)), next(made, None))
        told = self._reader.whole(step.change.kind, outcome.body, parent=self._parent(step))
        if outcome.replayed is False:
            return told
        there = self._there(step, told.id)
        if there is None:
            return None
        if _reached(step, told, ids) and not (_reached(step, there, ids) or self._is_made(step, there)):
            return None
        return there

    def _is_made(self, step: Step, live: Live) -> bool:
        """Tell whether a creation that charges somebody has happened, whatever became of it: it must not twice."""
        ours = live.mark is not None and live.mark.namespace == self._plan.target.namespace
        same = live.mark is not None and live.mark.address == step.change.address
        return step.op is Op.CREATE and step.change.kind.contract and ours and same

    def _candidates(self, step: Step, params: Values) -> Sequence[Live | None]:
        """Read what a write may have made or changed: by its key or mark, or by its id."""
        kind, parent = step.change.kind, self._parent(step)
        if step.op is not Op.CREATE:
            return [self._there(step, self._object(step))]
        if parent is not None:
            return self._reader.attached(parent)
        if kind.within is not None:
            return self._reader.beside(kind, params[kind.within])
        key = params.get(kind.key) if kind.key else None
        return [live for live in self._reader.by_key(kind, key) if live.id != step.change.id]

    def _there(self, step: Step, object_id: str) -> Live | None:
        parent = self._parent(step)
        if parent is None:
            return self._reader.one(step.change.kind, object_id)
        return next((live for live in self._reader.attached(parent) if live.id == object_id), None)

    def _ended(self, step: Step, live: Live, request_id: str | None) -> Result:
        if step.op is Op.CREATE:
            with self._lock:
                self._ids[step.change.address] = live.id
        if _reached(step, live, self._known()):
            told = live.told if step.op is Op.CREATE else None
            return Result(step, Status.APPLIED, request_id=request_id, told=told, id=live.id)
        return Result(step, Status.DIFFERS, f"Stripe holds something else than was asked for in {live.id}", request_id)

    def _delete(self, step: Step) -> Result:
        try:
            answer = self._gateway.delete(self._path(step))
        except RequestFailedError as error:
            if error.failure.status == HTTPStatus.NOT_FOUND:
                return Result(step, Status.ALREADY)
            return _failed(step, error.failure)
        return Result(step, Status.APPLIED, request_id=answer.request_id)

    def _known(self) -> Ids:
        with self._lock:
            return Ids(dict(self._ids))

    def _object(self, step: Step) -> str:
        """Return the id of the object a write changes."""
        if step.on_new or step.change.id is None:
            return self._known().known[step.change.address]
        return step.change.id

    def _params(self, step: Step, current: Live | None) -> Values:
        ids = self._known()
        params = {name: ids.resolve(value) for name, value in step.params.items()}
        facts = current.facts if current else {}
        if step.op is Op.SCHEDULE:
            return {"from_subscription": self._object(step)}
        if step.op is Op.PHASES:
            assert step.change.after is not None  # noqa: S101  what has a next period stays
            now = [ids.resolve(each) for each in step.change.after.values["items"]]
            return phases(facts, now, params["next"], self._heirs(step))
        if step.op is Op.RELEASE:
            return {}
        if "items" in params and facts:
            params["items"] = [named(each, facts["items"]) for each in params["items"]]
        return {**params, "expand": self._reader.expand(step.change.kind)} if step.change.kind.expand else params

    def _heirs(self, step: Step) -> dict[str, str]:
        """Return the ids of prices that take the place of others in a subscription, with theirs."""
        before, after, ids = step.change.before, step.change.after, self._known()
        if before is None or after is None:
            return {}
        pairs = successors(before.values["items"], [*after.values["items"], *after.values["next"]])
        return {str(ids.resolve(new)): str(ids.resolve(old)) for new, old in pairs}

    def _path(self, step: Step, current: Live | None = None) -> str:
        kind, change = step.change.kind, step.change
        if step.op in SCHEDULING:
            schedule = f"/{current.facts['schedule']}" if current and step.op is not Op.SCHEDULE else ""
            return f"{SCHEDULES}{schedule}{'/release' if step.op is Op.RELEASE else ''}"
        state = change.after or change.before
        path = kind.path
        if kind.parent is not None and state is not None:
            path = path.format(parent=self._known().resolve(state.values[kind.parent]))
        if step.op is Op.CREATE:
            return path
        path = f"{path}/{self._object(step)}"
        return f"{path}/{step.op}" if step.op in (Op.DEACTIVATE, Op.REACTIVATE) else path

    def _idempotency_key(self, step: Step, params: Values, attempt: int) -> str:
        """Return the key of a request; another natural key makes it another request."""
        natural = params.get(step.change.kind.key or "", "")
        text = f"{self._plan.id}\n{step.label}\n{step.change.id or ''}\n{natural}\n{attempt}"
        return "reconciler-" + hashlib.sha256(text.encode()).hexdigest()

    def _parent(self, step: Step) -> str | None:
        kind, after = step.change.kind, step.change.after
        return str(self._known().resolve(after.values[kind.parent])) if kind.parent and after else None

    def _taken_by(self, step: Step) -> str | None:
        """Name whoever holds the key that a write is about to take over, unless it may be taken from them."""
        kind, change = step.change.kind, step.change
        if TRANSFER not in step.params:
            return None
        ids, namespace = self._known(), self._plan.target.namespace
        others = (item for item in self._reader.by_key(kind, step.params[kind.key or ""]) if item.id != change.id)
        return next((item.id for item in others if not (item.is_relic(namespace) or _reached(step, item, ids))), None)

    def _key_is_used_up(self, failure: Failure, step: Step, params: Values) -> bool:
        """Tell whether a creation was refused for a key that no living object holds."""
        kind = step.change.kind
        taken = failure.code == "resource_already_exists" or failure.param == kind.key
        return step.op is Op.CREATE and taken and not self._reader.by_key(kind, params[kind.key or ""])


def _hands_over(step: Step) -> bool:
    return step.op is Op.CREATE and step.change.kind.hands_over is not None


def _expected(step: Step, current: Live, ids: Ids) -> bool:
    """Tell whether an object is as the plan found it, or as the plan's own earlier writes have left it."""
    if not step.on_new and current.fingerprint == step.change.fingerprint:
        return True
    states = (as_made(state, step.change, current) for state in states_before(step))
    return any(state is not None and matches(current, state, ids) for state in states)


def _reached(step: Step, live: Live, ids: Ids) -> bool:
    """Tell whether an object is in the state that a write leaves it in."""
    wanted = as_made(step.sets, step.change, live)
    return wanted is not None and matches(live, wanted, ids)


def _failed(step: Step, failure: Failure) -> Result:
    status = Status.UNCERTAIN if failure.ambiguous else Status.FAILED
    return Result(step, status, failure.message, failure.request_id, failure.code)
