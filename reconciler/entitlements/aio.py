"""The runtime for asyncio: the same calls, awaited; the event loop goes on while the ledger writes."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, TypeVar

from reconciler.entitlements.decision import Decision
from reconciler.entitlements.reservation import Reservation
from reconciler.entitlements.runtime import HOLD_SECONDS, Entitlements
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
        request = runtime.request(tenant, tool, meter, quantity, units, key)
        if runtime.leases is not None and request.plain:
            found = runtime.leases.consume(tenant, request.name, key)
            if found is not None:
                return found
        try:
            if runtime.leases is None:
                return runtime.answered(tenant, request.name, await self._submit(runtime.asking(tenant, request)))
            return await self._carry_out(runtime.consuming(tenant, request))
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
        request = runtime.keyed(tenant, tool, meter, quantity, units, key)
        reserving = asyncio.ensure_future(self._carry_out(runtime.reserving(tenant, request, seconds)))
        try:
            return AsyncReservation(await asyncio.shield(reserving), self)
        except StoreUnavailableError:
            return AsyncReservation(runtime.without_ledger(tenant, request), self)
        except asyncio.CancelledError:
            await _give_back(reserving)
            raise

    async def _carry_out(self, steps: Steps[Result]) -> Result:
        sent: Outcome | None = None
        while True:
            try:
                step = steps.send(sent)
            except StopIteration as end:
                result: Result = end.value
                return result
            sent = None
            if isinstance(step, Job):
                sent = await self._submit(step)
            else:
                await asyncio.sleep(step)

    async def _submit(self, job: Job) -> Outcome:
        group = self._ledger.group
        if group is None:
            return await asyncio.to_thread(self._ledger.submit, job)
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        group.put(job, future)
        return self._ledger.told(job, await future)


async def _give_back(reserving: "asyncio.Future[Reservation]") -> None:
    """Release what a cancelled task had asked for already; nobody else will."""
    with suppress(StoreUnavailableError):
        held = await reserving
        await asyncio.to_thread(held.release)


class AsyncReservation:
    """A reserved call in asyncio: leave the block and it is committed, raise or be cancelled and it is released."""

    def __init__(self, held: Reservation, runtime: AsyncEntitlements) -> None:
        self._held = held
        self._runtime = runtime

    @property
    def decision(self) -> Decision:
        """Whether the call is allowed, and why not."""
        return self._held.decision

    def __bool__(self) -> bool:
        return self._held.decision.allowed

    async def commit(self, quantity: int | None = None, units: Mapping[str, int] | None = None) -> Decision:
        """Charge what was used; see :meth:`Reservation.commit`."""
        return await asyncio.to_thread(self._held.commit, quantity, units)

    async def release(self) -> bool:
        """Give everything back; see :meth:`Reservation.release`."""
        return await asyncio.to_thread(self._held.release)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.shield(asyncio.to_thread(self._held.__exit__, kind, error, trace))
