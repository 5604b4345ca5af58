"""Pages with planted markup and known counts, Korean and English side by side."""

import re
from pathlib import Path

import orjson
import polars as pl
import pytest

from datatools.records import SCHEMAS, make_id
from datatools.steps.base import Batch, Context
from datatools.steps.instruct.extract_questions import ExtractQuestions

PAGES = Path(__file__).parent / "pages"

FATES = {
    # page: (fate, reason, threads)
    "en_qapage": ("dropped", "expanded", 1),
    "ko_qapage": ("dropped", "expanded", 1),
    "en_faq_graph": ("dropped", "expanded", 2),
    "ko_faq_broken": ("dropped", "expanded", 3),
    "en_microdata": ("dropped", "expanded", 1),
    "ko_microdata": ("dropped", "expanded", 1),
    "en_both": ("dropped", "expanded", 1),
    "en_no_answers": ("dropped", "no_answers", 0),
    "en_quiz": ("dropped", "no_qa_markup", 0),
    "en_article": ("dropped", "no_qa_markup", 0),
    "ko_beyond_repair": ("quarantined", "qa_markup_broken", 0),
}


def page(name: str) -> bytes:
    return (PAGES / f"{name}.html").read_bytes()


def threads_of(name: str) -> list[dict]:
    kept, _ = ExtractQuestions().apply(pl.DataFrame({"html": [page(name)]}))
    return kept.to_dicts()


@pytest.fixture(scope="module")
def everything():
    frame = pl.DataFrame(
        {
            "id": list(FATES),
            "html": [page(name) for name in FATES],
            "url": [f"https://site.example/{name}" for name in FATES],
            "source": ["forum"] * len(FATES),
            "language": [name[:2] for name in FATES],
            "license": ["CC-BY-SA-4.0"] * len(FATES),
            "origin": ["a.warc.gz"] * len(FATES),
            "offset": list(range(len(FATES))),
        }
    )
    return ExtractQuestions().apply(frame)


def test_every_page_meets_the_fate_that_was_planted(everything):
    _, dropped = everything
    fates = {row["id"]: (row["fate"], row["reason"]) for row in dropped.iter_rows(named=True)}
    assert fates == {name: fate[:2] for name, fate in FATES.items()}


def test_every_page_gives_the_threads_that_were_planted(everything):
    kept, _ = everything
    counts = dict(kept.group_by("doc_id").len().iter_rows())
    assert counts == {name: fate[2] for name, fate in FATES.items() if fate[2]}


def test_a_page_passes_its_address_language_source_license_and_place_on(everything):
    kept, _ = everything
    thread = kept.filter(pl.col("doc_id") == "ko_qapage").row(0, named=True)
    assert thread["url"] == "https://site.example/ko_qapage"
    assert thread["language"] == "ko"
    assert (thread["source"], thread["license"]) == ("forum", "CC-BY-SA-4.0")
    assert (thread["origin"], thread["offset"]) == ("a.warc.gz", 1)
    assert thread["group_id"] is None
    assert thread["meta"] == '{"markup":"json-ld","page":"QAPage"}'


def test_threads_have_the_columns_of_their_kind(everything):
    kept, _ = everything
    assert kept.schema == SCHEMAS["thread"]


def test_what_could_not_be_used_of_a_page_with_threads_is_told(everything):
    _, dropped = everything
    details = dict(dropped.select("id", "detail").iter_rows())
    assert details["en_faq_graph"] == "1 of 3 questions have no answer"
    assert details["ko_beyond_repair"].startswith("JSON-LD: ")
    assert details["en_qapage"] is None


def test_an_english_qapage_keeps_lists_and_code_votes_dates_and_authors():
    (thread,) = threads_of("en_qapage")
    assert thread["question"] == (
        "When do I prune a young pear tree?\n\n"
        "It was planted **last** spring.\n\nWhich months are safe?"
    )
    assert thread["answers"] == [
        {
            "id": "answer-301",
            "text": (
                "In late winter:\n\n1. Remove dead wood\n2. Cut to an outward bud\n\n"
                "```text\nFeb: yes\nJul: no\n```"
            ),
            "votes": 1204,
            "accepted": True,
            "date": "2023-11-02T10:00:00Z",
            "author": "Old Jonas",
        },
        {
            "id": "answer-302",
            "text": "Never in frost & never in rain.",
            "votes": 12,
            "accepted": False,
            "date": "2023-11-01",
            "author": None,
        },
        {
            "id": "answer-303",
            "text": "Ask your nursery.",
            "votes": None,
            "accepted": False,
            "date": None,
            "author": None,
        },
    ]


def test_a_korean_qapage_is_read_through_double_escapes_and_a_repeated_answer():
    (thread,) = threads_of("ko_qapage")
    # The title is the beginning of the body, cut with an ellipsis.
    assert thread["question"] == "김치가 너무 빨리 시어요. 냉장고 온도는 몇 도가 좋은가요?"
    assert thread["answers"] == [
        {
            "id": "a1",
            "text": "김치냉장고는 `0 < t < 2` 도로 맞추세요.",
            "votes": 1200,
            "accepted": True,
            "date": "2024-03-02",
            "author": "손맛",
        },
        {
            "id": "a2",
            "text": "김칫독을 묻으세요.\n\n겨울에는 최고입니다.",
            "votes": 2,
            "accepted": False,
            "date": "2024-03-01T00:00:00Z",
            "author": None,
        },
    ]


def test_a_faq_in_a_graph_resolves_references_and_types_that_are_left_out():
    first, second = threads_of("en_faq_graph")
    assert first["question"] == "May I bring a bike?"
    assert first["answers"][0]["text"] == "Yes, for *two* euros."
    assert second["question"] == "Is there a toilet?"
    assert second["answers"][0]["text"] == "On the lower deck."


def test_a_broken_korean_faq_is_mended():
    threads = threads_of("ko_faq_broken")
    said = {thread["question"]: thread["answers"][0]["text"] for thread in threads}
    assert said == {
        "주차가 되나요?": "네, 지하 1층에\n주차하실 수 있어요.",
        "휴무일은 언제인가요?": "매주 '월요일'입니다.",
        "환불되나요?": "7일 안에 됩니다.",
    }


def test_english_microdata_keeps_comments_out_of_the_answer():
    (thread,) = threads_of("en_microdata")
    assert thread["question"] == (
        "Why does my bread collapse?\n\nIt rises, then *falls* in the oven."
    )
    best, other = thread["answers"]
    assert best == {
        "id": "1001",
        "text": ('Overproofed. Check with `poke()`:\n\n```py\ndef poke():\n    return "slow"\n```'),
        "votes": 9,
        "accepted": True,
        "date": "2021-05-02T10:00:00",
        "author": "Mill",
    }
    assert (other["id"], other["votes"], other["accepted"]) == ("1002", 2, False)


def test_korean_microdata_survives_tags_nobody_closed():
    (thread,) = threads_of("ko_microdata")
    assert thread["question"] == (
        "등산화 끈이 자꾸 풀려요\n\n매듭을 어떻게 묶나요?\n두 번 묶어도 풀립니다."
    )
    said = [(answer["text"], answer["votes"]) for answer in thread["answers"]]
    assert said == [("외과 의사 매듭으로 묶으세요", 15), ("테이프를 쓰세요", -3)]


def test_a_question_in_both_syntaxes_is_taken_from_the_fuller_one():
    (thread,) = threads_of("en_both")
    assert [answer["text"] for answer in thread["answers"]] == ["Above -9 C, yes.", "Use sand."]
    assert thread["meta"] == '{"markup":"microdata","page":""}'


def children(html: bytes) -> pl.DataFrame:
    bound = ExtractQuestions().bind(Context(label="ExtractQuestions"))
    try:
        return bound.flat_map(Batch(pl.DataFrame({"id": ["doc"], "html": [html]}))).children
    finally:
        bound.close()


def test_keys_do_not_depend_on_the_order_or_the_number_of_questions_on_the_page():
    template = (
        '<script type="application/ld+json">{{"@context": "https://schema.org",'
        '"@type": "FAQPage", "mainEntity": [{}]}}</script>'
    )
    entries = [
        f'{{"@type": "Question", "name": "{name}", "url": "/faq",'
        f' "acceptedAnswer": {{"text": "네, {name}"}}}}'
        for name in ("하나?", "둘?", "셋?")
    ]
    forth = children(template.format(",".join(entries)).encode())
    back = children(template.format(",".join(entries[1::-1])).encode())
    keys = dict(forth.select("question", "key").iter_rows())
    assert len(set(keys.values())) == 3
    assert dict(back.select("question", "key").iter_rows()) == {
        question: keys[question] for question in ("하나?", "둘?")
    }


def test_a_question_with_its_own_id_is_keyed_by_it():
    html = b"""<script type="application/ld+json">{"@context": "https://schema.org",
        "@type": "Question", "@id": "https://x.example/q#q77", "name": "Why?",
        "acceptedAnswer": {"text": "So."}}</script>"""
    assert children(html)["key"].to_list() == ["q77"]
    kept, _ = ExtractQuestions().apply(pl.DataFrame({"id": ["doc"], "html": [html]}))
    assert kept["id"].to_list() == [make_id("doc", "ExtractQuestions", "q77")]


def test_answers_with_one_address_get_ids_from_their_texts():
    html = (
        '<script type="application/ld+json">{"@context": "https://schema.org",'
        '"@type": "Question", "name": "왜?",'
        '"suggestedAnswer": [{"url": "/q", "text": "가"}, {"url": "/q", "text": "나"}]}'
        "</script>"
    ).encode()
    ids = [answer["id"] for answer in children(html)["answers"][0]]
    assert ids == [make_id("answer", "가"), make_id("answer", "나")]


def test_batches_may_be_cut_anywhere():
    frame = pl.DataFrame({"id": list(FATES), "html": [page(name) for name in FATES]})
    bound = ExtractQuestions().bind(Context(label="ExtractQuestions"))
    try:
        whole = bound.flat_map(Batch(frame))
        parts = [bound.flat_map(Batch(frame[row])) for row in range(frame.height)]
    finally:
        bound.close()
    assert (
        pl.concat([part.children for part in parts])
        .drop("parent")
        .equals(whole.children.drop("parent"))
    )
    assert pl.concat([part.dropped for part in parts]).equals(whole.dropped)
    assert pl.concat([part.quarantined for part in parts]).equals(whole.quarantined)


def test_pages_without_html_start_no_parser():
    frame = pl.DataFrame(
        {"id": ["1", "2", "3"], "html": [None, b"", b"a schema.org page with no q"]},
        schema={"id": pl.String, "html": pl.Binary},
    )
    bound = ExtractQuestions().bind(Context())
    expanded = bound.flat_map(Batch(frame))
    assert expanded.dropped.to_list() == ["no_qa_markup"] * 3
    assert expanded.children.height == 0
    assert bound._fence._child is None


def test_a_page_over_the_size_limit_is_quarantined_unparsed():
    frame = pl.DataFrame({"html": [page("en_qapage")]})
    _, dropped = ExtractQuestions(max_html_bytes=100).apply(frame)
    assert dropped.select("fate", "reason").row(0) == ("quarantined", "html_over_limit")


# Misnested formatting: before each `x` a parser reopens up to 4,000 elements, 1.4 GB in all.
BOMB = "".join([f"<b {n}>" for n in range(2000)] + [f"<i {n}>" for n in range(2000)])
BOMB += "x</b>" * 2000


def test_a_page_whose_shape_stalls_parsers_is_quarantined_unparsed():
    html = page("en_qapage") + BOMB.encode()
    _, dropped = ExtractQuestions().apply(pl.DataFrame({"html": [html]}))
    assert dropped.select("fate", "reason", "detail").row(0) == (
        "quarantined",
        "html_over_limit",
        "formatting",
    )


@pytest.mark.slow
def test_a_bomb_inside_an_answer_costs_only_its_page():
    answer = orjson.dumps({"@type": "Answer", "text": BOMB}).decode()
    hostile = (
        '<script type="application/ld+json">{"@context": "https://schema.org",'
        f'"@type": "Question", "name": "왜?", "acceptedAnswer": {answer}}}</script>'
    )
    frame = pl.DataFrame({"html": [page("ko_qapage"), hostile.encode(), page("en_qapage")]})
    kept, dropped = ExtractQuestions().apply(frame)
    assert kept.height == 2
    bad = dropped.filter(pl.col("fate") == "quarantined")
    assert bad.height == 1
    assert bad["reason"][0] in {"fence_timeout", "fence_memory"}


@pytest.mark.parametrize(
    "html",
    [
        b'<script type="application/ld+json">"Question" schema.org</script>',
        b'<script type="application/ld+json">{"@type":"Question","schema.org":' + b"[" * 5000,
        b'<script type="application/ld+json">{"@type":"Question","@id":"schema.org"}</script>',
        b'"Question" schema.org \xff\xfe\x00',
        b'<script type="application/ld+json">{"@type":"Question","name":"\\ud800 schema.org",'
        b'"acceptedAnswer":"\\udfff"}</script>',
        b"<div itemscope itemtype='http://schema.org/Question' itemprop='x x x'>",
    ],
)
def test_nasty_pages_are_accounted_for(html):
    kept, dropped = ExtractQuestions().apply(pl.DataFrame({"html": [html]}))
    assert kept.height + dropped.height >= 1
    reasons = {"expanded", "no_qa_markup", "no_answers", "qa_markup_broken"}
    assert set(dropped["reason"]) <= reasons


@pytest.mark.shared
def test_real_pages_give_their_questions(shared_dir):
    from fastwarc.warc import ArchiveIterator, WarcRecordType

    with (shared_dir / "data" / "a_warc" / "wcxb_dev_A.warc.gz").open("rb") as file:
        records = ArchiveIterator(file, record_types=WarcRecordType.response, parse_http=True)
        pages = [
            (record.headers.get("WARC-Target-URI"), record.reader.read().decode("utf-8", "replace"))
            for record in records
        ]
    frame = pl.DataFrame({"url": [url for url, _ in pages], "html": [p.encode() for _, p in pages]})
    kept, dropped = ExtractQuestions().apply(frame)
    assert dict(dropped["reason"].value_counts().iter_rows()) == {
        "no_qa_markup": 431,
        "expanded": 32,
        "no_answers": 6,
    }
    assert kept.height == 126
    # Independently: the votes as they stand in the source of one page, the question's first.
    url, page = next((url, page) for url, page in pages if "why-is-raid-not-a-backup" in url)
    stated = re.findall(r'itemprop="upvoteCount"[^>]*>\s*(-?\d+)', page)
    answers = kept.filter(pl.col("url") == url)["answers"][0].to_list()
    assert sorted(answer["votes"] for answer in answers) == sorted(map(int, stated[1:]))
    assert [answer["author"] for answer in answers if answer["accepted"]] == ["Kevin Dente"]
