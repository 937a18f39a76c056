"""The sandbox: one request in, one reply out, everything between them in one transaction.

Order of a request, as Stripe's: key, version, route, rate limit, idempotency key, parameters (refusals up to here are
not stored), execution, storing the outcome.
"""

import json
import sqlite3
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import stripe

from reconciler.diagnostics import UsageError
from reconciler.sandbox import events, expand, form, idempotency, namespaces, pages, routing
from reconciler.sandbox.auth import account_of
from reconciler.sandbox.client import InProcessClient
from reconciler.sandbox.clock import Clock
from reconciler.sandbox.database import MEMORY, Store
from reconciler.sandbox.errors import ApiError, invalid, lock_timeout, not_modelled
from reconciler.sandbox.exchange import Exchange
from reconciler.sandbox.families import FAMILIES, REACTIONS
from reconciler.sandbox.faults import REFUSALS, Fault, Faults
from reconciler.sandbox.ids import derive
from reconciler.sandbox.journal import DROPPED, Entry
from reconciler.sandbox.objects import v2_event
from reconciler.sandbox.objects.base import OWN_CLOCK, Call, Family, Origin
from reconciler.sandbox.rate import Limiter, Profile
from reconciler.sandbox.settings import Settings
from reconciler.sandbox.snapshot import Numbers, State
from reconciler.sandbox.spoil import spoil
from reconciler.sandbox.store import Tx
from reconciler.sandbox.thin_events import Twins
from reconciler.sandbox.webhooks import Deliverer, Webhooks
from reconciler.sandbox.wire import ConnectionDroppedError, Obj, Request, Response

#: How many requests :attr:`Sandbox.requests` remembers.
LOG_LENGTH = 10_000

#: Where the pages of a sandbox that no server serves would be.
BASE_URL = "http://127.0.0.1"

#: The key of the account that is meant where none is named.
TEST_KEY = "sk_test_sandbox"

#: The family of a call that is about no object in particular.
_NO_FAMILY = FAMILIES["account"]

#: Called with every request once it is answered.
RequestLog = Callable[[Entry], None]


class Sandbox:
    """A Stripe account server that keeps state: in memory or in a SQLite file, safe for many threads and processes.

    ``clock`` is a function or a fixed number of Unix seconds, ``None`` the system clock. With a fixed clock and the
    same ``seed`` the same requests get byte-identical replies.
    """

    def __init__(
        self,
        path: str = MEMORY,
        *,
        settings: Settings | None = None,
        clock: Callable[[], int] | int | None = None,
        seed: int = 0,
        rate: Profile = "off",
        log: RequestLog | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        webhooks: Webhooks | None = None,
    ) -> None:
        self.settings = settings or Settings()
        self.faults = Faults(seed, monotonic)
        self.clock = Clock(clock, lambda: self.faults.lag("clock_skew"))
        #: The latest requests as ``(method, path, status)``, oldest first; status 0 is a dropped connection.
        self.requests: deque[tuple[str, str, int]] = deque(maxlen=LOG_LENGTH)
        #: The same requests with all that is known of them.
        self.journal: deque[Entry] = deque(maxlen=LOG_LENGTH)
        self._seed = seed
        self._log = log
        self._limiter = Limiter(rate, monotonic)
        self._in_flight = idempotency.InFlight()
        self._store = Store(path, BASE_URL, {v2_event.FAMILY.kind: Twins(FAMILIES)})
        self._numbers = Numbers()
        #: Keeps and puts back everything the sandbox holds.
        self.state = State(self._store, self._numbers)
        #: Delivers webhooks.
        self.webhooks = Deliverer(self._store, FAMILIES, self.faults, self.clock, webhooks or Webhooks())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the database."""
        self._store.close()

    @property
    def base_url(self) -> str:
        """The address below which the pages of links and sessions are: a server's own, while one serves the sandbox."""
        return self._store.base_url

    @property
    def is_prompt(self) -> bool:
        """Whether no request waits: for a fault, for a limit of requests at once, for a file another process holds."""
        return self._store.is_own and not self._limiter.limits and not self.faults

    def serve_at(self, url: str) -> None:
        """Let the addresses of pages lead to a server."""
        self._store.base_url = url

    def http_client(self) -> InProcessClient:
        """Return a transport for ``stripe.StripeClient(key, http_client=...)`` that needs no socket."""
        return InProcessClient(self.dispatch)

    def client(self, key: str = TEST_KEY) -> stripe.StripeClient:
        """Return an SDK client of this sandbox; keys with another text have another account."""
        return stripe.StripeClient(key, http_client=self.http_client())

    def deliver(self) -> int:
        """Post the webhooks that are due now and return how many times; a server does so by itself."""
        return self.webhooks.pump()

    def deliveries(self, limit: int = 100, *, key: str = TEST_KEY, **filters: str) -> list[Obj]:
        """Return the webhook deliveries of a key's account, newest first, by ``event``, ``endpoint`` and ``status``."""
        return self.webhooks.deliveries(account_of({"authorization": f"Bearer {key}"}), limit, **filters)

    def resend(self, event_id: str, endpoint_id: str | None = None, *, key: str = TEST_KEY) -> list[Obj]:
        """Let an event of a key's account be delivered once more; :class:`ApiError` if there is no such event."""
        return self.webhooks.resend(account_of({"authorization": f"Bearer {key}"}), event_id, endpoint_id)

    def dispatch(self, request: Request) -> Response:
        """Answer a request; raise :class:`ConnectionDroppedError` where a fault cuts the connection."""
        request_id = "req_" + derive(self._seed, "request", self._store.boot, self._numbers.next(), length=14)
        exchange = Exchange.of(request, request_id)
        struck: list[Fault] = []
        try:
            response = self._answer(exchange, struck)
        except ConnectionDroppedError:
            self._note(exchange.entry(Response(DROPPED, {}, b""), self.clock()))
            raise
        except ApiError as error:
            response = _refusal(error)
        except sqlite3.Error as error:
            response = _refusal(_storage_failure(error))
        response = exchange.dressed(response, self.clock())
        self._note(exchange.entry(response, self.clock()))
        return spoil(response, struck)

    def _note(self, entry: Entry) -> None:
        self.requests.append((entry.method, entry.path, entry.status))
        self.journal.append(entry)
        if self._log:
            self._log(entry)

    def _answer(self, exchange: Exchange, struck: list[Fault]) -> Response:
        """Answer a request; ``struck`` takes up the faults that hit it."""
        request = exchange.request
        if page := pages.published(exchange.path):
            return self._visit(exchange, page)
        account = exchange.space.account(exchange.path, exchange.headers, self._seed, self.clock())
        target = routing.find(request.method, exchange.path)
        self._limiter.admit(account, f"{request.method} {target.route.pattern}")
        alone = self._limiter.alone(account, self._sole(account, exchange, target), exchange.space.too_concurrent)
        with self._in_flight.hold(account, exchange.key), alone:
            struck += self.faults.strike(request.method, exchange.path, _own_faults(exchange))
            self._before(struck, request.method)
            try:
                response = self._execute(account, exchange, target, struck)
            except ApiError as error:
                response = _refusal(error)
            if any(fault.kind == "drop_after" for fault in struck):
                raise ConnectionDroppedError
            return response

    def _visit(self, exchange: Exchange, page: str) -> Response:
        """Show a page to a person; its name says whose it is."""
        with self._store.read("") as tx:
            account = tx.publisher(page)
        if account is None:
            return pages.refused(ApiError(404, "There is no such page."))
        with self._store.write(account) as tx:
            self._catch_up(tx, now := self.clock())
            call = self._bare_call(tx, now, Origin(exchange.request_id, None), url=exchange.path)
            return pages.respond(call, exchange.request, exchange.query)

    def _before(self, struck: list[Fault], method: str) -> None:
        """Wait, lose the request or refuse it, as the faults say.

        A GET writes nothing, so all its errors come first.
        """
        for fault in struck:
            if fault.kind == "latency":
                self.faults.hold(fault.seconds)
            elif fault.kind == "drop_before":
                raise ConnectionDroppedError
            elif fault.kind in REFUSALS and (fault.when == "before" or method == "GET"):
                raise fault.error()

    def _sole(self, account: str, exchange: Exchange, target: routing.Target) -> str | None:
        """Name what only one request at a time may be about; a request that cannot be read is refused later."""
        if target.route.sole is None or not self._limiter.limits:
            return None
        with suppress(ApiError), self._store.read(account) as tx:
            return target.route.sole(tx, exchange.tree(target.route))
        return None

    def _execute(self, account: str, exchange: Exchange, target: routing.Target, struck: list[Fault]) -> Response:
        tree, space = exchange.tree(target.route), exchange.space
        if exchange.request.method == "GET":
            return self._look(account, exchange, target, tree)
        key = space.key(exchange.key, exchange.request.method, exchange.path, tree)
        with self._store.write(account) as tx:
            self._catch_up(tx, now := self.clock())
            outcome = idempotency.recall(tx, key, now) if key else None
            if outcome:
                return Response(outcome.status, self._keyed_headers(outcome.request_id, replayed=True), outcome.body)
            call = self._call(tx, now, exchange, target, tree)
            done, response = self._attempt(call, target, struck)
            if key is None:
                return response
            kept, until = response if space.replays_failures else done, now + key.retention
            if space.remembers(kept.status):
                tx.remember(key.text, key.path, key.digest, kept.status, kept.body, exchange.request_id, until)
            own = self._keyed_headers(exchange.request_id, replayed=False)
            return Response(response.status, {**own, **response.headers}, response.body)

    def _look(self, account: str, exchange: Exchange, target: routing.Target, tree: form.Tree) -> Response:
        """Answer a GET from the last committed state, after what time alone has changed by now."""
        now = self.clock()
        with self._store.read(account) as tx:
            if tx.next_due(OWN_CLOCK, now) is None:
                return _reply(self._call(tx, now, exchange, target, tree), target)
        with self._store.write(account) as tx:
            self._catch_up(tx, now)
        with self._store.read(account) as tx:
            return _reply(self._call(tx, now, exchange, target, tree), target)

    def _catch_up(self, tx: Tx, now: int) -> None:
        """Let happen what time alone does before anyone looks."""
        if tx.next_due(OWN_CLOCK, now):
            self._bare_call(tx, now, Origin(None, None)).run_due(OWN_CLOCK, now)

    def _attempt(self, call: Call, target: routing.Target, struck: list[Fault]) -> tuple[Response, Response]:
        """Execute, and return what was done and what is answered, which an injected error makes two things.

        A rule's refusal or an injected error is an outcome too, its writes undone unless it keeps them.
        """
        injected = [fault for fault in struck if fault.kind == "error" and fault.when != "before"]
        try:
            with call.tx.attempt():
                response = _executed(call, target)
                for fault in injected:
                    if fault.when == "instead":
                        raise fault.error()
        except ApiError as error:
            return _refusal(error), _refusal(error)
        return response, _refusal(injected[0].error()) if injected else response

    def _call(self, tx: Tx, now: int, exchange: Exchange, target: routing.Target, tree: form.Tree) -> Call:
        """Validate the parameters, the paths to expand included, and gather what a handler needs."""
        family, route = target.family, target.route
        blanks = route.blanks if self.settings.blank_text_unsets else frozenset()
        given = exchange.space.read(route.params, tree, family.lengths, route.clears | blanks)
        for name in sorted(route.refused & given.keys()):
            raise not_modelled(f"the parameter `{name}`", name)
        paths = [path for path in given.get("expand", ()) if not (route.counts and path == "total_count")]
        expand.check(FAMILIES, family, paths, lists=route.lists)
        origin = Origin(exchange.request_id, exchange.key)
        return self._bare_call(tx, now, origin, family=family, params=given, ids=target.ids, url=exchange.path)

    def _bare_call(self, tx: Tx, now: int, origin: Origin, *, family: Family = _NO_FAMILY, **asked: Any) -> Call:
        """Return what a handler needs; ``asked`` are the call's ``params``, ``ids`` and ``url`` where it has them."""
        return Call(
            family=family,
            families=FAMILIES,
            reactions=REACTIONS,
            tx=tx,
            settings=self.settings,
            now=now,
            own_now=now,
            lag=self.faults.lag,
            seed=self._seed,
            origin=origin,
            record=events.record,
            **asked,
        )

    def _keyed_headers(self, original: str, *, replayed: bool) -> dict[str, str]:
        """Return what Stripe adds to the reply to a POST with a key (observed, and settings)."""
        headers = {"stripe-should-retry": "false"}
        if self.settings.original_request_header:
            headers["original-request"] = original
        if replayed and self.settings.replay_header:
            headers["idempotent-replayed"] = "true"
        return headers


def _own_faults(exchange: Exchange) -> list[Fault]:
    """Return the fault a request brings for itself in the header ``Sandbox-Fault``."""
    text = exchange.headers.get("sandbox-fault")
    try:
        return [Fault.from_text(text)] if text else []
    except UsageError as error:
        raise invalid(f"Sandbox-Fault: {error}") from None


def _reply(call: Call, target: routing.Target) -> Response:
    """Execute a handler and write its reply as JSON, expanded as asked."""
    result = target.route.handler(call)
    paths = call.params.get("expand", ())
    if target.route.lists:
        inner = [path.removeprefix("data.") for path in paths]
        data = [expand.show(call.tx, FAMILIES, target.family, obj, inner) for obj in result["data"]]
        result = {**result, "data": data}
    elif not result.get("deleted"):
        result = expand.show(call.tx, FAMILIES, target.family, result, paths)
    return Response(200, {}, json.dumps(namespaces.of(call.url).shown(result)).encode())


def _executed(call: Call, target: routing.Target) -> Response:
    """Execute a handler; a refusal that keeps its writes, such as a declined card's, is a reply like any other."""
    try:
        return _reply(call, target)
    except ApiError as error:
        if not error.keeps_writes:
            raise
        return _refusal(error)


def _refusal(error: ApiError) -> Response:
    return Response(error.status, error.headers, error.body())


def _storage_failure(error: sqlite3.Error) -> ApiError:
    """Return Stripe's object lock for a database another process holds, and an ``api_error`` for any other failure."""
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
        return lock_timeout()
    return ApiError(500, f"The sandbox's database failed: {error}", error_type="api_error")
