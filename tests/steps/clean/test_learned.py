from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labelled import PAGES, labelled

from datatools.errors import DatatoolsError
from datatools.kernels.html_blocks import BLOCKS
from datatools.kernels.html_features import FEATURES
from datatools.steps.clean import learned
from datatools.steps.clean.extractors import build_extractor
from datatools.steps.clean.html_text import strip_tags
from datatools.steps.clean.learned import LearnedExtractor, PageReader, load_trees
from datatools.steps.ingest.charset import decode_page


@pytest.fixture(scope="module")
def extractor():
    return LearnedExtractor()


def word_f1(found: str, truth: str) -> float:
    got, wanted = Counter(found.split()), Counter(truth.split())
    return 2 * (got & wanted).total() / (got.total() + wanted.total())


def test_there_are_korean_pages_of_many_kinds():
    names = [path.stem for path in PAGES]
    assert sum(name.startswith("ko_") for name in names) >= 12
    assert {"ko_news", "ko_forum_table", "ko_qna", "ko_product", "ko_docs"} <= set(names)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_main_text_of_a_page_of_our_own_is_found(extractor, path):
    html, truth = labelled(path)
    assert word_f1(extractor.extract(html.encode()).text, truth) > 0.7


def test_korean_pages_are_read_better_than_by_libraries(extractor):
    pages = [labelled(path) for path in PAGES if path.stem.startswith("ko_")]

    def mean(find) -> float:
        return sum(word_f1(find(html.encode()), truth) for html, truth in pages) / len(pages)

    ours = mean(lambda page: extractor.extract(page).text)
    resiliparse = build_extractor("resiliparse")
    assert ours > mean(lambda page: resiliparse(page)[1:].decode()) + 0.1
    assert ours > 0.88


@pytest.mark.parametrize("encoding", ["cp949", "utf-16", "utf-8-sig"])
def test_a_korean_page_gives_the_same_text_in_every_encoding(extractor, encoding):
    html, _ = labelled(next(path for path in PAGES if path.stem == "ko_story_old"))
    html = html.replace("·", "-")  # not all encodings have it at one place
    decoded = decode_page(html.encode(encoding)).text
    assert extractor.extract(decoded.encode()) == extractor.extract(html.encode())


def test_the_same_page_of_numeric_references_gives_about_the_same_text(extractor):
    html, _ = labelled(next(path for path in PAGES if path.stem == "ko_news"))
    written = "".join(c if ord(c) < 128 else f"&#{ord(c)};" for c in html)
    # Only where a block lies in the bytes of the page is not the same.
    found, same = (extractor.extract(page.encode()).text for page in (written, html))
    assert word_f1(found, same) > 0.9


def test_navigation_and_footers_are_left_out(extractor):
    html, _ = labelled(next(path for path in PAGES if path.stem == "ko_news"))
    text = extractor.extract(html.encode()).text
    for boilerplate in ("오피니언", "많이 본 뉴스", "개인정보처리방침", "올봄 첫 황사"):
        assert boilerplate not in text


def test_code_keeps_its_lines(extractor):
    html, _ = labelled(next(path for path in PAGES if path.stem == "ko_qna"))
    text = extractor.extract(html.encode()).text
    assert "board = [[0] * 3 for _ in range(3)]\ncopy = list(board)\ncopy[0][0] = 1\n" in text


def test_a_page_without_main_text_gives_all_its_text(extractor):
    found = extractor.extract("<nav><a href=/>처음</a> <a href=/en>Home</a></nav>".encode())
    assert "처음 Home" in found.text


def test_a_page_that_shows_only_a_drawing_gives_its_text(extractor):
    assert extractor.extract("<svg><text>그림 text</text></svg>".encode()).text == "그림 text"


@pytest.mark.parametrize(
    "page", ["", " ", "<html></html>", "<script>x</script>", "\0", "<!--", "<"]
)
def test_a_page_without_text_gives_none(extractor, page):
    assert extractor.extract(page.encode()).text.strip() in ("", "<", "\0")


@pytest.mark.parametrize(
    ("page", "excess"),
    [
        ("<div>" * 600 + "a", "more than 512 elements inside one another"),
        ("<p>x" * 140_000, "more than 131072 blocks or 262144 elements"),
    ],
)
def test_a_page_over_a_limit_says_which(extractor, page, excess):
    assert extractor.extract(page.encode()) == ("", False, excess)


def test_a_page_does_not_depend_on_the_one_before(extractor):
    pages = [labelled(path)[0].encode() for path in PAGES[:4]] + [b"", b"<div>" * 600, b"<p>short"]
    alone = [LearnedExtractor().extract(page) for page in pages]
    assert [extractor.extract(page) for page in pages] == alone
    assert [extractor.extract(page) for page in reversed(pages)] == alone[::-1]


def test_pages_of_many_blocks_are_scored_as_one(extractor):
    # 256 blocks are scored at a time; what surrounds them is known for all.
    reader = PageReader()
    page = (
        "<nav><a href=/>메뉴</a></nav>" + "<p>문단입니다, 하나. A paragraph, too.</p>" * 600
    ).encode()
    assert reader.read(page) is None
    chunks = list(reader.features(page))
    assert [first for first, _ in chunks] == [0, 256, 512]
    assert int(reader.tables.state[BLOCKS]) == 601
    assert extractor.extract(page).text.count("문단입니다") == 600


@settings(max_examples=60)
@given(st.binary(max_size=400))
def test_any_bytes_have_a_text(extractor, page):
    found = extractor.extract(page)
    assert found.excess is None
    # Nothing is made up: every character is one of those that all the text has.
    whole = strip_all(page) or strip_tags(page)
    assert not Counter("".join(found.text.split())) - Counter("".join(whole.split()))


def strip_all(page: bytes) -> str:
    reader = PageReader()
    assert reader.read(page) is None
    return reader.text(page, np.ones(int(reader.tables.state[BLOCKS]), dtype=np.bool_))


def test_all_text_is_what_the_tag_stripper_keeps():
    for path in PAGES:
        page = labelled(path)[0].encode()
        assert "".join(strip_all(page).split()) == "".join(strip_tags(page).split())


def test_features_say_what_their_names_say():
    reader = PageReader()
    page = (
        "<title>소금 이야기</title><body class='post'><nav class=menu><a href=/>Home</a></nav>"
        "<main><h1>소금 이야기</h1><div class=entry-content><p>Salt, dried. 소금을 말린다."
    ).encode()
    reader.read(page)
    ((_, rows),) = reader.features(page)
    link, heading, text = (dict(zip(FEATURES, row.tolist(), strict=True)) for row in rows)
    assert link["linked"] == 1
    assert link["in:nav"] == link["marked:menu"] == 1
    assert heading["titled"] == 1
    assert heading["in:h1"] == 0
    assert heading["from_h1"] == 0
    assert text["in:main"] == 2
    assert text["marked:entry"] == text["marked:content"] == 1
    assert text["marked:post"] == 3
    assert text["marked:nav"] == 32
    assert text["before_h1"] == 1
    assert text["words"] == 4
    assert text["sentences"] == 2
    assert text["page_blocks"] == 3
    assert text["near-1:width"] == heading["width"] == 10
    assert text["level_after"] == text["depth"] + 1


def test_a_model_of_other_features_is_refused(monkeypatch):
    monkeypatch.setattr(learned, "FEATURES", FEATURES[1:])
    load_trees.cache_clear()
    with pytest.raises(DatatoolsError, match="other features than this version computes"):
        load_trees()
    monkeypatch.undo()
    load_trees.cache_clear()


def test_the_model_names_no_site():
    from datatools.kernels.html_keywords import MARKUP_GROUPS

    words = {word.strip() for group in MARKUP_GROUPS for word in group}
    assert not [word for word in words if "." in word or "www" in word]


# --------------------------------------------------------------------------------------------------
# Other people's pages


@pytest.mark.shared
@pytest.mark.parametrize("name", ["ko/goose3_donga.html"])
def test_a_korean_article_of_a_real_site_is_found(shared_dir, extractor, name):
    import json

    path = shared_dir / "data/b_html" / name
    page = decode_page(path.read_bytes()).text.encode()
    truth = json.loads(path.with_suffix(".json").read_bytes())["expected"]["cleaned_text"]
    assert word_f1(extractor.extract(page).text, truth) > 0.8
