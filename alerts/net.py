"""Which network addresses an alert may be sent to. Pure.

A webhook URL is configuration, but the address behind its name is not: whoever runs that name's DNS
could point it at a machine inside our network. So the guard judges the address about to be
connected to, not the name, and not an earlier lookup of it.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""RFC 6052: the IPv4 address stands in the last 32 bits."""

_NOT_PUBLIC = tuple(
    ipaddress.IPv6Network(network)
    for network in (
        "::/96",  # IPv4-compatible, deprecated: some stacks still route ::127.0.0.1
        "64:ff9b:1::/48",  # RFC 8215: NAT64 inside one organisation
        "fec0::/10",  # site-local, deprecated
    )
)
"""What `is_global` of some Python versions lets pass."""

_METADATA = frozenset(
    map(
        ipaddress.ip_address,
        (
            "169.254.169.254",  # AWS, Azure, Google, Tencent and others
            "169.254.170.2",  # AWS, credentials of containers
            "169.254.170.23",
            "fd00:ec2::254",  # AWS, over IPv6
            "fd00:ec2::23",
            "100.100.100.200",  # Alibaba Cloud
            "168.63.129.16",  # Azure; to look at, a public address
            "192.0.0.192",  # Oracle Cloud
        ),
    )
)
"""Where clouds hand out their machines' credentials. No receiver lives there: `allow_private: true`, or a
host's name, does not open them; only a network that is written out does."""


@dataclass(frozen=True, slots=True)
class AllowPrivate:
    """What is allowed beyond public addresses: everything, some hosts by name, some networks."""

    everything: bool = False
    hosts: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    def for_host(self, host: str) -> AllowPrivate:
        """What holds for connections made in the name of `host`."""
        return AllowPrivate(everything=True) if host.lower().rstrip(".") in self.hosts else self


def may_connect(address: str, allow: AllowPrivate) -> bool:
    """Whether a connection to `address` (a numeric one, as given to `connect`) is allowed.

    Multicast, broadcast and unspecified addresses never are: no receiver listens there.
    """
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    inner = _embedded(ip)
    if any(_never(candidate) for candidate in (ip, inner)):
        return False
    public = inner.is_global and not any(ip in network for network in _NOT_PUBLIC)
    if (public or allow.everything) and not {ip, inner} & _METADATA:
        return True
    return any(inner in network or ip in network for network in allow.networks)


def _embedded(ip: Address) -> Address:
    """The IPv4 address that an IPv6 address of a transition scheme leads to, else `ip` itself."""
    if isinstance(ip, IPv4Address):
        return ip
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    if ip.teredo is not None:
        return ip.teredo[1]
    return ip.ipv4_mapped or ip.sixtofour or ip


def _never(ip: Address) -> bool:
    return ip.is_multicast or ip.is_unspecified or ip == IPv4Address("255.255.255.255")
