"""Rule for reachable addresses, as the standard library's differs between Python versions.

Promise: only globally routable unicast addresses and networks that the operator allowed pass.
Known weakness: a new special-purpose range is refused only when it is added here (IPv6 outside 2000::/3 never passes).
Source: IANA's special-purpose registries for IPv4 and IPv6; the cloud providers' pages for metadata addresses.
"""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network

_V4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT; a cloud's metadata lives in it too
        "127.0.0.0/8",
        "168.63.129.16/32",  # routable in form, but an internal service of a cloud
        "169.254.0.0/16",  # link-local; most clouds' metadata
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
_V6_GLOBAL = IPv6Network("2000::/3")
_V6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # Teredo, benchmarking, ORCHID: tunnels and protocols, not hosts
        "2001:db8::/32",
        "2002::/16",  # 6to4 carries any IPv4 address inside
        "2620:4f:8000::/48",
        "3fff::/20",
    )
)


def parse_networks(text: str) -> tuple[Network, ...]:
    """Parses networks such as `127.0.0.0/8, 10.1.0.0/16`. Raises a ValueError that names the bad one."""
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


@lru_cache(maxsize=4096)
def _routable(text: str) -> bool:
    address = ip_address(text)
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _V4)
    return address.scope_id is None and address in _V6_GLOBAL and not any(address in network for network in _V6)


def may_reach(text: str, allowed: Sequence[Network] = ()) -> bool:
    """Returns True for an address that may be reached; False for a zone, or text that is no address."""
    try:
        if _routable(text):
            return True
        address: IPv4Address | IPv6Address = ip_address(text)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        return False
    return any(address in network for network in allowed if network.version == address.version)
