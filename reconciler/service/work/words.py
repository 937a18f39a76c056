"""Numbers and instants as notices have them: exact, and the same everywhere."""

from reconciler.entitlements.periods import instant


def decimal(millionths: int) -> str:
    """Return millionths as an exact decimal number."""
    sign, whole = "-" if millionths < 0 else "", abs(millionths)
    text = f"{sign}{whole // 10**6}.{whole % 10**6:06d}"
    return text.rstrip("0").rstrip(".")


def stamp(at: int) -> str:
    """Return an instant in microseconds as ISO 8601 has it, in UTC, to the microsecond where it is not whole."""
    return instant(at).isoformat().replace("+00:00", "Z")
