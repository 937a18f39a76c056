"""The kinds of entitlement, in the order they are asked: access, rate, quota, then what pays. One file a kind.

Each kind weighs a call against a book without changing it and says what it would change. A new kind is a file here and
its place in :mod:`reconciler.entitlements.terms`, where the terms of a plan become bounds and payers.
"""
