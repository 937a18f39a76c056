"""The token bucket, on a clock that only its own waiting moves."""

from hypothesis import given
from hypothesis import strategies as st

from reconciler.provider.limiter import BURST_SECONDS, LIVE, TEST, UNLIMITED, Limiter, Rates

STRIPE_PER_ENDPOINT = 25


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        self.slept += seconds


def starts(rates: Rates, endpoints: list[str], idle: float = 0.0) -> list[tuple[float, str]]:
    """Return when each request would start."""
    clock = Clock()
    limiter = Limiter(rates, clock=clock, sleep=clock.sleep)
    clock.now += idle
    found = []
    for endpoint in endpoints:
        limiter.wait(endpoint)
        found.append((clock.now, endpoint))
    return found


@given(st.lists(st.sampled_from(["a", "b", "c"]), min_size=30, max_size=150), st.floats(0, 100))
def test_no_second_exceeds_what_stripe_allows(endpoints: list[str], idle: float) -> None:
    """In every window of one second each endpoint sees at most 25 requests, whatever came before."""
    found = starts(Rates(endpoint=20, total=1000), endpoints, idle)
    for begin, _ in found:
        for endpoint in "abc":
            inside = [moment for moment, name in found if name == endpoint and begin <= moment < begin + 1]
            assert len(inside) <= STRIPE_PER_ENDPOINT


def test_the_rate_is_reached() -> None:
    """A hundred requests at 20 per second take five seconds, less what was saved up."""
    found = starts(TEST, ["a"] * 100)
    assert 100 / 20 - BURST_SECONDS - 0.1 <= found[-1][0] - 1000 <= 100 / 20


def test_the_total_binds_all_endpoints() -> None:
    """Two endpoints together stay within the total."""
    found = starts(Rates(endpoint=20, total=20), ["a", "b"] * 50)
    assert found[-1][0] - 1000 >= 100 / 20 - BURST_SECONDS - 0.1


def test_live_accounts_allow_more_in_all() -> None:
    """Live mode allows more in all but not more per endpoint."""
    assert LIVE.total > TEST.total
    assert LIVE.endpoint == TEST.endpoint < STRIPE_PER_ENDPOINT


def test_unlimited_never_waits() -> None:
    """Without rates nobody waits."""
    assert starts(UNLIMITED, ["a"] * 1000)[-1][0] == 1000


def test_what_is_apart_has_its_own_rate_and_takes_nothing_from_the_others() -> None:
    """Meter events come at their own rate in live mode, and leave the total to everything else."""
    events = "post v1/billing/meter_events"
    found = starts(LIVE, [events] * 400 + ["a"])
    assert 400 / LIVE.apart[events] - BURST_SECONDS - 0.1 <= found[399][0] - 1000 <= 400 / LIVE.apart[events]
    assert found[400][0] == found[399][0]
    slow = starts(TEST, [events] * 100)
    assert slow[-1][0] - 1000 >= 100 / 20 - BURST_SECONDS - 0.1
