"""`heliograph keys`: API keys. A key is shown once, when it is made; the database keeps only its hash."""

from datetime import UTC, datetime

import click

from heliograph.cli.commands.accounts import pick_org, with_accounts
from heliograph.cli.display.output import escape, json_option, note, put
from heliograph.cli.display.tables import table
from heliograph.cli.exit_codes import Exit, Failed
from heliograph.domain.accounts.api_key import KeyRow, new_key
from heliograph.ports.stores.account_store import AccountStore


@click.group()
def keys() -> None:
    """API keys: create, list, revoke. Opens the database; the server may run meanwhile."""


@keys.command()
@click.argument("name")
@click.option("--org", metavar="ORG", help="The organisation, by id or name. Without it: the first.")
@json_option
def create(name: str, org: str | None, as_json: bool) -> None:
    """Make a key called NAME and print it, this once."""

    async def act(accounts: AccountStore) -> tuple[KeyRow, str]:
        row = await pick_org(accounts, org)
        made = new_key()
        return await accounts.create_key(row.org_no, name, made.digest, made.prefix), made.secret

    row, secret = with_accounts(act)
    if as_json:
        put(_shape(row) | {"key": secret})
    else:
        click.echo(secret)
        note(f"Key {row.name!r} of {row.org_name}, not shown again. Use it as HELIOGRAPH_API_KEY or as Bearer token.")


@keys.command("list")
@click.option("--org", metavar="ORG", help="Only this organisation's, by id or name.")
@json_option
def list_keys(org: str | None, as_json: bool) -> None:
    """All keys: never the secret, only how it begins. A server writes once a minute which were used."""

    async def act(accounts: AccountStore) -> list[KeyRow]:
        org_no = (await pick_org(accounts, org)).org_no if org else None
        return await accounts.keys(org_no)

    rows = with_accounts(act)
    if as_json:
        return put([_shape(row) for row in rows])
    table(
        ("Name", "Begins", "Organisation", "Made", "Last used", "State"),
        [
            (
                escape(row.name),
                row.prefix,
                escape(row.org_name),
                _when(row.created_at_us),
                _when(row.last_used_at_us),
                f"revoked {_when(row.revoked_at_us)}" if row.revoked_at_us else "valid",
            )
            for row in rows
        ],
        free={"Name": 40, "Organisation": 40},
        spare=("Made", "Organisation", "Last used"),
    )


@keys.command()
@click.argument("prefix")
@click.option("--org", metavar="ORG", help="The organisation, by id or name. Without it: the first.")
def revoke(prefix: str, org: str | None) -> None:
    """End a key at once. PREFIX: how it begins, as `keys list` shows it."""

    async def act(accounts: AccountStore) -> KeyRow | None:
        row = await pick_org(accounts, org)
        return await accounts.revoke_key(row.org_no, prefix)

    if with_accounts(act) is None:
        raise Failed(f"no valid key begins with {prefix}.", todo="See: heliograph keys list", code=Exit.NOT_FOUND)
    note("Revoked. Requests with it get 401 from now on.")


def _when(at_us: int | None) -> str:
    return "–" if at_us is None else f"{datetime.fromtimestamp(at_us / 1e6, UTC):%Y-%m-%d %H:%M}"


def _iso(at_us: int | None) -> str | None:
    return None if at_us is None else datetime.fromtimestamp(at_us / 1e6, UTC).isoformat(timespec="milliseconds")


def _shape(row: KeyRow) -> dict[str, object]:
    return {
        "name": row.name,
        "prefix": row.prefix,
        "org_id": row.org_id,
        "org_name": row.org_name,
        "created_at": _iso(row.created_at_us),
        "last_used_at": _iso(row.last_used_at_us),
        "revoked_at": _iso(row.revoked_at_us),
    }
