"""Recognition of a person's request not to be written to, and of its withdrawal.

Only a message that consists of such a word counts, so that "please don't stop" is not a request.
"""

import re
import unicodedata

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
    """Converts to lower case with single spaces, without punctuation and accents of Latin letters."""
    folded = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(c for c in folded if not "\u0300" <= c <= "\u036f")
    return " ".join(_NOT_WORD.sub(" ", unicodedata.normalize("NFC", bare)).split())


_STOP = frozenset(_plain(word) for word in STOP_WORDS) - {""}
_MAX_CHARACTERS = max(map(len, _STOP)) + 20


def stop_word(text: str) -> bool:
    """Tells whether the message asks not to be written to any more.

    >>> stop_word(" Stop! "), stop_word("stop it, I like this")
    (True, False)
    """
    return len(text) <= _MAX_CHARACTERS and _plain(text) in _STOP


def start_word(text: str) -> bool:
    """Tells whether the message takes such a request back."""
    return len(text) <= _MAX_CHARACTERS and _plain(text) in START_WORDS
