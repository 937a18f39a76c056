"""The account a key belongs to (https://docs.stripe.com/api/accounts/object); every test key has its own."""

from reconciler.sandbox.objects.base import Call, Family, Route
from reconciler.sandbox.wire import Obj


def _retrieve_current(call: Call) -> Obj:
    return call.fill(FAMILY, call.tx.account)


FAMILY = Family(
    kind="account",
    noun="account",
    emits_events=False,
    template={
        "object": "account",
        "business_profile": {
            "mcc": None,
            "name": "Sandbox",
            "product_description": None,
            "support_address": None,
            "support_email": None,
            "support_phone": None,
            "support_url": None,
            "url": None,
        },
        "business_type": None,
        "capabilities": {"card_payments": "active", "transfers": "active"},
        "charges_enabled": True,
        "controller": {"type": "account"},
        "country": "US",
        "default_currency": "usd",
        "details_submitted": True,
        "email": None,
        "payouts_enabled": True,
        "settings": {
            "branding": {"icon": None, "logo": None, "primary_color": None, "secondary_color": None},
            "card_payments": {
                "statement_descriptor_prefix": None,
                "statement_descriptor_prefix_kana": None,
                "statement_descriptor_prefix_kanji": None,
            },
            "dashboard": {"display_name": "Sandbox", "timezone": "Etc/UTC"},
            "payments": {
                "statement_descriptor": None,
                "statement_descriptor_kana": None,
                "statement_descriptor_kanji": None,
            },
        },
        "type": "standard",
    },
    routes=(Route("GET", "/v1/account", "AccountRetrieveCurrentParams", _retrieve_current),),
)
