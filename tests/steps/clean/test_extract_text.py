import html
import json
import os
import re
from collections import Counter

import polars as pl
import psutil
import pytest

from datatools.records import conform
from datatools.steps.base import Batch, Context
from datatools.steps.clean.extract_text import ExtractText


def documents(**columns) -> pl.DataFrame:
    height = len(next(iter(columns.values())))
    return conform(pl.DataFrame({"id": [str(n) for n in range(height)], **columns}), "document")


def pages(*texts) -> pl.DataFrame:
    return documents(html=[t.encode() if isinstance(t, str) else t for t in texts])


def run(df: pl.DataFrame, **fields):
    bound = ExtractText(**fields).bind(Context())
    try:
        return bound.map(Batch(df))
    finally:
        bound.close()


def article(text: str, title: str = "") -> str:
    return f"<title>{title}</title><article><p>{text}</p></article>"


def test_text_and_title_are_found_in_korean_and_english():
    mapped = run(pages(article("안녕하세요, 세계.", "인사"), article("Hello, world.", "Greeting")))
    assert mapped.df["text"].to_list() == ["안녕하세요, 세계.", "Hello, world."]
    assert [json.loads(meta) for meta in mapped.df["meta"]] == [
        {"title": "인사"},
        {"title": "Greeting"},
    ]
    assert mapped.dropped.null_count() == mapped.quarantined.null_count() == 2
    assert mapped.removed == {}


def test_rows_that_have_text_and_no_html_pass_unchanged():
    df = documents(text=["already 있는 글\r\n\0", "둘"], html=[None, None], meta=['{"a": 1}', None])
    mapped = run(df)
    assert mapped.df.equals(df)
    assert mapped.dropped.null_count() == 2


def test_html_replaces_text_and_stays_for_later_steps():
    df = documents(text=["old"], html=[article("new 새 글").encode()])
    mapped = run(df)
    assert mapped.df["text"].to_list() == ["new 새 글"]
    assert mapped.df["html"].equals(df["html"])


def test_what_has_no_text_is_dropped_with_a_reason():
    df = documents(
        text=[None, "", " \n", None, None],
        html=[None, None, None, b"", b"<script>x</script><title>t</title>"],
    )
    assert run(df).dropped.to_list() == ["no_text"] * 5


def test_an_empty_batch_and_other_columns_pass():
    assert run(pages()).df.height == 0
    df = pages(article("a")).with_columns(extra=pl.lit(7))
    assert run(df).df["extra"].to_list() == [7]


HOSTILE = {
    "more than 512 elements inside one another": "<div>" * 20_000 + "MARK 표시",
    "more than 1024 attributes in a tag": f"<p {' '.join(map(str, range(40_000)))}>MARK 표시",
    "more than 256 open formatting elements": f"<b {'><b '.join(map(str, range(2000)))}>MARK 표시",
    "more than 1000000 bytes": "<p>MARK 표시</p>" + "<p>x</p>" * 200_000,
}


@pytest.mark.parametrize("excess", HOSTILE)
@pytest.mark.parametrize("engine", ["resiliparse", "learned"])
def test_a_page_over_a_limit_keeps_its_visible_text_and_says_so(excess, engine):
    if engine == "learned" and re.search("attributes|formatting", excess):
        # No parser, no such limits: the page is read.
        assert "MARK 표시" in run(pages(HOSTILE[excess]), engine=engine).df["text"][0]
        return
    mapped = run(
        pages("<title>제목</title>" + HOSTILE[excess], article("이웃 neighbour")),
        max_html_bytes=1_000_000,
        engine=engine,
    )
    assert "MARK 표시" in mapped.df["text"][0]
    assert mapped.detail.to_list() == [f"extractor: tag stripper ({excess})", None]
    assert json.loads(mapped.df["meta"][0]) == {
        "title": "제목",
        "extractor": f"tag stripper ({excess})",
    }
    assert mapped.df["text"][1] == "이웃 neighbour"


def test_a_page_without_main_text_says_that_it_gives_all():
    mapped = run(pages("<nav><a href=/>처음</a> <a href=/en>Home</a></nav>"))
    assert mapped.df["text"].to_list() == ["처음 Home"]
    assert mapped.detail.to_list() == ["extractor: all text"]
    assert json.loads(mapped.df["meta"][0]) == {"extractor": "all text"}


# 250 formatting elements reopened in each of 4,000 paragraphs: within every limit, and a million
# elements in the parser's tree.
HEAVY = "<p>" + "".join(f"<b c={n}>" for n in range(250)) + "<p>x" * 4000


@pytest.mark.parametrize(
    ("fields", "reason", "detail"),
    [
        ({"cpu_seconds": 0.2}, "fence_timeout", "more than 0.2 s of CPU time"),
        ({"memory_bytes": 64 << 20}, "fence_memory", "more than 64 MiB"),
    ],
)
def test_a_page_that_breaks_the_extractor_is_quarantined_alone(fields, reason, detail):
    mapped = run(pages(article("앞 글"), HEAVY, article("after")), **fields)
    assert mapped.quarantined.to_list() == [None, reason, None]
    assert mapped.detail.to_list() == [None, detail, None]
    assert mapped.df["text"].to_list() == ["앞 글", None, "after"]
    assert mapped.dropped.null_count() == 3


def test_control_characters_are_removed_and_counted_and_lines_end_in_line_feeds():
    mapped = run(pages("<pre>one\r\ntwo\rthree\tfour\x01\x02 \x1b[31m\x00빨강\x7f</pre>"))
    text = mapped.df["text"][0]
    assert re.sub(r"[ \ufffd]", "", text) == "one\ntwo\nthree\tfour[31m빨강\x7f"
    # A parser drops or replaces NUL itself; the other three are ours to count.
    assert mapped.removed["control_characters"] in (3, 4)


def test_jamo_are_never_composed_or_touched():
    nfd = "\u1112\u1161\u11ab\u1100\u1173\u11af"  # 한글, decomposed
    text = f"{nfd} ㅋㅋㅋ ㅎㅏㄴ \uffa0ﾡ 한글"
    assert run(pages(article(text))).df["text"].to_list() == [text]


def test_a_page_in_another_encoding_is_decoded_by_what_it_declares():
    page = '<meta charset="euc-kr"><p>똠방각하의 한국어 문장입니다.</p>'
    assert run(pages(page.encode("cp949"))).df["text"].to_list() == [
        "똠방각하의 한국어 문장입니다."
    ]


@pytest.mark.parametrize(
    ("meta", "after"),
    [
        (None, '{"title":"제목 \\"a\\""}'),
        ("{}", '{"title":"제목 \\"a\\""}'),
        ('{"x": 1.0,  "y":"\\ud800"} ', '{"x": 1.0,  "y":"\\ud800","title":"제목 \\"a\\""}'),
        ('{"title": "own"}', '{"title": "own"}'),
    ],
)
def test_meta_gains_the_title_and_keeps_its_bytes(meta, after):
    df = documents(
        html=[article("본문입니다.", '제목 "a"').encode()], meta=pl.Series([meta], dtype=pl.String)
    )
    assert run(df).df["meta"].to_list() == [after]


@pytest.mark.parametrize("meta", ["[]", "null", "{", "x", "[" * 100_000])
def test_a_meta_that_is_no_object_is_quarantined(meta):
    df = documents(html=[article("글", "제목").encode()] * 2, meta=[meta, "{}"])
    assert run(df).quarantined.to_list() == ["bad_meta", None]


def test_batch_boundaries_do_not_matter():
    df = pages(
        article("하나 one", "1"),
        HOSTILE["more than 512 elements inside one another"],
        "",
        HEAVY,
        "<nav>메뉴 menu</nav>",
        article("둘 two", "2"),
    )
    bound = ExtractText(cpu_seconds=0.2).bind(Context())
    whole = bound.map(Batch(df))
    for cut in (1, 2, 5):
        parts = [bound.map(Batch(part)) for part in df.iter_slices(cut)]
        assert pl.concat([part.df for part in parts]).equals(whole.df)
        assert pl.concat([part.dropped for part in parts]).equals(whole.dropped)
        assert pl.concat([part.quarantined for part in parts]).equals(whole.quarantined)
    bound.close()


def test_close_ends_the_child():
    bound = ExtractText().bind(Context())
    before = set(psutil.Process().children())
    bound.map(Batch(pages(article("글"))))
    (child,) = set(psutil.Process().children()) - before
    bound.close()
    assert not child.is_running()


def test_the_child_imports_no_engine_of_ours():
    # It is started for every worker and replaced after every bad page, so it must start fast.
    bound = ExtractText().bind(Context())
    before = set(psutil.Process().children())
    bound.map(Batch(pages(article("글"))))
    (child,) = set(psutil.Process().children()) - before
    maps = {os.path.basename(entry.path) for entry in child.memory_maps()}
    bound.close()
    assert not [name for name in maps if re.search("torch|polars|llvmlite|arrow", name)]


def test_the_learned_engine_needs_no_child_and_keeps_the_contract():
    before = set(psutil.Process().children())
    df = pages(
        article("안녕하세요, 세계. 소금은 볕에 말린다.", "인사"),
        HOSTILE["more than 512 elements inside one another"],
        "<script>x</script>",
        "<p>cp949 글입니다.</p>".encode("cp949"),
    )
    whole = run(df, engine="learned")
    assert set(psutil.Process().children()) == before
    assert whole.df["text"].to_list()[0] == "안녕하세요, 세계. 소금은 볕에 말린다."
    assert whole.dropped.to_list() == [None, None, "no_text", None]
    assert whole.df["text"][3] == "cp949 글입니다."
    parts = [run(part, engine="learned") for part in df.iter_slices(1)]
    assert pl.concat([part.df for part in parts]).equals(whole.df)


# --------------------------------------------------------------------------------------------------
# Other people's pages


@pytest.mark.shared
@pytest.mark.parametrize(
    ("engine", "f1"), [("resiliparse", 0.77), ("cascade", 0.80), ("trafilatura", 0.785)]
)
def test_word_f1_on_real_pages_is_what_was_measured(wcxb_pages, engine, f1):
    sample = wcxb_pages if engine == "resiliparse" else wcxb_pages[::4]
    mapped = run(pages(*(page for _, page, _ in sample)), engine=engine)
    assert mapped.quarantined.null_count() == len(sample)
    scores = []
    for text, (_, _, truth) in zip(mapped.df["text"], sample, strict=True):
        got, want = (Counter(re.findall(r"\w+", (t or "").lower())) for t in (text, truth))
        common, total = (got & want).total(), got.total() + want.total()
        scores.append(2 * common / total if total else 1.0)
    tolerance = 0.005 if engine == "resiliparse" else 0.03
    assert sum(scores) / len(scores) == pytest.approx(f1, abs=tolerance)


def tree_construction_cases(folder):
    """(page, words a reader sees) of the whole documents among the html5lib tests."""
    for path in sorted(folder.rglob("*.dat")):
        for block in path.read_text("utf-8").split("#data\n")[1:]:
            if "\n#document-fragment" in block or "\n#script-on" in block:
                continue
            yield block.split("\n#errors")[0], seen_words(block.split("\n#document\n")[1])


# Elements whose content nobody reads as text, or that extractors take for controls and drawings.
UNSEEN = {
    "script", "style", "title", "iframe", "noembed", "noframes", "template", "textarea", "select",
    "option", "noscript", "button", "label", "head", "svg svg",
}  # fmt: skip


def seen_words(tree: str) -> list[str]:
    words, stack = [], []
    for line in tree.split("\n"):
        node = re.match(r'\| ( *)(<(?!!)([^>]*)>|"(.*))', line)
        if node:
            stack = stack[: len(node[1]) // 2]
            if node[3] is not None:
                stack.append(node[3])
            elif not UNSEEN & set(stack):
                words += re.findall("[A-Za-z]{2,}", node[4])
    return words


@pytest.mark.shared
@pytest.mark.parametrize("engine", ["resiliparse", "cascade", "trafilatura", "learned"])
def test_no_html5lib_page_breaks_the_extractor_or_loses_all_it_shows(shared_dir, engine):
    cases = list(tree_construction_cases(shared_dir / "badinputs/html5lib-tests/tree-construction"))
    mapped = run(pages(*(page.encode("utf-8", "replace") for page, _ in cases)), engine=engine)
    assert len(cases) > 1500
    assert mapped.quarantined.null_count() == len(cases)
    lost = [
        page
        for (page, words), text in zip(cases, mapped.df["text"], strict=True)
        if words and not (text or "").strip()
    ]
    assert lost == []


@pytest.mark.shared
@pytest.mark.parametrize("engine", ["resiliparse", "cascade", "trafilatura", "learned"])
def test_no_generated_hostile_page_breaks_the_extractor_or_loses_its_markers(shared_dir, engine):
    files = sorted((shared_dir / "badinputs/generated/files").glob("html_*.html"))
    sources = [file.read_bytes() for file in files]
    mapped = run(pages(*sources), engine=engine)
    assert len(files) >= 24
    assert mapped.quarantined.null_count() == mapped.dropped.null_count() == len(files)
    for source, text in zip(sources, mapped.df["text"], strict=True):
        for marker in ("HEAD", "DEEPMARKER", "TAIL", "TEXT"):
            assert (marker in text) == (f">{marker}<" in html.unescape(source.decode("latin-1")))
