"""Examples of every model, shown by editors; together they show every key once. Each validates, by test."""

from collections.abc import Mapping
from typing import Any

Example = dict[str, Any]

_STEP: Example = {"up_to": 5000, "unit_amount": "0.01", "flat_amount": "10"}
_REST: Example = {"up_to": "inf", "unit_amount": "0.008"}
_TIER: Example = {
    "mode": "graduated",
    "currency": "usd",
    "steps": [_STEP, _REST],
    "currency_options": {
        "eur": [{"up_to": 5000, "unit_amount": "0.009"}, {"up_to": "inf", "unit_amount": "0.007"}],
    },
}
_PACKAGES: Example = {"divide_by": 1000, "round": "up"}
_CUSTOM: Example = {"minimum": "5", "maximum": "500", "preset": "20"}
_OPTION: Example = {"unit_amount": "45.99", "tax_behavior": "inclusive"}
_PRICE: Example = {
    "amount": "49.99",
    "currency": "usd",
    "interval": "month",
    "interval_count": 1,
    "transform_quantity": {"divide_by": 5, "round": "up"},
    "currency_options": {"eur": "45.99", "gbp": _OPTION},
    "on_change": "grandfather",
    "nickname": "Monthly",
    "tax_behavior": "exclusive",
    "metadata": {"term": "month"},
    "lookup_key": "pro-monthly",
}
_OVERAGE: Example = {
    "unit_amount": "0.25",
    "transform_quantity": _PACKAGES,
    "currency_options": {"eur": "0.23"},
    "nickname": "Calls beyond the included ones",
    "tax_behavior": "exclusive",
    "metadata": {"kind": "overage"},
    "lookup_key": "pro-calls",
    "on_change": "at_renewal",
}
_LINE: Example = {"included": 5000, "interval": "month", "interval_count": 1, "overage": {"unit_amount": "0.25"}}
_COUNTED: Example = {"included": 100, "per": "month", "resets_on": 1, "overage": "deny"}
_RESERVED: Example = {
    "amount": "50.00",
    "currency": "usd",
    "interval": "month",
    "interval_count": 1,
    "nickname": "Reserved exchanges",
    "tax_behavior": "exclusive",
    "metadata": {"contract": "a-1"},
    "lookup_key": "acme-reserved",
    "on_change": "now",
}
_OWN_LINE: Example = {**_LINE, "overage": {"tiers": "vex-overage"}, "reserved_price": {"amount": "50.00"}}
_DISCOUNTS: Example = {
    "scope": "tool",
    "steps": [{"up_to": 100}, {"up_to": 500, "percent_off": "10"}, {"up_to": "inf", "percent_off": "20"}],
}
_PER_CALL: Example = {
    "default": "1.00",
    "tools": {"expensive-ai": "5.00", "basic-search": "0"},
    "minimum": "0.25",
    "discounts": _DISCOUNTS,
}
_RECHARGE: Example = {"below": "10", "pack": "power"}
_CREDITS: Example = {
    "default": "1",
    "tools": {"expensive-ai": "10"},
    "included": "25",
    "rollover": False,
    "auto_recharge": _RECHARGE,
}
_RATE: Example = {"of": "*", "max": 1000, "per": "minute", "kind": "rate", "burst": 100}
_QUOTA: Example = {"of": "calls", "max": 5000, "per": "month", "resets_on": 1, "upgrade_to": "enterprise"}
_SIZES: Example = {"height": "1", "length": "8.5", "weight": "0.75", "width": "11"}
_PRODUCT: Example = {
    "description": "For teams that call tools all day.",
    "images": ["https://acme.example/pro.png"],
    "marketing_features": ["5,000 calls included"],
    "statement_descriptor": "ACME PRO",
    "unit_label": "seat",
    "url": "https://acme.example/pro",
    "shippable": False,
    "package_dimensions": _SIZES,
    "tax_details": {"tax_code": "txcd_10103001"},
    "metadata": {"line": "core"},
    "stripe_id": "prod_existing",
}
_PLAN: Example = {
    "name": "Pro",
    "status": "active",
    "currency": "usd",
    "default_price": "monthly",
    "prices": {"monthly": {"amount": "49.99", "interval": "month"}},
    "trial_days": 14,
    "usage": {"calls": _LINE},
    "features": ["priority-support"],
    "tools": ["*"],
    "limits": [_RATE, _QUOTA],
    "pay": ["usage", "credits"],
    "credits": {"default": "1"},
    "minimum": {"per_month": "5.00", "on_change": "now_prorated"},
}
_PACK: Example = {
    "name": "Starter pack",
    "credits": "100",
    "bonus": "10",
    "price": "9.99",
    "currency": "usd",
    "currency_options": {"eur": "8.99"},
    "expires_after": "365 days",
    "nickname": "Starter",
    "tax_behavior": "inclusive",
    "lookup_key": "starter-pack",
    "status": "active",
}
_SUBSCRIPTION: Example = {
    "collection": "send_invoice",
    "days_until_due": 30,
    "quantity": 3,
    "trial_days": 30,
    "coupon": "launch",
    "tax_rates": ["vat"],
    "on_change": "at_renewal",
    "metadata": {"contract": "a-1"},
}
_GRANT: Example = {"id": "welcome", "amount": "500", "expires": "2027-01-01", "reason": "onboarding"}
_MONEY: Example = {
    "id": "pilot",
    "amount": "250",
    "currency": "usd",
    "expires": "2027-01-01",
    "category": "promotional",
    "priority": 10,
    "name": "Pilot credit",
    "metadata": {"contract": "a-1"},
}
_KEY: Example = {"id": "ci", "sha256": "0123456789abcdef" * 4}
_TENANT: Example = {
    "name": "Acme Inc",
    "email": "billing@acme.example",
    "description": "First customer",
    "plan": "pro",
    "price": "monthly",
    "currency": "usd",
    "usage": {"vex": _OWN_LINE},
    "features": ["export"],
    "tools": ["beta-*"],
    "limits": [_QUOTA],
    "subscription": _SUBSCRIPTION,
    "credits": [_GRANT],
    "money_credits": [_MONEY],
    "api_keys": [_KEY],
    "metadata": {"segment": "a"},
}
_COUPON: Example = {
    "name": "Launch",
    "percent_off": "12.5",
    "duration": "repeating",
    "duration_in_months": 3,
    "max_redemptions": 100,
    "redeem_by": "2027-12-31",
    "applies_to": ["plans.pro"],
    "metadata": {"campaign": "launch"},
    "stripe_id": "LAUNCH",
}
_FIVE: Example = {"amount_off": "5.00", "currency": "usd", "currency_options": {"eur": "4.50"}}
_RESTRICTIONS: Example = {
    "first_time_transaction": True,
    "minimum_amount": "10",
    "currency": "usd",
    "currency_options": {"eur": "9"},
}
_CODE: Example = {
    "coupon": "launch",
    "code": "LAUNCH20",
    "active": True,
    "expires_at": "2027-06-30",
    "max_redemptions": 50,
    "restrictions": _RESTRICTIONS,
    "metadata": {"campaign": "launch"},
}
_TAX: Example = {
    "display_name": "VAT",
    "percentage": "21",
    "inclusive": False,
    "country": "NL",
    "state": "NH",
    "jurisdiction": "Netherlands",
    "description": "Standard rate",
    "tax_type": "vat",
    "active": True,
    "metadata": {"rate": "standard"},
}
_LINK: Example = {
    "items": [{"plan": "pro", "price": "monthly", "quantity": 1}],
    "tenant": "acme",
    "active": True,
    "allow_promotion_codes": True,
    "after_completion_url": "https://acme.example/thanks",
    "metadata": {"place": "website"},
}
_PORTAL: Example = {
    "headline": "Your plan at Acme",
    "privacy_policy_url": "https://acme.example/privacy",
    "terms_of_service_url": "https://acme.example/terms",
    "return_url": "https://acme.example/account",
    "customer_update": ["address", "email", "tax_id"],
    "invoice_history": True,
    "payment_method_update": True,
    "subscription_cancel": {"mode": "at_period_end"},
    "subscription_update": {"plans": ["pro", "enterprise"], "proration": "create_prorations"},
    "metadata": {"version": "1"},
}
_WEBHOOK: Example = {
    "url": "https://hooks.acme.example/stripe",
    "events": ["invoice.paid", "customer.subscription.updated"],
    "description": "Inbox of the service",
    "disabled": False,
    "metadata": {"team": "billing"},
}
_METER: Example = {
    "name": "Verified exchanges",
    "aggregation": "sum",
    "unit": "exchange",
    "event_name": "acme.exchanges",
    "event_time_window": "hour",
    "customer_key": "stripe_customer_id",
    "value_key": "value",
}
_FEATURE: Example = {"name": "Priority support", "lookup_key": "priority-support", "metadata": {"team": "support"}}
_QUANTITY: Example = {"from": "argument.rows", "per": 1000, "round": "up"}
_TOOL: Example = {
    "title": "Process CSV",
    "description": "Reads a file and returns its rows.",
    "requires": ["priority-support"],
    "quantity": _QUANTITY,
    "counts": {"calls": 1, "tokens": {"from": "result.tokens"}},
    "on_error": {"allow_up_to": 20},
}
_SETTINGS: Example = {
    "namespace": "acme",
    "currency": "usd",
    "default_meter": "calls",
    "tax_behavior": "exclusive",
    "timezone": "Europe/Berlin",
    "default_plan": "free",
    "past_due_grace_days": 7,
}
_GUARDS: Example = {
    "max_retired_percent": "30",
    "max_updated_percent": "60",
    "max_price_rise_percent": "50",
    "protected": ["plans.pro"],
}
_MOVED: Example = {"from": "plans.pro", "to": "plans.professional"}
_IMPORT: Example = {"to": "plans.pro.prices.monthly", "id": "price_1EXAMPLE"}
_LIVE: Example = {"account": "acct_1EXAMPLE", "mode": "live"}

EXAMPLES: Mapping[str, tuple[Example, ...]] = {
    "AllowUpTo": ({"allow_up_to": 20},),
    "ApiKey": (_KEY,),
    "AutoRecharge": (_RECHARGE,),
    "Coupon": (_COUPON, _FIVE),
    "CreditGrant": (_GRANT,),
    "CreditPack": (_PACK, {**_PACK, **_PRODUCT, "tax_code": "txcd_10103000", "expires": "2027-12-31"}),
    "CreditTerms": (_CREDITS,),
    "CurrencyOption": (_OPTION, {"custom_unit_amount": _CUSTOM}),
    "CustomUnitAmount": (_CUSTOM,),
    "Discounts": (_DISCOUNTS,),
    "DiscountStep": ({"up_to": 500, "percent_off": "10"}, {"up_to": "inf", "unit_amount": "0.80"}),
    "Environment": (_LIVE,),
    "Feature": (_FEATURE,),
    "File": (
        {
            "settings": _SETTINGS,
            "meters": {"calls": {"name": "Tool calls"}},
            "features": {"priority-support": {"name": "Priority support"}},
            "tools": {"expensive-ai": {"requires": ["priority-support"]}},
            "tiers": {"vex-overage": {"steps": [_STEP, _REST]}},
            "plans": {"pro": {"name": "Pro", "usage": {"calls": _COUNTED}}},
            "credit_packs": {"power": {"name": "Power pack", "credits": "500", "price": "39.99"}},
            "tenants": {"acme": {"name": "Acme Inc", "plan": "pro"}},
            "coupons": {"five": _FIVE},
            "promotion_codes": {"launch20": {"coupon": "five", "code": "LAUNCH20"}},
            "tax_rates": {"vat": {"display_name": "VAT", "percentage": "21", "inclusive": False}},
            "payment_links": {"power": {"items": [{"pack": "power"}]}},
            "portal": {"headline": "Your plan at Acme"},
            "webhooks": {"inbox": {"url": "https://hooks.acme.example/stripe", "events": ["invoice.paid"]}},
            "environments": {"production": _LIVE},
            "guards": {"max_retired_percent": "30"},
            "moved": [_MOVED],
            "imports": [_IMPORT],
        },
    ),
    "Guards": (_GUARDS,),
    "Import": (_IMPORT,),
    "Limit": (_RATE, _QUOTA),
    "LinkItem": (
        {"plan": "pro", "price": "monthly", "quantity": 2},
        {"pack": "starter"},
        {"tenant": "acme", "reserved": "vex"},
    ),
    "Measured": ({"from": "result.tokens"},),
    "Meter": (_METER,),
    "Minimum": ({"per_month": "5.00", "on_change": "now_prorated"},),
    "MoneyCredit": (_MONEY,),
    "Moved": (_MOVED,),
    "Overage": (_OVERAGE, {"tiers": "vex-overage"}, {"credits": "0.5"}),
    "PackageDimensions": (_SIZES,),
    "PaymentLink": (_LINK,),
    "PerCall": (_PER_CALL,),
    "Plan": (_PLAN, {**_PRODUCT, "name": "Pay as you go", "tax_code": "txcd_10103000", "per_call": _PER_CALL}),
    "Portal": (_PORTAL,),
    "Price": (
        _PRICE,
        {"tiers": "seat-brackets", "interval": "year"},
        {"custom_unit_amount": _CUSTOM, "interval": "once"},
    ),
    "PromotionCode": (_CODE,),
    "Quantity": (_QUANTITY,),
    "ReservedPrice": (_RESERVED,),
    "Restrictions": (_RESTRICTIONS,),
    "Settings": (_SETTINGS,),
    "Step": (_STEP, _REST),
    "SubscriptionCancel": ({"mode": "at_period_end"},),
    "SubscriptionTerms": (_SUBSCRIPTION,),
    "SubscriptionUpdate": ({"plans": ["pro", "enterprise"], "proration": "create_prorations"},),
    "TaxDetails": ({"performance_location": "taxloc_example", "tax_code": "txcd_10103001"},),
    "TaxRate": (_TAX,),
    "Tenant": (_TENANT,),
    "TenantUsage": (_OWN_LINE, {**_COUNTED, "reserved_price": _RESERVED}),
    "Tier": (_TIER,),
    "Tool": (_TOOL,),
    "TransformQuantity": (_PACKAGES,),
    "UsageLine": (_LINE, _COUNTED),
    "Webhook": (_WEBHOOK,),
}
