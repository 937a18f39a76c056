"""JSON Web Tokens of an identity provider: verified by its public keys, never issued here."""

import asyncio
import hashlib
import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, Request, build_opener

import jwt
from jwt.algorithms import get_default_algorithms

from reconciler.diagnostics import UsageError
from reconciler.service.identity import Principal
from reconciler.service.problems import ProblemError, forbidden, unauthenticated
from reconciler.service.settings import TokenSettings

#: Algorithms whose verification needs a public key only: who verifies cannot sign.
ASYMMETRIC = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "ES256K", "EdDSA"}
)
#: Seconds after which keys are read again, and between two reads for a key nobody knows.
_LASTS, _COOL_DOWN = 3600.0, 30.0
_FETCH, _LARGEST = 5.0, 256 * 1024
#: A verified token is believed again without a look at its signature for so many seconds.
_KEPT, _MOST = 60.0, 10_000
_LOCAL = frozenset({"127.0.0.1", "::1", "localhost"})

Fetch = Callable[[str], bytes]


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def fetch(url: str) -> bytes:
    """Return a document of at most 256 KiB within 5 seconds, from the address itself and no other."""
    opener = build_opener(_NoRedirects, HTTPSHandler(context=ssl.create_default_context()))
    with opener.open(Request(url, headers={"Accept": "application/json"}), timeout=_FETCH) as answer:  # noqa: S310  checked when the settings are read
        body: bytes = answer.read(_LARGEST + 1)
    if len(body) > _LARGEST:
        raise ValueError("the document is too large")
    return body


class Keys:
    """The public keys of an issuer, read when a token names one that is not known, not more often than a cool-down."""

    def __init__(self, source: str, fetch: Fetch = fetch, clock: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._fetch = fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._found: Mapping[str | None, jwt.PyJWK] = {}
        self._tried: float | None = None
        self._read: float | None = None
        self._fixed = "-----BEGIN" in source
        if not self._fixed:
            _check_address(source)

    @property
    def source(self) -> str:
        """The PEM text, where there is one key for good."""
        return self._source

    @property
    def fixed(self) -> bool:
        """Whether there is one key for good."""
        return self._fixed

    def known(self, kid: str | None) -> jwt.PyJWK | None:
        """Return a key that was read and is not too old."""
        if self._read is None or self._clock() - self._read > _LASTS:
            return None
        return self._found.get(kid)

    def find(self, kid: str | None) -> jwt.PyJWK | None:
        """Return a key, read anew where it is not known and the cool-down allows; old ones where reading fails."""
        with self._lock:
            found = self.known(kid)
            if found is None and (self._tried is None or self._clock() - self._tried >= _COOL_DOWN):
                self._tried = self._clock()
                try:
                    self._found = _keys_of(self._fetch(self._source))
                    self._read = self._clock()
                except (OSError, URLError, ValueError, TypeError, KeyError, AttributeError, jwt.PyJWTError):
                    return None
                found = self.known(kid)
            return found


def _keys_of(document: bytes) -> Mapping[str | None, jwt.PyJWK]:
    """Return the signing keys of a JWKS document by their ids; where there is one only, a token need not name it."""
    found: dict[str | None, jwt.PyJWK] = {}
    for each in json.loads(document)["keys"]:
        if each.get("kty") == "oct" or each.get("use", "sig") != "sig":
            continue
        try:
            found[each.get("kid")] = jwt.PyJWK(each)
        except jwt.PyJWTError:
            continue
    if len(found) == 1:
        found.setdefault(None, next(iter(found.values())))
    return found


def _check_address(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOCAL):
        raise UsageError(
            "E1502",
            "the keys that sign tokens are neither at an https address nor a public key",
            remedy="Name the issuer's JWKS address, or a PEM file of its public key.",
        )


class Tokens:
    """Verifies tokens: signature, issuer, audience, time; and finds the principal in their claims."""

    def __init__(self, settings: TokenSettings, keys: Keys | None = None) -> None:
        if wrong := set(settings.algorithms) - ASYMMETRIC or not settings.algorithms:
            raise UsageError(
                "E1503",
                f"tokens cannot be verified by {wrong if wrong is True else ', '.join(sorted(wrong))}",
                remedy=f"Name some of {', '.join(sorted(ASYMMETRIC))}.",
            )
        self._settings = settings
        self._keys = keys or Keys(settings.keys)
        self._pem = _public(self._keys.source) if self._keys.fixed else None
        self._verified: dict[bytes, tuple[float, Principal]] = {}
        # Anybody can name a key that nobody knows: whoever waits for it waits in no thread that reads books.
        self._reader = ThreadPoolExecutor(1, "keys")

    async def principal(self, token: str) -> Principal:
        """Return whom a token stands for; a 401 problem where it is not valid, 403 where it names nobody."""
        known, now = hashlib.sha256(token.encode()).digest(), time.time()
        kept = self._verified.get(known)
        if kept is not None and kept[0] > now:
            return kept[1]
        claims = self._claims(token, await self._key(token))
        found = self._principal(claims)
        if len(self._verified) >= _MOST:
            self._verified.clear()
        self._verified[known] = (min(now + _KEPT, float(claims["exp"])), found)
        return found

    async def _key(self, token: str) -> Any:
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError:
            raise unauthenticated("The key is not known.") from None
        if header.get("alg") not in self._settings.algorithms:
            raise unauthenticated("The token is not signed as it has to be.")
        if self._pem is not None:
            return self._pem
        kid = header.get("kid")
        key = self._keys.known(kid) or await asyncio.get_running_loop().run_in_executor(
            self._reader, self._keys.find, kid
        )
        if key is None:
            raise unauthenticated("The key that signed the token is not known.")
        return key

    def _claims(self, token: str, key: Any) -> dict[str, Any]:
        settings = self._settings
        try:
            found: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=list(settings.algorithms),
                audience=settings.audience,
                issuer=settings.issuer,
                leeway=settings.leeway,
                options={"require": ["exp", "iss", "aud"]},
            )
        except (jwt.PyJWTError, ValueError, TypeError):
            raise unauthenticated("The token is not valid, or not any more.") from None
        return found

    def _principal(self, claims: Mapping[str, Any]) -> Principal:
        settings, name = self._settings, f"token:{claims.get('sub')}"[:128]
        if settings.operator_value is not None and settings.operator_value in _words(
            claims.get(settings.operator_claim)
        ):
            return Principal("operator", None, name)
        tenant = claims.get(settings.tenant_claim)
        if isinstance(tenant, str) and tenant:
            return Principal("tenant", tenant, name)
        raise _nobody(settings.tenant_claim)


def _nobody(claim: str) -> ProblemError:
    return forbidden(f"The token names no tenant in its claim {claim!r}.")


def _words(value: Any) -> list[Any]:
    if isinstance(value, str):
        return value.split(" ")
    return value if isinstance(value, list) else []


def _public(pem: str) -> Any:
    """Return a public key of any kind that signs; UsageError for anything else."""
    for name in ("RS256", "ES256", "EdDSA"):
        algorithm = get_default_algorithms()[name]
        try:
            key = algorithm.prepare_key(pem)
        except (jwt.PyJWTError, ValueError, TypeError, AttributeError):
            continue
        if not hasattr(key, "private_bytes"):
            return key
    raise UsageError(
        "E1502", "the keys that sign tokens are neither at an https address nor a public key", remedy="Give a PEM file."
    )
