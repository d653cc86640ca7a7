"""Organisations, API keys and logins at the dashboard."""

from dataclasses import dataclass
from typing import Protocol

from heliograph.domain.accounts.api_key import KeyRow
from heliograph.domain.accounts.org import OrgRow


class AccountStore(Protocol):
    """Organisations and their API keys."""

    async def create_org(self, name: str) -> OrgRow:
        """Adds an organisation. Raises Conflict if the name is taken, as commands name an organisation by it."""
        ...

    async def orgs(self) -> list[OrgRow]:
        """Lists all organisations, oldest first."""
        ...

    async def create_key(self, org_no: int, name: str, digest: bytes, prefix: str) -> KeyRow:
        """Adds a key. `digest` is the SHA-256 of its secret, which is never stored."""
        ...

    async def keys(self, org_no: int | None) -> list[KeyRow]:
        """Lists the keys of an organisation, or of all; revoked ones too."""
        ...

    async def revoke_key(self, org_no: int, prefix: str) -> KeyRow | None:
        """Revokes the key whose secret begins with `prefix`; None: there is no such key in force."""
        ...

    async def key_by_digest(self, digest: bytes) -> KeyRow | None:
        """Finds a key in force, and remembers the time in memory until `write_key_uses`."""
        ...

    async def write_key_uses(self) -> None:
        """Stores the last use of each key found since the last call. A later use by another process stays."""
        ...


@dataclass(frozen=True, slots=True)
class NewPageSession:
    """A login. `digest` is of its cookie, `link` of the used login link, `key_no` the key that was typed in."""

    digest: str
    link: str | None
    org_no: int
    key_no: int | None
    ends_at_us: int


class PageSessionStore(Protocol):
    """Logins at the dashboard, shared by all processes on one database."""

    async def begin_page_session(self, new: NewPageSession) -> bool:
        """Stores a login. Returns False if its link was used before."""
        ...

    async def page_session(self, digest: str) -> int | None:
        """Returns the org_no of a login; None if there is none, or it or its key has ended."""
        ...

    async def end_page_session(self, digest: str) -> None:
        """Ends a login at once, in all processes."""
        ...
