"""One write: look, send with a key of its own, and believe only what an answer or a read-back proves.

The key is a hash of the plan, the write and the attempt. The attempt starts at 0 in every run and advances only when
Stripe answered from memory and a read shows that nothing is there, so a retry never writes twice and a stored failure
never blocks for a day.
"""

import hashlib
import threading
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus

from reconciler.diagnostics import ProviderError
from reconciler.planning.change import Op, Step, as_made, fallback_key, states_before
from reconciler.planning.live import Live, read_object
from reconciler.planning.plan import Plan
from reconciler.planning.verify import Ids, matches
from reconciler.provider.gateway import Answer, Gateway, RequestFailedError
from reconciler.provider.reads import Reader
from reconciler.provider.retry import Failure
from reconciler.resources import Kind
from reconciler.resources.model import Values

ATTEMPTS = 3
NOT_TRIED = Failure(None, None, "nothing was sent")


class Status(StrEnum):
    """How a write ended."""

    APPLIED = "applied"
    ALREADY = "already"
    FAILED = "failed"
    STALE = "stale"
    UNCERTAIN = "uncertain"
    DIFFERS = "differs"


@dataclass(frozen=True, slots=True)
class Result:
    """A write with how it ended, in words where it did not simply succeed."""

    step: Step
    status: Status
    message: str = ""
    request_id: str | None = None
    code: str | None = None


class Writer:
    """Carries out the writes of one plan; safe for many threads."""

    def __init__(self, gateway: Gateway, reader: Reader, plan: Plan, ids: dict[str, str]) -> None:
        self._gateway = gateway
        self._reader = reader
        self._plan = plan
        self._ids = ids
        self._lock = threading.Lock()

    def write(self, step: Step) -> Result:
        """Carry out one write; every failure is a result, never an exception."""
        try:
            return self._create(step) if step.op is Op.CREATE else self._change(step)
        except RequestFailedError as error:
            return _failed(step, error.failure)
        except ProviderError as error:
            return Result(
                step, Status.UNCERTAIN, f"whether it happened could not be read: {error.message}", code=error.code
            )

    def _known(self) -> Ids:
        with self._lock:
            return Ids(dict(self._ids))

    def _create(self, step: Step) -> Result:
        params = self._params(step)
        path = self._collection(step)
        taken = self._taken_by(step)
        if taken is not None:
            return Result(step, Status.STALE, f"its key is held by {taken} since the plan was checked")
        last = NOT_TRIED
        for attempt in range(ATTEMPTS):
            try:
                answer = self._gateway.post(path, params, self._key(step, attempt))
            except RequestFailedError as error:
                failure = error.failure
                found = self._find(step) if failure.ambiguous or failure.replayed else None
                if found is not None:
                    return self._made(step, found, None, self._known())
                if self._key_is_burnt(failure, step, params):
                    params = {**params, step.change.kind.key or "": fallback_key(step.change)}
                    continue
                if not failure.replayed and not failure.server_error:
                    return _failed(step, failure)
                last = failure
                continue
            if answer.replayed is False:
                return self._made(step, self._read(step, answer), answer, self._known())
            found = self._reader_one(step.change.kind, str(answer.body["id"]), step)
            if found is not None and self._is_ours(step, found, answer):
                return self._made(step, found, answer, self._known())
            last = Failure(
                200, None, "the answer is a stored one, and the object it names is not there now", answer.request_id
            )
        return _failed(step, last)

    def _is_ours(self, step: Step, found: Live, answer: Answer) -> bool:
        """Tell an answer about the object as it is from a stored one about an object that has changed since."""
        ids = self._known()
        return _reached(step, found, ids) or not _reached(step, self._read(step, answer), ids)

    def _made(self, step: Step, live: Live, answer: Answer | None, ids: Ids) -> Result:
        with self._lock:
            self._ids[step.change.address] = live.id
        return _confirmed(step, live, answer, ids)

    def _change(self, step: Step) -> Result:
        change, kind = step.change, step.change.kind
        object_id = self._ids[change.address] if step.on_new else change.id
        assert object_id is not None  # noqa: S101  the preflight has found every object that is changed
        ids = self._known()
        if kind.parent is None:
            try:
                current = self._reader.one(kind, object_id)
            except ProviderError as error:
                return Result(step, Status.FAILED, f"{object_id} could not be read: {error.message}", code=error.code)
            if current is not None and _reached(step, current, ids):
                return Result(step, Status.ALREADY)
            if current is None and step.sets is None:
                return Result(step, Status.ALREADY)
            if current is None or not _expected(step, current, ids):
                return Result(step, Status.STALE, f"{object_id} was changed since the plan was checked")
        path = f"{self._collection(step)}/{object_id}"
        if step.op is Op.DELETE:
            return self._delete(step, path)
        if step.op in (Op.DEACTIVATE, Op.REACTIVATE):
            path = f"{path}/{step.op}"
        return self._update(step, path, object_id)

    def _update(self, step: Step, path: str, object_id: str) -> Result:
        params = {} if step.op is not Op.UPDATE else self._params(step)
        ids = self._known()
        last = NOT_TRIED
        for attempt in range(ATTEMPTS):
            try:
                answer = self._gateway.post(path, params, self._key(step, attempt))
            except RequestFailedError as error:
                failure = error.failure
                if not (failure.ambiguous or failure.replayed):
                    return _failed(step, failure)
                last = failure
            else:
                if answer.replayed is False:
                    return _confirmed(step, self._read(step, answer), answer, ids)
                last = Failure(
                    200, None, "the answer is a stored one, and the object is not as it says", answer.request_id
                )
            current = self._reader.one(step.change.kind, object_id)
            if current is not None and _reached(step, current, ids):
                return Result(step, Status.APPLIED, request_id=last.request_id)
            if last.status is None:
                break
        return _failed(step, last)

    def _delete(self, step: Step, path: str) -> Result:
        try:
            answer = self._gateway.delete(path)
        except RequestFailedError as error:
            if error.failure.status == HTTPStatus.NOT_FOUND:
                return Result(step, Status.ALREADY)
            raise
        return Result(step, Status.APPLIED, request_id=answer.request_id)

    def _params(self, step: Step) -> Values:
        ids = self._known()
        params = {name: ids.resolve(value) for name, value in step.params.items()}
        return {**params, "expand": self._reader.expand(step.change.kind)} if step.change.kind.expand else params

    def _collection(self, step: Step) -> str:
        kind, change = step.change.kind, step.change
        state = change.after or change.before
        if kind.parent is None or state is None:
            return kind.path
        return kind.path.format(parent=self._known().resolve(state.values[kind.parent]))

    def _key(self, step: Step, attempt: int) -> str:
        text = f"{self._plan.id}\n{step.label}\n{step.change.id or ''}\n{attempt}"
        return "reconciler-" + hashlib.sha256(text.encode()).hexdigest()

    def _read(self, step: Step, answer: Answer) -> Live:
        kind = step.change.kind
        return read_object(kind, answer.body, parent=self._parent(step))

    def _parent(self, step: Step) -> str | None:
        kind, after = step.change.kind, step.change.after
        return str(self._known().resolve(after.values[kind.parent])) if kind.parent and after else None

    def _find(self, step: Step) -> Live | None:
        """Find what a creation may have made: by its key or mark, with the values it makes."""
        kind, change = step.change.kind, step.change
        ids = self._known()
        parent = self._parent(step)
        key = step.params.get(kind.key) if kind.key else None
        found = self._reader.attached(parent) if parent else self._reader.by_key(kind, key)
        return next((live for live in found if live.id != change.id and _reached(step, live, ids)), None)

    def _taken_by(self, step: Step) -> str | None:
        """Name whoever holds the key that a successor is about to take over, unless it is the one it succeeds."""
        kind, change = step.change.kind, step.change
        if not kind.transfers or change.id is None:
            return None
        ids = self._known()
        holders = self._reader.by_key(kind, step.params[kind.key or ""])
        return next((item.id for item in holders if item.id != change.id and not _reached(step, item, ids)), None)

    def _key_is_burnt(self, failure: Failure, step: Step, params: Values) -> bool:
        """Tell whether a creation was refused for a key that no living object holds."""
        kind = step.change.kind
        if kind.key is None or params[kind.key] == fallback_key(step.change):
            return False
        if not str(params[kind.key]).startswith(self._plan.target.namespace):
            return False
        taken = failure.code == "resource_already_exists" or failure.param == kind.key
        return taken and kind.fallback_limit is not None and not self._reader.by_key(kind, params[kind.key])

    def _reader_one(self, kind: Kind, object_id: str, step: Step) -> Live | None:
        parent = self._parent(step)
        if parent is not None:
            return next((live for live in self._reader.attached(parent) if live.id == object_id), None)
        return self._reader.one(kind, object_id)


def _expected(step: Step, current: Live, ids: Ids) -> bool:
    """Tell whether an object is as the plan found it, or as the plan's own earlier writes have left it."""
    if not step.on_new and current.fingerprint == step.change.fingerprint:
        return True
    states = (as_made(state, step.change, current) for state in states_before(step))
    return any(state is not None and matches(current, state, ids) for state in states)


def _confirmed(step: Step, live: Live, answer: Answer | None, ids: Ids) -> Result:
    request_id = answer.request_id if answer else None
    if _reached(step, live, ids):
        return Result(step, Status.APPLIED, request_id=request_id)
    return Result(step, Status.DIFFERS, f"Stripe holds something else than was asked for in {live.id}", request_id)


def _reached(step: Step, live: Live, ids: Ids) -> bool:
    """Tell whether an object is in the state that a write leaves it in."""
    wanted = as_made(step.sets, step.change, live)
    return wanted is not None and matches(live, wanted, ids)


def _failed(step: Step, failure: Failure) -> Result:
    status = Status.UNCERTAIN if failure.ambiguous else Status.FAILED
    return Result(step, status, failure.message, failure.request_id, failure.code)
