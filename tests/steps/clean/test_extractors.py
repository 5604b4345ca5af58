import pytest
import trafilatura

from datatools.steps.clean.extractors import build_extractor

ENGINES = ["resiliparse", "trafilatura", "cascade"]

ARTICLE = """
<html><head><title>장독대</title></head><body>
<nav><ul><li><a href=/>Home</a></li><li><a href=/a>About us</a></li></ul></nav>
<article><h1>Keeping soy sauce</h1>
<p>장독대는 집에서 볕이 가장 잘 드는 곳에 둔다. 된장과 간장은 봄부터 가을까지 햇볕을 받는다.</p>
<p>The jars stand where the yard gets the most sun. Soybean paste and soy sauce ripen there from
spring to autumn, and the lids come off on every dry day so that the sun can reach the surface.</p>
<p>비가 오기 전에는 뚜껑을 덮고, 그치면 다시 열어 둔다. 이렇게 한 해를 보낸 간장은 맛이 깊다.</p>
</article><footer><p>Copyright. All rights reserved. Privacy policy.</p></footer></body></html>
"""


@pytest.fixture(scope="module", params=ENGINES)
def extract(request):
    return build_extractor(request.param)


def test_the_article_is_found_and_the_navigation_is_not(extract):
    text = extract(ARTICLE.encode()).decode()
    assert text.startswith("m")
    for words in ("볕이 가장 잘 드는", "from\nspring", "맛이 깊다"):
        assert words.replace("\n", " ") in " ".join(text.split())
    assert "About us" not in text


def test_a_page_without_main_text_gives_all_its_text(extract):
    assert extract("<nav><a href=/>처음</a> <a href=/en>Home</a></nav>".encode()).decode() in (
        "a처음 Home",
        "m처음 Home",  # trafilatura makes do with a menu
    )


@pytest.mark.parametrize("page", ["", " ", "<html></html>", "<script>x</script>", "\0", "<!--"])
def test_a_page_without_text_gives_none(extract, page):
    assert extract(page.encode()).strip() in (b"a", b"m")


def test_text_that_lxml_would_lose_is_kept(extract):
    # trafilatura alone keeps what comes before element 255 and says nothing.
    page = (
        "<p>HEAD 머리</p>"
        + "<div>" * 300
        + "<p>DEEP 깊은 글</p>"
        + "</div>" * 300
        + "<p>TAIL 꼬리</p>"
    )
    assert "DEEP" not in (trafilatura.extract(page) or "")
    text = extract(page.encode()).decode()
    assert [word for word in ("HEAD 머리", "DEEP 깊은 글", "TAIL 꼬리") if word in text] == [
        "HEAD 머리",
        "DEEP 깊은 글",
        "TAIL 꼬리",
    ]


def test_the_cascade_takes_resiliparses_text_where_trafilatura_loses_most():
    # Answers look like comments, which trafilatura leaves out here.
    answers = "".join(
        f"<div class='comment'><p>{n}번째 답글입니다. Answer number {n} says that the jar must "
        "stay open on dry days and closed on wet ones, whatever the season.</p></div>"
        for n in range(12)
    )
    page = (
        f"<body><h1>간장</h1><p>How long? 얼마나 오래 두나요?</p><div id='comments'>{answers}</div>"
    )
    assert len(trafilatura.extract(page, fast=True, include_comments=False) or "") < 300
    text = build_extractor("cascade")(page.encode()).decode()
    assert all(f"{n}번째 답글" in text for n in range(12))


def test_extraction_does_not_depend_on_what_came_before(extract):
    pages = [ARTICLE.encode(), b"<p>short", ARTICLE.replace("soy", "bean").encode(), b""]
    alone = [extract(page) for page in pages]
    assert [extract(page) for page in pages * 3] == alone * 3
    assert [extract(page) for page in reversed(pages)] == alone[::-1]
