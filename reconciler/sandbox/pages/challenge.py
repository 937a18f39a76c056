"""The bank's page of a payment or setup intent that was confirmed through the API (https://docs.stripe.com/payments/3d-secure)."""

from urllib.parse import urlencode, urlsplit

from reconciler.sandbox.billing import payments, setups
from reconciler.sandbox.errors import ApiError
from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.pages.checkout import challenge_page
from reconciler.sandbox.pages.html import notice, redirect
from reconciler.sandbox.pages.visit import Visit
from reconciler.sandbox.wire import Obj, Response


def page(visit: Visit) -> Response:
    """Answer a visit of ``/sandbox/authenticate/{intent}``."""
    call, action = visit.call, visit.action()
    intent = _find(call, visit.name)
    back = ((intent["next_action"] or {}).get("redirect_to_url") or {}).get("return_url")
    if intent["status"] == "requires_action":
        if action is None:
            return challenge_page(visit.token, [])
        _authenticate(call, intent, success=visit.sent.get("result") == "success")
        intent = _find(call, visit.name)
    if back is None:
        return notice("Done", "You can close this page.")
    return redirect(_with_intent(back, intent))


def _find(call: Call, intent_id: str) -> Obj:
    for kind in ("payment_intent", "setup_intent"):
        if row := call.tx.find(kind, intent_id):
            return row.body
    raise ApiError(404, "There is no such page.")


def _authenticate(call: Call, intent: Obj, *, success: bool) -> None:
    if intent["object"] == "payment_intent":
        payments.authenticate(call, intent["id"], success)
    else:
        setups.authenticate(call, intent["id"], success=success)


def _with_intent(url: str, intent: Obj) -> str:
    """Return the return address with the parameters Stripe adds.

    Source: https://docs.stripe.com/payments/accept-a-payment ("handle post-payment events").
    """
    kind = intent["object"]
    result = "failed" if intent["status"] == "requires_payment_method" else "succeeded"
    added = {kind: intent["id"], f"{kind}_client_secret": intent["client_secret"], "redirect_status": result}
    parts = urlsplit(url)
    return parts._replace(query="&".join(filter(None, [parts.query, urlencode(added)]))).geturl()
