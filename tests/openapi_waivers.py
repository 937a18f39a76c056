"""What the sandbox answers otherwise than the document, which is of an older version, says; each with its reason."""

from collections.abc import Mapping

#: Keys the SDK's version of the API has and the document's does not: component, key, why.
NEWER: Mapping[str, Mapping[str, str]] = {
    "product": {"tax_details": "2026-08-26 (SDK 16)", "type": "answered for all products, documented in the SDK only"},
    "recurring": {"trial_period_days": "answered for all recurring prices, documented in the SDK only"},
}

#: Keys the document requires and a reply of the SDK's version may lack: component, key, why.
ABSENT: Mapping[str, Mapping[str, str]] = {}

#: Operations newer than the document, as ``METHOD path`` patterns.
NEWER_OPERATIONS: tuple[str, ...] = (
    r"(GET|POST) /v1/billing/feedback_options(/.*)?",
    r"POST /v1/subscriptions/[^/]+/pause",
)
