"""The version of Stripe's API that requests are made in, and that webhook events are rendered in."""

from typing import Final

API_VERSION: Final = "2026-10-28.endive"
