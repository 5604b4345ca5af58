"""One record's life, asked for by id, by the start of an id and by address."""

import shutil
from datetime import date
from pathlib import Path

import polars as pl
import pytest
import toys
from jobs import dataset, run_job

from datatools import explain, steps
from datatools.dedup_index import DedupIndex
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
    survivor = found["clean"].survivor
    assert survivor.id == first.id != found["clean"].id
    assert (survivor.outcome, survivor.dataset) == ("published", "clean")
    stays = lives(output, survivor.id)["clean"]
    assert (survivor.where, survivor.url) == (stays.where, url_of("a long English"))
    assert (survivor.similarity, survivor.survivor) == (None, None)


def test_a_record_that_stays_shows_what_it_replaced(output):
    at = LINES.encode().rindex(b"a long English")
    gone = explain(output, f"https://example.org/a.txt/{at}").stations[0]
    found = lives(output, url_of("a long English"))
    (one,) = found["clean"].replaced.records
    assert found["clean"].replaced.total == 1
    assert (one.id, one.url, one.dataset, one.step) == (gone.id, gone.url, "clean", "ExactDedup")
    # In the other datasets it stands for nobody.
    assert found["pages"].replaced is found["words"].replaced is None


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


# --------------------------------------------------------------------------------------------------
# Duplicates: chains, other datasets, indexes, and the words that differ

MORE = " ".join(f"word{number}" for number in range(40))
또 = " ".join(f"낱말{number}" for number in range(40))
SAID = {
    "english": (f"the library opens at nine {MORE}", f"the library opens at ten {MORE}"),
    "한국어": (f"도서관은 아홉 시에 엽니다 {또}", f"도서관은 열 시에 엽니다 {또}"),
}
KEPT_BEFORE = "this line was kept before, in an archive of its own"


@pytest.fixture(scope="module")
def repeated(tmp_path_factory):
    """Near duplicates of exact ones, an archive, and an index."""
    folder = tmp_path_factory.mktemp("repeated")
    lines = [line for kept, gone in SAID.values() for line in (gone, kept + "!", gone)]
    lines += [KEPT_BEFORE, f"{KEPT_BEFORE} ", "in the index already, word for word and no other"]
    (folder / "crawl.txt").write_text("\n".join(lines), encoding="utf-8")
    (folder / "archive.txt").write_text(KEPT_BEFORE, encoding="utf-8")
    index = DedupIndex.create(folder / "kept.index")
    indexed = {"id": ["0" * 32], "text": [lines[-1]], "url": ["https://old.example/글"]}
    index.add(pl.DataFrame(indexed), added=date(2026, 1, 31))
    datasets = {
        "archive": dataset(toys.ReadLines(paths=(str(folder / "archive.txt"),))),
        "hidden": dataset(from_="archive", publish=False),
        "crawl": dataset(toys.ReadLines(paths=(str(folder / "crawl.txt"),))),
        "clean": dataset(
            steps.IndexDedup(index=index.address),
            steps.ExactDedup(against="archive"),
            steps.MinHashDedup(threshold=0.6),
            from_="crawl",
        ),
        "other": dataset(steps.ExactDedup(against="hidden", compare="words"), from_="crawl"),
    }
    run_job(folder / "out", datasets)
    return folder / "out"


def line_of(output, text, *, nth=0):
    """Return the id of the nth record of the crawl with a text."""
    crawl = pl.read_parquet(output / "crawl/train-*.parquet")
    return crawl.filter(pl.col("text") == text)["id"][nth]


@pytest.mark.parametrize(("kept", "gone"), SAID.values(), ids=SAID)
def test_a_survivor_that_left_later_is_followed_to_the_one_that_stands(repeated, kept, gone):
    first, again = line_of(repeated, gone), line_of(repeated, gone, nth=1)
    stands = line_of(repeated, kept + "!")
    survivor = lives(repeated, again)["clean"].survivor
    assert (survivor.id, survivor.outcome, survivor.where) == (first, "dropped", None)
    assert (survivor.step, survivor.reason) == ("MinHashDedup", "near_duplicate")
    last = survivor.survivor
    assert (last.id, last.outcome, last.where) == (
        stands,
        "published",
        lives(repeated, stands)["clean"].where,
    )
    assert 0.6 <= last.similarity < 1
    assert lives(repeated, first)["clean"].survivor == last


@pytest.mark.parametrize(("kept", "gone"), SAID.values(), ids=SAID)
def test_the_words_of_a_removed_record_are_held_against_the_one_that_stands(repeated, kept, gone):
    found = lives(repeated, line_of(repeated, gone))["clean"].survivor.difference
    told = [(p.side, p.text) for p in found.pieces if p.side != "both"]
    stood, left = ("nine", "ten") if "nine" in kept else ("아홉", "열")
    assert told == [("first", left), ("second", stood), ("second", "!")]
    assert (found.text_of, found.cut) == ("preview", False)


def test_a_record_whose_preview_was_not_kept_is_compared_as_its_parent_has_it(repeated, tmp_path):
    copy = Path(shutil.copytree(repeated, tmp_path / "copy"))
    fates = copy / "clean/sidecar/fates.parquet"
    without = pl.read_parquet(fates).with_columns(pl.lit(None, dtype=pl.String).alias("preview"))
    without.write_parquet(fates)
    gone = line_of(repeated, SAID["한국어"][1])
    before = lives(repeated, gone)["clean"].survivor.difference
    after = lives(copy, gone)["clean"].survivor.difference
    assert (after.text_of, after.pieces) == ("crawl", before.pieces)
    shutil.rmtree(copy / "crawl")
    assert lives(copy, gone)["clean"].survivor.difference is None


def test_a_survivor_of_another_dataset_is_found_there(repeated):
    survivor = lives(repeated, line_of(repeated, KEPT_BEFORE))["clean"].survivor
    (archived,) = explain(repeated, survivor.id).stations
    assert (survivor.outcome, survivor.dataset) == ("published", "archive")
    assert survivor.where == archived.where == "train-00000-of-00001.parquet row 0"
    assert {piece.side for piece in survivor.difference.pieces} == {"both"}
    # The other way round it is told of the record in the archive, too.
    assert archived.dataset == "archive"
    assert [one.dataset for one in archived.replaced.records] == ["clean"]


def test_a_survivor_of_a_dataset_that_is_not_published_is_told_as_unknown(repeated):
    survivor = lives(repeated, line_of(repeated, KEPT_BEFORE))["other"].survivor
    assert (survivor.outcome, survivor.dataset, survivor.where) == ("unknown", "hidden", None)
    assert survivor.difference is None


def test_a_survivor_in_an_index_is_told_with_the_index_and_the_day(repeated):
    gone = line_of(repeated, "in the index already, word for word and no other")
    survivor = lives(repeated, gone)["clean"].survivor
    assert (survivor.id, survivor.outcome) == ("0" * 32, "indexed")
    assert survivor.index == str(repeated.parent / "kept.index")
    assert (survivor.added, survivor.url) == ("2026-01-31", "https://old.example/글")
    assert (survivor.similarity, survivor.dataset, survivor.difference) == (1.0, None, None)


def test_many_replaced_records_are_counted_and_some_are_listed(tmp_path):
    (tmp_path / "a.txt").write_text("같은 글\n" * 50, encoding="utf-8")
    lines = toys.ReadLines(paths=(str(tmp_path / "a.txt"),))
    run_job(tmp_path / "out", {"pages": dataset(lines, steps.ExactDedup())})
    stands = pl.read_parquet(tmp_path / "out/pages/train-*.parquet")["id"][0]
    (station,) = explain(tmp_path / "out", stands).stations
    assert station.replaced.total == 49
    fates = pl.read_parquet(tmp_path / "out/pages/sidecar/fates.parquet")
    assert [one.id for one in station.replaced.records] == fates["id"][:20].to_list()


def test_fates_tell_the_source_of_every_record_that_left(repeated, output):
    fates = pl.read_parquet(repeated / "clean/sidecar/fates.parquet")
    assert set(fates["source"].to_list()) == {"crawl"}
    # A line that the reader could not use has no record, but it has a reader.
    fates = pl.read_parquet(output / "pages/sidecar/fates.parquet")
    assert "ReadLines" in fates["step"].to_list()
    assert set(fates["source"].to_list()) == {"pages"}
