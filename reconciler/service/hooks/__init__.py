"""Webhooks of Stripe: kept before they are acknowledged, worked off in any order, looked up where they never came."""
