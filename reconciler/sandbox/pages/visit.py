"""One person at one page: what they sent, whose page it is, and the token that shows their form is the page's own."""

import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from reconciler.sandbox.billing import methods
from reconciler.sandbox.billing.methods import Details
from reconciler.sandbox.errors import ApiError, invalid
from reconciler.sandbox.form import MAX_BODY_BYTES, MAX_FIELDS
from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.pages.html import Html, field, tag
from reconciler.sandbox.wire import Obj, Request, Response

#: The claim that holds the account's secret, made when its first form is shown.
SECRET = ("pages.secret", "")
EMAIL_LENGTH, NAME_LENGTH, LINE_LENGTH, PHONE_LENGTH = 512, 256, 500, 20

_Done = TypeVar("_Done")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_EXPIRY = re.compile(r"\s*([0-9]{1,2})\s*[/ -]\s*([0-9]{2}|[0-9]{4})\s*")


@dataclass(frozen=True, slots=True)
class Visit:
    """A request for a page: ``name`` is what stands behind the page's path, ``sent`` the fields of query or form."""

    call: Call
    method: str
    name: str
    sent: Mapping[str, str]

    @property
    def token(self) -> str:
        """What every form of this page carries; no other site can know it, so none can have it posted."""
        secret = self.call.tx.claim(SECRET, secrets.token_hex(32))
        return hmac.new(secret.encode(), self.call.url.encode(), "sha256").hexdigest()

    def action(self) -> str | None:
        """Return what the form is to do, ``None`` for a visit without one; refuse a form that is not the page's own."""
        if self.method != "POST":
            return None
        if not hmac.compare_digest(self.sent.get("token", "").encode(errors="replace"), self.token.encode()):
            raise ApiError(403, "This form has expired. Go back, reload the page and try again.")
        return self.sent.get("do", "")

    def text(self, name: str, length: int = LINE_LENGTH) -> str | None:
        """Return what was typed into a field without blanks around it, cut to a length; ``None`` for nothing."""
        return self.sent.get(name, "").strip()[:length] or None

    def at(self, call: Call) -> "Visit":
        """Return the same visit with another call."""
        return replace(self, call=call)

    def attempt(self, do: Callable[[], _Done]) -> tuple[_Done | None, str | None]:
        """Do what a form asks for and return what came of it, or the refusal's text.

        A decline leaves its traces, any other refusal nothing.
        """
        try:
            with self.call.tx.attempt():
                try:
                    return do(), None
                except ApiError as error:
                    if not error.keeps_writes:
                        raise
                    return None, error.message
        except ApiError as error:
            return None, error.message


#: A page: what it answers to a visit.
Page = Callable[[Visit], Response]


def read(request: Request, query: str) -> dict[str, str]:
    """Return the fields of a form, or of a query where there is no form; the last of a name counts."""
    if len(request.body) > MAX_BODY_BYTES:
        raise ApiError(413, "The form is too large.")
    text = request.body.decode("ascii", "replace") if request.method == "POST" else query
    try:
        return dict(parse_qsl(text, keep_blank_values=True, errors="replace", max_num_fields=MAX_FIELDS))
    except ValueError:
        raise invalid("The form cannot be read.") from None


def card_fields(values: Mapping[str, str]) -> list[Html]:
    """Return the inputs of a card; number and code are never filled in again."""
    return [
        field(
            "Card number",
            "card_number",
            inputmode="numeric",
            autocomplete="cc-number",
            placeholder="4242 4242 4242 4242",
            required=True,
            maxlength=23,
        ),
        tag(
            "div",
            field("Expiry", "card_expiry", placeholder="MM / YY", autocomplete="cc-exp", required=True, maxlength=9),
            field(
                "Security code",
                "card_cvc",
                inputmode="numeric",
                autocomplete="cc-csc",
                placeholder="123",
                required=True,
                maxlength=4,
            ),
            class_="pair",
        ),
        field("Name on card", "card_name", autocomplete="cc-name", required=True, value=values.get("card_name")),
    ]


def card(visit: Visit) -> Details:
    """Return the card that was typed, or refuse it with a text for the person."""
    expiry = _EXPIRY.fullmatch(visit.sent.get("card_expiry", ""))
    number = visit.text("card_number")
    if number is None:
        raise invalid("Enter your card number.")
    if expiry is None:
        raise invalid("Enter the card's expiry as month and year, for example 12 / 34.")
    if visit.text("card_cvc") is None:
        raise invalid("Enter your card's security code.")
    month, year = int(expiry[1]), int(expiry[2])
    given: dict[str, Any] = {"number": number, "exp_month": month, "exp_year": year, "cvc": visit.text("card_cvc")}
    return methods.typed(visit.call, given)


def email(visit: Visit) -> str:
    """Return the e-mail address that was typed, or refuse it."""
    found = visit.text("email", EMAIL_LENGTH)
    if found is None or not _EMAIL.fullmatch(found):
        raise invalid("Enter an email address like name@example.com.")
    return found


def address_fields(values: Mapping[str, str]) -> list[Html]:
    """Return the inputs of a postal address."""
    return [
        field("Address", "line1", autocomplete="address-line1", required=True, value=values.get("line1")),
        tag(
            "div",
            field("Postal code", "postal_code", autocomplete="postal-code", value=values.get("postal_code")),
            field("City", "city", autocomplete="address-level2", value=values.get("city")),
            class_="pair",
        ),
        tag(
            "div",
            field("State or region", "state", autocomplete="address-level1", value=values.get("state")),
            field(
                "Country (two letters)",
                "country",
                autocomplete="country",
                required=True,
                maxlength=2,
                value=values.get("country"),
            ),
            class_="pair",
        ),
    ]


def address(visit: Visit) -> Obj:
    """Return the postal address that was typed, or refuse it."""
    country = (visit.text("country") or "").upper()
    if visit.text("line1") is None:
        raise invalid("Enter the first line of your address.")
    if not re.fullmatch("[A-Z]{2}", country):
        raise invalid("Enter your country as two letters, such as US or DE.")
    lines = {name: visit.text(name) for name in ("city", "line1", "postal_code", "state")}
    return {**methods.NO_ADDRESS, **lines, "country": country}


def whole_number(visit: Visit, name: str, least: int, most: int, what: str) -> int:
    """Return the whole number that was typed, or refuse it."""
    text = visit.text(name) or ""
    if not re.fullmatch("[0-9]{1,12}", text) or not least <= int(text) <= most:
        raise invalid(f"Enter {what} as a whole number from {least} to {most}.")
    return int(text)
