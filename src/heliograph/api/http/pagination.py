"""Limit and offset of the lists."""

from heliograph.api.http.request import ApiRequest
from heliograph.domain.errors import invalid


def page_of(call: ApiRequest, default: int, most: int) -> tuple[int, int]:
    """Returns limit and offset from the query."""
    limit, offset = call.number("limit", int), call.number("offset", int)
    limit, offset = default if limit is None else limit, offset or 0
    if not 1 <= limit <= most:
        raise invalid("limit", f"limit must be from 1 to {most}", limit)
    if not 0 <= offset < 2**31:
        raise invalid("offset", "offset must be 0 or more", offset)
    return limit, offset
