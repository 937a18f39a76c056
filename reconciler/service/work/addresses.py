"""Which addresses a request may go to that somebody else names: those of the public Internet, and no others.

The networks are those of IANA's registries of special purposes
(https://www.iana.org/assignments/iana-ipv4-special-registry, .../iana-ipv6-special-registry), written out, so that the
answer is the same under every version of Python.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address

_V4: tuple[tuple[IPv4Network, str], ...] = tuple(
    (IPv4Network(network), what)
    for network, what in (
        ("0.0.0.0/8", "of this host"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared by a provider"),
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "of a cloud's own services"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "for documentation"),
        ("192.88.99.0/24", "of a relay"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "for measurements"),
        ("198.51.100.0/24", "for documentation"),
        ("203.0.113.0/24", "for documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
    )
)
#: The public Internet of IPv6, and what of it is not.
_GLOBAL = IPv6Network("2000::/3")
_V6: tuple[tuple[IPv6Network, str], ...] = tuple(
    (IPv6Network(network), what)
    for network, what in (
        ("2001::/23", "reserved"),
        ("2001:db8::/32", "for documentation"),
        ("3fff::/20", "for documentation"),
    )
)
_MAPPED, _COMPATIBLE = IPv6Network("::ffff:0:0/96"), IPv6Network("::/96")
_TRANSLATED, _SIX_TO_FOUR = IPv6Network("64:ff9b::/96"), IPv6Network("2002::/16")
#: The middle of an address in which ISATAP (RFC 5214) carries one of IPv4.
_ISATAP = frozenset({0x00005EFE, 0x02005EFE})
_LOW = 0xFFFFFFFF


def why_not(text: str) -> str | None:
    """Return why nothing may be sent to an address, ``None`` where it is public.

    An address of IPv6 that stands for one of IPv4 is judged as that one.
    """
    try:
        address = ip_address(text)
    except ValueError:
        return "no address"
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        return "link-local"
    inner = _inner(address)
    if isinstance(inner, IPv4Address):
        return next((what for network, what in _V4 if inner in network), None)
    if inner.is_loopback:
        return "loopback"
    if inner not in _GLOBAL:
        return "not of the public Internet"
    return next((what for network, what in _V6 if inner in network), None)


def loopback(text: str) -> bool:
    """Tell whether an address is this machine's own."""
    return why_not(text) == "loopback"


def _inner(address: Address) -> Address:
    """Return the address of IPv4 that one of IPv6 carries, else the address itself."""
    if isinstance(address, IPv4Address):
        return address
    number = int(address)
    if address in _SIX_TO_FOUR:
        return IPv4Address(number >> 80 & _LOW)
    compatible = address in _COMPATIBLE and number > 1
    tunnelled = address in _GLOBAL and number >> 32 & _LOW in _ISATAP
    if compatible or tunnelled or address in _MAPPED or address in _TRANSLATED:
        return IPv4Address(number & _LOW)
    return address
