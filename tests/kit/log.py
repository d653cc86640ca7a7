"""A log that keeps its lines for tests."""

from dataclasses import dataclass, field


@dataclass
class RecordedLog:
    """Keeps each line as (level, event, values)."""

    lines: list[tuple[str, str, dict[str, object]]] = field(default_factory=list)

    def debug(self, event: str, /, **values: object) -> None:
        self.lines.append(("debug", event, values))

    def info(self, event: str, /, **values: object) -> None:
        self.lines.append(("info", event, values))

    def warning(self, event: str, /, **values: object) -> None:
        self.lines.append(("warning", event, values))

    @property
    def events(self) -> list[str]:
        return [event for _, event, _ in self.lines]
