"""Sessions that stream meter events (https://docs.stripe.com/api/v2/billing/meter-event-session): a passing token."""

from reconciler.sandbox import v2
from reconciler.sandbox.objects.base import Call, Family, Route
from reconciler.sandbox.wire import Obj

#: How long a token is good for (recording-usage-api, "High-throughput ingestion").
SESSION_SECONDS = 15 * 60


def _create(call: Call) -> Obj:
    """Return a token; sessions are stateless, so that none is stored."""
    tail = call.new_id("", 24)
    expires_at = call.now + SESSION_SECONDS
    token = v2.session_token(call.seed, call.tx.account, tail, expires_at)
    return call.fill(FAMILY, f"mes_test_61{tail}", authentication_token=token, expires_at=expires_at)


FAMILY = Family(
    kind="v2.billing.meter_event_session",
    noun="meter event session",
    emits_events=False,
    template={
        "object": "v2.billing.meter_event_session",
        "authentication_token": "",
        "created": 0,
        "expires_at": 0,
        "livemode": False,
    },
    routes=(Route("POST", "/v2/billing/meter_event_session", "v2.billing.MeterEventSessionCreateParams", _create),),
)
