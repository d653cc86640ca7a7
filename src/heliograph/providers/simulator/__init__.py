"""Provider of the simulated network."""

from heliograph.providers.simulator.spec import SPEC

__all__ = ["SPEC"]
