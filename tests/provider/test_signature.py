"""Webhooks are believed only where their signature proves them: by the raw bytes, a known secret, and not too late."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stripe import WebhookSignature

from reconciler.diagnostics import UsageError
from reconciler.provider.webhooks.signature import NotAnEventError, SignatureError, Verifier, notice_of

NOW = 1_800_000_000
SECRET, OTHER = "whsec_" + "a" * 32, "whsec_" + "b" * 32
EVENT: dict[str, Any] = {
    "id": "evt_1",
    "object": "event",
    "api_version": "2026-01-28.clover",
    "created": NOW - 5,
    "data": {"object": {"id": "cs_1", "object": "checkout.session", "customer": "cus_1", "payment_intent": "pi_1"}},
    "livemode": False,
    "type": "checkout.session.completed",
}
THIN: dict[str, Any] = {
    "id": "evt_2",
    "object": "v2.core.event",
    "created": "2027-01-15T08:00:00.000Z",
    "livemode": False,
    "context": None,
    "related_object": {"id": "sub_1", "type": "subscription", "url": "/v1/subscriptions/sub_1"},
    "type": "v1.customer.subscription.active",
}
RAW = json.dumps(EVENT, indent=2).encode()


def verifier(*secrets: str, mode: str = "test", now: float = NOW) -> Verifier:
    """Return a verifier at an instant."""
    return Verifier(secrets or (SECRET,), mode, lambda: now)


def signed(raw: bytes = RAW, secret: str = SECRET, at: int = NOW) -> str:
    """Sign a body as Stripe does."""
    return WebhookSignature.generate_signature_header(raw.decode(), secret, at)  # type: ignore[no-untyped-call, no-any-return]


def test_a_genuine_webhook_says_what_it_is_about() -> None:
    """A snapshot event is known by its id, type and object, its customer and payment; nothing else is kept."""
    found = verifier().notice(RAW, signed())
    assert (found.id, found.type, found.created, found.livemode) == (
        "evt_1",
        "checkout.session.completed",
        NOW - 5,
        False,
    )
    assert (found.object, found.kind, found.customer, found.payment) == ("cs_1", "checkout.session", "cus_1", "pi_1")
    assert (found.subject, found.api_version, found.account) == ("pi_1", "2026-01-28.clover", None)


def test_a_thin_event_is_proven_alike() -> None:
    """A notification without its object names what it is about."""
    raw = json.dumps(THIN).encode()
    found = verifier().notice(raw, signed(raw))
    assert (found.type, found.object, found.kind) == ("v1.customer.subscription.active", "sub_1", "subscription")
    assert (found.created, found.subject, found.api_version) == (1800000000, "sub_1", None)
    with pytest.raises(SignatureError):
        verifier().notice(raw, signed(raw, OTHER))


@pytest.mark.parametrize(("age", "accepted"), [(0, True), (299, True), (300, True), (301, False), (-3600, True)])
def test_a_signature_is_good_for_300_seconds(age: int, accepted: bool) -> None:
    """299 seconds are accepted, 301 are not; a clock that is behind is no reason to refuse."""
    if accepted:
        assert verifier().notice(RAW, signed(at=NOW - age)).id == "evt_1"
    else:
        with pytest.raises(SignatureError, match="300 seconds ago"):
            verifier().notice(RAW, signed(at=NOW - age))


def test_two_secrets_are_good_while_they_are_rotated() -> None:
    """Either of them proves; a third does not, nor does one that is no longer given."""
    both = verifier(OTHER, SECRET)
    assert both.notice(RAW, signed()).id == both.notice(RAW, signed(secret=OTHER)).id == "evt_1"
    for alone, secret in ((both, "whsec_" + "c" * 32), (verifier(OTHER), SECRET)):
        with pytest.raises(SignatureError, match="secret that is known"):
            alone.notice(RAW, signed(secret=secret))


@pytest.mark.parametrize("secrets", [(), ("",), ("   ",), (SECRET, ""), ("whsec_",), ("sk_test_x",), ("whsec_ü",)])
def test_an_empty_secret_starts_nothing(secrets: tuple[str, ...]) -> None:
    """Without a secret that can prove something there is no verifier, so nothing is ever accepted unproven."""
    with pytest.raises(UsageError):
        Verifier(secrets, "test")


def recoded(change: Callable[[Any], bytes]) -> bytes:
    """Return the body written anew."""
    return change(json.loads(RAW))


@pytest.mark.parametrize(
    "change",
    [
        lambda event: json.dumps(event).encode(),
        lambda event: json.dumps(event, indent=2, sort_keys=True).encode(),
        lambda event: json.dumps(event, indent=2).encode() + b"\n",
        lambda event: b"\xef\xbb\xbf" + json.dumps(event, indent=2).encode(),
        lambda event: json.dumps(event, indent=2).replace("cs_1", "\\u0063s_1").encode(),
        lambda event: json.dumps({**event, "id": "evt_9"}, indent=2).encode(),
    ],
)
def test_a_body_that_was_written_anew_fails(change: Callable[[Any], bytes]) -> None:
    """Other spaces, another order, a byte more, or the same text in other bytes: only what was sent is proven."""
    with pytest.raises(SignatureError):
        verifier().notice(recoded(change), signed())


@pytest.mark.parametrize(
    "header",
    [None, "", "t=", f"t={NOW}", f"t={NOW},v1=", f"v1={'0' * 64}", "t=x,v1=y", f"t={NOW},v0={{}}", f"t={NOW},v1=ü"],
)
def test_a_header_that_proves_nothing_is_refused(header: str | None) -> None:
    """No header, an empty one, one without instant or signature, of another scheme, or with strange letters."""
    proof = signed().partition("v1=")[2]
    with pytest.raises(SignatureError):
        verifier().notice(RAW, header.replace("{}", proof) if header else header)


@pytest.mark.parametrize("way", ["t={old},t={now},v1={proof}", "t=+{old},t={now},v1={proof}", "t= {old},v1={proof}"])
def test_an_old_webhook_does_not_pass_for_a_new_one(way: str) -> None:
    """A header that names two instants, or one in a way only some readers understand, is not believed."""
    proof = signed(at=NOW - 4000).partition("v1=")[2]
    with pytest.raises(SignatureError):
        verifier().notice(RAW, way.format(old=NOW - 4000, now=NOW, proof=proof))


def test_signatures_beside_the_right_one_do_not_matter() -> None:
    """Stripe signs with both secrets while one is rolled; one that fits is enough, wherever it stands."""
    proof = signed().partition("v1=")[2]
    for parts in (f"v1={'0' * 64},v1={proof},v0=x", f"v1={proof},v1={'0' * 64}"):
        assert verifier().notice(RAW, f"t={NOW},{parts}").id == "evt_1"


@pytest.mark.parametrize(("mode", "livemode"), [("live", False), ("test", True)])
def test_an_event_of_the_other_mode_is_refused(mode: str, livemode: bool) -> None:
    """A live event is nothing to a test key, nor the other way round; each is fine for its own."""
    raw = json.dumps({**EVENT, "livemode": livemode}).encode()
    with pytest.raises(NotAnEventError, match="mode"):
        verifier(mode=mode).notice(raw, signed(raw))
    assert verifier(mode="live" if livemode else "test").notice(raw, signed(raw)).livemode is livemode


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"not json",
        b"[" * 100_000,
        b'{"object": "event"}',
        json.dumps({**EVENT, "id": 7}).encode(),
        json.dumps({**EVENT, "id": "evt'; DROP TABLE inbox"}).encode(),
        json.dumps({**EVENT, "livemode": "no"}).encode(),
        json.dumps({**EVENT, "data": None}).encode(),
        json.dumps({**EVENT, "object": "charge"}).encode(),
        json.dumps({**THIN, "created": "soon"}).encode(),
    ],
)
def test_a_signed_body_that_is_no_event_is_refused(body: bytes) -> None:
    """What is proven and still makes no sense is refused without an error of its own."""
    with pytest.raises(NotAnEventError):
        verifier().notice(body, signed(body))


@pytest.mark.parametrize(
    ("about", "subject"),
    [
        ({"object": "charge", "id": "ch_1", "customer": "cus_1", "payment_intent": "pi_1"}, "pi_1"),
        ({"object": "refund", "id": "re_1", "payment_intent": {"id": "pi_1", "object": "payment_intent"}}, "pi_1"),
        ({"object": "payment_intent", "id": "pi_1", "customer": "cus_1"}, "pi_1"),
        ({"object": "subscription", "id": "sub_1", "customer": "cus_1"}, "cus_1"),
        ({"object": "customer", "id": "cus_1"}, "cus_1"),
        ({"object": "checkout.session", "id": "cs_1", "customer": None, "payment_intent": None}, "cs_1"),
        ({"object": "balance"}, "evt_1"),
    ],
)
def test_events_that_belong_together_have_one_subject(about: dict[str, Any], subject: str) -> None:
    """All about one payment are of that payment; subscriptions are of their customer; the rest of themselves."""
    assert notice_of({**EVENT, "data": {"object": about}}).subject == subject


@given(st.binary(max_size=200), st.text(max_size=80))
def test_nothing_unproven_is_believed(raw: bytes, header: str) -> None:
    """Whatever bytes and header: refused, and never otherwise than as unproven."""
    with pytest.raises(SignatureError):
        verifier().notice(raw, header)
