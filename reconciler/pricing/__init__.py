"""Exact rating: what units, calls and periods cost, tier by tier, and a tenant's invoice line by line.

Amounts are decimals in minor units, exact; a line of an invoice is rounded once, at its end, half up, as Stripe rounds.
``rating`` and ``calls`` know nothing of the files, ``tariff`` turns those into rates; start from
:func:`reconciler.pricing.subscription.invoice_of`.
"""
