"""The port to Stripe: version, keys, transport."""

import pytest
from stripe import _api_version

from reconciler.diagnostics import ProviderError, UsageError
from reconciler.provider import gateway
from reconciler.provider.gateway import Connection, Gateway, RequestFailedError, check_key
from reconciler.provider.limiter import UNLIMITED
from reconciler.provider.retry import Backoff, Failure
from reconciler.resources.version import API_VERSION
from reconciler.sandbox import Fault, Sandbox


def test_the_version_is_the_sdks() -> None:
    """The API version we pin is the one the installed SDK was generated for."""
    assert _api_version._ApiVersion.CURRENT == API_VERSION


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer in another version than was asked for is not used."""
    port = Gateway(Connection("sk_test_sandbox", transport=Sandbox().http_client(), rates=UNLIMITED))
    assert port.get("/v1/account")["object"] == "account"
    monkeypatch.setattr(gateway, "API_VERSION", "2020-01-01.never")
    with pytest.raises(ProviderError) as caught:
        port.get("/v1/account")
    assert caught.value.code == "E0907"


@pytest.mark.parametrize("key", ["", "x", "pk_test_" + "a" * 20, "sk_test", "sk_test_a b", "sk_test_\u00e9"])
def test_what_is_no_secret_key_is_refused(key: str) -> None:
    """Publishable, cut and foreign texts are refused, and the text itself is not repeated."""
    with pytest.raises(UsageError) as caught:
        check_key(key)
    assert not key or key not in str(caught.value)


def test_space_around_a_key_is_dropped() -> None:
    """A key read from a file may end in a line feed."""
    assert check_key(" rk_test_abc\n") == "rk_test_abc"


def refused_after(*faults: Fault) -> Failure:
    """Return how a request fails for good whose first tries go wrong."""
    with Sandbox() as sandbox:
        sandbox.faults.add(*faults)
        connection = Connection("sk_test_sandbox", transport=sandbox.http_client(), rates=UNLIMITED)
        port = Gateway(connection, backoff=Backoff(tries=3, sleep=lambda _seconds: None))
        with pytest.raises(RequestFailedError) as caught:
            port.post("/v1/products", {"name": "x"}, "key")
        return caught.value.failure


def test_a_refusal_does_not_hide_an_answer_that_was_lost_before_it() -> None:
    """Tries that end with a refusal leave open what an earlier one did; a refusal alone leaves nothing open."""
    limited = Fault(kind="rate_limit", first=2)
    assert not refused_after(Fault(kind="rate_limit")).ambiguous
    lost = refused_after(Fault(kind="drop_after", nth=1), limited)
    assert (lost.status, lost.unanswered, lost.doubted, lost.ambiguous) == (429, False, True, True)
    torn = refused_after(Fault(kind="rate_limit", nth=1), Fault(kind="cut", nth=1), limited)
    assert torn.ambiguous
