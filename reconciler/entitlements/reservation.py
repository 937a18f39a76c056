"""A reserved call: commit what was really used, or release it. As a context manager an exception releases it."""

from collections.abc import Mapping
from types import TracebackType
from typing import Protocol, Self

from reconciler.entitlements.acts import Request
from reconciler.entitlements.decision import Decision


class Keeper(Protocol):
    """What a reservation needs of the runtime that made it."""

    def commit(self, tenant: str, request: Request, *, owed: bool) -> Decision:
        """End a reservation with what was used."""

    def release(self, tenant: str, key: str) -> bool:
        """Give back what a reservation holds."""


class Reservation:
    """True where the call is allowed. Leaving the ``with`` block without a word commits what was reserved."""

    def __init__(self, decision: Decision, keeper: Keeper, request: Request) -> None:
        self.decision = decision
        self.key = str(request.key)
        self._keeper = keeper
        self._request = request
        self._open = decision.allowed

    def __bool__(self) -> bool:
        return self.decision.allowed

    def commit(self, quantity: int | None = None, units: Mapping[str, int] | None = None) -> Decision:
        """Charge what was used, as much as was reserved unless said, and return the final decision.

        Less goes back; more is charged as far as credits are there. Committing again gives the first answer.
        """
        if not self.decision.allowed:
            return self.decision
        asked = self._request
        used = asked.quantity if quantity is None else quantity
        final = asked._replace(quantity=used, units={**(asked.units or {}), **(units or {})} or None)
        answer = self._keeper.commit(self.decision.tenant, final, owed=self.decision.degraded)
        self._open = False
        return answer

    def release(self) -> bool:
        """Give everything back; false where there was nothing to give back any more."""
        if not self.decision.allowed:
            return False
        given = not self.decision.degraded and self._keeper.release(self.decision.tenant, self.key)
        self._open = False
        return given

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if not self._open:
            return
        if kind is None:
            self.commit()
        else:
            self.release()
