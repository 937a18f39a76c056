"""Billing as code: YAML in ``billing.d`` reconciled with a Stripe account.

The package root imports nothing; see ``CONTRIBUTING.md`` for the map of the house.
"""

__version__ = "0.1.0"
