"""The port to Stripe: version, keys, transport."""

import pytest
from stripe import _api_version

from reconciler.diagnostics import ProviderError, UsageError
from reconciler.provider import gateway
from reconciler.provider.gateway import API_VERSION, Connection, Gateway, check_key
from reconciler.provider.limiter import UNLIMITED
from reconciler.sandbox import Sandbox


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
