"""Whether an account can be worked with: reachable, clock in step, every managed kind readable. Reads only."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any

import stripe

from reconciler.diagnostics import ProviderError
from reconciler.provider.gateway import Connection, Gateway, RequestFailedError
from reconciler.provider.lock import Locks, moment
from reconciler.provider.ports import Ports
from reconciler.provider.reads import Reader
from reconciler.provider.retry import Backoff
from reconciler.resources import KINDS, Kind
from reconciler.resources.version import API_VERSION

#: Stripe refuses nothing because of a clock, but times in plans and webhook signatures stop making sense.
MAX_SKEW_SECONDS = 60
_ONCE = Backoff(tries=2, budget=5.0)


class Verdict(StrEnum):
    """How a check ended; only ``fail`` makes the command fail."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was looked at, how it ended, what was seen, and what to do about it."""

    name: str
    verdict: Verdict
    detail: str
    remedy: str | None = None


def sdk() -> Finding:
    """Compare the API version this tool asks for with the one the installed SDK was made for."""
    detail = f"stripe {stripe.VERSION}, API version {API_VERSION}"
    if stripe.api_version == API_VERSION:
        return Finding("stripe SDK", Verdict.OK, detail)
    remedy = f"The SDK was made for {stripe.api_version}; install the version that reconciler asks for."
    return Finding("stripe SDK", Verdict.WARN, detail, remedy)


def examine(
    connection: Connection, now: Callable[[], datetime] = lambda: datetime.now(UTC), namespace: str | None = None
) -> Iterator[Finding]:
    """Yield what is found about an account, the lock of a namespace included; stop where nothing more can be found."""
    clock = _Dated(connection.transport or stripe.RequestsClient(timeout=10))
    dated = Connection(connection.key, connection.base, clock, connection.rates)
    gateway = Gateway(dated, backoff=_ONCE, read_only=True)
    try:
        account = Reader(gateway).account()
    except ProviderError as error:
        yield Finding("account", Verdict.FAIL, error.message, error.remedy)
        return
    yield Finding("account", Verdict.OK, f"{account}, {connection.mode} mode")
    yield _skew(clock.date, now())
    for kind in KINDS:
        yield _readable(gateway, kind)
    if namespace is not None:
        yield _lock(gateway, namespace)


class _Dated(stripe.HTTPClient):
    """A transport that remembers the date of the latest answer."""

    name = "dated"

    def __init__(self, inner: stripe.HTTPClient) -> None:
        super().__init__()
        self._inner = inner
        self.date: str | None = None

    def request(self, *args: Any, **kwargs: Any) -> Any:
        """Pass a request on and keep the answer's Date header."""
        body, status, headers = self._inner.request(*args, **kwargs)
        self.date = _header(headers, "date")
        return body, status, headers

    def close(self) -> None:
        """Close the transport underneath."""
        self._inner.close()  # type: ignore[no-untyped-call]  # the SDK leaves it unannotated


def _header(headers: Mapping[str, str], name: str) -> str | None:
    return next((value for key, value in headers.items() if key.lower() == name), None)


def _skew(date: str | None, now: datetime) -> Finding:
    try:
        there = parsedate_to_datetime(date or "")
    except ValueError:
        return Finding("clock", Verdict.SKIP, "the answer carries no date")
    seconds = round((now - there).total_seconds())
    if abs(seconds) <= MAX_SKEW_SECONDS:
        return Finding("clock", Verdict.OK, f"{abs(seconds)} s from the server's")
    side = "ahead of" if seconds > 0 else "behind"
    return Finding("clock", Verdict.FAIL, f"{abs(seconds)} s {side} the server's", "Set this machine's clock.")


def _lock(gateway: Gateway, namespace: str) -> Finding:
    """Tell whether an apply is under way, or the last one died."""
    try:
        seen = Locks(Ports(gateway, gateway, gateway), namespace).look()
    except ProviderError as error:
        return Finding("lock", Verdict.FAIL, error.message, error.remedy)
    held, latest = seen.holding, seen.latest
    if held is not None:
        until = f"held by {held.holder} until {moment(held.ends)} unless it is renewed"
        return Finding("lock", Verdict.WARN, until, "Wait, or free it with `reconciler unlock` if that apply is dead.")
    if latest is not None and not latest.released:
        died = f"the apply of {latest.holder} died after {moment(latest.updated)}"
        return Finding("lock", Verdict.WARN, died, "Run `reconciler plan`: it may have done a part.")
    return Finding("lock", Verdict.OK, "free")


def _readable(gateway: Gateway, kind: Kind) -> Finding:
    name = f"read {kind.name.replace('_', ' ')}"
    try:
        path = kind.path
        if kind.parent is not None:
            products = gateway.get("/v1/products", {"limit": 1})["data"]
            if not products:
                return Finding(name, Verdict.SKIP, "there is no product to look at")
            path = path.format(parent=products[0]["id"])
        gateway.get(path, {"limit": 1})
    except RequestFailedError as error:
        remedy = f"Give the restricted key read access to {kind.path}."
        return Finding(name, Verdict.FAIL, error.failure.message, remedy)
    return Finding(name, Verdict.OK, "may be listed")
