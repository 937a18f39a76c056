"""Ids in Stripe's look, derived from a seed and a counter: the same requests give the same ids."""

import hashlib
from functools import cache

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def derive(*source: object, length: int, alphabet: str = BASE62) -> str:
    """Return ``length`` characters of the alphabet that depend on every source value, 32 characters at most."""
    digest = hashlib.sha256(repr(source).encode()).digest()
    return digest[:length].translate(_letters(alphabet)).decode()


@cache
def _letters(alphabet: str) -> bytes:
    """Return the letter of every byte."""
    return bytes(ord(alphabet[byte % len(alphabet)]) for byte in range(256))
