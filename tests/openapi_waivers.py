"""What the sandbox answers otherwise than the document, which is of an older version, says; each with its reason."""

from collections.abc import Mapping

#: Keys the SDK's version of the API has and the document's does not: component, key, why.
NEWER: Mapping[str, Mapping[str, str]] = {
    "charge": {"authorization_code": "SDK 16.1", "source": "legacy, null, documented in the SDK only"},
    "payment_intent": {
        "allowed_payment_method_types": "SDK 16.1",
        "payment_record": "SDK 16.1",
        "source": "legacy, null, documented in the SDK only",
    },
    "invoice": {"status_details": "SDK 16.1"},
    "invoiceitem": {
        **dict.fromkeys(("frozen_fields", "invoicing_rules"), "SDK 16.1"),
        "net_amount": "null for discountable items, as the SDK says",
    },
    "refund": {"customer": "SDK 16.1", "customer_account": "SDK 16.1", "payment_method": "SDK 16.1"},
    "setup_intent": {"allowed_payment_method_types": "SDK 16.1"},
    "product": {"tax_details": "2026-08-26 (SDK 16)", "type": "answered for all products, documented in the SDK only"},
    "cancellation_details": {"feedback_option": "2026-08-26 (SDK 16)"},
    "checkout.session": {"allowed_payment_method_types": "SDK 16.1"},
    "billing_portal.session": {"after_expiration": "SDK 16.1"},
    "portal_features": {"subscription_pause": "SDK 16.1"},
    "portal_subscription_cancellation_reason": {"feedback_options": "2026-08-26 (SDK 16)"},
    "portal_flows_flow": dict.fromkeys(("customer_update", "subscription_pause"), "SDK 16.1"),
    "subscription": {"status_details": "2026-09-30 (SDK 16)"},
    "subscription_item": {"current_trial": "SDK 16.1"},
    "subscription_schedule": {"pause_schedules": "2026-09-30 (SDK 16)"},
    **dict.fromkeys(
        (
            "invoice_setting_subscription_schedule_phase_setting",
            "invoice_setting_subscription_schedule_setting",
            "subscriptions_resource_subscription_invoice_settings",
        ),
        dict.fromkeys(("custom_fields", "description", "footer"), "SDK 16.1"),
    ),
    "subscriptions_resource_pending_update": {"cancel_at_period_end": "SDK 16.1"},
    "subscriptions_resource_trial_settings_end_behavior": {"billing_cycle_anchor": "SDK 16.1"},
    "recurring": {"trial_period_days": "answered for all recurring prices, documented in the SDK only"},
    "v2.core.event_destination": dict.fromkeys(
        ("snapshot_api_version", "status_details", "webhook_endpoint"), "null in the example of Stripe's reference"
    ),
    "v2.core.event": {
        **dict.fromkeys(("changes", "context", "data", "reason", "related_object"), "null in Stripe's guide and SDK"),
        "snapshot_event": "2026-10-28 (SDK 16.1)",
    },
}

#: Keys the document requires and a reply of the SDK's version may lack: component, key, why.
ABSENT: Mapping[str, Mapping[str, str]] = {}

#: Places in replies where the document is plainly wrong: operation, place, why.
MISTAKEN: Mapping[str, Mapping[str, str]] = {
    "GET /v1/billing/credit_balance_transactions": {"[url]": "said to be the address of the list of credit grants"},
}

#: Operations newer than the document, as ``METHOD path`` patterns.
NEWER_OPERATIONS: tuple[str, ...] = (
    r"GET /v1/customer/[^/]+/entitlements",  # the address a summary names (docs: billing/entitlements)
    r"(GET|POST) /v1/billing/feedback_options(/.*)?",
    r"POST /v1/subscriptions/[^/]+/pause",
)
