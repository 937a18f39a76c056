"""The runtime for asyncio: the same calls, awaited; the event loop goes on while the ledger writes."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from reconciler.entitlements.decision import Decision
from reconciler.entitlements.runtime import Entitlements
from reconciler.ledger.jobs import Job, Outcome

Some = TypeVar("Some")


class AsyncEntitlements:
    """Wraps a runtime; checks are answered at once, what writes is awaited."""

    def __init__(self, runtime: Entitlements) -> None:
        self.runtime = runtime
        self._group = runtime.ledger.group

    def check(self, tenant: str, tool: str | None = None, **given: Any) -> Decision:
        """Decide a call without making it; nothing is written, and it does not wait."""
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
        name, job = self.runtime.consuming(tenant, tool, meter, quantity, units, key)
        return self.runtime.answered(tenant, name, await self._submit(job))

    async def _submit(self, job: Job) -> Outcome:
        if self._group is None:
            return await self._apart(lambda: self.runtime.ledger.store.transact((job,))[0])
        future = asyncio.get_running_loop().create_future()
        self._group.put(job, future)
        outcome: Outcome = await future
        return outcome

    async def _apart(self, work: Callable[[], Some]) -> Some:
        return await asyncio.get_running_loop().run_in_executor(None, work)
