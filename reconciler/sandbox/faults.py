"""Faults on request: latency, lost requests, lost answers, errors; data, seeded, the same in process and over HTTP."""

import random
import threading
from collections.abc import Mapping
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from typing import Any, Literal, get_args

from reconciler.diagnostics import UsageError
from reconciler.sandbox.errors import ApiError

Kind = Literal["drop_before", "drop_after", "error", "latency"]
When = Literal["before", "instead", "after"]

_BOUNDS = (
    ("nth", 1, 1_000_000),
    ("every", 1, 1_000_000),
    ("probability", 0, 1),
    ("status", 400, 599),
    ("seconds", 0, 3600),
)

#: Refusals Stripe never stores under an idempotency key, so they can only come before execution.
NEVER_STORED = frozenset({401, 409, 429})


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong and how often: on the ``nth`` matching request, ``every`` so many, by ``probability`` or always.

    ``path`` is a glob, ``*`` is any method. ``latency`` waits ``seconds``, ``drop_before`` loses the request,
    ``drop_after`` the answer of a committed one. An ``error`` comes ``before`` execution (nothing written, nothing
    stored under the key), ``instead`` of it (nothing written, the error stored) or ``after`` it (everything written,
    the error stored).
    """

    method: str = "*"
    path: str = "*"
    kind: Kind = "error"
    nth: int | None = None
    every: int | None = None
    probability: float | None = None
    status: int = 500
    error_type: str = "api_error"
    code: str | None = None
    message: str = "An injected fault."
    should_retry: bool | None = None
    when: When = "before"
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind) or self.when not in get_args(When):
            raise UsageError("E1204", f"no fault is of kind {self.kind!r} and comes {self.when!r}")
        if sum(value is not None for value in (self.nth, self.every, self.probability)) > 1:
            raise UsageError("E1204", "a fault has one of nth, every and probability")
        for name, least, most in _BOUNDS:
            value = getattr(self, name)
            if value is not None and not (isinstance(value, int | float) and least <= value <= most):
                raise UsageError("E1204", f"the {name} of a fault is a number from {least} to {most}, not {value!r}")
        if self.when != "before" and self.status in NEVER_STORED:
            raise UsageError("E1204", f"a fault with status {self.status} can come only before execution")

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> "Fault":
        """Build a fault from a mapping with the field names as keys."""
        names = {field.name for field in fields(cls)}
        if unknown := sorted(set(data) - names):
            raise UsageError("E1204", f"a fault has no {unknown[0]!r}", remedy=f"one of {', '.join(sorted(names))}")
        return cls(**data)

    def matches(self, method: str, path: str) -> bool:
        """Tell whether a request is one of those the fault counts; the query string is not part of the path."""
        return self.method in {"*", method} and fnmatchcase(path, self.path)

    def error(self) -> ApiError:
        """Return the error to answer with."""
        retry = {} if self.should_retry is None else {"stripe-should-retry": str(self.should_retry).lower()}
        return ApiError(self.status, self.message, error_type=self.error_type, code=self.code, headers=retry)


class Faults:
    """The faults in force and how often each has been matched."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._lock = threading.Lock()
        self._armed: list[tuple[Fault, random.Random]] = []
        self._counts: list[int] = []

    def add(self, *faults: Fault) -> None:
        """Put faults in force; each counts from now on."""
        with self._lock:
            for fault in faults:
                chance = random.Random(f"{self._seed}:{len(self._armed)}")  # noqa: S311  reproducible, not secret
                self._armed.append((fault, chance))
                self._counts.append(0)

    def clear(self) -> None:
        """Take all faults out of force."""
        with self._lock:
            self._armed.clear()
            self._counts.clear()

    def strike(self, method: str, path: str) -> list[Fault]:
        """Count a request and return the faults that hit it."""
        if not self._armed:
            return []
        with self._lock:
            return [
                fault
                for index, (fault, chance) in enumerate(self._armed)
                if fault.matches(method, path) and self._hits(index, fault, chance)
            ]

    def _hits(self, index: int, fault: Fault, chance: random.Random) -> bool:
        self._counts[index] += 1
        if fault.nth is not None:
            return self._counts[index] == fault.nth
        if fault.every is not None:
            return self._counts[index] % fault.every == 0
        return fault.probability is None or chance.random() < fault.probability
