import json

import outputs
import pytest
from outputs import fate, message, step

from datatools.errors import DataError
from datatools.report.load import load_report
from datatools.report.planted import find_truth

URL = "https://example.org/"


@pytest.fixture
def judge(tmp_path, monkeypatch):
    """Judge one row of truth against an output of four datasets."""

    def judged(**row):
        monkeypatch.chdir(tmp_path)
        crawl = tmp_path / "crawl"
        crawl.mkdir()
        truth = {
            "defect": "d",
            "pair_url": None,
            "marker": None,
            "file": None,
            "offset": None,
            **row,
        }
        (crawl / "truth.jsonl").write_text(json.dumps(truth, ensure_ascii=False) + "\n")
        write(tmp_path / "out")
        (found,) = load_report(tmp_path / "out").planted.defects
        return found

    return judged


def write(out):
    """Write pages (a, b, c), clean (a; b is dropped, c its twin stays), threads and pairs."""
    texts = {"a": "한글 본문과 표지", "b": "twin one", "c": "twin two"}
    outputs.publish(
        out,
        "pages",
        "document",
        outputs.documents(texts),
        [
            step("ReadWarc", read=4, kept=4, fields={"paths": ["crawl/*.warc.gz"]}),
            step("ExtractText", read=4, kept=3, dropped={"no_text": 1}),
        ],
        fates=[fate("e", "ExtractText", "no_text", url=URL + "empty")],
        inputs={
            "ReadWarc": {
                "size": 100,
                "consumed": 60,
                "skipped": {},
                "incomplete": [{"path": "cut.warc.gz", "start": 60, "end": 100, "detail": "cut"}],
            }
        },
    )
    outputs.publish(
        out,
        "clean",
        "document",
        outputs.documents({"a": texts["a"], "c": texts["c"]}),
        [
            step("GopherQuality", read=3, kept=3),
            step("MinHashDedup#2", cls="MinHashDedup", read=3, kept=2, dropped={"near": 1}),
        ],
        parents=["pages"],
        fates=[fate("b", "MinHashDedup#2", "near", url=URL + "b")],
    )
    thread = {"question": "q", "answers": [], "url": URL + "a"}
    outputs.publish(
        out,
        "questions",
        "thread",
        [
            {"id": "1", "group_id": "g", **thread},
            {"id": "2", "group_id": "g", **thread, "url": URL + "b"},
            {"id": "3", "group_id": "h", **thread, "url": URL + "c"},
        ],
        [step("ExtractQuestions", created=3, kept=3), step("GroupPrompts", read=3, kept=3)],
        parents=["pages"],
        fates=[fate("4", "ExtractQuestions", "markup_broken", url=URL + "x", fate="quarantined")],
    )

    def pair(id, url, chosen, rejected, strength):
        return {
            "id": id,
            "url": URL + url,
            "prompt": [message("user", "q")],
            "chosen": [message("assistant", chosen)],
            "rejected": [message("assistant", rejected)],
            "strength": strength,
        }

    outputs.publish(
        out,
        "pairs",
        "preference",
        [
            pair("1", "a", "좋은 답", "나쁜 답", 1.0),
            pair("2", "b", "같은  답", "같은 답", 1.0),
            pair("3", "c", "tied", "other", 0.0),
            pair("4", "d", "answer<|im_end|>", "other", 1.0),
            pair("5", "e", "answer", " \n", 1.0),
        ],
        [step("PairByVotes", created=5, kept=5), step("PairChecks", read=5, kept=5)],
        parents=["questions"],
        fates=[
            fate("5", "PairByVotes", "expanded", url=URL + "a"),
            fate("6", "PairByVotes", "accept_vote_conflict", url=URL + "y"),
        ],
    )


CAUGHT = [
    ({"url": "empty", "expect": "ReadWarc|ExtractText drop"}, "ExtractText: no_text"),
    ({"url": "never", "expect": "ReadWarc|ExtractText drop"}, "passed over by the reader"),
    ({"url": "never", "expect": "ReadWarc skip"}, "passed over by the reader"),
    ({"url": "b", "expect": "MinHashDedup drop"}, "MinHashDedup#2: near"),
    # The twin stayed and the page itself left, or the other way round: either is a catch.
    ({"url": "c", "pair_url": "b", "expect": "MinHashDedup drop"}, "MinHashDedup#2: near"),
    (
        {"url": "a", "expect": "ExtractText kept", "marker": "본문과   표지"},
        "published, text whole",
    ),
    ({"url": "c", "expect": "MinHashDedup kept"}, "published"),
    ({"url": "a", "pair_url": "b", "expect": "GroupPrompts same_group"}, "one group"),
    ({"url": "a", "expect": "ExtractQuestions|PairChecks no_pair"}, "no pair made of it"),
    ({"url": "a", "expect": "PairChecks drop"}, "no pair made of it"),
    ({"url": "y", "expect": "PairByVotes drop"}, "PairByVotes: accept_vote_conflict"),
    ({"url": "x", "expect": "ExtractQuestions quarantine"}, "ExtractQuestions: markup_broken"),
    (
        {"url": "t", "expect": "ReadWarc incomplete", "file": "cut.warc.gz", "offset": 60},
        "reported as damaged",
    ),
]
MISSED = [
    ({"url": "a", "expect": "GopherQuality drop"}, "published in clean"),
    ({"url": "a", "pair_url": "c", "expect": "MinHashDedup drop"}, "published in clean"),
    (
        {"url": "a", "expect": "ExtractText kept", "marker": "다른 글"},
        "published in pages, but not with its text",
    ),
    ({"url": "b", "expect": "MinHashDedup kept"}, "MinHashDedup#2: near"),
    ({"url": "never", "expect": "ExtractText kept"}, "not read"),
    ({"url": "a", "expect": "ReadWarc skip"}, "published in pages"),
    ({"url": "empty", "expect": "ReadWarc skip"}, "ExtractText: no_text"),
    ({"url": "a", "pair_url": "c", "expect": "GroupPrompts same_group"}, "two groups"),
    ({"url": "b", "expect": "PairByVotes no_pair"}, "a published pair in pairs has equal sides"),
    ({"url": "c", "expect": "PairByVotes no_pair"}, "a published pair in pairs is a tie"),
    ({"url": "d", "expect": "PairChecks drop"}, "a published pair in pairs holds a control token"),
    ({"url": "e", "expect": "PairChecks drop"}, "a published pair in pairs has a blank side"),
    ({"url": "a", "expect": "PairByVotes drop"}, "published in pairs"),
    ({"url": "a", "expect": "ExtractQuestions quarantine"}, "published in questions"),
    (
        {"url": "t", "expect": "ReadWarc incomplete", "file": "cut.warc.gz", "offset": 59},
        "not reported as damaged",
    ),
    (
        {"url": "t", "expect": "ReadWarc incomplete", "file": "other.gz", "offset": 70},
        "not reported as damaged",
    ),
]


def full(row):
    return {key: URL + v if key in ("url", "pair_url") else v for key, v in row.items()}


@pytest.mark.parametrize(("row", "how"), CAUGHT)
def test_what_came_to_its_expected_end_is_caught(judge, row, how):
    found = judge(**full(row))
    assert (found.planted, found.caught, found.misses) == (1, 1, ())
    assert dict(found.how) == {how: 1}


@pytest.mark.parametrize(("row", "where"), MISSED)
def test_what_did_not_is_a_miss_and_says_where_it_is(judge, row, where):
    found = judge(**full(row))
    assert (found.planted, found.caught, found.untested) == (1, 0, 0)
    assert [(miss.url, miss.found) for miss in found.misses] == [(full(row)["url"], where)]


@pytest.mark.parametrize("expect", ["LanguageFilter drop", "GopherQuality mended"])
def test_what_no_step_is_for_and_no_verdict_is_known_of_is_not_tested(judge, expect):
    found = judge(url=URL + "a", expect=expect)
    assert (found.planted, found.caught, found.untested, found.misses) == (1, 0, 1, ())


def test_every_verdict_of_the_sample_is_known():
    """The sample may learn a new verdict; then this must, too."""
    from datatools.report.planted import _WORDS
    from datatools.sample.content import questions
    from datatools.sample.planted import plant_forum, plant_site

    rows = [*(row for _, row in plant_site(0)), *plant_forum(questions())]
    assert {row.expect.split(" ")[1] for row in rows} <= set(_WORDS)


def test_the_truth_is_found_beside_the_files_a_pipeline_reads(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "crawl" / "deep").mkdir(parents=True)
    truth = tmp_path / "crawl" / "truth.jsonl"
    truth.write_text("")
    for paths in (
        ["crawl/*.warc.gz"],
        "crawl/a.warc.gz",
        ["crawl/**/*.gz"],
        [str(truth.parent / "*")],
    ):
        manifest = {"steps": [step("ReadWarc", fields={"paths": paths})]}
        assert find_truth([manifest]).resolve() == truth
    assert find_truth([{"steps": [step("ReadWarc", fields={"paths": ["elsewhere/*.gz"]})]}]) is None
    assert find_truth([{"steps": [step("Split")]}]) is None


def test_a_trial_run_is_not_judged(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "truth.jsonl").write_text("not even JSON\n")
    steps = [step("ReadWarc", fields={"paths": ["*.gz"]})]
    outputs.publish(tmp_path / "out", "pages", "document", [], steps, limited=10)
    report = load_report(tmp_path / "out")
    assert report.planted is None
    assert report.unread == ()


def test_a_broken_truth_is_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "truth.jsonl").write_text('{"defect": "d"}\n')
    steps = [step("ReadWarc", fields={"paths": ["*.gz"]})]
    outputs.publish(tmp_path / "out", "pages", "document", [], steps)
    report = load_report(tmp_path / "out")
    assert report.planted is None
    assert "truth.jsonl" in report.unread[0]


def test_an_unreadable_truth_names_its_file(tmp_path):
    from datatools.report.planted import judge_planted

    (tmp_path / "truth.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match=r"truth\.jsonl"):
        judge_planted(tmp_path / "truth.jsonl", [])
