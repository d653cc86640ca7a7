"""What the page needs to remember who is logged in."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class NewPageSession:
    """`digest` of the cookie, `link` of the login link that it was exchanged for. `key_no`: the key that let in."""

    digest: str
    link: str | None
    org_no: int
    key_no: int | None
    ends_at_us: int


class PageSessions(Protocol):
    """Shared by all processes on one database."""

    async def begin_page_session(self, new: NewPageSession) -> bool:
        """False if its link was used before."""
        ...

    async def page_session(self, digest: str) -> int | None:
        """The organisation; None if there is no such login, or it or its key has ended."""
        ...

    async def end_page_session(self, digest: str) -> None: ...
