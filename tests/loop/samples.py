"""A catalogue that uses every kind, as plain data, for tests that change one thing at a time."""

import copy
from typing import Any


def everything() -> dict[str, Any]:
    """Return one of everything that becomes an object at Stripe."""
    return copy.deepcopy(EVERYTHING)


def simple(amount: str = "19.00") -> dict[str, Any]:
    """Return one plan with one monthly price, which is the product's default."""
    return {"plans": {"pro": {"name": "Pro", "default_price": "monthly", "prices": {"monthly": monthly(amount)}}}}


def monthly(amount: str) -> dict[str, Any]:
    """Return a monthly price."""
    return {"amount": amount, "interval": "month"}


EVERYTHING: dict[str, Any] = {
    "meters": {
        "calls": {"name": "Tool calls", "unit": "call"},
        "tokens": {"name": "Tokens", "aggregation": "sum", "event_time_window": "hour"},
    },
    "features": {"support": {"name": "Priority support"}, "export": {"name": "Export", "metadata": {"team": "data"}}},
    "tiers": {
        "falling": {
            "mode": "graduated",
            "steps": [{"up_to": 5000, "unit_amount": "0.01"}, {"up_to": "inf", "unit_amount": "0.008"}],
        },
        "bulk": {
            "mode": "volume",
            "steps": [{"up_to": 10, "unit_amount": "5"}, {"up_to": "inf", "unit_amount": "4", "flat_amount": "3"}],
        },
    },
    "plans": {
        "pro": {
            "name": "Pro",
            "description": "For teams",
            "metadata": {"line": "core"},
            "statement_descriptor": "ACME PRO",
            "unit_label": "seat",
            "url": "https://example.com/pro",
            "images": ["https://example.com/pro.png"],
            "marketing_features": ["Everything", "More"],
            "tax_code": "txcd_10103000",
            "default_price": "monthly",
            "prices": {
                "monthly": {
                    "amount": "49.99",
                    "interval": "month",
                    "nickname": "Monthly",
                    "currency_options": {"eur": "45.99"},
                },
                "annual": {
                    "amount": "499.90",
                    "interval": "year",
                    "tax_behavior": "exclusive",
                    "metadata": {"term": "year"},
                },
                "seats": {"tiers": "bulk", "interval": "month"},
            },
            "usage": {
                "calls": {"included": 5000, "overage": {"unit_amount": "0.25"}},
                "tokens": {"included": 0, "overage": {"tiers": "falling"}},
            },
            "features": ["support", "export"],
        },
        "payg": {
            "name": "Pay as you go",
            "per_call": {"default": "1.00", "tools": {"search": "0.5"}},
            "minimum": {"per_month": "5"},
        },
        "packaged": {
            "name": "Packages",
            "usage": {
                "calls": {"overage": {"unit_amount": "2", "transform_quantity": {"divide_by": 1000, "round": "up"}}}
            },
        },
        "old": {"name": "Old", "status": "legacy", "prices": {"monthly": {"amount": "5", "interval": "month"}}},
        "team": {
            "name": "Team",
            "prices": {
                "monthly": {"amount": "99", "interval": "month"},
                "annual": {"amount": "990", "interval": "year"},
            },
            "default_price": "monthly",
            "trial_days": 14,
        },
        "next": {"name": "Next", "status": "draft", "prices": {"monthly": {"amount": "7", "interval": "month"}}},
    },
    "credit_packs": {
        "starter": {"name": "Starter pack", "credits": 100, "bonus": 10, "price": "9.99", "expires_after": "365 days"},
        "donation": {"name": "Power pack", "credits": 500, "price": "39.99", "currency_options": {"jpy": "6000"}},
    },
    "tenants": {
        "globex": {
            "name": "Globex",
            "usage": {
                "calls": {
                    "included": 10000,
                    "overage": {"tiers": "falling"},
                    "reserved_price": {"amount": "50", "interval": "month"},
                }
            },
        }
    },
    "coupons": {
        "launch": {
            "name": "Launch",
            "percent_off": "12.5",
            "duration": "repeating",
            "duration_in_months": 3,
            "applies_to": ["plans.pro"],
        },
        "five": {"amount_off": "5", "currency_options": {"eur": "4.5"}, "max_redemptions": 100},
    },
    "promotion_codes": {
        "launch20": {
            "coupon": "launch",
            "code": "LAUNCH20",
            "restrictions": {"first_time_transaction": True, "minimum_amount": "10"},
        },
    },
    "tax_rates": {
        "vat": {"display_name": "VAT", "percentage": "21", "inclusive": False, "country": "NL", "jurisdiction": "NL"}
    },
    "payment_links": {
        "pro": {"items": [{"plan": "pro"}, {"pack": "starter"}], "allow_promotion_codes": True},
        "team": {
            "items": [{"plan": "team", "quantity": 3}],
            "after_completion_url": "https://example.com/thanks",
            "metadata": {"campaign": "spring"},
        },
        "globex": {"items": [{"tenant": "globex", "reserved": "calls"}], "tenant": "globex"},
    },
    "portal": {
        "headline": "Your plan at Acme",
        "privacy_policy_url": "https://example.com/privacy",
        "return_url": "https://example.com/account",
        "customer_update": ["email", "address"],
        "subscription_cancel": {},
        "subscription_update": {"plans": ["pro", "team"], "proration": "create_prorations"},
    },
    "webhooks": {
        "inbox": {
            "url": "https://example.com/stripe",
            "events": ["invoice.paid", "customer.subscription.updated"],
            "description": "The service's inbox",
        },
        "spare": {"url": "https://example.com/spare", "events": ["*"], "disabled": True, "metadata": {"team": "data"}},
    },
}
