"""Signatures of notices: who has a secret signs what a receiver takes, and nobody else does."""

import hashlib
import hmac

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st

from reconciler.service.work.signing import SignatureError, sign, verify

BODY, NOW = b'{"id":"ntc_1"}', 1_800_000_000
OLD, NEW = "secret-that-is-old", "secret-that-is-new"


def test_a_signature_is_what_the_documentation_says() -> None:
    """The header holds the instant, and the HMAC-SHA256 of instant, dot and body under each secret."""
    mac = hmac.new(OLD.encode(), f"{NOW}.".encode() + BODY, hashlib.sha256).hexdigest()
    assert sign(BODY, [OLD], NOW) == f"t={NOW},v1={mac}"
    assert sign(BODY, [NEW, OLD], NOW).endswith(f",v1={mac}")


def test_stripes_own_library_accepts_a_signature() -> None:
    """The scheme is Stripe's: their library verifies our header."""
    header = sign(BODY, [NEW, OLD], NOW)
    assert stripe.WebhookSignature.verify_header(BODY.decode(), header, OLD, None)


@given(
    st.binary(max_size=200), st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=3, unique=True), st.data()
)
def test_any_one_of_the_secrets_is_enough(body: bytes, secrets: list[str], data: st.DataObject) -> None:
    """A receiver that knows one secret of several accepts, so that secrets can be changed without a gap."""
    known = data.draw(st.sampled_from(secrets))
    verify(body, sign(body, secrets, NOW), [known, "another"], NOW)
    with pytest.raises(SignatureError):
        verify(body + b" ", sign(body, secrets, NOW), [known], NOW)


@pytest.mark.parametrize(
    ("header", "secrets"),
    [
        (sign(BODY, [OLD], NOW), [NEW]),
        (sign(BODY, [OLD], NOW), []),
        (sign(BODY, [OLD], NOW).replace(f"t={NOW}", f"t={NOW + 1}"), [OLD]),
        (sign(BODY, [OLD], NOW).replace("v1=", "v0="), [OLD]),
        (sign(BODY, [OLD], NOW)[:-1], [OLD]),
        (f"t={NOW},v1=" + hmac.new(b"", f"{NOW}.".encode() + BODY, hashlib.sha256).hexdigest(), [""]),
        (f"t={NOW},t={NOW}," + sign(BODY, [OLD], NOW), [OLD]),
        ("", [OLD]),
        (f"t={NOW}", [OLD]),
        ("t=²,v1=ä", [OLD]),
    ],
)
def test_what_is_not_signed_with_a_secret_is_refused(header: str, secrets: list[str]) -> None:
    """Another secret, none, an empty one, another instant, another version, half a signature, rubbish: all refused."""
    verify(BODY, sign(BODY, [OLD], NOW), [OLD], NOW)
    with pytest.raises(SignatureError):
        verify(BODY, header, secrets, NOW)


@pytest.mark.parametrize("off", [-300, -299, 0, 299, 300])
def test_a_clock_may_be_off_by_the_tolerance(off: int) -> None:
    """Up to 300 seconds either way are accepted."""
    verify(BODY, sign(BODY, [OLD], NOW), [OLD], NOW + off)


@pytest.mark.parametrize("off", [-301, 301])
def test_an_old_signature_is_refused(off: int) -> None:
    """What was signed more than 300 seconds from now may be somebody's recording."""
    with pytest.raises(SignatureError, match="300 seconds"):
        verify(BODY, sign(BODY, [OLD], NOW), [OLD], NOW + off)


@pytest.mark.parametrize("secrets", [[], [""], [OLD, ""]])
def test_nothing_is_signed_without_a_secret(secrets: list[str]) -> None:
    """An empty secret is a mistake that is told, not a signature anybody can make."""
    with pytest.raises(ValueError, match="at least one secret"):
        sign(BODY, secrets, NOW)
