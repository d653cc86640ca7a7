"""The form of an outside URL, parsed once for both the check and the connection.

Promise: a URL that passes is http or https, has a host and no credentials, and has one spelling.
"""

import re
from dataclasses import dataclass

from yarl import URL

from heliograph.ports.fetch import Forbidden

MAX_LENGTH = 2048
_HOST = re.compile(r"^(?=.{1,253}\.?$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_-]{1,63})*\.?$", re.ASCII)
_V4 = re.compile(r"^(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\.(?!$)|$)){4}$", re.ASCII)
# a last label of digits or 0x…, which system resolvers read as an old spelling of an IPv4 address
_NUMERIC = re.compile(r"(^|\.)([0-9]+|0[xX][0-9a-fA-F]*)\.?$", re.ASCII)
_AUTHORITY = re.compile(r"^[a-zA-Z]+://([^/?#]*)")


@dataclass(frozen=True, slots=True)
class Target:
    """A parsed URL. `literal`: the host is an address, so DNS is not used."""

    url: URL
    host: str
    literal: bool


def parse_target(text: str) -> Target | Forbidden:
    if len(text) > MAX_LENGTH:
        return Forbidden("too_long", f"The URL is longer than {MAX_LENGTH} characters.")
    if not text.lower().startswith(("http://", "https://")):
        return Forbidden("scheme", "The URL must begin with http:// or https://.")
    if any(ch <= " " or ch in "\\\x7f" or 0x80 <= ord(ch) < 0xA1 for ch in text):
        return Forbidden("spelling", "The URL holds a space, a backslash or a control character.")
    authority = _AUTHORITY.match(text)
    if authority and "@" in authority[1]:
        return Forbidden("credentials", "The URL must not hold a user name or password.")
    try:
        url = URL(text).with_fragment(None)
        host, port = url.raw_host, url.port
    except ValueError:
        return Forbidden("spelling", "The URL cannot be read.")
    if not host:
        return Forbidden("host", "The URL names no host.")
    if url.raw_user is not None or url.raw_password is not None:
        return Forbidden("credentials", "The URL must not hold a user name or password.")
    if not port:
        return Forbidden("port", "The URL names no usable port.")
    if ":" in host:
        if "%" in host:
            return Forbidden("spelling", "The URL must not name a network interface.")
        return Target(url, host, literal=True)
    if _V4.match(host):
        return Target(url, host, literal=True)
    if _NUMERIC.search(host):
        return Forbidden("spelling", "Write the address as four decimal numbers, such as 93.184.216.34.")
    if not _HOST.match(host):
        return Forbidden("host", "The URL's host is not a name that can be looked up.")
    return Target(url, host, literal=False)
