"""Keeping a number in good standing: when to stop by itself, and who asked not to be written to.

Two pure parts. A circuit breaker watches the share of failures among the last messages of a phone and says when to
pause; it never resumes by itself, a person does. And `stop_word` tells whether what a person wrote is a plain request
to stop: only when the whole message is such a word, so that "please don't stop" is not one.
"""

import re
import unicodedata
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

# the whole message, without case, accents and punctuation
STOP_WORDS = frozenset(
    """
    stop | stopall | stop all | unsubscribe | cancel | end | quit | opt out | optout | stop promotions | remove me
    alto | parar | pare | baja | darme de baja | cancelar | cancelar suscripcion | no mas mensajes
    sair | descadastrar | remover
    arret | arreter | desabonner | desinscrire | desinscription
    stopp | abmelden | abbestellen | austragen | ende
    basta | disiscriviti | cancellami
    afmelden | uitschrijven
    stoppa | avsluta | avregistrera | avmeld | afmeld | lopeta
    wypisz | rezygnuje | zrezygnuj
    стоп | отписаться | отписка | отмена | зупинити
    dur | iptal | abonelikten cik
    توقف | إيقاف | ايقاف | الغاء | إلغاء | الغاء الاشتراك
    בטל | הסר | הסרה | עצור
    रोकें | बंद करो | बंद | रुको
    বন্ধ | থামুন
    berhenti | henti | batal
    停止 | 退订 | 退訂 | 取消订阅 | 配信停止 | ストップ | 停止してください | 중지 | 수신거부 | 구독취소
    หยุด | ยกเลิก
    dung | huy | dung lai
    """.replace("\n", "|").split("|")
)
START_WORDS = frozenset({"start", "unstop", "subscribe", "resume"})
_NOT_WORD = re.compile(r"[^\w\s\u0900-\u097f\u0980-\u09ff\u0e00-\u0e7f]+")


def _plain(text: str) -> str:
    """Lower case, single spaces, no punctuation and no accents of Latin letters."""
    folded = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(c for c in folded if not "\u0300" <= c <= "\u036f")
    return " ".join(_NOT_WORD.sub(" ", unicodedata.normalize("NFC", bare)).split())


_STOP = frozenset(_plain(word) for word in STOP_WORDS) - {""}
_LONGEST = max(map(len, _STOP)) + 20


def stop_word(text: str) -> bool:
    """Whether the message is a request not to be written to any more.

    >>> stop_word(" Stop! "), stop_word("stop it, I like this")
    (True, False)
    """
    return len(text) <= _LONGEST and _plain(text) in _STOP


def start_word(text: str) -> bool:
    """Whether the message takes such a request back."""
    return len(text) <= _LONGEST and _plain(text) in START_WORDS


@dataclass(frozen=True, slots=True)
class Breaker:
    """Trips when at least `failures` of the last `window` messages failed for good, none older than `within_s`."""

    window: int = 20
    failures: int = 10
    within_s: float = 3_600.0


class FailureWatch:
    """The last outcomes of one phone. Bounded by the breaker's window."""

    __slots__ = ("_breaker", "_last")

    def __init__(self, breaker: Breaker) -> None:
        self._breaker = breaker
        self._last: deque[tuple[float, bool]] = deque(maxlen=breaker.window)

    def note(self, now: float, failed: bool) -> bool:
        """Counts an outcome; True: the phone should be paused now. After it trips, counting begins anew."""
        self._last.append((now, failed))
        while self._last and now - self._last[0][0] > self._breaker.within_s:
            self._last.popleft()
        if not failed or sum(bad for _, bad in self._last) < self._breaker.failures:
            return False
        self._last.clear()
        return True

    def replay(self, outcomes: Iterable[tuple[float, bool]]) -> None:
        """What a former owner saw, oldest first."""
        for at, failed in outcomes:
            self._last.append((at, failed))
