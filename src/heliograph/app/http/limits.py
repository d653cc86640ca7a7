"""Limits of the HTTP edge: sizes, times and numbers of connections."""

import contextlib
import resource
from dataclasses import dataclass, replace

_OWN = 64  # descriptors of the process itself: database, journal, log, media files


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """Sizes in bytes, times in seconds.

    A body has `body_s`, and one second more for each `body_rate` bytes that came. `held_bytes` bounds, over all
    connections, heads that are not complete and requests that wait behind another of their connection. `refusals`
    connections above the limit may linger at a time; any further one is closed as soon as its answer is written.
    """

    connections: int = 2048
    connections_per_address: int = 512
    head_bytes: int = 65_536
    fields: int = 100
    held_bytes: int = 8 * 1024 * 1024
    refusals: int = 128
    head_s: float = 30.0
    body_s: float = 30.0
    body_rate: int = 16_384
    idle_s: float = 75.0
    write_s: float = 30.0
    linger_s: float = 2.0
    sweep_s: float = 1.0


def fit_descriptors(limits: HttpLimits) -> HttpLimits:
    """Raises the soft limit of descriptors as far as needed and allowed; lowers `connections` to what is left.

    Half of the descriptors at most are for clients, so that a database and webhooks can be reached at any time.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * (limits.connections + limits.refusals + _OWN)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return limits
    clients = max(8, soft // 2 - _OWN // 2)
    refusals = min(limits.refusals, max(4, clients // 8))
    return replace(limits, connections=min(limits.connections, clients - refusals), refusals=refusals)
