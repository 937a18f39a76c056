"""Payment methods: test cards as objects, whose they are, whether they can be used (https://docs.stripe.com/testing)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from reconciler.sandbox.billing import cards
from reconciler.sandbox.billing.cards import Card, Decline
from reconciler.sandbox.errors import ApiError, exclusive, invalid, missing, no_such
from reconciler.sandbox.ids import derive
from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.store import Row
from reconciler.sandbox.wire import Obj

NO_ADDRESS: Obj = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))
NO_DETAILS: Obj = {"address": NO_ADDRESS, "email": None, "name": None, "phone": None, "tax_id": None}

#: Quoted in liberapay/liberapay.com#2686.
_SPENT = (
    "The provided PaymentMethod was previously used with a PaymentIntent without Customer attachment, shared with a "
    "connected account without Customer attachment, or was detached from a Customer. It may not be used again. To use "
    "a PaymentMethod multiple times, you must attach it to a Customer first."
)
_MONTHS, _CENTURY, _MAX_YEARS = 12, 100, 50
_CVC_DIGITS = {"amex": (3, 4)}


@dataclass(frozen=True, slots=True)
class Details:
    """What somebody typed into a form: a test card, when it expires, whether with its security code."""

    card: Card
    month: int
    year: int
    cvc: bool


def card_error(decline: Decline, *, kept: bool = False, **extra: Any) -> ApiError:
    """Return the 402 of a decline (https://docs.stripe.com/api/errors); ``kept`` if what was written stays."""
    return ApiError(
        402,
        decline.message,
        error_type="card_error",
        code=decline.code,
        param=extra.pop("param", None),
        extra={"decline_code": decline.reason, **extra},
        keeps_writes=kept,
    )


def card_of(method: Obj) -> Card:
    """Return the test card a payment method was made from."""
    card = cards.by_number(method["_number"])
    if card is None:
        raise LookupError(f"{method['id']} is no test card")
    return card


def decline_of(method: Obj) -> Decline | None:
    """Return why the bank refuses payments with a method; a wrong security code matters only where one was given."""
    decline = card_of(method).decline
    return None if decline == cards.CVC and not method["_cvc"] else decline


def refusal_of(method: Obj) -> Decline | None:
    """Return why the bank refuses a method that is to be kept; some are refused only when they pay."""
    return None if card_of(method).attaches else decline_of(method)


def typed(call: Call, given: Mapping[str, Any], at: str = "card") -> Details:
    """Read a card's number, expiry and code, or refuse them as https://docs.stripe.com/testing#invalid-data says."""
    for name in ("number", "exp_month", "exp_year"):
        if name not in given:
            raise missing(f"{at}[{name}]")
    number = given["number"].replace(" ", "").replace("-", "")
    if not cards.well_formed(number):
        raise _wrong("incorrect_number", "Your card number is incorrect.", f"{at}[number]")
    month, year = _expiry(call, int(given["exp_month"]), int(given["exp_year"]), at)
    card = cards.by_number(number)
    if card is None:
        raise card_error(cards.NOT_A_TEST_CARD, param=f"{at}[number]")
    check_cvc(card, given.get("cvc"), at)
    return Details(card, month, year, "cvc" in given)


def _expiry(call: Call, month: int, year: int, at: str) -> tuple[int, int]:
    if not 1 <= month <= _MONTHS:
        raise _wrong("invalid_expiry_month", "Your card's expiration month is invalid.", f"{at}[exp_month]")
    today = datetime.fromtimestamp(call.now, UTC)
    full = year + 2000 if year < _CENTURY else year
    if not today.year <= full <= today.year + _MAX_YEARS:
        raise _wrong("invalid_expiry_year", "Your card's expiration year is invalid.", f"{at}[exp_year]")
    if full == today.year and month < today.month:
        raise _wrong("invalid_expiry_month", "Your card's expiration month is invalid.", f"{at}[exp_month]")
    return month, full


def check_expiry(call: Call, card: Obj, at: str) -> None:
    """Refuse a changed expiry that has passed or is none."""
    _expiry(call, card["exp_month"], card["exp_year"], at)


def check_digits(text: str, param: str) -> None:
    """Refuse text that stands for a number and is none."""
    if not text.isascii() or not text.isdecimal():
        raise invalid(f"Invalid integer: {text[:40]}", param, "parameter_invalid_integer")


def check_cvc(card: Card, cvc: str | None, at: str) -> None:
    """Refuse a security code of the wrong length."""
    if cvc is not None and not (cvc.isascii() and cvc.isdecimal() and len(cvc) in _CVC_DIGITS.get(card.brand, (3,))):
        raise _wrong("invalid_cvc", "Your card's security code is invalid.", f"{at}[cvc]")


def _wrong(code: str, message: str, param: str) -> ApiError:
    return ApiError(402, message, error_type="card_error", code=code, param=param)


def literal(call: Call, card: Card) -> Details:
    """Return the details behind ``pm_card_…`` and ``tok_…``: good for another year; a code only where it matters."""
    today = datetime.fromtimestamp(call.now, UTC)
    needs_cvc = card.decline == cards.CVC or "cvc_check" in card.failing
    return Details(card, today.month, today.year + 1, needs_cvc)


def from_token(call: Call, token: str, param: str) -> Details:
    """Return the details behind a token, which can be used once; those of ``tok_visa`` and the like always."""
    if named := cards.by_name(token, cards.TOKEN):
        return literal(call, named)
    row = call.tx.find("token", token)
    card = cards.by_number(row.body["_number"]) if row else None
    if row is None or card is None:
        raise no_such("token", token, param)
    if row.body["used"]:
        message = f"You cannot use a Stripe token more than once: {token}."
        raise invalid(message, param, "token_already_used")
    call.replace(call.families["token"], row, {**row.body, "used": True})
    shown = row.body["card"]
    return Details(card, shown["exp_month"], shown["exp_year"], row.body["_cvc"])


def from_params(call: Call, given: Mapping[str, Any], at: str = "card") -> Details:
    """Return the details of a ``card`` parameter: either a token or number, expiry and code."""
    if "token" not in given:
        return typed(call, given, at)
    if "number" in given:
        raise exclusive(f"{at}[token]", f"{at}[number]")
    return from_token(call, given["token"], f"{at}[token]")


def fingerprint(call: Call, card: Card) -> str:
    """Return what is the same for one card number wherever it turns up in the account."""
    return derive(call.tx.account, "card", card.number, length=16)


def build(call: Call, method_id: str, details: Details) -> Obj:
    """Return the complete payment method of a card, attached to nobody."""
    card = details.card
    shown = {
        "brand": card.brand,
        "checks": {
            "address_line1_check": None,
            "address_postal_code_check": None,
            "cvc_check": "unchecked" if details.cvc else None,
        },
        "country": card.country,
        "display_brand": {"amex": "american_express", "diners": "diners_club"}.get(card.brand, card.brand),
        "exp_month": details.month,
        "exp_year": details.year,
        "fingerprint": fingerprint(call, card),
        "funding": card.funding,
        "generated_from": None,
        "last4": card.last4,
        "networks": {"available": [card.brand], "preferred": None},
        "regulated_status": "unregulated",
        "three_d_secure_usage": {"supported": card.supports_three_d_secure},
        "wallet": None,
    }
    return call.fill(call.families["payment_method"], method_id, card=shown, _number=card.number, _cvc=details.cvc)


def new_id(call: Call) -> str:
    """Return a fresh id."""
    return call.new_id("pm_1", 23)


def resolve(call: Call, method_id: str, param: str) -> Row:
    """Return the payment method a parameter names; a literal such as ``pm_card_visa`` names a fresh one each time."""
    family = call.families["payment_method"]
    if card := cards.by_name(method_id, cards.PAYMENT_METHOD):
        return call.insert(family, build(call, new_id(call), literal(call, card)))
    row = call.tx.find(family.kind, method_id)
    if row is None:
        raise no_such(family.noun, method_id, param)
    return row


def usable(row: Row, customer: str | None, param: str) -> None:
    """Refuse a payment method that is another customer's, or nobody's and spent."""
    method = row.body
    if method["customer"] is not None and method["customer"] != customer:
        if customer is None:
            message = (
                "The provided PaymentMethod belongs to a customer. Include its customer in the request that uses it."
            )
            raise invalid(message, param)
        raise not_attached(method["id"], param)
    if method["_spent"]:
        raise invalid(_SPENT, param)


def not_attached(method_id: str, param: str) -> ApiError:
    """Return the refusal of a payment method that is not this customer's (flutter-stripe/flutter_stripe#379)."""
    return invalid(
        f"The customer does not have a payment method with the ID {method_id}. "
        "The payment method must be attached to the customer.",
        param,
        "resource_missing",
    )


def attach(call: Call, row: Row, customer: str, param: str = "customer") -> Obj:
    """Make a payment method a customer's: the bank checks the card, and refuses those that cannot be attached."""
    method = row.body
    if method["customer"] is not None:
        if method["customer"] == customer and call.settings.attaching_again_is_no_change:
            return method
        raise invalid("The payment method you provided has already been attached to a customer.", param)
    if method["_spent"]:
        raise invalid(_SPENT, param)
    if decline := refusal_of(method):
        raise card_error(decline)
    return set_customer(call, row, customer)


def set_customer(call: Call, row: Row, customer: str) -> Obj:
    """Attach a payment method that its bank has taken, and say so."""
    family = call.families["payment_method"]
    changed = {**row.body, "customer": customer, "card": checked(row.body)}
    call.replace(family, row, changed)
    call.emit(family, "attached", changed)
    return changed


def checked(method: Obj) -> Obj:
    """Return the card with its bank's answers to what was given: code, postal code, first address line."""
    card, address = card_of(method), method["billing_details"]["address"] or {}
    given = {
        "address_line1_check": address.get("line1"),
        "address_postal_code_check": address.get("postal_code"),
        "cvc_check": method["_cvc"],
    }
    checks = {name: _check(card, name) if value else None for name, value in given.items()}
    return {**method["card"], "checks": checks}


def _check(card: Card, name: str) -> str:
    if name in card.failing or (name == "cvc_check" and card.decline == cards.CVC):
        return "fail"
    return "unavailable" if name in card.unavailable else "pass"


def detach(call: Call, row: Row, *, silently: bool = False) -> Obj:
    """Take a payment method from its customer for good."""
    family = call.families["payment_method"]
    changed = {**row.body, "customer": None, "_spent": True}
    if silently:
        call.replace(family, row, changed)
        return changed
    return call.save(family, row, changed, "detached")


def mark(call: Call, method_id: str, **fields: Any) -> None:
    """Change what only the sandbox knows of a payment method, or what its bank answered, without an event."""
    row = call.tx.find("payment_method", method_id)
    if row and any(row.body[name] != value for name, value in fields.items()):
        call.replace(call.families["payment_method"], row, {**row.body, **fields})


def billing_details(old: Obj, given: Mapping[str, Any] | None) -> Obj:
    """Return billing details with those given laid over them; an address is replaced as a whole."""
    merged = {**old, **(given or {})}
    merged["address"] = {**NO_ADDRESS, **(merged["address"] or {})}
    return merged
