"""What an operator may change on the pages: credits given, and grants taken away, each with a reason in the ledger."""

import re
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from http import HTTPStatus

from starlette.responses import RedirectResponse, Response

from reconciler.entitlements import KeyConflictError
from reconciler.entitlements.books import OWN
from reconciler.ledger.entry import well_named
from reconciler.service.dashboard.desk import Desk, Visit, WrongError
from reconciler.service.dashboard.tenant import REASON

#: What is told after a form was carried out, by a word in the address.
DONE = {
    "granted": "The credits were granted.",
    "adjusted": "What was left of the grant was taken away.",
    "replayed": "The event is worked off once more.",
}
_KEY = 128
_MOST = Decimal(10) ** 12
_NUMBER = re.compile(r"[0-9]{1,13}(\.[0-9]{1,6})?")


class Acts:
    """Carries forms out; the same form sent twice happens once."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._runtime = desk.service.runtime

    def grant(self, visit: Visit) -> Response:
        """Give a tenant credits."""
        tenant, key, reason = self._common(visit)
        until = _until(visit.form.get("expires", ""))
        try:
            self._runtime.grant(tenant, _credits(visit.form.get("credits", "")), key=key, expires=until, reason=reason)
        except KeyConflictError:
            raise _again() from None
        except (ValueError, OverflowError):
            raise WrongError(422, "Not granted", "The ledger cannot hold so many credits.") from None
        return _back(visit, tenant, "granted")

    def adjust(self, visit: Visit) -> Response:
        """Take away what is left of a grant."""
        tenant, key, reason = self._common(visit)
        lot = visit.form.get("lot", "")
        if not well_named(lot) or lot.startswith(OWN):
            raise WrongError(422, "Not taken away", "Choose one of the grants.")
        try:
            self._runtime.void(tenant, lot, key=key, reason=reason)
        except KeyConflictError:
            raise _again() from None
        except (LookupError, ValueError):
            raise WrongError(404, "Not taken away", "There is no such grant.") from None
        return _back(visit, tenant, "adjusted")

    def replay(self, visit: Visit) -> Response:
        """Let an event of the inbox be worked off once more."""
        hooks, name = self._desk.service.hooks, visit.form.get("id", "")
        if hooks is None or not well_named(name):
            raise WrongError(404, "No such event", "There is no such event in the inbox.")
        hooks.inbox.replay(name)
        return RedirectResponse(visit.seat.to("webhooks", done="replayed"), HTTPStatus.SEE_OTHER)

    def _common(self, visit: Visit) -> tuple[str, str, str]:
        """Return the tenant, the key of the form, and the reason with who gave it."""
        tenant, key = visit.form.get("tenant", ""), visit.form.get("key", "")
        reason = visit.form.get("reason", "").strip()
        named = well_named(tenant)
        if not named or (self._desk.store.balance(tenant) is None and tenant not in self._runtime.policy.tenants):
            raise WrongError(404, "No such tenant", "Neither the files nor the ledger know this tenant.")
        if not reason or len(reason) > REASON or not reason.isprintable():
            raise WrongError(422, "A reason is needed", f"Say why in at most {REASON} characters.")
        if not key.startswith("dashboard-") or len(key) > _KEY or not well_named(key):
            raise WrongError(422, "Not sent", "The form is not one of these pages. Load the page again, and send it.")
        return tenant, key, f"{reason} (by {visit.operator})"


def _credits(text: str) -> Decimal:
    # No commas: they are decimal points to some, and mean nothing to others.
    found = Decimal(text) if _NUMBER.fullmatch(text := text.strip()) else Decimal(0)
    if not 0 < found <= _MOST:
        raise WrongError(422, "Not granted", "Credits are a number above zero, with at most six decimals.")
    return found


def _until(text: str) -> datetime | None:
    """Return the end of a day in UTC."""
    if not text:
        return None
    try:
        return datetime.combine(datetime.fromisoformat(text).date() + timedelta(days=1), time(), UTC)
    except (ValueError, OverflowError):
        raise WrongError(422, "Not granted", "Until is a date such as 2027-01-31, or empty.") from None


def _again() -> WrongError:
    return WrongError(409, "Sent before", "This form was sent before with other values. Load the page again.")


def _back(visit: Visit, tenant: str, done: str) -> Response:
    return RedirectResponse(visit.seat.to("tenant", id=tenant, done=done), HTTPStatus.SEE_OTHER)
