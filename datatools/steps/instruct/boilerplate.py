"""Greetings and closing lines of forum answers, in Korean and English.

Owns: which sentences at the beginning or the end of an answer say nothing about the question.
Refuses: touching the middle of an answer, and anything inside a code block. Left in, they teach a
model to open every answer with `안녕하세요`, and a reward model that `채택 부탁드립니다` marks a
good answer.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["strip_boilerplate"]

_MOST_SENTENCES: Final = 8
_TRAILING: Final = " \t.,!?~…^*_:;)ㅎㅋㅠㅜ♡♥☆★-"

_OPENING: Final = re.compile(
    r"(?:질문자님[, ]*)?(?:안녕하세요|안녕하십니까|안녕하셔요|반갑습니다)"
    # An introduction of at most three words, but not `안녕하세요라는 말은 ...`.
    r"(?!\s*(?:이?라는|이?란|은|는|를|을))"
    r"(?:[,!~. ]+(?:저는 )?[가-힣A-Za-z0-9]{1,12}(?: [가-힣A-Za-z0-9]{1,12}){0,2}"
    r"(?:입니다|이에요|예요))?"
    r"|(?:질문|문의)(?:에|하신 내용에)? ?(?:대해 ?)?(?:답변|답) ?(?:드립니다|드리겠습니다|드릴게요)"
    r"|(?:좋은 )?질문 (?:주셔서 )?감사(?:합니다|드립니다)"
    r"|(?:hi|hello|hey|greetings)(?: (?:there|all|everyone|folks|friend|dear|[a-z]{2,12}))?"
    r"|(?:thanks|thank you) for (?:your|the|this) (?:great |good )?question"
    r"|(?:great|good|nice) question",
    re.IGNORECASE,
)
_CLOSING: Final = re.compile(
    r"[^.!?\n]{0,30}도움이? ?(?:되셨으면|되셨길|되셨기를|되었으면|되었길|됐으면|됐길|되시길"
    r"|되시기를|되길|되기를|되면)(?: ?(?:바라|바랍|좋겠|합니다|해요|싶|하네)[^.!?\n]{0,12})?"
    r"|[^.!?\n]{0,40}채택[^.!?\n]{0,20}(?:부탁|해 ?주|바랍|바라|감사|눌러)[^.!?\n]{0,20}"
    r"|[^.!?\n]{0,20}내공[^.!?\n]{0,20}(?:부탁|주세|감사|바랍)[^.!?\n]{0,20}"
    r"|(?:정말 |매우 )?(?:감사|고맙)(?:합니다|드립니다|습니다)"
    r"|(?:좋은|즐거운|행복한) (?:하루|밤|주말|시간)[^.!?\n]{0,4} ?(?:되세요|보내세요|되십시오)"
    r"|수고하세요|수고하십시오"
    r"|(?:추가|다른|더) ?(?:질문|문의|궁금)[^.!?\n]{0,30}(?:주세요|바랍니다|주십시오|남겨요)"
    r"|(?:출처|source) ?[::][^\n]{0,300}"
    r"|(?:i )?(?:really )?hope (?:this|that|it) (?:helps?|is helpful)[^.!?\n]{0,30}"
    r"|please (?:accept|mark|upvote|vote)[^.!?\n]{0,80}"
    r"|(?:if )?(?:this|my) (?:answer )?(?:helped|helps)[^.!?\n]{0,20}"
    r"(?:accept|upvote|mark)[^.!?\n]{0,40}"
    r"|(?:let me know|feel free to)[^.!?\n]{0,80}"
    r"|(?:kind |best |warm )?regards|cheers|good luck|thanks|thank you|thanks in advance"
    r"|have a (?:nice|good|great) day",
    re.IGNORECASE,
)
# Only from the first mark of a run: else a line of 100,000 dots would be read 100,000 times.
_SENTENCE_END: Final = re.compile(r"(?<![.!?~…])[.!?~…]+[\^ㅎㅋㅠㅜ:) ]*\s")


def strip_boilerplate(text: str) -> str:
    r"""Return `text` without greetings at its beginning and closing lines at its end.

    Whole sentences only, at most eight at each end; a sentence that says more than the phrase
    stays. May return an empty text.

    Example:
        >>> strip_boilerplate("안녕하세요! 9시에 엽니다. 도움이 되셨길 바랍니다^^")
        '9시에 엽니다.'
        >>> strip_boilerplate("Hi there,\nIt opens at nine.\nHope this helps!")
        'It opens at nine.'
        >>> strip_boilerplate("안녕하세요는 인사말입니다.")
        '안녕하세요는 인사말입니다.'
    """
    for _ in range(_MOST_SENTENCES):
        line, _, rest = text.lstrip().partition("\n")
        end = _SENTENCE_END.search(line)
        sentence, after = (line[: end.end()], line[end.end() :]) if end else (line, "")
        if not _OPENING.fullmatch(sentence.strip(_TRAILING)):
            break
        text = "\n".join(part for part in (after, rest) if part)
    for _ in range(_MOST_SENTENCES):
        head, _, line = text.rstrip().rpartition("\n")
        start = max((end.end() for end in _SENTENCE_END.finditer(line)), default=0)
        if not _CLOSING.fullmatch(line[start:].strip(_TRAILING + "(\t ")):
            break
        text = f"{head}\n{line[:start]}" if start else head
    return text.strip()
