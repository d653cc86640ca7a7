"""`heliograph orgs`: organisations share a server and never see each other."""

from datetime import UTC, datetime

import click

from heliograph.cli.commands.accounts import with_accounts
from heliograph.cli.display.output import escape, json_option, note, put
from heliograph.cli.display.tables import table
from heliograph.cli.exit_codes import Exit, Failed
from heliograph.domain.accounts.api_key import new_key
from heliograph.domain.accounts.org import OrgRow
from heliograph.ports.stores.account_store import AccountStore


@click.group()
def orgs() -> None:
    """Organisations: add, list. Opens the database; the server may run meanwhile."""


@orgs.command()
@click.argument("name")
@json_option
def add(name: str, as_json: bool) -> None:
    """Make an organisation called NAME and print its first key, this once."""

    name = name.strip()
    if not name:
        raise Failed("an organisation needs a name.", todo="heliograph orgs add NAME", code=Exit.USAGE)

    async def act(accounts: AccountStore) -> tuple[OrgRow, str]:
        row, made = await accounts.create_org(name), new_key()
        await accounts.create_key(row.org_no, "first", made.digest, made.prefix)
        return row, made.secret

    row, secret = with_accounts(act, make=True)
    if as_json:
        put(_shape(row) | {"key": secret})
    else:
        click.echo(secret)
        note(f"The first key of {row.name} ({row.org_id}). It is not shown again.")
        note("Its first phone: HELIOGRAPH_API_KEY=… heliograph phones add --provider simulator --number N")


@orgs.command("list")
@json_option
def list_orgs(as_json: bool) -> None:
    """All organisations of this database."""

    async def act(accounts: AccountStore) -> list[OrgRow]:
        return await accounts.orgs()

    rows = with_accounts(act)
    if as_json:
        return put([_shape(row) for row in rows])
    table(
        ("Name", "org_id", "Made"), [(escape(row.name), row.org_id, _made(row)[:10]) for row in rows],
        free={"Name": 60}, spare=("Made",),
    )  # fmt: skip


def _made(row: OrgRow) -> str:
    return datetime.fromtimestamp(row.created_at_us / 1e6, UTC).isoformat(timespec="milliseconds")


def _shape(row: OrgRow) -> dict[str, str]:
    return {"org_id": row.org_id, "name": row.name, "created_at": _made(row)}
