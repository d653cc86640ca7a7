"""Checks of `heliograph doctor`. Each gives its finding and a remedy."""

import contextlib
import errno
import os
import shutil
import socket
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from urllib.parse import urlsplit

from heliograph.settings import Settings

_MIN_FREE_BYTES = 1 << 30
_SLOW_SYNC_S = 0.02
_SKEW_S = 5
_FILES = 1024


@dataclass(frozen=True, slots=True)
class Finding:
    """`level`: ok, warn or bad. `fix`: what to do; empty when all is well."""

    name: str
    level: str
    sentence: str
    fix: str = ""


def machine_checks(settings: Settings) -> Iterator[Finding]:
    """Runs the checks that need no server."""
    yield _python()
    yield _sqlite()
    yield _zones()
    yield _files()
    folder = settings.sqlite_path.parent if settings.sqlite_path else settings.media_path.parent
    yield _folder(folder)
    if os.access(folder, os.W_OK):
        yield _sync(folder)
    if settings.secret_key is None:
        said = "Credentials and signing keys would be stored unencrypted."
        yield Finding("secret key", "warn", said, "Set HELIOGRAPH_SECRET_KEY before you connect real phones.")
    if settings.host not in ("127.0.0.1", "::1", "localhost") and not settings.url:
        said = f"The server listens on {settings.host} without TLS."
        yield Finding("network", "warn", said, "Put a proxy with TLS in front, and set HELIOGRAPH_URL to its address.")


def server_checks(settings: Settings) -> Iterator[Finding]:
    """Checks the server's answer, if one answers; otherwise whether its port is free."""
    answer = _ask(settings.server_url, "/readyz")
    if answer is None:
        yield (
            _port(settings.host, settings.port)
            if settings.url is None
            else Finding(
                "server", "warn", f"No answer from {settings.server_url}.", "Start it, or correct HELIOGRAPH_URL."
            )
        )
        return
    status, date, body = answer
    if status == 200:
        yield Finding("server", "ok", f"{settings.server_url} is ready.")
    elif status == 503:
        yield Finding("server", "bad", f"It runs but is not ready: {body[:200]}", "See its log for the cause.")
    else:
        said = f"Something else answers at {settings.server_url} (status {status})."
        yield Finding("server", "bad", said, "Choose another port with HELIOGRAPH_PORT.")
        return
    yield from _key(settings)
    skew_s = abs(parsedate_to_datetime(date).timestamp() - time.time()) if date else 0.0
    if skew_s > _SKEW_S:
        yield Finding("clock", "bad", f"Server and this machine differ by {skew_s:.0f} s.", "Run a time service (NTP).")
    else:
        yield Finding("clock", "ok", "Server and this machine agree.")


def _key(settings: Settings) -> Iterator[Finding]:
    """Checks whether commands that speak HTTP would be let in. A hint: the gateway itself needs no key."""
    fix = "Set it to a key of this server; `heliograph keys create NAME` makes one."
    if settings.api_key is None:
        yield Finding("api key", "warn", "HELIOGRAPH_API_KEY is not set: send, jobs, why … would be refused.", fix)
        return
    answer = _ask(settings.server_url, "/v1/message/queues/health", settings.api_key)
    if answer is not None and answer[0] == 401:
        yield Finding("api key", "warn", "The server does not know the key in HELIOGRAPH_API_KEY.", fix)
    elif answer is not None and answer[0] == 200:
        yield Finding("api key", "ok", "The server takes it.")


def _python() -> Finding:
    version = ".".join(str(part) for part in sys.version_info[:3])
    return Finding("python", "ok", f"{version} on {sys.platform}")


def _sqlite() -> Finding:
    version = sqlite3.sqlite_version
    if sqlite3.sqlite_version_info >= (3, 35):
        return Finding("sqlite", "ok", version)
    return Finding("sqlite", "bad", f"{version} cannot answer RETURNING.", "Use a Python with SQLite 3.35 or newer.")


def _zones() -> Finding:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        ZoneInfo("Asia/Kolkata")
    except ZoneInfoNotFoundError:
        return Finding("time zones", "bad", "The time zone data is missing.", "Install the package tzdata.")
    return Finding("time zones", "ok", "found")


def _files() -> Finding:
    try:
        import resource
    except ImportError:  # not on Windows
        return Finding("open files", "ok", "no limit known here")
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if soft < _FILES:
        return Finding("open files", "warn", f"At most {soft} at once.", "Raise it: ulimit -n 65536.")
    return Finding("open files", "ok", f"up to {soft:,}")


def _folder(folder: Path) -> Finding:
    if not folder.is_dir():
        return Finding(
            "folder", "bad", f"{folder.absolute()} is not there.", "Make it, or set HELIOGRAPH_DATABASE_URL."
        )
    if not os.access(folder, os.W_OK):
        return Finding("folder", "bad", f"{folder.absolute()} cannot be written.", "Give this user the right to.")
    free = shutil.disk_usage(folder).free
    said = f"{folder.absolute()} has {free / 2**30:,.1f} GiB free."
    if free < _MIN_FREE_BYTES:
        return Finding("folder", "warn", said, "Make room: without it, sends are answered with 503.")
    return Finding("folder", "ok", said)


def _sync(folder: Path) -> Finding:
    """Every accepted message waits for one of these."""
    try:
        took = _synced_writes(folder)
    except OSError as problem:
        said = f"A file of 120 kB in {folder.absolute()} cannot be written: {problem.strerror}."
        return Finding("disk", "bad", said, "Make room there: until then sends are answered with 503.")
    median_s = statistics.median(took)
    said = f"A synced write takes {median_s * 1000:.2f} ms."
    if median_s > _SLOW_SYNC_S:
        return Finding("disk", "warn", said, "Sends wait for it: a faster disk answers faster.")
    return Finding("disk", "ok", said)


def _synced_writes(folder: Path) -> list[float]:
    """Seconds each."""
    took = []
    handle, name = tempfile.mkstemp(dir=folder, prefix=".heliograph-doctor-")
    try:
        os.unlink(name)  # nothing is left behind, whatever ends us
        for _ in range(30):
            begun = time.perf_counter()
            if os.write(handle, b"x" * 4096) < 4096:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(handle)
            took.append(time.perf_counter() - begun)
    finally:
        os.close(handle)
    return took


def _port(host: str, port: int) -> Finding:
    with contextlib.closing(socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as problem:
            said = f"Port {port} of {host} cannot be taken: {problem.strerror}."
            return Finding("port", "bad", said, "Stop what uses it, or set HELIOGRAPH_PORT.")
    return Finding("port", "ok", f"{host}:{port} is free; no server runs there now.")


def _ask(url: str, path: str, key: str | None = None) -> tuple[int, str, str] | None:
    parts = urlsplit(url)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(parts.hostname or "127.0.0.1", parts.port, timeout=3)
    try:
        connection.request(
            "GET", parts.path.rstrip("/") + path, headers={"Authorization": f"Bearer {key}"} if key else {}
        )
        response = connection.getresponse()
        return response.status, response.getheader("Date", ""), response.read(4096).decode(errors="replace")
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()


CheckGroup = Callable[[Settings], Iterator[Finding]]
