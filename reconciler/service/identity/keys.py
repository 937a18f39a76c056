"""API keys: made here, shown once, known afterwards by their SHA-256 alone."""

import hashlib
import hmac
import secrets
import string
import zlib
from collections.abc import Mapping

from reconciler.diagnostics import UsageError
from reconciler.service.identity import Principal

OPERATOR, TENANT = "rck_op_", "rck_tenant_"
_LETTERS = string.digits + string.ascii_uppercase + string.ascii_lowercase
#: 43 letters of 62 hold 256 bits; 6 hold a CRC of 32.
_SECRET, _CHECK = 43, 6
_SHA256 = 64


def new_key(prefix: str) -> str:
    """Return a fresh key: its prefix, 256 random bits, and a checksum that tells a mistyped one from an unknown one."""
    body = prefix + "".join(secrets.choice(_LETTERS) for _ in range(_SECRET))
    return body + _checksum(body)


def well_formed(key: str) -> bool:
    """Tell whether a key may be one: those of our prefixes need their checksum, others were made elsewhere."""
    return not key.startswith((OPERATOR, TENANT)) or hmac.compare_digest(key[-_CHECK:], _checksum(key[:-_CHECK]))


def sha256_of(key: str) -> str:
    """Return what is kept of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def _checksum(text: str) -> str:
    number, found = zlib.crc32(text.encode()), ""
    for _ in range(_CHECK):
        number, digit = divmod(number, len(_LETTERS))
        found = _LETTERS[digit] + found
    return found


def parse_operator_keys(text: str) -> dict[str, str]:
    """Read ``id:sha256`` words, between commas or white space; UsageError where one is of no such form."""
    found: dict[str, str] = {}
    for word in text.replace(",", " ").split():
        name, _, digest = word.partition(":")
        digest = digest.lower()
        if not name or len(digest) != _SHA256 or not set(digest) <= set(string.hexdigits) or name in found:
            raise UsageError(
                "E1501",
                "an operator key is not of the form ID:SHA256, or its id stands there twice",
                remedy="Make one with `reconciler key new --operator`.",
            )
        found[name] = digest
    return found


class OperatorKeys:
    """Knows operators by the hashes of their keys; every hash is compared, each in constant time."""

    def __init__(self, digests: Mapping[str, str]) -> None:
        self._digests = tuple((name, digest.encode()) for name, digest in digests.items())

    def __bool__(self) -> bool:
        return bool(self._digests)

    def find(self, key: str) -> Principal | None:
        """Return the operator of a key."""
        asked, found = sha256_of(key).encode(), None
        for name, digest in self._digests:
            if hmac.compare_digest(asked, digest):
                found = Principal("operator", None, name)
        return found
