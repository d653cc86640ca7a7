"""Processes of a proof: a simulated network that lives on, and servers that are killed and started again.

Promise: everything started here is ended by the context manager, whatever happened in between. Nothing of the caller's
settings reaches a server: it gets what the proof names and no more.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

READY_S = 90.0  # a machine that does other things too
STOP_S = 15.0
POLL_S = 0.02


class ProofFailed(Exception):
    """The proof could not be carried out; the text says why."""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """The shell's variables without its HELIOGRAPH_ ones, and `settings` under that prefix."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HELIOGRAPH_")}
    return kept | {f"HELIOGRAPH_{name}": value for name, value in settings.items()}


@dataclass
class Program:
    """One process that can be killed and started again. `arguments` are handed to this Python.

    `probe` None: it listens nowhere, and counts as ready when it is there.
    """

    name: str
    arguments: Sequence[str]
    port: int
    settings: Mapping[str, str]
    folder: Path
    probe: str | None = "/readyz"
    process: asyncio.subprocess.Process | None = field(default=None, init=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                *self.arguments,
                cwd=self.folder,
                env=environment(self.settings),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    async def ready(self, http: aiohttp.ClientSession) -> None:
        """Returns when the probe answers 200. Raises when the process ends by itself, or takes too long."""
        deadline = asyncio.get_running_loop().time() + READY_S
        while asyncio.get_running_loop().time() < deadline:
            if self.process is not None and self.process.returncode is not None:
                raise ProofFailed(f"{self.name} ended by itself with {self.process.returncode}: {self.last_words()}")
            if self.probe is None:
                return
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with http.get(self.url + self.probe, timeout=aiohttp.ClientTimeout(total=2)) as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(POLL_S)
        raise ProofFailed(f"{self.name} was not ready within {READY_S:.0f} s: {self.last_words()}")

    async def ended(self) -> int:
        """Waits until it has ended by itself; its exit code, or minus the signal's number."""
        if self.process is None:
            raise ProofFailed(f"{self.name} was never started")
        return await self.process.wait()

    async def kill(self) -> None:
        """SIGKILL: no chance to tidy up."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    def freeze(self, frozen: bool) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(signal.SIGSTOP if frozen else signal.SIGCONT)

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL for what does not listen."""
        if self.process is None or self.process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
        try:
            await asyncio.wait_for(self.process.wait(), STOP_S)
        except TimeoutError:
            await self.kill()

    def last_words(self) -> str:
        """The end of what it wrote: for a person, when it ended by itself."""
        with contextlib.suppress(OSError):
            text = (self.folder / f"{self.name}.log").read_text(errors="replace").strip()
            return text[-1500:] or "it wrote nothing"
        return "it wrote nothing"


@contextlib.asynccontextmanager
async def running(programs: Sequence[Program], http: aiohttp.ClientSession) -> AsyncIterator[None]:
    """Starts all, waits until each is ready; ends all, the last first."""
    try:
        for program in programs:
            await program.start()
        for program in programs:
            await program.ready(http)
        yield
    finally:
        for program in reversed(programs):
            await program.stop()
