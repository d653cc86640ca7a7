"""The log as rooms use it: an event name and its values. The loggers of structlog fit."""

from typing import Protocol


class Logger(Protocol):
    """Writes log lines. Promise: a call neither waits nor raises."""

    def debug(self, event: str, /, **values: object) -> object:
        """Writes a detail, such as each attempt."""
        ...

    def info(self, event: str, /, **values: object) -> object:
        """Writes a change of state."""
        ...

    def warning(self, event: str, /, **values: object) -> object:
        """Writes a failure that is tried again."""
        ...
