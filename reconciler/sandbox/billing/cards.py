"""Stripe's test cards and what each of them does (https://docs.stripe.com/testing).

A card is named by its number, as ``pm_card_<name>`` where a payment method is expected and as ``tok_<name>`` where a
token is. Any other number is refused, so that no real card is ever stored.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

#: When the bank wants its customer to authenticate: never, only when asked to, for payments with the customer present
#: and for others until the card has been set up, for payments with the customer present only, always.
Authentication = Literal["never", "if_asked", "until_set_up", "on_session", "always"]
#: What becomes of a payment afterwards: the reason of its dispute, or that of an inquiry into it.
Dispute = Literal["", "fraudulent", "product_not_received", "inquiry"]

PAYMENT_METHOD, TOKEN = "pm_card_", "tok_"


@dataclass(frozen=True, slots=True)
class Decline:
    """Why a bank refuses: the error's code, the decline code beside ``card_declined``, and a message."""

    code: str
    reason: str | None = None
    message: str = "Your card was declined."


GENERIC = Decline("card_declined", "generic_decline")
FUNDS = Decline("card_declined", "insufficient_funds", "Your card has insufficient funds.")
LOST = Decline("card_declined", "lost_card")
STOLEN = Decline("card_declined", "stolen_card")
FRAUD = Decline("card_declined", "fraudulent")
VELOCITY = Decline(
    "card_declined",
    "card_velocity_exceeded",
    "Your card was declined for making repeated attempts too frequently or exceeding its amount limit.",
)
EXPIRED = Decline("expired_card", None, "Your card has expired.")
CVC = Decline("incorrect_cvc", None, "Your card's security code is incorrect.")
PROCESSING = Decline(
    "processing_error", None, "An error occurred while processing your card. Try again in a little bit."
)
AUTHENTICATION = Decline(
    "authentication_required",
    "authentication_required",
    "Your card was declined. This transaction requires authentication.",
)
NOT_A_TEST_CARD = Decline(
    "card_declined",
    "test_mode_live_card",
    "Your card was declined. Your request was in test mode, but used a non test card. "
    "For a list of valid test cards, visit: https://stripe.com/docs/testing.",
)


@dataclass(frozen=True, slots=True)
class Card:
    """A test card: its look, and how bank and network treat it."""

    number: str
    names: tuple[str, ...] = ()
    brand: str = "visa"
    funding: str = "credit"
    country: str = "US"
    #: Why every payment is refused, after authentication if there is one.
    decline: Decline | None = None
    #: Whether it can be attached to a customer although its payments are refused.
    attaches: bool = False
    authentication: Authentication = "never"
    #: Whether authentication fails with an error of its own.
    lookup_fails: bool = False
    dispute: Dispute = ""
    #: What becomes of its refunds: done at once, ``pending`` first, or ``failed`` later.
    refund: Literal["", "pending", "failed"] = ""
    #: The checks that come out ``fail`` and those that come out ``unavailable``.
    failing: frozenset[str] = field(default=frozenset())
    unavailable: frozenset[str] = field(default=frozenset())
    risk: Literal["normal", "elevated", "highest"] = "normal"
    #: Whether fraud prevention stops every payment.
    blocked: bool = False
    #: Whether the funds are available at once.
    bypasses_pending: bool = False

    @property
    def last4(self) -> str:
        """The last four digits."""
        return self.number[-4:]

    @property
    def supports_three_d_secure(self) -> bool:
        """Whether the network offers authentication for this card."""
        return self.brand != "amex"


_ZIP, _LINE, _CVC = "address_postal_code_check", "address_line1_check", "cvc_check"


def _plain(names: str, number: str, brand: str = "visa", funding: str = "credit", country: str = "US") -> Card:
    return Card(number, tuple(names.split()), brand, funding, country)


def _declined(names: str, number: str, decline: Decline, *, attaches: bool = False, funding: str = "credit") -> Card:
    return Card(number, tuple(names.split()), funding=funding, decline=decline, attaches=attaches)


_BRANDS = (
    _plain("visa us", "4242424242424242"),
    _plain("visa_debit", "4000056655665556", funding="debit"),
    _plain("mastercard", "5555555555554444", "mastercard"),
    _plain("", "2223003122003222", "mastercard"),
    _plain("mastercard_debit", "5200828282828210", "mastercard", "debit"),
    _plain("mastercard_prepaid", "5105105105105100", "mastercard", "prepaid"),
    _plain("amex", "378282246310005", "amex"),
    _plain("amex_threeDSecureNotSupported", "371449635398431", "amex"),
    _plain("discover", "6011111111111117", "discover"),
    _plain("", "6011000990139424", "discover"),
    _plain("", "6011981111111113", "discover", "debit"),
    _plain("diners", "3056930009020004", "diners"),
    _plain("", "36227206271667", "diners"),
    _plain("", "6555900000604105", "discover"),
    _plain("jcb", "3566002020360505", "jcb", country="JP"),
    _plain("unionpay", "6200000000000005", "unionpay", country="CN"),
    _plain("", "6200000000000047", "unionpay", "debit", country="CN"),
    _plain("", "6205500000000000004", "unionpay", country="CN"),
)

#: Visa cards that differ in nothing but the country of their bank.
_COUNTRIES = """
    AR=4000000320000021 BR=4000000760000002 CA=4000001240000000 CL=4000001520000001
    CO=4000001700000003 CR=4000001880000005 EC=4000002180000000 MX=4000004840008001
    PA=4000005910000000 PY=4000006000000066 PE=4000006040000068 UY=4000008580000003
    AT=4000000400000008 BE=4000000560000004 BG=4000001000000000 BY=4000001120000005
    CY=4000001960000008 CZ=4000002030000002 DK=4000002080000001 FI=4000002460000001
    FR=4000002500000003 DE=4000002760000016 GR=4000003000000030 HU=4000003480000005
    IE=4000003720000005 IT=4000003800000008 LV=4000004280000005 LT=4000004400000000
    LU=4000004420000006 MT=4000004700000007 NL=4000005280000002 NO=4000005780000007
    PL=4000006160000005 PT=4000006200000007 RO=4000006420000001 SA=4000006820000007
    SI=4000007050000006 SK=4000007030000001 ES=4000007240000007 SE=4000007520000008
    CH=4000007560000009 GB=4000008260000000 AU=4000000360000006 CN=4000001560000002
    HK=4000003440000004 IN=4000003560000008 JP=4000003920000003 MY=4000004580000002
    NZ=4000005540000008 SG=4000007020000003 TW=4000001580000008 TH=4000007640000003
""".split()

_DECLINED = (
    _declined("visa_chargeDeclined chargeDeclined", "4000000000000002", GENERIC),
    _declined(
        "visa_chargeDeclinedInsufficientFunds chargeDeclinedInsufficientFunds "
        "visa_debit_chargeDeclinedInsufficientFunds",
        "4000000000009995",
        FUNDS,
    ),
    _declined("visa_chargeDeclinedLostCard chargeDeclinedLostCard", "4000000000009987", LOST),
    _declined("visa_chargeDeclinedStolenCard chargeDeclinedStolenCard", "4000000000009979", STOLEN),
    _declined("visa_chargeDeclinedExpiredCard chargeDeclinedExpiredCard", "4000000000000069", EXPIRED),
    _declined("visa_chargeDeclinedIncorrectCvc chargeDeclinedIncorrectCvc", "4000000000000127", CVC),
    _declined("visa_chargeDeclinedProcessingError chargeDeclinedProcessingError", "4000000000000119", PROCESSING),
    _declined(
        "visa_chargeDeclinedVelocityLimitExceeded chargeDeclinedVelocityLimitExceeded", "4000000000006975", VELOCITY
    ),
    _declined("chargeCustomerFail visa_chargeCustomerFail", "4000000000000341", GENERIC, attaches=True),
)

_RISKS = (
    Card("4100000000000019", ("radarBlock",), decline=FRAUD, attaches=True, risk="highest", blocked=True),
    Card("4000000000004954", ("riskLevelHighest",), risk="highest"),
    Card("4000000000009235", ("riskLevelElevated",), risk="elevated"),
    Card("4000000000000101", ("cvcCheckFail",), failing=frozenset({_CVC})),
    Card("4000000000000036", ("avsZipFail",), failing=frozenset({_ZIP})),
    Card("4000058400307872", ("cvcCheckFailElevatedRisk",), failing=frozenset({_CVC}), risk="elevated"),
    Card("4000058400306072", ("avsZipFailElevatedRisk",), failing=frozenset({_ZIP}), risk="elevated"),
    Card("4000000000000028", ("avsLine1Fail",), failing=frozenset({_LINE})),
    Card("4000000000000010", ("avsFail",), failing=frozenset({_LINE, _ZIP})),
    Card("4000000000000044", ("avsUnchecked",), unavailable=frozenset({_LINE, _ZIP})),
)

_AFTERWARDS = (
    Card("4000000000000259", ("createDispute",), dispute="fraudulent"),
    Card("4000000000002685", ("createDisputeProductNotReceived",), dispute="product_not_received"),
    Card("4000000000001976", ("createDisputeInquiry",), dispute="inquiry"),
    Card("4000000000007726", ("pendingRefund",), refund="pending"),
    Card("4000000000005126", ("refundFail",), refund="failed"),
    Card("4000000000000077", ("bypassPending",), bypasses_pending=True),
    Card("4000003720000278", ("bypassPendingInternational",), country="IE", bypasses_pending=True),
)

_SECURE = (
    Card("4000002500003155", ("authenticationRequiredOnSetup",), authentication="until_set_up"),
    Card("4000002760003184", ("authenticationRequired",), authentication="always"),
    Card("4000003800000446", ("authenticationRequiredSetupForOffSession",), authentication="on_session"),
    Card(
        "4000008260003178",
        ("authenticationRequiredChargeDeclinedInsufficientFunds",),
        decline=FUNDS,
        attaches=True,
        authentication="on_session",
    ),
    Card("4000000000003220", ("threeDSecure2Required", "threeDSecureRequired"), authentication="always"),
    Card(
        "4000008400001629",
        ("threeDSecureRequiredChargeDeclined",),
        decline=GENERIC,
        attaches=True,
        authentication="always",
    ),
    Card(
        "4000008400001280",
        ("threeDSecureRequiredProcessingError",),
        attaches=True,
        authentication="always",
        lookup_fails=True,
    ),
    Card("4000000000003055", ("threeDSecureOptional",), authentication="if_asked"),
    Card("4000000000003097", ("threeDSecureOptionalProcessingError",), authentication="if_asked", lookup_fails=True),
)

CARDS: tuple[Card, ...] = (
    *_BRANDS,
    *(_plain(pair[:2].lower(), pair[3:], country=pair[:2]) for pair in _COUNTRIES),
    *_DECLINED,
    *_RISKS,
    *_AFTERWARDS,
    *_SECURE,
)


def _named(cards: Iterable[Card]) -> Mapping[str, Card]:
    return MappingProxyType({name: card for card in cards for name in card.names})


_BY_NUMBER: Mapping[str, Card] = MappingProxyType({card.number: card for card in CARDS})
_BY_NAME = _named(CARDS)


def by_number(number: str) -> Card | None:
    """Return the test card with this number, or ``None``."""
    return _BY_NUMBER.get(number)


def by_name(name: str, prefix: str) -> Card | None:
    """Return the test card a literal such as ``pm_card_visa`` names, or ``None``; ``prefix`` is the kind of literal."""
    return _BY_NAME.get(name.removeprefix(prefix)) if name.startswith(prefix) else None


def well_formed(number: str) -> bool:
    """Tell whether the digits pass the Luhn check every card number passes."""
    if not number.isascii() or not number.isdecimal():
        return False
    doubled = [int(digit) * (2 if place % 2 else 1) for place, digit in enumerate(reversed(number))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0  # noqa: PLR2004  two digits become one
