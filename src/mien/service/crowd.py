"""How many connections there are, of one address and in all: each costs a file descriptor and some memory."""

from __future__ import annotations

import ipaddress
from collections import Counter

from mien.service.gate import network

SHARE = 4
"""Callers that must come together to take all connections."""
SPARE_FILES = 64
"""File descriptors kept for models, logs and listeners."""
RESERVED = 64
"""Connections beyond all, for callers that have fewer than `FEW`: health checks are answered in a flood of others."""
FEW = 4
PROXIES = "proxies"


class Crowd:
    """Counts connections."""

    def __init__(self, each: int, trusted_proxies: str = "") -> None:
        """Set the limits.

        Args:
            each: connections of one address, or of one /64 of IPv6.
            trusted_proxies: addresses and networks, with commas, that are counted only as part of all, as behind one
                of them are many callers.
        """
        self._each = each
        spare = RESERVED + SPARE_FILES
        self._most = max(each, min(SHARE * each, open_files(SHARE * each + spare) - spare))
        parts = (part.strip() for part in trusted_proxies.split(","))
        self._proxies = [ipaddress.ip_network(part) for part in parts if part]
        self._counts: Counter[str] = Counter()

    def enter(self, host: str) -> str:
        """Count a connection from an address.

        Returns:
            What `leave` is to be told at its end; empty where there are too many.
        """
        caller = PROXIES if self._is_proxy(host) else network(host)
        has = self._counts[caller]
        most = self._most + (RESERVED if has < FEW else 0)
        if self._counts.total() >= most or (caller != PROXIES and has >= self._each):
            return ""
        self._counts[caller] += 1
        return caller

    def leave(self, caller: str) -> None:
        """A connection has ended."""
        if caller:
            self._counts[caller] -= 1
            if not self._counts[caller]:
                del self._counts[caller]

    def _is_proxy(self, host: str) -> bool:
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        return any(address in network for network in self._proxies)


def open_files(wanted: int) -> int:
    """Have as many file descriptors as wanted, or as many as this process may; returns how many it has."""
    try:
        import resource
    except ImportError:  # Windows, which has no such limit
        return wanted
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return wanted if soft == resource.RLIM_INFINITY else soft
