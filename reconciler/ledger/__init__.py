"""The books: what every tenant was granted, has used, holds and has left, append-only and exact.

One :class:`~reconciler.ledger.book.Book` a tenant; an :class:`~reconciler.ledger.entry.Entry` for every change, chained
by hash; stores that run :class:`~reconciler.ledger.jobs.Job` s in one transaction. Nothing here knows plans or prices.

Amounts are integers: credits in millionths, units as they are counted, money in millionths of the major unit. Instants
are microseconds since 1970 in UTC.
"""
