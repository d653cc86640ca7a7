"""Runs one act on the accounts in the database: what `keys` and `orgs` share."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import TypeVar

from heliograph.cli.exit_codes import Exit, Failed
from heliograph.domain.accounts.org import OrgRow
from heliograph.ports.stores.account_store import AccountStore
from heliograph.settings import load_settings

T = TypeVar("T")


def with_accounts(act: Callable[[AccountStore], Awaitable[T]], *, make: bool = False) -> T:
    """Opens the database that the settings name, does it, and closes. Works beside a running server.

    `make`: a SQLite file that is not there is made; otherwise the command was called in the wrong folder.
    """
    settings = load_settings(os.environ)
    path = settings.sqlite_path
    if path is not None and not make and not path.exists():
        raise Failed(
            f"there is no database {path}.",
            why="Call this in the folder of the server, or name its file: HELIOGRAPH_DATABASE_URL=sqlite:///FILE",
            todo="`heliograph serve` makes a new one.",
        )

    async def run() -> T:
        from heliograph.app.database import open_accounts

        async with open_accounts(settings) as accounts:
            return await act(accounts)

    return asyncio.run(run())


async def pick_org(accounts: AccountStore, wish: str | None) -> OrgRow:
    """By org_id or name; without a wish the only one, or the first."""
    rows = await accounts.orgs()
    if not rows:
        raise Failed(
            "there is no organisation yet.",
            todo="Start the server once, or run: heliograph orgs add NAME",
            code=Exit.NOT_FOUND,
        )
    if wish is None:
        return rows[0]
    found = [row for row in rows if wish in (row.org_id, row.name)]
    if len(found) == 1:
        return found[0]
    why = f"{len(found)} have that name; use the id." if found else "`heliograph orgs list` shows what is there."
    raise Failed(f"no single organisation {wish!r}.", why=why, code=Exit.NOT_FOUND)
