"""The defects that the sample plants, and the truth about each.

Owns: near-duplicates with their measured similarity, wrong encodings, broken HTML, pages that a
good pipeline drops, and the rows of `truth.jsonl`. Refuses: writing files.

A truth row says what a pipeline should do in `expect`, as `Step[|Step] verdict`: which step should
act (any one of several), and how.

    kept         the page stays; its `marker` comes out exactly as it is written there
    drop         the page, thread or pair leaves
    skip         the reader passes over the record
    incomplete   the reader reports that input is missing
    quarantine   the page looks like what the step reads, and cannot be read
    no_pair      no preference pair is made of the answers in question
    same_group   both pages' questions fall into one group
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from datatools.sample.content import Article, Question, articles, defect_texts
from datatools.sample.forum_pages import question_url
from datatools.sample.site_pages import (
    SITE,
    article_page,
    article_url,
    boilerplate_page,
    error_page,
)
from datatools.sample.warc import Page

__all__ = [
    "NEAR_DUPLICATE_EDITS",
    "Planted",
    "draw",
    "neighbours",
    "pages_to_truncate",
    "plant_forum",
    "plant_site",
    "shingle_jaccard",
]

MIRROR: Final = "https://mirror.sample.example"
SHINGLE_WORDS: Final = 5

NEAR_DUPLICATE_EDITS: Final = {"en": (3, 4, 3, 4), "ko": (2, 3, 2, 2)}
"""Words changed in each near-duplicate. An edit far from others spoils 5 shingles, so that k edits
leave a Jaccard of (n - 5k) / (n + 5k) of n shingles: .82 to .89 for articles of 160 to 260
words."""

_SWAPS: Final = {
    "en": ("perhaps", "often", "quite", "nearly", "rather", "indeed", "simply", "almost"),
    "ko": ("아마", "거의", "자주", "무척", "대체로", "조금", "꽤", "흔히"),
}
_REPEATS = 60
# One pixel, 67 bytes, compressed once and for all: zlib versions differ in what they write.
_PNG: Final = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)


@dataclass(frozen=True)
class Planted:
    """One row of truth.

    Attributes:
        defect: Its kind; kinds are counted in `truth.json`.
        url: The page that has it.
        expect: What should happen: `Step[|Step] verdict`.
        pair_url: The other page, for defects that two pages make.
        jaccard: Similarity of the two pages' titles and texts in 5-word shingles.
        marker: A run of the page's text that tells whether it came out, and came out right.
        file: The WARC file; filled in when the page is written.
        offset: First byte of the record's gzip member in that file; filled in likewise.
    """

    defect: str
    url: str
    expect: str
    pair_url: str | None = None
    jaccard: float | None = None
    marker: str | None = None
    file: str | None = None
    offset: int | None = None


def draw(seed: int, *parts: str | int) -> int:
    """Return a number of 64 bits that depends on nothing but its arguments.

    Example:
        >>> draw(0, "a", 1) == draw(0, "a", 1), draw(0, "a", 1) == draw(1, "a", 1)
        (True, False)
    """
    text = "\0".join(str(part) for part in (seed, *parts))
    return int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest()[:8], "big")


def shingle_jaccard(one: str, other: str) -> float:
    """Return the Jaccard similarity of two texts in 5-word shingles.

    Words are split at white space. Two texts without a shingle have similarity 0.

    Example:
        >>> shingle_jaccard("a b c d e f", "a b c d e g")
        0.3333333333333333
    """
    sets = []
    for text in (one, other):
        words = text.split()
        sets.append(
            {tuple(words[i : i + SHINGLE_WORDS]) for i in range(len(words) - SHINGLE_WORDS + 1)}
        )
    union = len(sets[0] | sets[1])
    return len(sets[0] & sets[1]) / union if union else 0.0


def neighbours(article: Article, seed: int, count: int = 5) -> list[Article]:
    """Return the articles that a page about `article` links to, drawn by seed and id."""
    language = article.language if article.language == "ko" else "en"
    pool = [other for other in articles() if other.language == language and other.id != article.id]
    return sorted(pool, key=lambda other: draw(seed, "link", article.id, other.id))[:count]


def plant_site(seed: int) -> list[tuple[Page, Planted]]:
    """Return the planted pages that belong among the articles, with their truth."""
    planted: list[tuple[Page, Planted]] = []
    for language in ("en", "ko"):
        pool = sorted(
            (article for article in articles() if article.language == language),
            key=lambda article: draw(seed, "plant", article.id),
        )
        planted += _exact_duplicates(pool[:2], seed)
        planted += _near_duplicates(pool[2:6], NEAR_DUPLICATE_EDITS[language], seed)
        planted += _abridged(pool[6:7], seed)
    planted += _dropped_texts(seed)
    planted += _encodings(seed)
    planted += _broken_html(seed)
    planted += _not_pages()
    return planted


def pages_to_truncate(seed: int) -> list[Page]:
    """Return the pages of the file that ends too early; the last of them is the one cut off."""
    return [_text_page(text, seed) for text in defect_texts("truncated")]


def plant_forum(questions: Sequence[Question]) -> list[Planted]:
    """Return the truth about the questions: planted defects, ties and accept/vote conflicts."""
    rows = []
    for question in questions:
        url = question_url(question)
        first = next(answer.text for answer in question.answers if answer.text)
        if question.defect == "near_duplicate_question":
            twin = max(
                (other for other in questions if other is not question),
                key=lambda other: shingle_jaccard(_asked(other), _asked(question)),
            )
            rows.append(
                Planted(
                    question.defect,
                    url,
                    "GroupPrompts same_group",
                    pair_url=question_url(twin),
                    jaccard=shingle_jaccard(_asked(twin), _asked(question)),
                )
            )
        elif question.defect is not None:
            rows.append(
                Planted(question.defect, url, _FORUM_EXPECT[question.defect], marker=first[:40])
            )
            continue
        for one, other in combinations(question.answers, 2):
            if one.votes == other.votes:
                rows.append(Planted("vote_tie", url, "PairByVotes no_pair", marker=one.text[:40]))
        top = max(answer.votes for answer in question.answers)
        for answer in question.answers:
            if answer.accepted and answer.votes < top:
                rows.append(
                    Planted(
                        "accept_vote_conflict",
                        url,
                        "PairByVotes drop",
                        marker=answer.text[:40],
                    )
                )
    return rows


_FORUM_EXPECT: Final = {
    "identical_answers": "ExtractQuestions|PairByVotes|PairChecks no_pair",
    "whitespace_only_difference": "ExtractQuestions|PairByVotes|PairChecks no_pair",
    "empty_answer": "ExtractQuestions|PairByVotes|PairChecks no_pair",
    "special_token_in_answer": "PairChecks drop",
    "jsonld_trailing_comma": "ExtractQuestions kept",
    "jsonld_raw_newline": "ExtractQuestions kept",
    "jsonld_cut_off": "ExtractQuestions quarantine",
}


def _asked(question: Question) -> str:
    return f"{question.title}\n{question.text}"


def _said(article: Article) -> str:
    return f"{article.title}\n{article.text}"


def _text_page(text: Article, seed: int) -> Page:
    url = article_url(text)
    return Page(url, article_page(text, url, neighbours(text, seed)).encode("utf-8"))


def _exact_duplicates(pool: Sequence[Article], seed: int) -> list[tuple[Page, Planted]]:
    """The same bytes under a second address, as mirrors and session parameters make them."""
    rows = []
    for article in pool:
        original = _text_page(article, seed)
        url = article_url(article, MIRROR)
        truth = Planted(
            "exact_duplicate",
            url,
            "ExactDedup|MinHashDedup drop",
            pair_url=original.url,
            jaccard=1.0,
        )
        rows.append((Page(url, original.body), truth))
    return rows


def _near_duplicates(
    pool: Sequence[Article], edits: Sequence[int], seed: int
) -> list[tuple[Page, Planted]]:
    """Articles with a few words changed, in a page with other links: the copy of an aggregator."""
    rows = []
    for article, count in zip(pool, edits, strict=True):
        edited = dataclasses.replace(article, text=_edit(article, count, seed))
        url = article_url(article, MIRROR)
        page = article_page(edited, url, neighbours(article, seed + 1))
        truth = Planted(
            "near_duplicate",
            url,
            "MinHashDedup drop",
            pair_url=article_url(article),
            jaccard=shingle_jaccard(_said(article), _said(edited)),
        )
        rows.append((Page(url, page.encode("utf-8")), truth))
    return rows


def _edit(article: Article, count: int, seed: int) -> str:
    """Replace `count` words, drawn by seed and position, never two within one shingle."""
    # A piece may hold a paragraph's end; such a piece is no word and is left alone.
    pieces = article.text.split(" ")
    inner = range(SHINGLE_WORDS, len(pieces) - SHINGLE_WORDS)
    order = sorted(inner, key=lambda place: draw(seed, "edit", article.id, place))
    chosen: list[int] = []
    for place in order:
        near = any(abs(place - other) <= SHINGLE_WORDS for other in chosen)
        if len(chosen) < count and not near and pieces[place].isalpha():
            chosen.append(place)
    for place in chosen:
        swaps = [word for word in _SWAPS[article.language] if word != pieces[place]]
        pieces[place] = swaps[draw(seed, "swap", article.id, place) % len(swaps)]
    return " ".join(pieces)


def _abridged(pool: Sequence[Article], seed: int) -> list[tuple[Page, Planted]]:
    """Articles without their second half: alike, but far below the usual threshold of .8."""
    rows = []
    for article in pool:
        paragraphs = article.text.split("\n\n")
        half = paragraphs[: len(paragraphs) // 2]
        shorter = dataclasses.replace(article, text="\n\n".join(half))
        url = f"{article_url(article, MIRROR)}-abridged"
        page = article_page(shorter, url, neighbours(article, seed + 1))
        truth = Planted(
            "abridged",
            url,
            "MinHashDedup kept",
            pair_url=article_url(article),
            jaccard=shingle_jaccard(_said(article), _said(shorter)),
            marker=half[-1][:40],
        )
        rows.append((Page(url, page.encode("utf-8")), truth))
    return rows


def _dropped_texts(seed: int) -> list[tuple[Page, Planted]]:
    rows = []
    for text in defect_texts("wrong_language"):
        page = _text_page(text, seed)
        truth = Planted(text.defect, page.url, "LanguageFilter drop", marker=text.text[:20])
        rows.append((page, truth))
    for text in defect_texts("boilerplate"):
        url = f"{SITE}/{text.language}/{text.id.partition('-')[2]}"
        page = Page(url, boilerplate_page(text, url).encode("utf-8"))
        rows.append((page, Planted(text.defect, url, "ExtractText|GopherQuality drop")))
    for text in defect_texts("repetitive"):
        page = _text_page(dataclasses.replace(text, text="\n\n".join([text.text] * _REPEATS)), seed)
        rows.append((page, Planted(text.defect, page.url, "GopherRepetition drop")))
    return rows


def _encodings(seed: int) -> list[tuple[Page, Planted]]:
    """Pages whose header and meta element name one encoding and whose bytes are in another."""
    rows = []
    for defect, label, codec in (
        ("cp949", "euc-kr", "cp949"),
        ("charset_utf8_label", "utf-8", "cp949"),
        ("charset_euckr_label", "euc-kr", "utf-8"),
    ):
        for text in defect_texts(defect):
            url = article_url(text)
            page = article_page(text, url, neighbours(text, seed), charset=label)
            body = page.encode(codec)
            truth = Planted(defect, url, "ExtractText kept", marker=text.text.split("\n\n")[1])
            rows.append((Page(url, body, f"text/html; charset={label}"), truth))
    return rows


def _broken_html(seed: int) -> list[tuple[Page, Planted]]:
    """Elements that never end, ends without a start, and bytes that are no UTF-8."""
    rows = []
    for text in defect_texts("broken_html"):
        url = article_url(text)
        body = article_page(text, url, neighbours(text, seed)).encode("utf-8")
        for end in (b"</p>", b"</li>", b"</ul>", b"</article>", b"</h2>", b"</body>", b"</html>"):
            body = body.replace(end, b"")
        body = body.replace(b"<footer>", b"</b></table><p <b>\xff\xfe\x80<footer>")
        body = body.replace(b'<p class="byline">', b'<p class="byline"></i>\xa0\xf8')
        truth = Planted("broken_html", url, "ExtractText kept", marker=text.text.split("\n\n")[1])
        rows.append((Page(url, body), truth))
    return rows


def _not_pages() -> list[tuple[Page, Planted]]:
    """Answers of a server that hold no page to read."""
    missing, image, empty = (
        f"{SITE}/en/moved-away",
        f"{SITE}/static/pixel.png",
        f"{SITE}/ko/empty",
    )
    error = Page(missing, error_page("en", missing).encode("utf-8"), status=404, reason="Not Found")
    return [
        (error, Planted("http_404", missing, "ReadWarc skip")),
        (Page(image, _PNG, "image/png"), Planted("image", image, "ReadWarc skip")),
        (Page(empty, b""), Planted("empty_body", empty, "ReadWarc|ExtractText drop")),
    ]
