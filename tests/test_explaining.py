"""One record's life, asked for by id, by the start of an id and by address."""

import polars as pl
import pytest
import toys
from jobs import dataset, run_job

from datatools import explain, steps
from datatools.errors import DataError, IntegrityError
from datatools.sample.warc import Page, gzip_member, response

LINES = """\
a long English line, which stays
오래 남는 한국어 문장 하나
ab
# a comment
! a bad line
boom goes this one
drop me now
a long English line, which stays
nan
"""


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explaining")
    (folder / "a.txt").write_text(LINES, encoding="utf-8")
    datasets = {
        "pages": dataset(
            toys.ReadLines(paths=(str(folder / "a.txt"),)), toys.Length(), toys.Upper()
        ),
        "clean": dataset(steps.ExactDedup(), steps.Split(), from_="pages"),
        "words": dataset(toys.Words(), toys.Length(), from_="clean"),
    }
    run_job(folder / "out", datasets)
    return folder / "out"


def url_of(line):
    """Return the address that the toy reader gives a line: its place in bytes."""
    return f"https://example.org/a.txt/{LINES.encode().index(line.encode())}"


def lives(output, asked):
    return {station.dataset: station for station in explain(output, asked).stations}


def test_a_record_that_stays_is_told_with_its_shard_row_place_and_numbers(output):
    found = lives(output, url_of("오래 남는"))
    pages, clean = found["pages"], found["clean"]
    assert pages.outcome == "published"
    assert pages.where == "train-00000-of-00001.parquet row 1"
    assert pages.origin == f"a.txt at {LINES.encode().index('오래'.encode())}"
    assert pages.signals == {"Length.characters": 15.0}
    assert pages.step is pages.reason is pages.rule is None
    assert clean.id == pages.id
    file, _, row = clean.where.partition(" row ")
    published = pl.read_parquet(output / "clean" / file)
    assert published["text"][int(row)] == "오래 남는 한국어 문장 하나"


def test_the_same_life_is_told_by_id_by_its_start_and_by_address(output):
    by_url = explain(output, url_of("오래 남는"))
    id_ = by_url.stations[0].id
    assert explain(output, id_).stations == by_url.stations
    assert explain(output, id_[:8]).stations == by_url.stations


def test_seven_digits_of_an_id_are_too_few(output):
    id_ = explain(output, url_of("오래 남는")).stations[0].id
    with pytest.raises(
        DataError, match=r"is not in any dataset .* Give an id \(or 8 digits of it\)"
    ):
        explain(output, id_[:7])


def test_what_a_filter_dropped_shows_measure_value_and_threshold(output):
    (station,) = explain(output, url_of("ab\n")).stations
    assert (station.dataset, station.outcome) == ("pages", "dropped")
    assert (station.step, station.reason) == ("Length", "too_short")
    assert station.rule == "characters 2.0 < 3"
    assert station.where is None


def test_what_a_filter_could_not_measure_says_so(output):
    (station,) = explain(output, url_of("nan")).stations
    assert (station.outcome, station.reason) == ("quarantined", "undefined:characters")
    assert station.rule == "characters is undefined"


@pytest.mark.parametrize(
    ("line", "outcome", "step", "reason"),
    [
        ("drop me", "dropped", "Upper", "asked"),
        ("boom", "quarantined", "Upper", "boom"),
    ],
)
def test_what_a_step_sent_away_shows_step_and_reason(output, line, outcome, step, reason):
    (station,) = explain(output, url_of(line)).stations
    assert (station.outcome, station.step, station.reason) == (outcome, step, reason)
    assert station.rule is None


def test_what_a_reader_could_not_use_is_found_by_its_id(output):
    fates = pl.read_parquet(output / "pages/sidecar/fates.parquet")
    id_ = fates.filter(pl.col("reason") == "bad_line")["id"][0]
    (station,) = explain(output, id_).stations
    assert (station.outcome, station.step) == ("quarantined", "ReadLines")
    assert station.detail == f"a.txt at {LINES.encode().index(b'! a bad')}: ! a bad line"


def test_a_duplicate_shows_the_document_that_stays(output):
    first = explain(output, url_of("a long English")).stations[0]
    at = LINES.encode().rindex(b"a long English")
    found = lives(output, f"https://example.org/a.txt/{at}")
    assert found["clean"].reason == "exact_duplicate"
    assert found["clean"].survivor == first.id
    assert found["clean"].survivor != found["clean"].id
    stays = {
        station.dataset: station for station in explain(output, found["clean"].survivor).stations
    }
    assert stays["clean"].outcome == "published"


def test_a_record_replaced_by_its_children_is_told_as_expanded(output):
    found = lives(output, url_of("오래 남는"))
    assert (found["words"].outcome, found["words"].reason) == ("dropped", "expanded")


def test_stations_come_in_the_order_of_the_pipeline(output):
    stations = explain(output, url_of("오래 남는")).stations
    assert [station.dataset for station in stations] == ["pages", "clean", "words"]


def test_an_unknown_address_is_told_with_the_nearest_one(output):
    gone = url_of("drop me")
    with pytest.raises(DataError) as caught:
        explain(output, gone + "0")
    assert str(caught.value) == (
        f"{gone}0: is not in any dataset of {output}. Did you mean {gone}?"
    )


def test_an_address_like_no_other_is_told_what_can_be_asked(output):
    with pytest.raises(DataError, match=r"Give an id \(or 8 digits of it\) or a page's URL\.$"):
        explain(output, "한국어로 물어봄")


def test_a_damaged_shard_is_not_passed_over(output, tmp_path):
    import shutil

    copy = shutil.copytree(output, tmp_path / "copy")
    shard = next((copy / "words").glob("train-*.parquet"))
    shard.write_bytes(shard.read_bytes()[:-8])
    with pytest.raises(
        IntegrityError, match=r"words/train-.*cannot be read: .* `datatools verify`"
    ):
        explain(copy, "0" * 32)


# --------------------------------------------------------------------------------------------------
# Children, with the steps that make questions and pairs of pages

QUESTION = """<html><body><div itemscope itemtype="https://schema.org/QAPage">
<div itemprop="mainEntity" itemscope itemtype="https://schema.org/Question">
<h1 itemprop="name">{title}</h1><div itemprop="text">{title} {title}</div>
{answers}</div></div></body></html>"""
ANSWER = """<div itemprop="{kind}" itemscope itemtype="https://schema.org/Answer">
<span itemprop="upvoteCount">{votes}</span><div itemprop="text">{text}</div></div>"""

FORUM = [
    ("How do I keep bread fresh?", "Wrap it in a linen cloth, cut side down.", "Eat it soon."),
    ("빵을 오래 두려면 어떻게 하나요?", "자른 면을 아래로 두고 천으로 싸 두세요.", "빨리 드세요."),
]


@pytest.fixture(scope="module")
def forum(tmp_path_factory):
    folder = tmp_path_factory.mktemp("forum")
    members = []
    for number, (title, good, bad) in enumerate(FORUM):
        answers = ANSWER.format(kind="acceptedAnswer", votes=9, text=good)
        answers += ANSWER.format(kind="suggestedAnswer", votes=1, text=bad)
        page = QUESTION.format(title=title, answers=answers).encode()
        members.append(gzip_member(response(Page(f"https://forum.example/{number}", page))))
    (folder / "forum.warc.gz").write_bytes(b"".join(members))
    datasets = {
        "pages": dataset(
            steps.ReadWarc(paths=(str(folder / "forum.warc.gz"),)), steps.ExtractText()
        ),
        "questions": dataset(steps.ExtractQuestions(), from_="pages"),
        "pairs": dataset(steps.PairByVotes(), from_="questions"),
    }
    run_job(folder / "out", datasets)
    return folder / "out"


@pytest.mark.parametrize("number", [0, 1])
def test_a_page_shows_what_was_made_of_it_and_a_child_shows_its_page(forum, number):
    found = explain(forum, f"https://forum.example/{number}").stations
    published = {station.dataset: station for station in found if station.where}
    page = published["pages"]
    assert published["questions"].parent == page.id
    assert published["pairs"].parent == page.id
    pair = published["pairs"]
    (alone,) = explain(forum, pair.id).stations
    assert (alone.dataset, alone.parent, alone.where) == ("pairs", page.id, pair.where)
    stored = pl.read_parquet(forum / "pairs/train-*.parquet").filter(pl.col("id") == pair.id)
    assert stored["doc_id"].to_list() == [page.id]
    assert stored["chosen"][0][0]["content"] == FORUM[number][1]
