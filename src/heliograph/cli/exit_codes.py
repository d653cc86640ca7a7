"""Exit codes: numbers that scripts rely on, never renumbered. Source: interface, "The program"."""

from collections.abc import Collection
from enum import IntEnum


class Exit(IntEnum):
    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    NOT_ALLOWED = 4
    REFUSED = 5  # by policy: paused, quota, opted out, too many requests
    TIMED_OUT = 6
    UNCERTAIN = 7
    UNREACHABLE = 8
    CONFLICT = 9
    INTERRUPTED = 130


MEANINGS = {
    Exit.OK: "ok",
    Exit.FAILED: "failed",
    Exit.USAGE: "usage: what was typed cannot be done",
    Exit.NOT_FOUND: "not found",
    Exit.NOT_ALLOWED: "not allowed: no key, or a wrong one",
    Exit.REFUSED: "refused by policy",
    Exit.TIMED_OUT: "timed out waiting",
    Exit.UNCERTAIN: "uncertain: it may have been sent",
    Exit.UNREACHABLE: "cannot reach the server",
    Exit.CONFLICT: "conflict with what is there",
    Exit.INTERRUPTED: "interrupted",
}


class Failed(Exception):
    """A command cannot go on: what happened, why, and what to do, each a line of its own.

    `fields`: which the server named.
    """

    def __init__(
        self, what: str, *, why: str = "", todo: str = "", code: Exit = Exit.FAILED, fields: Collection[str] = ()
    ) -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.todo = todo
        self.code = code
        self.fields = fields

    def lines(self) -> list[str]:
        return [f"heliograph: {self.what}", *(f"  {one}" for one in (self.why, self.todo) if one)]
