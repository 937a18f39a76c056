"""Ids in Stripe's look, derived from a seed and a counter: the same requests give the same ids."""

import hashlib

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def derive(*source: object, length: int, alphabet: str = BASE62) -> str:
    """Return ``length`` characters of the alphabet that depend on every source value, 32 characters at most."""
    digest = hashlib.sha256(repr(source).encode()).digest()
    return "".join([alphabet[byte % len(alphabet)] for byte in digest[:length]])
