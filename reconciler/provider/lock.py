"""One apply at once for an account and a namespace: who creates the next generation of the lock holds it.

``GET`` cannot be stale here in a way that hurts: the id of a generation can be created once, so two that saw the same
latest generation ask for the same id, and whoever was stalled in between is told by a second look.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from reconciler.diagnostics import LockedError, ProviderError
from reconciler.planning.lock import (
    Holder,
    Lock,
    held_metadata,
    highest,
    lock_id,
    read_lock,
    released_metadata,
)
from reconciler.provider.gateway import Answer, RequestFailedError
from reconciler.provider.lease import ATTEMPTS, Lease, running_seconds
from reconciler.provider.ports import Ports
from reconciler.provider.reads import PAGE, refused

#: Generations that are kept; older ones are deleted when a later one is released, a few at a time.
KEPT = 10
_DELETED_AT_ONCE = 5
_LOOKS = 3
_IDS = 64


@dataclass(frozen=True, slots=True)
class Seen:
    """The generations that one look has found, the latest among them, and the account's clock at that time."""

    locks: Sequence[Lock]
    now: float

    @property
    def latest(self) -> Lock | None:
        """The highest generation, None where there never was one."""
        return highest(self.locks)

    @property
    def holding(self) -> Lock | None:
        """The latest generation that is held."""
        return highest(lock for lock in self.locks if lock.is_held(self.now))


class Locks:
    """The lock of one namespace in one account."""

    def __init__(self, ports: Ports, namespace: str, *, elapsed: Callable[[], float] = running_seconds) -> None:
        self._ports = ports
        self._namespace = namespace
        self._elapsed = elapsed

    def look(self, besides: str | None = None) -> Seen:
        """Find the latest generations: newest products first, up to the first page that holds one ``besides`` this.

        Normally one request: every apply makes a generation, so the latest is younger than most that was archived.
        """
        found: list[Lock] = []
        after: dict[str, str] = {}
        while True:
            answer = self._get("/v1/products", {"active": "false", "limit": PAGE, **after})
            page = answer.body["data"]
            locks = (read_lock(raw) for raw in page)
            found += [lock for lock in locks if lock is not None and lock.namespace == self._namespace]
            if any(lock.id != besides for lock in found) or not answer.body["has_more"] or not page:
                return Seen(tuple(found), answer.at)
            after = {"starting_after": page[-1]["id"]}

    def take(self, holder: Holder, plan: str, seen: Seen, *, contracts: bool = False) -> Lease:
        """Take the lock for a plan (its id) after a look; LockedError naming the holder where somebody has it."""
        for _ in range(_LOOKS):
            lease = self._next(seen, holder, plan, contracts=contracts)
            try:
                seen = self.look(besides=lease.lock.id)
            except BaseException:
                lease.release()
                raise
            others = [lock for lock in seen.locks if lock.id != lease.lock.id]
            if not any(lock.generation > lease.lock.generation or lock.is_held(seen.now) for lock in others):
                return lease
            lease.release()
            seen = Seen(others, seen.now)
        raise _untaken("others take it all the time")

    def unlock(self, lock: Lock, by: str) -> None:
        """Release a lock that another run holds; it notices at its next renewal. ProviderError where it fails."""
        path, key = f"/v1/products/{lock.id}", f"reconciler-lock-{secrets.token_hex(16)}"
        try:
            self._ports.work.post(path, {"metadata": released_metadata(by)}, key)
        except RequestFailedError as error:
            raise ProviderError("E0827", f"the lock could not be freed: {error.failure.message}") from None

    def prune(self, lease: Lease, seen: Seen) -> None:
        """Delete generations that are long past; that this may fail hurts nobody."""
        past = [lock for lock in seen.locks if lock.generation <= lease.lock.generation - KEPT]
        for lock in sorted(past, key=lambda lock: lock.generation)[:_DELETED_AT_ONCE]:
            try:
                self._ports.once.delete(f"/v1/products/{lock.id}")
            except (RequestFailedError, ProviderError):
                return

    def _next(self, seen: Seen, holder: Holder, plan: str, *, contracts: bool) -> Lease:
        """Create the next generation; ids that are used up are stepped over, ever further."""
        self._refuse_held(seen.locks, seen.now)
        latest, step = seen.latest, 1
        number = latest.generation + 1 if latest else 1
        for _ in range(_IDS):
            found, now = self._create(number, holder, plan, latest, contracts=contracts)
            if isinstance(found, Lease):
                return found
            if found is None:
                number, step = number + step, step * 2
                continue
            self._refuse_held([found], now)
            latest, number, step = found, number + 1, 1
        raise _untaken("no id for it is free")

    def _create(
        self, generation: int, holder: Holder, plan: str, latest: Lock | None, *, contracts: bool
    ) -> tuple[Lease | Lock | None, float]:
        """Create a generation; return the lease, or the lock that is there, or None for an id that is used up."""
        token, object_id, since = secrets.token_hex(16), lock_id(self._namespace, generation), self._elapsed()
        applied, known = (latest.applied, latest.contracts) if latest else (None, False)
        metadata = held_metadata(self._namespace, holder, token, plan, applied, contracts=contracts or known)
        params = {"id": object_id, "name": "reconciler lock", "active": False, "metadata": metadata}
        answer = self._posted(params, token)
        if answer is None:
            return None, 0.0
        lock = read_lock(answer.body)
        if lock is not None and lock.token == token:
            return Lease(self._ports, lock, answer, since=since, elapsed=self._elapsed), answer.at
        return (lock if lock is not None and lock.namespace == self._namespace else None), answer.at

    def _posted(self, params: dict[str, Any], token: str) -> Answer | None:
        """Create, and return what is there then; None for an id that is taken by nothing that is there."""
        failure = None
        for attempt in range(ATTEMPTS):
            try:
                return self._ports.work.post("/v1/products", params, f"reconciler-lock-{token}-{attempt}")
            except RequestFailedError as error:
                failure = error.failure
            if failure.status != HTTPStatus.BAD_REQUEST and not failure.ambiguous:
                break
            there = self._there(params["id"])
            if there is not None or failure.code == "resource_already_exists" or failure.param == "id":
                return there
            if not failure.ambiguous:
                break
        raise _untaken(failure.message if failure else "")

    def _there(self, object_id: str) -> Answer | None:
        try:
            return self._ports.sure.read(f"/v1/products/{object_id}")
        except RequestFailedError as error:
            if error.failure.status == HTTPStatus.NOT_FOUND:
                return None
            raise _untaken(error.failure.message) from None

    def _get(self, path: str, params: dict[str, Any]) -> Answer:
        try:
            return self._ports.work.read(path, params)
        except RequestFailedError as error:
            raise refused(error, path) from None

    def _refuse_held(self, locks: Sequence[Lock], now: float) -> None:
        held = Seen(locks, now).holding
        if held is not None:
            raise HeldError(held)


class HeldError(LockedError):
    """Somebody holds the ``lock``; says who, since when, until when, and the way to end it by hand."""

    def __init__(self, lock: Lock) -> None:
        super().__init__(
            "E0821",
            f"another apply holds the lock of namespace {lock.namespace}",
            details=[
                f"holder: {lock.holder}",
                f"since {moment(lock.started)}, until {moment(lock.ends)} unless it is renewed",
            ],
        )
        self.lock = lock
        self.advise("reconciler unlock")

    def advise(self, command: str) -> None:
        """Say with which command to free the lock."""
        self.remedy = f"Wait for it. If it is surely dead, free it: {command} --generation={self.lock.generation}"


def moment(seconds: float) -> str:
    """Write an instant of the account's clock for people: to the second, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _untaken(why: str) -> ProviderError:
    return ProviderError(
        "E0823",
        f"the lock could not be taken, and nothing was written: {why}",
        remedy="Apply needs to create products; run the same command again.",
    )
