"""The control of the proof: the program, broken on purpose. Every further attempt at a message goes out under a new id.

A person would then see a message twice whenever an answer was lost or a kill came between. The check must say so; if it
does not, a clean proof means nothing. Started as a process of its own by `heliograph prove --control new-id`.
"""

import inspect
import secrets

from heliograph.cli.main import main
from heliograph.domain.jobs.outcome import Outcome
from heliograph.ports.provider import SendRequest
from heliograph.providers.simulator.provider import SimulatorProvider


def break_ids() -> None:
    honest = SimulatorProvider.send

    async def send(self: SimulatorProvider, request: SendRequest) -> Outcome:
        if request.attempt > 1:
            same = {name: getattr(request, name) for name in inspect.signature(SendRequest).parameters}
            request = SendRequest(**same | {"unique_id": f"3EB0{secrets.token_hex(9).upper()}"})
        return await honest(self, request)

    SimulatorProvider.send = send  # type: ignore[method-assign]


if __name__ == "__main__":
    break_ids()
    main()
