"""Instants as notices have them."""

from reconciler.entitlements.periods import instant


def stamp(at: int) -> str:
    """Return an instant in microseconds as RFC 3339 has it, in UTC."""
    return instant(at).isoformat().replace("+00:00", "Z")
