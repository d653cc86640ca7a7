"""The program with one armed fault point: HELIOGRAPH_TEST_KILL_AT=send.after:3 kills it at the third passing."""

import os
import signal

from heliograph.cli.main import main
from heliograph.ports.faultpoint import POINTS, Point, arm


def kill_at(spec: str) -> None:
    name, _, passing = spec.partition(":")
    if name not in POINTS:
        raise SystemExit(f"{name} is no fault point; there are {', '.join(POINTS)}")
    left = int(passing)

    def hook(point: Point) -> None:
        nonlocal left
        if point == name:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    arm(hook)


if __name__ == "__main__":
    if spec := os.environ.get("HELIOGRAPH_TEST_KILL_AT"):
        kill_at(spec)
    main()
