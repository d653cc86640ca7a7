"""Credentials at rest. What is stored is sealed text; only the room that needs the secret opens it."""

from typing import Protocol


class Secrets(Protocol):
    def seal(self, text: str, *, about: str) -> str:
        """`about` (a phone id, an organisation id) is bound in: sealed text copied to another row does not open."""
        ...

    def open(self, sealed: str, *, about: str) -> str:
        """Raises CannotOpen with what to do if the key is missing or another one."""
        ...


class CannotOpen(Exception):
    """Stored credentials cannot be read with the key at hand; the text says what to do and shows no secret."""
