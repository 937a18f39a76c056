"""What an operator may set about the service; the defaults are safe on a public network."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

MIB = 1 << 20
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Pace(NamedTuple):
    """How many requests a second are let through in the long run, and how many at one instant."""

    per_second: float
    burst: int


PRINCIPAL_PACE, ADDRESS_PACE = Pace(500, 1000), Pace(20, 100)


@dataclass(frozen=True, slots=True)
class TokenSettings:
    """Whose JSON Web Tokens are believed, and what they say: the issuer, the audience, and the keys that sign them.

    ``keys`` is the address of a JWKS document, or the PEM text of one public key. ``tenant_claim`` names the claim that
    is a tenant. A token is an operator's where ``operator_claim`` holds exactly ``operator_value``, alone, in a list,
    or between spaces; without a value none is.
    """

    issuer: str
    audience: str
    keys: str
    algorithms: tuple[str, ...] = ("RS256", "ES256", "EdDSA")
    tenant_claim: str = "tenant"
    operator_claim: str = "scope"
    operator_value: str | None = None
    #: Seconds the clocks of issuer and service may differ.
    leeway: int = 30


@dataclass(frozen=True, slots=True)
class Settings:
    """Limits and identities of the service; sizes in bytes, times in seconds.

    ``operator_keys`` maps ids to the SHA-256 of keys: two ids at a time are a rotation. ``metrics_key`` is the SHA-256
    of a key that reads ``/metrics`` and nothing else. ``hosts`` are the names requests may be made to; none is any.
    ``return_origins`` are the origins pages of Stripe may lead back to (``https://shop.example``).
    """

    operator_keys: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    metrics_key: str | None = None
    tokens: TokenSettings | None = None
    hosts: frozenset[str] = frozenset()
    #: Who may say in ``X-Forwarded-For`` where a request comes from.
    proxies: tuple[Network, ...] = ()
    return_origins: frozenset[str] = frozenset()
    #: Whether pages may lead back to ``http`` on this machine, as in a trial with the sandbox.
    local_returns: bool = False
    body_limit: int = MIB
    header_limit: int = 100
    header_bytes: int = 32 * 1024
    timeout: float = 30.0
    principal_pace: Pace = PRINCIPAL_PACE
    address_pace: Pace = ADDRESS_PACE
    #: The file that ``reconciler apply --history`` appends to, for the pages to show.
    history: Path | None = None
    #: Seconds that requests under way get when the service ends.
    grace: int = 25
