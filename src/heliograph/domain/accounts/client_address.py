"""The address that a client is counted under: an IPv4 address, or an IPv6 network of 64 bits, as one client has it."""


def client_address(host: str | None) -> str:
    """Empty if there is none, as on a Unix socket.

    >>> client_address("2001:db8:1:2::9")
    '2001:db8:1:2::/64'
    """
    if not host or ":" not in host:
        return host or ""
    host = host.partition("%")[0]
    if host.lower().startswith("::ffff:") and "." in host:
        return host[7:]
    head, gap, tail = host.partition("::")
    groups = head.split(":") if head else []
    if gap:
        last = tail.split(":") if tail else []
        groups += ["0"] * (8 - len(groups) - len(last)) + last
    return ":".join(groups[:4]) + "::/64"
