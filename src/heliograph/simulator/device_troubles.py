"""Which devices are in trouble: logged out, offline, replaced, restricted. Kept in the journal until it is over."""

from collections.abc import Callable
from dataclasses import dataclass, field

from heliograph.ports.clock import Clock
from heliograph.ports.provider import SessionState
from heliograph.ports.simulated_network import NetworkReply, ReplyKind
from heliograph.simulator.behaviours import HELD_S, OFFLINE_S, Trouble, trouble_answer
from heliograph.simulator.journal import Journal

NETWORK_OFFLINE = NetworkReply(ReplyKind.DOWN, "offline", "The simulated network is offline.")
_SESSION = {
    Trouble.LOGGED_OUT: SessionState.LOGGED_OUT,
    Trouble.OFFLINE: SessionState.OFFLINE,
    Trouble.REPLACED: SessionState.REPLACED,
    Trouble.RESTRICTED: SessionState.RESTRICTED,
    Trouble.NO_NEW_CHATS: SessionState.CONNECTED,
}
_LASTS_S = {Trouble.OFFLINE: OFFLINE_S, Trouble.RESTRICTED: HELD_S, Trouble.NO_NEW_CHATS: HELD_S}


@dataclass(frozen=True, slots=True)
class Held:
    """A device in trouble; `until_us` None: until it is restarted."""

    trouble: Trouble
    until_us: int | None


@dataclass(slots=True)
class DeviceTroubles:
    """`at` calls something at a time; `changed` hears of each device whose session state is another now."""

    journal: Journal
    clock: Clock
    at: Callable[[int, Callable[[], None]], None]
    changed: Callable[[str], None]
    offline: bool = False
    _held: dict[str, Held] = field(default_factory=dict)

    def restore(self, rows: list[tuple[str, str, int | None]]) -> None:
        for device_id, trouble, until_us in rows:
            if until_us is None or until_us > self.clock.now_us():
                self._keep(device_id, Held(Trouble(trouble), until_us))

    def of(self, device_id: str) -> tuple[SessionState, str]:
        if self.offline:
            return SessionState.OFFLINE, NETWORK_OFFLINE.detail
        held = self._held.get(device_id)
        if held is None:
            return SessionState.CONNECTED, ""
        return _SESSION[held.trouble], trouble_answer(held.trouble, 0).detail

    def trouble(self, device_id: str) -> tuple[Trouble, float] | None:
        """Gives the device's trouble and its remaining seconds (0: until the device is restarted)."""
        held = self._held.get(device_id)
        if held is None:
            return None
        if held.until_us is None:
            return held.trouble, 0.0
        left_s = (held.until_us - self.clock.now_us()) / 1e6
        return (held.trouble, left_s) if left_s > 0 else None

    def free(self, device_id: str) -> bool:
        return device_id not in self._held

    async def impose(self, device_id: str, number: str, trouble: Trouble) -> NetworkReply:
        lasts_s = _LASTS_S.get(trouble)
        until_us = None if lasts_s is None else self.clock.now_us() + int(lasts_s * 1e6)
        row = {"device": device_id, "number": number, "trouble": trouble.value, "until_us": until_us}
        await self.journal.rows("trouble", row)
        self._keep(device_id, Held(trouble, until_us))
        self.changed(device_id)
        return trouble_answer(trouble, lasts_s or 0.0)

    async def restart(self, device_id: str) -> bool:
        """True if the device was held until now and is free again: a restart mends what does not end by itself."""
        held = self._held.get(device_id)
        if held is None or held.until_us is not None:
            return False
        await self.journal.rows("trouble_over", {"device": device_id})
        self._held.pop(device_id, None)
        self.changed(device_id)
        return True

    def _keep(self, device_id: str, held: Held) -> None:
        self._held[device_id] = held
        if held.until_us is not None:
            self.at(held.until_us, lambda: self._release(device_id, held))

    def _release(self, device_id: str, held: Held) -> None:
        if self._held.get(device_id) is held:
            del self._held[device_id]  # the file still has it: a start drops what is past
            self.changed(device_id)
