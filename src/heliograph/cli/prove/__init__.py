"""`heliograph prove`: kill a server of its own under load, and hold what is left against every promise."""

from heliograph.cli.prove.command import prove

__all__ = ["prove"]
