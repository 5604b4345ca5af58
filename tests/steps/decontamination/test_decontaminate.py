import gzip
import io
import json
import unicodedata

import polars as pl
import pytest
import slow_overlap
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from jobs import dataset, run_job

from datatools import explain, verify
from datatools.errors import ConfigError
from datatools.steps.decontamination.decontaminate import Decontaminate
from datatools.steps.ingest.read_jsonl import ReadJsonl

ENGLISH = (
    "A lighthouse keeper counts eleven ships on Monday and twice as many on Tuesday, but three of "
    "them he has counted twice. How many ships were there?"
)
KOREAN = (
    "등대지기가 월요일에 배 열한 척을 세고 화요일에는 그 두 배를 세었는데, 그 가운데 세 척은 두 "
    "번 센 것이었다. 배는 모두 몇 척이었을까?"
)
LICENCE = "Permission is given to everybody to copy, change and sell this text without any charge."
NOTICE = "이 글은 누구나 자유롭게 옮겨 쓰고 고쳐 쓸 수 있으며 출처를 밝힐 필요도 없습니다."


def write_items(path, *texts, **more):
    rows = [{"question": text, **more} for text in texts]
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), "utf-8")
    return {"path": str(path), "fields": ["question"]}


@pytest.fixture
def step(tmp_path):
    """Make a step against texts."""

    def make(*texts, **settings):
        return Decontaminate(
            benchmarks={"ships": write_items(tmp_path / "a.jsonl", *texts)}, **settings
        )

    return make


def run(step, texts):
    frame = pl.DataFrame(
        {"id": [str(at) for at in range(len(texts))], "text": texts},
        schema={"id": pl.String, "text": pl.String},
    )
    return step.apply(frame)


def gone(step, *texts):
    return [int(id_) for id_ in run(step, list(texts))[1]["id"]]


WORDS = ["ship", "Sea,", "배가", "바다에", "three", "세", "\u1112\u1161\u11ab", "e\u0301t", "K"]
texts = st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)


@settings(max_examples=12, deadline=None)
@given(
    items=st.lists(texts, min_size=1, max_size=3),
    documents=st.lists(st.lists(texts, max_size=2), max_size=4),
    copied=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), max_size=4),
    fields=st.sampled_from(
        [
            {},
            {"min_length": 2, "max_documents": 1},
            {"min_found": 0.9, "min_share": None, "max_documents": None},
            {"min_found": 0.3, "min_length": 1, "min_share": 0.8, "max_documents": 2},
        ]
    ),
)
def test_decisions_are_those_of_plain_python(tmp_path_factory, items, documents, copied, fields):
    whole = [list(parts) for parts in documents]
    for item, document in copied:  # so that there is something to find
        if document < len(whole) and item < len(items):
            whole[document].append(items[item])
    documents = [" . ".join(parts) for parts in whole]
    path = tmp_path_factory.mktemp("items") / "a.jsonl"
    step = Decontaminate(benchmarks={"b": write_items(path, *items)}, ngram=3, **fields)
    least = 2 * (step.min_length or 3)
    found, share = slow_overlap.judge(documents, items, 6, least, step.max_documents)
    expected: dict[int, float] = {}
    for (document, _), part in found.items():
        near = step.min_share is not None and share[document] >= step.min_share
        if part >= step.min_found or near:
            expected[document] = max(part, expected.get(document, 0.0))
    kept, dropped = run(step, documents)
    told = [json.loads(detail) for detail in dropped["detail"]]
    assert {int(id_): one["found"] for id_, one in zip(dropped["id"], told, strict=True)} == {
        document: round(part, 4) for document, part in expected.items()
    }
    assert [one["share"] for one in told] == [round(share[int(id_)], 4) for id_ in dropped["id"]]
    assert sorted([*kept["id"], *dropped["id"]]) == [str(at) for at in range(len(documents))]


@pytest.mark.parametrize("item", [ENGLISH, KOREAN], ids=["English", "Korean"])
def test_copies_are_found_however_they_are_written_and_look_alikes_stay(step, item):
    copies = [
        item,
        f"머리말. {item} The end.",
        f"# Question\n\n**{item.upper()}**\n",
        unicodedata.normalize("NFD", item),
        item.replace(",", "").replace(".", "\u200b").replace(" ", "\n"),
        item.replace("세 척", "네 척").replace("three of", "four of"),  # a small edit
    ]
    look_alikes = [
        # Other problems of the same form, and the same in other words.
        "A farmer counts eleven hens on Monday and five on Tuesday; how many hens were there?",
        "On Monday, eleven ships; on Tuesday, twice that. The keeper saw three of them double.",
        "등대지기는 월요일에 열한 척, 화요일에 스물두 척을 보았으나 셋은 겹쳐 세었다고 한다.",
        "농부가 월요일에 닭 열한 마리를 세고 화요일에는 다섯 마리를 세었다. 모두 몇 마리였을까?",
        LICENCE,
        NOTICE,
        "",
        "!!!",
    ]
    assert gone(step(item), *copies, *look_alikes) == list(range(len(copies)))


def test_korean_is_found_under_other_spacing_and_particles_and_english_is_not_glued(step):
    edited = KOREAN.replace("등대지기가", "등대지기는").replace("배는", "배가")
    assert gone(step(KOREAN), KOREAN.replace(" ", ""), edited, edited.replace(" ", "")) == [0, 1, 2]
    assert gone(step(ENGLISH), ENGLISH.replace(" ", "")) == []


def test_planted_items_are_counted_by_set_with_their_ids_and_words(tmp_path):
    """Of 3 English items one is in two documents, of 2 Korean ones one; one is too short."""
    english = write_items(tmp_path / "en.jsonl", ENGLISH, "Not to be found: " + LICENCE, "Short?")
    korean = {**write_items(tmp_path / "ko.jsonl", KOREAN, key="ko-7"), "id": "key"}
    # Two items that read the same are both found.
    korean_too = json.dumps({"question": KOREAN + "!", "key": "ko-8"}, ensure_ascii=False)
    with (tmp_path / "ko.jsonl").open("a", encoding="utf-8") as file:
        file.write("\n" + korean_too)
    rows = [f"서론 {ENGLISH}", f"{ENGLISH} {KOREAN}", "clean 글", LICENCE[:40]]
    lines = [json.dumps({"text": text}) for text in rows]
    (tmp_path / "web.jsonl").write_text("\n".join(lines))
    step = Decontaminate(benchmarks={"en": english, "ko": korean})
    output = tmp_path / "out"
    run_job(output, {"web": dataset(ReadJsonl(paths=(str(tmp_path / "web.jsonl"),)), step)})
    assert verify(output).ok
    manifest = json.loads((output / "web/manifest.json").read_text())
    sets, items = manifest["steps"][1]["tallies"]
    english, korean = sets["rows"]
    assert english == {
        "benchmark": "en",
        "items": 3,
        "too short": 1,
        "items found": 1,
        "documents": 2,
        "documents close to it": 0,
    }
    assert (korean["items"], korean["items found"], korean["documents"]) == (2, 2, 1)
    assert items["rows"][0]["item"] == "0"
    assert items["rows"][0]["documents"] == 2
    assert items["rows"][0]["matched text"] == ENGLISH.rstrip("?")
    card = (output / "web/README.md").read_text()
    assert "## Decontaminate: evaluation sets" in card
    assert "| en | 3 | 1 | 1 | 2 | 0 |" in card
    fates = pl.read_parquet(output / "web/sidecar/fates.parquet")
    assert fates["reason"].to_list() == ["contaminated"] * 2
    life = explain(output, fates["id"][1])
    assert life.stations[-1].detail["items"] == 3
    assert life.stations[-1].detail["item"] == "0"
    assert life.stations[-1].survivor is None


def test_what_many_documents_say_is_not_counted_but_many_copies_are(step):
    item = f"{LICENCE} {NOTICE}"  # a text whose first half is known to everybody
    only = [f"{LICENCE} page {at}" for at in range(4)]
    rule = {"min_found": 0.4, "min_share": None}
    assert gone(step(item, **rule, max_documents=4), *only) == [0, 1, 2, 3]
    assert gone(step(item, **rule, max_documents=3), *only) == []
    assert gone(step(item, **rule, max_documents=3), *only, item, *[item] * 4) == [4, 5, 6, 7, 8]
    assert gone(step(item, **rule, max_documents=None), *only) == [0, 1, 2, 3]


def test_a_piece_of_a_long_text_is_found_by_its_own_share(step):
    passage = " ".join([ENGLISH, KOREAN, LICENCE, NOTICE])
    piece = f"첫머리 {LICENCE}"
    assert gone(step(passage), piece) == [0]
    assert gone(step(passage, min_share=None), piece) == []
    assert gone(step(passage, min_share=0.95), piece) == []


def test_short_texts_are_looked_for_only_where_asked_and_then_whole(step):
    short = "Wie spät ist es jetzt?"
    assert gone(step(short), f"Er fragte: {short}") == []
    assert gone(step(short, min_length=5), f"Er fragte: {short}", "Wie spät ist es?") == [0]
    assert gone(step("한강의 길이는 얼마인가"), "한강의 길이는 얼마인가?") == []
    assert gone(step("한강의 길이는 얼마인가", min_length=5), "한강의길이는 얼마인가?") == [0]


@pytest.mark.parametrize(
    ("margin", "left"),
    [(0, "머리말.  답은 서른이다. "), (4, "머서른이다. "), (1000, None)],
)
def test_a_cut_takes_the_passage_its_closing_mark_and_the_margin(step, margin, left):
    step = step(KOREAN, action="cut", margin=margin)
    kept, dropped = run(step, [f"머리말. {KOREAN} 답은 서른이다. ", "다른 글"])
    if left is None:
        assert json.loads(dropped["detail"][0])["item"] == "ships:0 question"
        assert dropped["reason"].to_list() == ["nothing_left"]
        return
    assert kept["text"].to_list() == [left, "다른 글"]
    assert kept["Decontaminate.removed"].to_list() == [len(KOREAN) + 2 * margin, None]
    assert kept["Decontaminate.item"].to_list() == ["ships:0 question", None]


def test_a_cut_of_decomposed_text_leaves_what_was_around_it(step):
    around = unicodedata.normalize("NFD", "학교 앞. ")
    text = around + unicodedata.normalize("NFD", KOREAN) + around
    kept, _ = run(step(KOREAN, action="cut"), [text])
    assert kept["text"].to_list() == [around + around]


def test_a_report_only_tells(step):
    kept, dropped = run(step(ENGLISH, action="report"), [f"{ENGLISH} 답: 30", "other"])
    assert dropped.height == 0
    assert kept["Decontaminate.found"].to_list() == [1.0, None]
    assert kept["Decontaminate.item"].to_list() == ["ships:0 question", None]
    assert kept["Decontaminate.matched"][0] == ENGLISH.rstrip("?")


def test_another_dataset_of_the_pipeline_is_an_evaluation_set(tmp_path):
    held, web = tmp_path / "held.jsonl", tmp_path / "web.jsonl"
    held.write_text(json.dumps({"text": KOREAN}))
    web.write_text("\n".join(json.dumps({"text": t}) for t in (f"앞 {KOREAN}", "다른 글", LICENCE)))
    output = tmp_path / "out"
    datasets = {
        "held": dataset(ReadJsonl(paths=(str(held),))),
        "web": dataset(
            ReadJsonl(paths=(str(web),)),
            Decontaminate(
                against="held",
                benchmarks={"licences": write_items(tmp_path / "items.jsonl", LICENCE)},
            ),
        ),
    }
    run_job(output, datasets)
    kept = pl.read_parquet(output / "web/*.parquet")
    assert kept["text"].to_list() == ["다른 글"]
    details = pl.read_parquet(output / "web/sidecar/fates.parquet")["detail"]
    told = [json.loads(detail) for detail in details]
    (id_,) = pl.read_parquet(output / "held/*.parquet")["id"]
    assert [(one["benchmark"], one["item"]) for one in told] == [("held", id_), ("licences", "0")]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, "benchmarks: names nothing to look for"),
        ({"margin": 5}, "margin: does nothing with `action: drop`"),
        ({"min_length": 9}, "min_length: is longer than a window"),
        ({"against": ("ships",)}, "against: names a set of `benchmarks`, too"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(tmp_path, fields, told):
    sets = {} if told.startswith("benchmarks") else {"ships": write_items(tmp_path / "a", ENGLISH)}
    with pytest.raises(ConfigError, match=told):
        Decontaminate(benchmarks=sets, **fields)


def test_the_plan_says_what_is_compared(step):
    unit, form, least = step(ENGLISH).explains()
    assert "8 words or 16 letters of Hangul" in unit
    assert "NFC and lower case" in form
    assert least == "texts from 8 words or 16 letters on"


@pytest.mark.shared
def test_real_evaluation_sets_are_found_where_they_were_taken_from_and_nowhere_else(
    tmp_path, shared_dir
):
    """KLUE took sentences from Korean Wikinews; no book of before 1930 holds a GSM8K problem."""
    problems = {"path": str(shared_dir / "data/e_eval/gsm8k_test.jsonl.gz"), "fields": "question"}
    raw = zstandard.ZstdDecompressor().stream_reader(
        (shared_dir / "data/g_corpora/standard_ebooks_A.jsonl.zst").read_bytes()
    )
    books = [json.loads(line)["text"] for line in io.TextIOWrapper(raw, encoding="utf-8")]
    assert gone(Decontaminate(benchmarks={"gsm8k": problems}), *books[:600]) == []
    with gzip.open(shared_dir / "data/e_eval/klue_nli_dev.json.gz") as file:
        items = json.loads(file.read())
    sentences = write_items(tmp_path / "klue.jsonl", *(item["premise"] for item in items))
    with gzip.open(
        shared_dir / "data/g_corpora/ko_wikinews.csv.gz", "rt", encoding="utf-8"
    ) as file:
        news = file.read().split("\n")
    found = gone(Decontaminate(benchmarks={"klue": sentences}), *news)
    assert len(found) >= 50
    premises = sorted({item["premise"] for item in items})
    plain = ["".join(filter(str.isalnum, premise)) for premise in premises]
    whole = {
        at
        for at, text in enumerate(news)
        for squeezed in ["".join(filter(str.isalnum, text))]
        if any(len(premise) > 20 and premise in squeezed for premise in plain)
    }
    assert whole <= set(found)
