"""What payment intents and setup intents refuse alike."""

from reconciler.sandbox.errors import ApiError
from reconciler.sandbox.expand import show
from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.wire import Obj

_NAMES = {"payment_intent": "PaymentIntent", "setup_intent": "SetupIntent"}


def unexpected(call: Call, intent: Obj, done: str, allowed: tuple[str, ...]) -> ApiError:
    """Return the refusal of what the intent's status does not allow (grandnode/grandnode#985)."""
    name = _NAMES[intent["object"]]
    message = (
        f"This {name} could not be {done} because it has a status of {intent['status']}. Only a {name} with one of the "
        f"following statuses may be {done}: {', '.join(allowed)}."
    )
    return unexpected_state(call, intent, message)


def unexpected_state(call: Call, intent: Obj, message: str) -> ApiError:
    """Return a refusal that shows the intent."""
    kind = intent["object"]
    shown = show(call.tx, call.families, call.families[kind], intent)
    return ApiError(400, message, code=f"{kind}_unexpected_state", extra={kind: shown})
