"""Faults on request: what goes wrong with requests, answers, webhooks, views and the clock; data, and seeded."""

import json
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from fnmatch import fnmatchcase
from typing import Any, Literal, get_args

from reconciler.diagnostics import UsageError
from reconciler.sandbox.errors import ApiError, key_in_use, lock_timeout, rate_limited

RequestKind = Literal[
    "latency",
    "drop_before",
    "drop_after",
    "error",
    "rate_limit",
    "lock_timeout",
    "conflict",
    "unauthorized",
    "forbidden",
    "html",
    "invalid_json",
    "content_type",
    "cut",
    "slow",
]
WebhookKind = Literal["webhook_duplicate", "webhook_reorder", "webhook_delay", "webhook_lose"]
Condition = Literal["search_lag", "summary_lag", "clock_skew"]
When = Literal["before", "instead", "after"]
KINDS: tuple[str, ...] = (*get_args(RequestKind), *get_args(WebhookKind), *get_args(Condition))

_BOUNDS = (
    ("nth", 1, 1_000_000),
    ("every", 1, 1_000_000),
    ("first", 1, 1_000_000_000),
    ("last", 1, 1_000_000_000),
    ("probability", 0, 1),
    ("status", 400, 599),
    ("jitter", 0, 3600),
    ("since", 0, 1_000_000_000),
    ("until", 0, 1_000_000_000),
)
_MOST_SECONDS = {"latency": 3600, "slow": 3600, "clock_skew": 100 * 366 * 86_400}
_TYPES: Mapping[str, Callable[[str], Any]] = {
    **dict.fromkeys(("nth", "every", "first", "last", "status"), int),
    **dict.fromkeys(("probability", "seconds", "jitter", "since", "until"), float),
}
_TRUTH = {"true": True, "false": False}

#: Refusals Stripe never stores under an idempotency key, so they can only come before execution.
NEVER_STORED = frozenset({401, 409, 429})

#: Refusals that have a kind of their own, with the bodies and headers Stripe answers with.
_REFUSALS: Mapping[str, Callable[[], ApiError]] = {
    "rate_limit": lambda: rate_limited("global-rate"),
    "lock_timeout": lock_timeout,
    "conflict": lambda: key_in_use("of an injected fault"),
    "unauthorized": lambda: ApiError(401, "Invalid API Key provided: an injected fault."),
    "forbidden": lambda: ApiError(403, "The provided key does not have the required permissions: an injected fault."),
}
REFUSALS = frozenset({"error", *_REFUSALS})


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong, and how often: ``nth``, ``every`` so many, by ``probability``, or always.

    ``path`` is a glob, ``*`` is any method; ``first`` and ``last`` bound which of the matching requests it hits,
    ``since`` and ``until`` the seconds after it was put in force. ``latency`` waits ``seconds`` and up to ``jitter``
    more; ``drop_before`` loses the request, ``drop_after`` the answer of a committed one. An ``error`` comes ``before``
    execution (nothing written, nothing stored under the key), ``instead`` of it (nothing written, the error stored) or
    ``after`` it (everything written, the error stored); ``rate_limit``, ``lock_timeout``, ``conflict``,
    ``unauthorized`` and ``forbidden`` are Stripe's own refusals, always before. The answer of a committed request is
    replaced by a proxy's page (``html``), spoiled (``invalid_json``, ``content_type``), broken off (``cut``) or sent
    drop by drop over ``seconds`` (``slow``).

    Webhook faults match the type of an ``event`` by a glob and count first attempts: posted twice, after the next one,
    ``seconds`` late, or never although Stripe believes so. ``search_lag``, ``summary_lag`` and ``clock_skew`` hold as
    long as they are in force: views ``seconds`` behind, a clock ``seconds`` ahead.
    """

    method: str = "*"
    path: str = "*"
    kind: str = "error"
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
    jitter: float = 0.0
    first: int | None = None
    last: int | None = None
    since: float | None = None
    until: float | None = None
    event: str = "*"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UsageError("E1204", f"no fault is of kind {self.kind!r}", remedy=f"one of {', '.join(KINDS)}")
        if self.when not in get_args(When):
            raise UsageError("E1204", f"a fault comes {', '.join(get_args(When))}, not {self.when!r}")
        if sum(value is not None for value in (self.nth, self.every, self.probability)) > 1:
            raise UsageError("E1204", "a fault has one of nth, every and probability")
        most = _MOST_SECONDS.get(self.kind, 366 * 86_400)
        least = -most if self.kind == "clock_skew" else 0
        for name, low, high in (*_BOUNDS, ("seconds", least, most)):
            value = getattr(self, name)
            if value is not None and not (_is_number(value) and low <= value <= high):
                raise UsageError("E1204", f"the {name} of a fault is a number from {low} to {high}, not {value!r}")
        if self.when != "before" and (self.status in NEVER_STORED or self.kind in _REFUSALS):
            raise UsageError("E1204", f"a fault with status {self.error().status} can come only before execution")
        for name in ("method", "path", "event", "error_type", "message"):
            if not isinstance(getattr(self, name), str):
                raise UsageError("E1204", f"the {name} of a fault is text, not {getattr(self, name)!r}")

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> "Fault":
        """Build a fault from a mapping with the field names as keys."""
        names = {field.name for field in fields(cls)}
        if unknown := sorted(set(data) - names):
            raise UsageError("E1204", f"a fault has no {unknown[0]!r}", remedy=f"one of {', '.join(sorted(names))}")
        return cls(**data)

    @classmethod
    def from_text(cls, text: str) -> "Fault":
        """Build a fault from ``kind=error,path=/v1/prices,status=503`` or from a JSON object."""
        if text.lstrip().startswith("{"):
            return cls.parse(_decoded(text))
        pairs = [part.partition("=") for part in text.split(",")]
        if any(not equals for _, equals, _ in pairs):
            raise UsageError("E1204", f"a fault is written kind=error,status=503 or as a JSON object, not {text!r}")
        return cls.parse({name.strip(): _typed(name.strip(), value.strip()) for name, _, value in pairs})

    def data(self) -> dict[str, Any]:
        """Return the mapping :meth:`parse` makes the same fault of, without what is default."""
        defaults = {field.name: field.default for field in fields(self)}
        return {name: value for name, value in asdict(self).items() if name == "kind" or value != defaults[name]}

    def matches(self, method: str, path: str) -> bool:
        """Tell whether a request is one of those the fault counts; the query string is not part of the path."""
        return self.kind in get_args(RequestKind) and self.method in {"*", method} and fnmatchcase(path, self.path)

    def error(self) -> ApiError:
        """Return the error to answer with."""
        error = (
            _REFUSALS[self.kind]()
            if self.kind in _REFUSALS
            else ApiError(self.status, self.message, error_type=self.error_type, code=self.code)
        )
        if self.should_retry is not None:
            error.headers["stripe-should-retry"] = str(self.should_retry).lower()
        return error


def parse_all(data: Any) -> list[Fault]:
    """Build the faults of a file: a list of mappings, or a mapping whose ``faults`` is one."""
    listed = data.get("faults") if isinstance(data, Mapping) else data
    if not isinstance(listed, list) or not all(isinstance(each, Mapping) for each in listed):
        raise UsageError("E1204", "faults are a list of mappings, such as [{kind: error, path: /v1/prices, nth: 3}]")
    return [Fault.parse(each) for each in listed]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _decoded(text: str) -> Mapping[str, Any]:
    try:
        return json.loads(text)  # type: ignore[no-any-return]  # it begins with a brace
    except ValueError as error:
        raise UsageError("E1204", f"the fault is no JSON object: {error}") from None


def _typed(name: str, value: str) -> Any:
    try:
        return _TYPES[name](value) if name in _TYPES else _TRUTH.get(value, value)
    except ValueError:
        raise UsageError("E1204", f"the {name} of a fault is a number, not {value!r}") from None


@dataclass(slots=True)
class _Armed:
    """A fault in force: how often it has been matched, since when, and its dice."""

    fault: Fault
    since: float
    chance: random.Random
    count: int = 0

    def holds(self, now: float) -> bool:
        age = now - self.since
        return (self.fault.since or 0) <= age and (self.fault.until is None or age < self.fault.until)

    def hits(self, now: float) -> bool:
        """Count one more; tell whether this one is hit."""
        self.count += 1
        fault = self.fault
        if not self.holds(now) or not (fault.first or 1) <= self.count <= (fault.last or self.count):
            return False
        if fault.nth is not None:
            return self.count == fault.nth
        if fault.every is not None:
            return self.count % fault.every == 0
        return fault.probability is None or self.chance.random() < fault.probability

    def struck(self) -> Fault:
        if not self.fault.jitter:
            return self.fault
        return replace(self.fault, seconds=self.fault.seconds + self.chance.random() * self.fault.jitter, jitter=0.0)


class Faults:
    """The faults in force and how often each has been matched."""

    def __init__(self, seed: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._seed = seed
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._released = threading.Event()
        self._armed: list[_Armed] = []

    def add(self, *faults: Fault) -> None:
        """Put faults in force; each counts from now on."""
        with self._lock:
            for fault in faults:
                chance = random.Random(f"{self._seed}:{len(self._armed)}")  # noqa: S311  reproducible, not secret
                self._armed.append(_Armed(fault, self._monotonic(), chance))

    def clear(self) -> None:
        """Take all faults out of force."""
        with self._lock:
            self._armed.clear()

    def __bool__(self) -> bool:
        """Tell whether any fault is in force."""
        return bool(self._armed)

    def data(self) -> list[dict[str, Any]]:
        """Return the faults in force as mappings, each with how often it has been matched, ``count``."""
        with self._lock:
            return [{**armed.fault.data(), "count": armed.count} for armed in self._armed]

    def strike(self, method: str, path: str, own: Iterable[Fault] = ()) -> list[Fault]:
        """Count a request and return the faults that hit it, its ``own`` first."""
        return [*own, *self._strike(lambda fault: fault.matches(method, path))]

    def strike_event(self, event_type: str) -> list[Fault]:
        """Count the first attempt to deliver an event and return the faults that hit it."""
        return self._strike(lambda fault: fault.kind in get_args(WebhookKind) and fnmatchcase(event_type, fault.event))

    def lag(self, condition: str) -> int:
        """Return the whole seconds of a condition in force now, the sum of all such faults."""
        if not self._armed:
            return 0
        now = self._monotonic()
        with self._lock:
            held = [each for each in self._armed if each.fault.kind == condition and each.holds(now)]
        return round(sum(armed.fault.seconds for armed in held))

    def hold(self, seconds: float) -> None:
        """Hold a request up for so long, or until :meth:`released`."""
        self._released.wait(seconds)

    @contextmanager
    def released(self) -> Iterator[None]:
        """Let go whom latency holds up, and hold nobody while the block runs."""
        self._released.set()
        try:
            yield
        finally:
            self._released.clear()

    def _strike(self, matches: Callable[[Fault], bool]) -> list[Fault]:
        if not self._armed:
            return []
        now = self._monotonic()
        with self._lock:
            return [armed.struck() for armed in self._armed if matches(armed.fault) and armed.hits(now)]
