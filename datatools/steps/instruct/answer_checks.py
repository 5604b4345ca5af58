"""Answers that cannot stand alone: they point to another post, to a link, or back at the question.

Owns: the phrases, in Korean and English. Refuses: whether an answer is right. The checks err on the
side of dropping: a model that learns `위 답변처럼` looks for an answer that is not there.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

__all__ = ["is_link_only", "quotes_question", "refers_outside"]

# No \b: it does not see the end of a Latin word before a Korean particle.
_POSTS: Final = r"(?:answer|post|reply|replie|comment|response|poster)s?"
_ELSEWHERE: Final = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"see (?:the )?(?:above|previous|below)"
    rf"|{_POSTS} (?:above|below)"
    rf"|(?:above|previous|earlier|other|others'|accepted|top|existing|[A-Za-z]{{2,20}}'s)"
    rf" {_POSTS}"
    r"|(?:as|like) (?:[A-Za-z@']{1,20} ){0,3}"
    r"(?:said|mentioned|noted|stated|suggested|explained|pointed out) "
    r"(?:above|below|earlier|before|already|in (?:the|a|another) )"
    r")(?![A-Za-z0-9])"
    r"|(?<![가-힣])(?:위|앞|아래|밑)(?:의|에|에서|선)? ?"
    r"(?:답변|답글|댓글|분(?=[이의은도들께과처 ,]|$))"
    r"|(?<![가-힣])윗 ?(?:분|글|답|님|댓글)"
    r"|다른 ?(?:분|답변자|답변|댓글)(?:들|님)*(?:이|께서|의|도|은|에서|에)? ?"
    r"(?:말씀|답변|언급|설명|말한|적)"
    r"|먼저 ?답변"
    # A mention of a user; not an address, a package (@scope/name) or a path.
    r"|(?:^|(?<=[\s(]))@[A-Za-z가-힣_][A-Za-z0-9가-힣_-]*(?=[\s,:;!?)']|$)",
    re.IGNORECASE | re.MULTILINE,
)
_INLINE_CODE: Final = re.compile(r"`[^`\n]+`")
_URL: Final = re.compile(r"(?:https?://|www\.)[^\s<>()\[\]]+", re.IGNORECASE)
_POINTING: Final = re.compile(
    r"(?:click|following|here|link|links|page|refer|see|site|url|visit|website"
    r"|(?:여기|이곳|링크|참고|참조|클릭|주소|사이트|홈페이지)[가-힣]*)",
    re.IGNORECASE,
)
_FILLING: Final = re.compile(
    r"(?:a|an|and|at|check|details|find|for|go|info|information|is|it|look|more|my|on|out|please"
    r"|read|take|that|the|there|this|to|try|you|your|(?:확인|아래|보세요|보시면|들어가|가보|한번)[가-힣]*)",
    re.IGNORECASE,
)
_WORD: Final = re.compile(r"\w+")


def refers_outside(text: str) -> bool:
    """Return whether an answer leans on another post or speaks to another user.

    Code is not read: `@property` is a decorator there.

    Example:
        >>> refers_outside("윗분 말씀대로 하세요."), refers_outside("As Kim said above, no.")
        (True, True)
        >>> refers_outside("위 그림처럼 접으세요."), refers_outside("Mail me at kim@example.com")
        (False, False)
    """
    return _ELSEWHERE.search(_without_code(text)) is not None


def is_link_only(text: str) -> bool:
    """Return whether an answer says nothing beyond where to look.

    Example:
        >>> is_link_only("여기 참고하세요 https://example.com/a"), is_link_only("See this link.")
        (True, True)
        >>> is_link_only("https://example.com 에서 설치 파일을 받으세요")
        False
    """
    words = _WORD.findall(_URL.sub(" ", text))
    rest = [word for word in words if not _POINTING.fullmatch(word)]
    points = _URL.search(text) is not None or len(rest) < len(words)
    return points and all(_FILLING.fullmatch(word) for word in rest)


def quotes_question(answer: str, question: str) -> bool:
    """Return whether an answer only repeats the question, as a quotation or word for word.

    A short answer that happens to stand in the question (`yes` in `yes or no?`) is an answer: what
    is contained must be a paragraph of the question or at least 20 letters and digits long.

    Example:
        >>> quotes_question("> 왜 하늘은 파란가요?", "왜 하늘은 파란가요?")
        True
        >>> quotes_question("yes", "Is it yes or no?")
        False
    """
    own = "\n".join(line for line in answer.split("\n") if not line.lstrip().startswith(">"))
    said = _letters(own)
    if not said:
        return bool(_letters(answer))
    if len(said) >= 20 and said in _letters(question):
        return True
    return any(said == _letters(paragraph) for paragraph in [question, *question.split("\n\n")])


def _letters(text: str) -> str:
    folded = unicodedata.normalize("NFC", text).casefold()
    return "".join(character for character in folded if character.isalnum())


def _without_code(text: str) -> str:
    kept = []
    fence = ""
    for line in text.split("\n"):
        mark = line.lstrip()
        if fence:
            fence = "" if mark.rstrip() == fence else fence
        elif mark.startswith("```"):
            fence = "`" * (len(mark) - len(mark.lstrip("`")))
        else:
            kept.append(_INLINE_CODE.sub(" ", line))
    return "\n".join(kept)
