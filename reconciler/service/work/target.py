"""Where notices go: a URL as it was configured, with everything refused that a callback must not be. Pure."""

import re
from typing import NamedTuple
from urllib.parse import SplitResult, quote, urlsplit

HTTPS = 443
_LONGEST = 2048
#: A host as it is looked up and checked against a certificate: letters, digits, hyphens and dots, or an address.
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,251}[a-z0-9])?")
_V6 = re.compile(r"[0-9a-f:.]{2,45}")


class RefusedUrlError(ValueError):
    """A URL that no notice may be sent to; the message says why, and holds nothing of the URL but its host."""


class Target(NamedTuple):
    """Host, port and path of a callback; ``secure`` for TLS, ``shown`` is what may be printed of it."""

    host: str
    port: int
    path: str
    secure: bool

    @property
    def shown(self) -> str:
        """The URL without path and query, which may hold secrets."""
        return f"{'https' if self.secure else 'http'}://{self.authority}"

    @property
    def authority(self) -> str:
        """Host and port as the request names them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = HTTPS if self.secure else 80
        return host if self.port == usual else f"{host}:{self.port}"


def target_of(url: str, *, ports: frozenset[int] = frozenset({HTTPS}), development: bool = False) -> Target:
    """Read a callback's URL; RefusedUrlError for anything but https to an allowed port.

    ``development`` allows http and any port, to this machine alone: where a name leads is seen when it is looked up.
    """
    if len(url) > _LONGEST or not url.isascii() or not url.isprintable() or any(sign in url for sign in ' \\<>"'):
        raise RefusedUrlError("a callback URL has at most 2048 printable ASCII characters, and no spaces")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise RefusedUrlError("this is no URL") from None
    secure = parts.scheme == "https"
    if not secure and not (development and parts.scheme == "http"):
        raise RefusedUrlError("a callback URL begins with https://")
    if parts.username is not None or parts.password is not None or "@" in parts.netloc:
        raise RefusedUrlError("a callback URL holds no credentials: notices are signed instead")
    if parts.fragment or not host or not (_HOST.fullmatch(host) or _V6.fullmatch(host)):
        raise RefusedUrlError("a callback URL names a host, by letters, digits and hyphens, and no fragment")
    port = port if port is not None else HTTPS if secure else 80
    if port not in ports and not development:
        raise RefusedUrlError(f"a callback URL goes to port {', '.join(map(str, sorted(ports)))}, not to {port}")
    return Target(host, port, _path(parts), secure)


def _path(parts: SplitResult) -> str:
    query = f"?{parts.query}" if parts.query else ""
    return quote((parts.path or "/") + query, safe="/%?&=:;,+!*'()~$@-._[]|")
