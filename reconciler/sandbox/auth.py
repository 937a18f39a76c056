"""Who is asking: the test key in the ``Authorization`` header, and the account that belongs to it."""

import base64
import binascii
import re
from collections.abc import Mapping

from reconciler.diagnostics.visible import visible
from reconciler.sandbox.errors import ApiError
from reconciler.sandbox.ids import derive
from reconciler.sandbox.version import API_VERSION

_TEST_KEY = re.compile(r"[sr]k_test_([A-Za-z0-9_]+)")
_LIVE_PREFIXES = ("sk_live_", "rk_live_")
_SHOWN = 12


def account_of(headers: Mapping[str, str]) -> str:
    """Return the account id of a request, one per text after ``sk_test_`` or ``rk_test_``; raise Stripe's 401, 403."""
    key = key_of(headers.get("authorization", ""))
    if key.startswith(_LIVE_PREFIXES):
        raise _unauthorized(
            "Live keys are refused: this is a local sandbox, and a live key has no business leaving its vault."
        )
    match = _TEST_KEY.fullmatch(key)
    if match is None:
        raise _unauthorized(f"Invalid API Key provided: {visible(key[:_SHOWN])}{'*' * max(0, len(key[_SHOWN:40]))}")
    account = "acct_1" + derive("account", match[1], length=15)
    for name in ("stripe-account", "stripe-context"):
        if headers.get(name, account) != account:
            raise ApiError(
                403,
                f"The provided key does not have access to account '{visible(headers[name][:64])}' "
                "(or that account does not exist).",
                code="account_invalid",
            )
    return account


def check_version(headers: Mapping[str, str]) -> None:
    """Refuse an API version other than the one modelled; none at all means that one."""
    version = headers.get("stripe-version", API_VERSION)
    if version != API_VERSION:
        raise ApiError(
            400, f"Invalid Stripe API version: {visible(version[:64])}. The sandbox models {API_VERSION} only."
        )


def key_of(authorization: str) -> str:
    """Return the key in an ``Authorization`` header, Bearer or Basic; raise Stripe's 401 if there is none."""
    scheme, _, credentials = authorization.strip().partition(" ")
    if scheme.lower() == "bearer" and credentials.strip():
        return credentials.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(credentials, validate=True).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            raise _unauthorized("Invalid API Key provided: the Basic credentials cannot be decoded.") from None
    raise _unauthorized(
        "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer "
        "auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY'). See https://stripe.com/docs/api#authentication."
    )


def _unauthorized(message: str) -> ApiError:
    return ApiError(401, message, headers={"www-authenticate": 'Basic realm="Stripe"'})
