"""Words that tell what a part of a page is for: those of its markup and those that readers see.

Owns: the lists, and their tables for kernels. Refuses: what follows from a word; that is learned.

The words of markup (`class`, `id`, `role` ...) are English all over the world. Those of the text
stand in English and Korean side by side and share their bits, so that what is learned about one
language holds in the other. No list names a site.
"""

from __future__ import annotations

import functools
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from datatools.kernels.html_tokens import digest_of

__all__ = [
    "MARKUP_GROUPS",
    "TEXT_GROUPS",
    "MarkupWords",
    "TextWords",
    "markup_words",
    "text_words",
]

# A blank stands for any run of characters that are no letters, or for the value's start or end.
MARKUP_GROUPS: Final = (
    ("article", "articlebody"),
    ("content",),
    ("body",),
    ("main", "primary"),
    (" post", "blog"),
    ("entry", "hentry"),
    ("text", "prose", "richtext", "rte"),
    ("story", "editorial", "paragraph"),
    ("comment", "disqus"),
    ("reply", "respon"),
    ("thread", "topic", "discussion", "forum", "conversation"),
    ("message", " msg"),
    ("answer", "solution", "accepted"),
    ("question", "qna", " qa "),
    (" nav", "navigation", "navbar", "gnb", "lnb"),
    ("menu",),
    ("sidebar", "aside", " rail", "secondary", "complementary"),
    ("footer", "foot ", "contentinfo", "colophon"),
    ("header", "masthead", "topbar", " top "),
    ("breadcrumb", "crumb"),
    ("share", "social", "follow", "facebook", "twitter", "sns"),
    ("related", "recommend", "similar", "suggest", "readmore", "read more", " also", "popular"),
    ("promo", "sponsor", " ad ", " ads ", "advert", "banner", "dfp", "marketing", "campaign"),
    ("cookie", "consent", "gdpr", "onetrust"),
    ("popup", "modal", "overlay", "dialog", "lightbox", "toast", "alert", "notice"),
    ("newsletter", "subscri", "signup", "optin", "mailing"),
    ("login", "signin", "register", "account", "auth"),
    ("author", "byline", " bio", "writer", "contributor"),
    ("date", "time", "publish", "meta"),
    (" tag", "categor", "label", "badge", "keyword"),
    ("pagin", "pager", " page num", " prev", " next"),
    ("search",),
    ("form", "input", "field", "select"),
    ("widget", "module", "component", "block", "plugin"),
    ("item", " list", "listing", "result"),
    ("card", "tile", "grid", "teaser", "thumb"),
    ("product", "goods"),
    ("price", " cart", " buy", "shop", "checkout", "stock", "shipping", "delivery", "order"),
    ("descri", "detail", "summary", "overview", "excerpt", "about"),
    ("spec", "feature", "attribute", "param", "propert", "benefit"),
    ("review", "rating", "testimonial", " star"),
    ("title", "headline", "heading", "subject", "name"),
    ("caption", "figure", "image", "gallery", "photo", "media", "video", "credit"),
    ("hidden", "sr only", "invisible", "screen reader", "visually", "offscreen", " hide"),
    ("copyright", "legal", "disclaimer", "privacy", "terms", "license"),
    ("toolbar", "button", " btn", "action", "control", " tool", "option"),
    (" toc", "table of contents", "tableofcontents", "outline", "index", "anchor", "permalink"),
    (" doc", "markdown", "wiki", " md ", "readme", "reference"),
    ("wrap", "container", "layout", "inner"),
    ("hero", "intro", " lead", "jumbotron", "landing", "tagline", "cta"),
    ("faq", "accordion", " tab", "collaps", "toggle", "panel", "expand"),
    ("quote", "signature", " sig ", "cite", "blockquote"),
    ("user", "avatar", "profile", "member", "poster"),
    ("slide", "carousel", "swiper", "slick"),
    ("table", "data", "row", "column", " col "),
    ("section", "region", "area", "zone"),
    ("skip", "jump", "noprint", "print", "back to top", "backtotop"),
    ("dropdown", "submenu", "mega", "drawer", "offcanvas", "hamburger"),
    ("feed", "archive", "latest", "recent", "trending", "river"),
    ("lang", "locale", "country", "currency", "translate"),
    ("code", "highlight", "snippet", "syntax", "example", "console"),
    ("location", "address", "contact", " tel", "phone", "hours", " map"),
    ("vote", "like", "score", "stat", "count", "view", "badge"),
    ("recipe", "ingredient", "step", "instruction", "method", "direction"),
)
"""Groups of words in the values of `class`, `id`, `role`, `itemprop`, `itemtype` and `aria-label`;
a group's place is its bit."""

HIDING: Final = np.uint64(1) << np.uint64(43)
"""The bit of `hidden`, which styles and attributes that hide set too."""

_HIDING_STYLES: Final = ("display none", "visibility hidden")

TEXT_GROUPS: Final = (
    "copyright rights reserved 저작권 저작권자 무단 전재 재배포 금지",
    "cookie cookies consent 쿠키 동의",
    "login log sign signin register account 로그인 회원가입 회원 가입 비밀번호 마이페이지",
    "subscribe newsletter subscription 구독 구독하기 뉴스레터 알림",
    "more read continue 더보기 더 전체보기 보기 자세히",
    "share tweet facebook twitter pinterest linkedin whatsapp instagram youtube 공유 공유하기 "
    "페이스북 트위터 카카오톡 카카오스토리 네이버 밴드 인스타그램 유튜브",
    "comment comments 댓글 덧글 코멘트",
    "reply replies quote report 답글 답변 답변하기 신고 신고하기 인용",
    "related recommended popular trending latest similar 관련 추천 인기 최신 많이 베스트 이전 다음",
    "privacy policy terms conditions disclaimer 개인정보 처리방침 개인정보처리방침 이용약관 "
    "약관 청소년보호정책",
    "posted published updated written ago joined 등록 입력 수정 작성 작성일 등록일 기사입력 "
    "전 조회 조회수",
    "search filter sort 검색 검색어 정렬 필터",
    "cart buy checkout add shop wishlist 장바구니 구매 구매하기 주문 담기 찜 찜하기 결제",
    "price shipping delivery stock sale save off 원 가격 할인 배송 무료배송 품절 재고",
    "menu home skip navigation toggle close open back top 메뉴 홈 바로가기 본문 닫기 열기 "
    "맨위로 목록",
    "email phone address contact tel fax 이메일 전화 연락처 주소 팩스 대표전화 문의 고객센터",
    "advertisement sponsored ad ads promoted 광고 협찬 스폰서",
    "author editor by photo image credit 기자 글쓴이 작성자 저자 편집 사진 이미지 제공 출처",
    "january february march april may june july august september october november december "
    "jan feb mar apr jun jul aug sep sept oct nov dec 년 월 일 오전 오후",
    "likes like views votes points upvote members posts views followers 추천수 좋아요 공감 "
    "비공감 명 개",
    "faq help support about careers press 자주 도움말 지원 소개 회사소개 채용 공지사항 이용안내",
    "free trial demo started get start now today 무료 체험 시작하기 신청 신청하기 지금",
    "description features specifications details overview summary 설명 상세 특징 사양 "
    "상품정보 개요 요약",
    "reviews review rating stars verified 후기 리뷰 평점 별점 상품평 구매후기",
)
"""Groups of words in the text; a group's place is its bit."""


class MarkupWords(NamedTuple):
    """An automaton that finds the words of markup in a value, byte by byte.

    Attributes:
        symbols: u8[256], the symbol of a byte: 0 if it is no letter.
        next: u16[states, 27], the state after a symbol; state 1 is a value's start.
        found: u64[states], bits of the groups with a word that ends here.
        hiding: bool[states], whether a style that hides ends here.
    """

    symbols: npt.NDArray[np.uint8]
    next: npt.NDArray[np.uint16]
    found: npt.NDArray[np.uint64]
    hiding: npt.NDArray[np.bool_]


class TextWords(NamedTuple):
    """A hash table of words.

    Attributes:
        digests: u64[size], FNV-1a of the words in lower case; 0 for none. `size` is a power of two.
        bits: u64[size], the group's bit.
    """

    digests: npt.NDArray[np.uint64]
    bits: npt.NDArray[np.uint64]


def _symbol(character: str) -> int:
    return 0 if character == " " else ord(character) - 96


@functools.cache
def markup_words() -> MarkupWords:
    """Return the automaton of `MARKUP_GROUPS`.

    References:
        Alfred Aho and Margaret Corasick, "Efficient String Matching: An Aid to Bibliographic
        Search", 1975.
    """
    words = [
        (word, 1 << bit, False) for bit, group in enumerate(MARKUP_GROUPS) for word in group
    ] + [(word, 0, True) for word in _HIDING_STYLES]
    children: list[dict[int, int]] = [{}]
    found, hiding = [0], [False]

    def state_after(state: int, symbol: int) -> int:
        if symbol not in children[state]:
            children[state][symbol] = len(children)
            children.append({})
            found.append(0)
            hiding.append(False)
        return children[state][symbol]

    state_after(0, 0)  # state 1: after a blank
    for word, bit, hides in words:
        state = 0
        for character in word:
            state = state_after(state, _symbol(character))
        found[state] |= bit
        hiding[state] |= hides

    step = np.zeros((len(children), 27), dtype=np.uint16)
    fallback = [0] * len(children)
    queue = [0]
    for state in queue:
        for symbol in range(27):
            child = children[state].get(symbol)
            behind = int(step[fallback[state], symbol]) if state else 0
            if child is None:
                step[state, symbol] = behind
                continue
            fallback[child] = behind
            found[child] |= found[behind]
            hiding[child] |= hiding[behind]
            step[state, symbol] = child
            queue.append(child)
    symbols = np.zeros(256, dtype=np.uint8)
    for letter in range(26):
        symbols[97 + letter] = symbols[65 + letter] = letter + 1
    return MarkupWords(
        symbols, step, np.array(found, dtype=np.uint64), np.array(hiding, dtype=np.bool_)
    )


@functools.cache
def text_words() -> TextWords:
    """Return the table of `TEXT_GROUPS`. A word in two groups belongs to the first."""
    bits: dict[int, int] = {}
    for bit, group in enumerate(TEXT_GROUPS):
        for word in group.split():
            raw = np.frombuffer(word.encode(), dtype=np.uint8)
            bits.setdefault(int(digest_of(raw, 0, raw.size)), 1 << bit)
    size = 1 << (4 * len(bits)).bit_length()
    table = TextWords(np.zeros(size, dtype=np.uint64), np.zeros(size, dtype=np.uint64))
    for digest, group_bit in bits.items():
        slot = digest & (size - 1)
        while table.digests[slot]:
            slot = (slot + 1) & (size - 1)
        table.digests[slot], table.bits[slot] = digest, group_bit
    return table
