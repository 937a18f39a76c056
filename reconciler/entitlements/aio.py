"""The runtime for asyncio: the same calls, awaited; the event loop goes on while the ledger writes."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, TypeVar

from reconciler.entitlements.decision import Decision
from reconciler.entitlements.reservation import Reservation
from reconciler.entitlements.runtime import HOLD_SECONDS, Entitlements, keyed
from reconciler.entitlements.steps import Steps
from reconciler.ledger.base import StoreUnavailableError
from reconciler.ledger.jobs import Job, Outcome

Result = TypeVar("Result")


class AsyncEntitlements:
    """Wraps a runtime: checks are answered at once, what writes is awaited. The rest is called on ``runtime``.

    A task that is cancelled while it consumes has asked already: the call is booked, as with any lost answer. One that
    is cancelled while it reserves gives back what it gets.
    """

    def __init__(self, runtime: Entitlements) -> None:
        self.runtime = runtime
        self._ledger = runtime.ledger
        # The loop itself holds tasks weakly.
        self._running: set[asyncio.Task[Any]] = set()

    def check(self, tenant: str, tool: str | None = None, **given: Any) -> Decision:
        """Decide a call without making it; see :meth:`Entitlements.check`."""
        return self.runtime.check(tenant, tool, **given)

    async def consume(
        self,
        tenant: str,
        tool: str | None = None,
        *,
        meter: str | None = None,
        quantity: int = 1,
        units: Mapping[str, int] | None = None,
        key: str | None = None,
    ) -> Decision:
        """Decide a call and book it; see :meth:`Entitlements.consume`."""
        runtime = self.runtime
        request = runtime.consumed(runtime.request(tenant, tool, meter, quantity, units, key))
        if runtime.leases is not None and request.plain:
            found = runtime.leases.consume(tenant, request.name, key)
            if found is not None:
                return found
        try:
            if runtime.leases is None:
                job = runtime.asking(tenant, request)
                return runtime.answered(tenant, request.name, self._ledger.told(job, await self._asked(job)))
            return await asyncio.shield(self._apart(self._carry_out(runtime.consuming(tenant, request))))
        except StoreUnavailableError:
            return await asyncio.to_thread(runtime.degraded.let_through, runtime.terms(tenant), request)

    async def reserve(
        self,
        tenant: str,
        tool: str | None = None,
        *,
        meter: str | None = None,
        quantity: int = 1,
        units: Mapping[str, int] | None = None,
        key: str | None = None,
        seconds: int = HOLD_SECONDS,
    ) -> "AsyncReservation":
        """Set aside what a call may cost at most; see :meth:`Entitlements.reserve`."""
        runtime = self.runtime
        request = keyed(runtime.request(tenant, tool, meter, quantity, units, key))
        reserving = self._apart(self._carry_out(runtime.reserving(tenant, request, seconds)))
        try:
            return AsyncReservation(await asyncio.shield(reserving))
        except StoreUnavailableError:
            return AsyncReservation(runtime.without_ledger(tenant, request))
        except asyncio.CancelledError:
            # Waits without raising: what goes wrong there is reported by the loop, and the caller is told the end.
            await asyncio.wait((self._apart(_give_back(reserving)),))
            raise

    def _apart(self, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        """Run in a task of its own what has to end also where its caller is cancelled."""
        task = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def _carry_out(self, steps: Steps[Result]) -> Result:
        try:
            step = next(steps)
            while True:
                try:
                    sent = await self._done(step)
                except BaseException as error:  # noqa: BLE001  the steps raise it again, once what they hold is let go
                    step = steps.throw(error)
                else:
                    step = steps.send(sent)
        except StopIteration as end:
            result: Result = end.value
            return result

    async def _done(self, step: Job | float) -> Outcome | None:
        if isinstance(step, Job):
            return self._ledger.told(step, await _through(self._asked(step)))
        await asyncio.sleep(step)
        return None

    def _asked(self, job: Job) -> "asyncio.Future[Outcome]":
        """Return what a job comes to once it is durable, to be awaited."""
        group = self._ledger.group
        if group is None:
            return _in_thread(self._ledger.ask, job)
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        group.put(job, future)
        return future


async def _through(future: "asyncio.Future[Result]") -> Result:
    """Wait for what is no task, whoever cancels meanwhile: what runs apart is cancelled by the end of its loop only.

    The loop waits for its tasks then, and for its threads after that; what was asked is asked, and has to be answered.
    """
    while not future.done():
        with suppress(asyncio.CancelledError):
            await asyncio.shield(future)
    return future.result()


def _in_thread(work: Callable[..., Result], *given: Any) -> "asyncio.Future[Result]":
    return asyncio.get_running_loop().run_in_executor(None, work, *given)


async def _give_back(reserving: "asyncio.Future[Reservation]") -> None:
    """Release what a cancelled task had asked for already; nobody else will, unless it was reserved before it asked."""
    with suppress(StoreUnavailableError):
        held = await reserving
        if not held.decision.replayed:
            await _through(_in_thread(held.release))


class AsyncReservation:
    """A reserved call in asyncio: leave the block and it is committed, raise or be cancelled and it is released.

    A task that is cancelled while it commits or releases has done so.
    """

    def __init__(self, held: Reservation) -> None:
        self._held = held
        self._endings: list[asyncio.Future[Any]] = []

    @property
    def decision(self) -> Decision:
        """Whether the call is allowed, and why not."""
        return self._held.decision

    def __bool__(self) -> bool:
        return self._held.decision.allowed

    async def commit(self, quantity: int | None = None, units: Mapping[str, int] | None = None) -> Decision:
        """Charge what was used; see :meth:`Reservation.commit`."""
        return await self._end(self._held.commit, quantity, units)

    async def release(self) -> bool:
        """Give everything back; see :meth:`Reservation.release`."""
        return await self._end(self._held.release)

    async def _end(self, end: Callable[..., Result], *given: Any) -> Result:
        ending = _in_thread(end, *given)
        self._endings.append(ending)
        return await asyncio.shield(ending)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.shield(self._leave(kind, error, trace))

    async def _leave(self, *left: Any) -> None:
        # A commit that is under way must not meet the release of the block its task is cancelled in.
        for ending in self._endings:
            with suppress(Exception):
                await _through(ending)
        await _through(_in_thread(self._held.__exit__, *left))
