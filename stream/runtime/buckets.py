"""How often each address may ask. Pure: the time is an argument, and memory is bounded."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from typing import Final

MOST_KEYS: Final = 4_096
"""Addresses remembered at once, some half a megabyte. Whoever was quiet longest is forgotten first, and
begins with a full allowance: that gives an attacker of many addresses no more than the others have."""

BURST_SECONDS: Final = 2.0
"""How many seconds' worth may come at once: senders that come back after a pause are not misjudged."""

_NETWORK: Final = 64
"""Bits of an IPv6 address that name its owner; the rest he may choose anew for every connection."""


class Buckets:
    """An allowance for each key that fills at ``rate`` a second up to ``BURST_SECONDS`` worth.

    Kept as the one moment at which a key's allowance is full again (the generic cell rate algorithm),
    so that nothing has to be filled while nobody asks.
    """

    __slots__ = ("_full_at", "_interval", "_slack")

    def __init__(self, rate: float) -> None:
        self._interval = 1 / rate
        self._slack = max(BURST_SECONDS, self._interval)
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, key: str, now: float) -> float:
        """Use one of a key's allowance; returns 0, or the seconds until there is one to use.

        Args:
            key: whose allowance.
            now: seconds of a clock that never goes back.
        """
        full_at = max(now, self._full_at.get(key, now)) + self._interval
        # The tolerance is that of the sums of floats, not of the allowance.
        over = full_at - now - self._slack
        if over > self._interval * 1e-6:
            return over
        self._full_at[key] = full_at
        self._full_at.move_to_end(key)
        if len(self._full_at) > MOST_KEYS:
            self._full_at.popitem(last=False)
        return 0.0


def owner_of(address: str) -> str:
    """Return whom a numeric address stands for: itself, or the /64 network of an IPv6 one."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ipaddress.IPv6Address(int(ip) >> _NETWORK << _NETWORK))
