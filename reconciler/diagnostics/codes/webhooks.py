"""E17xx: webhooks, and what they bring."""

from reconciler.diagnostics.codes.model import prose

CODES = {
    "E1701": prose(
        "no webhook secret",
        "Webhooks are proven with the secret of their endpoint. Without one nothing could be proven, and an unproven "
        "webhook is never believed, so nothing starts.",
        "STRIPE_WEBHOOK_SECRET is empty",
        "STRIPE_WEBHOOK_SECRET=whsec_…, as Stripe showed it when the endpoint was made",
    ),
    "E1702": prose(
        "webhook not proven",
        "The signature of the body fits none of the secrets. It covers the raw bytes, so a body that something on the "
        "way has read and written anew does not fit either.",
        "the secret of another endpoint, or of another mode",
        "the secret of this endpoint; while it is rotated, both",
    ),
    "E1703": prose(
        "webhook too old",
        "A signature is good for 300 seconds, so that a webhook that was overheard cannot be sent again later. Stripe "
        "signs each attempt anew.",
        "a clock that is minutes ahead, or a webhook that was recorded and sent again",
        "set the clock; let Stripe send it again",
    ),
    "E1704": prose(
        "no event",
        "The body is signed, but is neither an event of Stripe nor a thin one.",
        "another service signs with the same secret",
        "give every endpoint a secret of its own",
    ),
    "E1705": prose(
        "event of the other mode",
        "Live and test data never mix: an event says which it is of, and has to be of the mode of the key.",
        "an endpoint of live mode that points at a test service",
        "an endpoint and a key of the same mode",
    ),
    "E1706": prose(
        "no such webhook",
        "The inbox has no event of this id: it never came, or its row was cleared.",
        "reconciler webhooks show evt_unknown",
        "reconciler webhooks list",
    ),
}
