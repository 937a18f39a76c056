"""Exact rating: what units, calls and periods cost, tier by tier, and a tenant's invoice line by line.

Amounts are decimals in minor units, exact; a line of an invoice is rounded once, at its end, half up, as Stripe rounds.
Nothing here knows the files: ``tariff`` turns them into rates, everything else computes.
"""
