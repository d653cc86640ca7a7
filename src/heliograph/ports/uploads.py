"""Memory of files that a provider handed to the network, so that each file is uploaded once."""

from typing import Protocol


class UploadStore(Protocol):
    async def uploaded(self, phone_no: int, sha256: str, mimetype: str, *, now_us: int) -> str | None:
        """The network's id for these bytes; None if never uploaded, forgotten or out of date at `now_us`."""
        ...

    async def keep_upload(
        self, phone_no: int, sha256: str, mimetype: str, *, media_id: str, expires_at_us: int
    ) -> None:
        """Replaces what was kept. Losing it costs one more upload, nothing else."""
        ...

    async def forget_upload(self, phone_no: int, sha256: str, mimetype: str) -> None: ...
