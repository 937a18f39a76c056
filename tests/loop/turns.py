"""Several actors that work on one account, one request at a time, in an order drawn from a seed.

Threads alone would interleave as the machine pleases. Here every request of every actor waits for its turn, and the
next turn is given only when each actor either waits or has ended; so one seed is one order, every time.
"""

import random
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import stripe

from reconciler.provider.lease import REQUEST_SECONDS

Actor = Callable[[stripe.HTTPClient], Any]


class Turns:
    """Gives turns; ``log`` is who sent which request, in order. By ``clock``, what waits longer than it may is cut off.

    The seed also draws how often turns change hands: now and then somebody is stalled while another does much.
    """

    def __init__(
        self, seed: int, account: Callable[[], stripe.HTTPClient], clock: Callable[[], int] = lambda: 0
    ) -> None:
        self.log: list[tuple[str, str, str]] = []
        self._random = random.Random(seed)
        self._switching = self._random.choice((1, 1, 0.3, 0.05))
        self._latest = ""
        self._account = account
        self.clock = clock
        self._changed = threading.Condition()
        self._busy: set[str] = set()
        self._waiting: set[str] = set()
        self._turn: str | None = None

    def play(self, actors: Mapping[str, Actor]) -> dict[str, Any]:
        """Let the actors, which keep one request in flight at most, work; return what each returned or raised."""
        results: dict[str, Any] = {}

        def act(name: str, actor: Actor) -> None:
            try:
                results[name] = actor(_Waiting(self, name, self._account()))
            except Exception as error:  # noqa: BLE001  the test judges it
                results[name] = error
            with self._changed:
                self._busy.discard(name)
                self._changed.notify_all()

        self._busy = set(actors)
        threads = [threading.Thread(target=act, args=item, daemon=True) for item in actors.items()]
        for thread in threads:
            thread.start()
        while self._give():
            pass
        for thread in threads:
            thread.join()
        return results

    def _give(self) -> bool:
        """Wait until nobody is at work, then give somebody the turn; False where all have ended."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._turn is None and not self._busy, timeout=60)
            if not self._waiting:
                return False
            self._turn = self.draw(sorted(self._waiting))
            self._changed.notify_all()
            return True

    def draw(self, waiting: Sequence[str]) -> str:
        """Say whose turn it is of those that wait."""
        if self._latest not in waiting or self._random.random() < self._switching:
            self._latest = self._random.choice(waiting)
        return self._latest

    def wait(self, name: str, method: str, url: str) -> None:
        """Wait for the turn of an actor, who is at work from then on."""
        with self._changed:
            self._waiting.add(name)
            self._busy.discard(name)
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self._turn == name, timeout=60)
            self._turn = None
            self._waiting.discard(name)
            self._busy.add(name)
            self.log.append((name, method.upper(), url.partition("/v1/")[2].partition("?")[0]))


class _Waiting(stripe.HTTPClient):
    """A transport whose requests wait for their turn."""

    name = "turns"

    def __init__(self, turns: Turns, actor: str, inner: stripe.HTTPClient) -> None:
        super().__init__()
        self._turns, self._actor, self._inner = turns, actor, inner

    def request(self, method: str, url: str, headers: Any, post_data: Any = None) -> Any:
        """Send one request when it is its turn."""
        sent = self._turns.clock()
        self._turns.wait(self._actor, method, url)
        if self._turns.clock() - sent > REQUEST_SECONDS:
            raise stripe.APIConnectionError("timeout")  # type: ignore[no-untyped-call]  # the SDK leaves it so
        return self._inner.request(method, url, headers, post_data)


@pytest.fixture
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let readers have one thread, so that an actor has one request in flight."""
    monkeypatch.setattr("reconciler.provider.reads.THREADS", 1)
