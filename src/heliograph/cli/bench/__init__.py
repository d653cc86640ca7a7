"""`heliograph bench`: what this machine does with Heliograph alone, without peers to compare."""

from heliograph.cli.bench.command import bench

__all__ = ["bench"]
