"""`heliograph demo`: what a newcomer sees first."""

from heliograph.cli.demo.command import demo

__all__ = ["demo"]
