"""Tests of a PostgreSQL database that cannot be used: one line says why, and nothing is created in it."""

import secrets
from collections.abc import AsyncIterator
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from heliograph.clock import SystemClock
from heliograph.domain.errors import CannotStart
from tests.kit.database import make_database


async def reason_against(url: str, *, migrate: bool = True) -> str:
    """Returns the reason why the database cannot be used, or an empty text."""
    try:
        database = make_database(url, SystemClock())
        await database.open(migrate=migrate)
    except CannotStart as problem:
        assert "\n" not in str(problem)
        return str(problem)
    await database.close()
    return ""


async def run(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def tables(url: str) -> list[str]:
    connection = await asyncpg.connect(url)
    try:
        found = await connection.fetch(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        )
        return [row[0] for row in found]
    finally:
        await connection.close()


@pytest.fixture
async def visitor(postgres_url: str) -> AsyncIterator[str]:
    """Creates a role that owns nothing, and returns its URL."""
    name = f"visitor_{secrets.token_hex(6)}"
    await run(postgres_url, f"CREATE ROLE {name} LOGIN PASSWORD 'x'", f"GRANT USAGE ON SCHEMA public TO {name}")
    parts = urlsplit(postgres_url)
    host = "" if parts.hostname is None else parts.hostname + (f":{parts.port}" if parts.port else "")
    yield urlunsplit(parts._replace(netloc=f"{name}:x@{host}"))
    await run(postgres_url, f"DROP OWNED BY {name}", f"DROP ROLE {name}")


async def test_a_database_that_keeps_text_otherwise_than_as_utf8(postgres_url: str) -> None:
    name = f"latin_{secrets.token_hex(6)}"
    made = f"CREATE DATABASE {name} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    await run(postgres_url, made)
    try:
        url = urlunsplit(urlsplit(postgres_url)._replace(path=f"/{name}"))
        assert "LATIN1" in await reason_against(url)
        assert await tables(url) == []
    finally:
        await run(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")


async def test_a_database_that_takes_no_writes(postgres_url: str) -> None:
    assert await reason_against(postgres_url) == ""
    await run(
        postgres_url, f'ALTER DATABASE "{urlsplit(postgres_url).path[1:]}" SET default_transaction_read_only = on'
    )
    assert "takes no writes" in await reason_against(postgres_url)


@pytest.mark.parametrize("other", ["CREATE TABLE orgs (n int)", "CREATE TABLE schema_migrations (version text)"])
async def test_a_database_with_tables_of_another_program(postgres_url: str, other: str) -> None:
    await run(postgres_url, other)
    assert "another program" in await reason_against(postgres_url)
    assert len(await tables(postgres_url)) == 1


async def test_a_user_who_may_make_no_tables(postgres_url: str, visitor: str) -> None:
    assert "Grant it CREATE on the schema" in await reason_against(visitor)
    assert await tables(postgres_url) == []


async def test_a_user_who_may_read_the_tables_but_not_write_them(postgres_url: str, visitor: str) -> None:
    assert await reason_against(postgres_url) == ""
    assert "schema_migrations" in await reason_against(visitor)
    name = urlsplit(visitor).username
    await run(postgres_url, f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {name}")
    reason = await reason_against(visitor)
    assert "lacks DELETE, INSERT, UPDATE on the table" in reason and "more" in reason
    rights = "SELECT, INSERT, UPDATE, DELETE"
    await run(postgres_url, f"GRANT {rights} ON ALL TABLES IN SCHEMA public TO {name}")
    await run(postgres_url, f"REVOKE INSERT ON org_events FROM {name}")
    assert "lacks INSERT on the table org_events:" in await reason_against(visitor)
    await run(postgres_url, f"GRANT INSERT ON org_events TO {name}")
    assert await reason_against(visitor) == ""


async def test_a_url_that_cannot_be_read() -> None:
    assert "cannot be read" in await reason_against("postgresql://a@[::1/x")
