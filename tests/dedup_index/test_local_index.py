import itertools
import json
import os
import shutil
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kept_texts import edited, frame, slowly_matched, texts, told

from datatools.dedup_index import DedupIndex
from datatools.dedup_index.local_index import LocalIndex
from datatools.engine.lock import held
from datatools.errors import ConfigError, DataError, IntegrityError, OutputHeldError

KEPT = frame(texts(400))
ASKED = frame(edited(texts(400)[::2], seed=1) + texts(50, seed=2), "new")
ENGLISH = "the quick brown fox jumps over the lazy dog and then runs into the green wood alone"
KOREAN = "재빠른 갈색 여우가 게으른 개를 뛰어넘어 저 멀리 푸른 숲 속으로 혼자 달려가 버렸다"
DAY = date(2026, 1, 31)


@pytest.fixture
def index(tmp_path):
    return DedupIndex.create(tmp_path / "kept.index")


def files(index):
    """Return every file of an index with its bytes, but for the lock."""
    return {
        path.relative_to(index.address).as_posix(): path.read_bytes()
        for path in sorted(Path(index.address).rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


# --------------------------------------------------------------------------------------------------
# What is matched


@pytest.mark.parametrize("fields", [{}, {"unit": "char", "ngram": 9}, {"threshold": 0.6}])
def test_matches_are_those_of_a_comparison_of_everything_with_everything(tmp_path, fields):
    index = DedupIndex.create(tmp_path / "kept.index", **fields)
    index.add(KEPT)
    expected = slowly_matched(index, KEPT, ASKED)
    assert sum(match is not None for _, match, _ in expected) > 50
    assert told(index.match(ASKED)) == expected


@settings(max_examples=12)
@given(cuts=st.lists(st.integers(0, 400), max_size=6), compact=st.booleans())
def test_matches_do_not_depend_on_how_documents_were_added(tmp_path_factory, cuts, compact):
    one = DedupIndex.create(tmp_path_factory.mktemp("one") / "kept.index")
    one.add(KEPT, added=DAY)
    other = DedupIndex.create(tmp_path_factory.mktemp("other") / "kept.index")
    places = [0, *sorted(cuts), 400]
    for start, end in itertools.pairwise(places):
        other.add(KEPT[start:end], added=DAY)
    if compact:
        other.compact()
    assert other.match(ASKED).equals(one.match(ASKED))
    assert DedupIndex.open(other.address).match(ASKED).equals(one.match(ASKED))


@pytest.mark.parametrize("text", [ENGLISH, KOREAN])
def test_case_and_punctuation_play_no_part_and_other_words_do(index, text):
    index.add(frame([text]))
    other = " ".join(reversed(text.split()))
    asked = frame([text.upper().replace(" ", "; ") + "!", other], "new")
    assert told(index.match(asked)) == [("new-0", "doc-0", 1.0), ("new-1", None, None)]


@pytest.mark.parametrize(
    ("kept", "asked", "matched"),
    [
        ("Hello there", "hello, THERE!", True),
        ("안녕 하세요", "안녕, 하세요.", True),
        ("hello there", "hello their", False),
        ("hello there", ENGLISH, False),
        ("", "", True),
        ("", " \n\t", True),
        ("", "!!!", False),
        ("!!!", "!!!", True),
        ("", None, True),
        ("a\0b", "a\0b", True),
    ],
)
def test_a_text_shorter_than_a_shingle_is_matched_by_exactly_its_words(index, kept, asked, matched):
    index.add(frame([kept]))
    (similarity,) = index.match(frame([asked], "new"))["similarity"]
    assert similarity == (1.0 if matched else None)


def test_of_equally_similar_documents_the_earliest_is_the_match(index):
    index.add(frame([ENGLISH], "first"))
    index.add(frame([ENGLISH] * 3, "later"))
    assert told(index.match(frame([ENGLISH], "new"))) == [("new-0", "first-0", 1.0)]


def test_a_match_is_told_with_its_day_its_source_and_its_address(index):
    kept = frame([ENGLISH]).with_columns(source=pl.lit("crawl"))
    index.add(kept, added=DAY)
    (found,) = index.match(frame([ENGLISH, KOREAN], "new")).head(1).to_dicts()
    assert found == {
        "id": "new-0",
        "match": "doc-0",
        "similarity": 1.0,
        "added": DAY,
        "source": "crawl",
        "url": "https://example.org/doc/0",
        "buckets_cut": 0,
        "not_compared": 0,
    }


def test_a_bucket_of_one_template_is_compared_with_its_earliest_and_says_so(index):
    for start in range(0, 300, 100):  # in several segments
        index.add(frame([ENGLISH] * 100, f"copy{start}"))
    (found,) = index.match(frame([ENGLISH], "new")).to_dicts()
    assert found["match"] == "copy0-0"
    assert (found["buckets_cut"], found["not_compared"]) == (17, 17 * 44)
    early = index.match(frame([ENGLISH], "new"), at=index.history.additions[1].state)
    assert early["buckets_cut"].to_list() == [0]


def test_no_rows_give_no_rows_with_the_same_columns(index):
    index.add(KEPT)
    assert index.match(ASKED[:0]).schema == index.match(ASKED).schema


# --------------------------------------------------------------------------------------------------
# What is added


def test_an_id_that_is_there_is_left_as_it_was(index):
    index.add(frame([ENGLISH, ENGLISH], "doc"))
    before = files(index)
    done = index.add(frame([KOREAN, KOREAN], "doc"))
    assert (done.documents, done.known, len(index)) == (0, 2, 2)
    assert files(index) == before
    assert index.match(frame([KOREAN], "new"))["match"].to_list() == [None]


def test_of_two_documents_with_one_id_in_an_addition_the_first_is_added(index):
    both = frame([ENGLISH, KOREAN]).with_columns(id=pl.lit("same"))
    done = index.add([both[:1], both[1:]])
    assert (done.documents, done.known) == (1, 1)
    assert index.match(frame([ENGLISH, KOREAN], "new"))["match"].to_list() == ["same", None]


def test_an_addition_in_pieces_is_the_addition_in_one(tmp_path, monkeypatch):
    whole = DedupIndex.create(tmp_path / "whole")
    whole.add(KEPT, added=DAY)
    monkeypatch.setattr("datatools.dedup_index.local_index._PIECE", 64)
    monkeypatch.setattr("datatools.dedup_index.segment_files._PART_KEYS", 1000)
    monkeypatch.setattr("datatools.dedup_index.segment_files._PART_BYTES", 512)
    pieces = DedupIndex.create(tmp_path / "pieces")
    twice = pl.concat([KEPT, KEPT])  # ids known from pieces that were written meanwhile
    pieces.add(twice.iter_slices(50), added=DAY)
    assert pieces.state() == whole.state()
    (folder,) = Path(pieces.address).glob("segment-*")
    (other,) = Path(whole.address).glob("segment-*")
    for path in other.iterdir():
        assert (folder / path.name).read_bytes() == path.read_bytes(), path.name


def test_a_day_that_goes_back_is_refused(index):
    index.add(frame([ENGLISH]), added=DAY)
    with pytest.raises(ConfigError, match="days must not go back"):
        index.add(frame([KOREAN], "more"), added=date(2026, 1, 30))
    assert len(index) == 1


@pytest.mark.parametrize("column", ["id", "text"])
def test_a_missing_column_is_refused_by_its_name(index, column):
    with pytest.raises(ConfigError, match=f"column '{column}'"):
        index.add(frame([ENGLISH]).drop(column))
    with pytest.raises(ConfigError, match=f"column '{column}'"):
        index.match(frame([ENGLISH]).drop(column))


def test_a_document_without_an_id_is_refused_and_nothing_is_added(index):
    bad = frame([ENGLISH, KOREAN]).with_columns(id=pl.Series(["a", None]))
    with pytest.raises(DataError, match="without an id"):
        index.add(bad)
    assert len(DedupIndex.open(index.address)) == 0


# --------------------------------------------------------------------------------------------------
# States


def test_an_earlier_state_matches_as_the_index_did_then(index):
    index.add(KEPT[:200], added=DAY)
    state = index.state()
    then = index.match(ASKED)
    index.add(KEPT[200:], added=date(2026, 2, 1))
    index.compact()
    assert not index.match(ASKED).equals(then)
    assert index.match(ASKED, at=state).equals(then)
    assert index.state(before=date(2026, 2, 1)) == state
    assert index.state(before=DAY).documents == 0


def test_a_state_of_another_index_is_refused(tmp_path, index):
    other = DedupIndex.create(tmp_path / "other")
    other.add(frame([ENGLISH]))
    with pytest.raises(ConfigError, match="never was in the state"):
        index.match(ASKED, at=other.state())


def test_indexes_of_other_parameters_or_contents_have_other_digests(tmp_path):
    contents = set()
    for name, fields, kept in [
        ("a", {}, ENGLISH),
        ("b", {"threshold": 0.7}, ENGLISH),
        ("c", {"ngram": 4}, ENGLISH),
        ("d", {}, KOREAN),
        ("e", {"seed": 2}, ENGLISH),
    ]:
        index = DedupIndex.create(tmp_path / name, **fields)
        index.add(frame([kept]), added=DAY)
        contents.add(index.state().content)
    assert len(contents) == 5


# --------------------------------------------------------------------------------------------------
# The disk


def test_equal_additions_leave_a_segment_per_doubling(index):
    sizes = []
    for number in range(16):
        index.add(frame([f"{ENGLISH} {number}"], f"day{number}"))
        sizes.append(index.describe().segments)
    # One segment per one in the binary form of the count.
    assert sizes == [(n + 1).bit_count() for n in range(16)]


def test_an_index_is_verified_by_its_digests(index):
    index.add(KEPT)
    index.verify()
    path = next(Path(index.address).glob("segment-*/sketches.npy"))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(IntegrityError, match=r"sketches\.npy"):
        index.verify()


@pytest.mark.parametrize("name", ["band_keys", "records", "sketches"])
def test_a_file_that_was_cut_or_lost_is_told_when_the_index_is_opened(index, name):
    index.add(KEPT)
    path = next(Path(index.address).glob(f"segment-*/{name}.npy"))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(IntegrityError, match=name):
        DedupIndex.open(index.address)
    path.unlink()
    with pytest.raises(IntegrityError, match=f"{name}.npy: is missing"):
        DedupIndex.open(index.address)


@pytest.mark.parametrize("stored", ["[]", "{", '{"format": 99}'])
def test_a_manifest_of_something_else_is_refused(index, stored):
    (Path(index.address) / "index.json").write_text(stored)
    with pytest.raises(IntegrityError):
        DedupIndex.open(index.address)


def test_an_index_is_not_made_over_something_else(tmp_path, index):
    with pytest.raises(ConfigError, match="there is an index already"):
        DedupIndex.create(index.address)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="there is something else already"):
        DedupIndex.create(tmp_path / "file")


@pytest.mark.parametrize("address", ["nowhere", "s3://bucket/kept.index"])
def test_an_index_that_is_not_there_is_told(tmp_path, monkeypatch, address):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"there is no index|cannot be kept there"):
        DedupIndex.open(address)


@pytest.mark.parametrize(
    ("field", "value"), [("threshold", 1.5), ("ngram", 0), ("unit", "line"), ("num_perm", 8)]
)
def test_a_parameter_out_of_range_is_refused_by_its_name(tmp_path, field, value):
    with pytest.raises(ConfigError, match=field):
        DedupIndex.create(tmp_path / "kept.index", **{field: value})
    assert not (tmp_path / "kept.index").exists()


class Failing:
    """Stands in for a system call and fails from its n-th call on."""

    def __init__(self, call, after):
        self.call, self.left = call, after

    def __call__(self, *args, **kwargs):
        if self.left == 0:
            raise OSError(28, "No space left on device")
        self.left -= 1
        return self.call(*args, **kwargs)


@pytest.mark.parametrize("name", ["fsync", "replace", "open"])
def test_an_addition_that_fails_at_any_system_call_is_whole_or_absent(tmp_path, monkeypatch, name):
    monkeypatch.setattr("datatools.dedup_index.local_index._PIECE", 100)
    index = DedupIndex.create(tmp_path / "kept.index")
    index.add(KEPT[:150], added=DAY)
    before, matches = files(index), index.match(ASKED)
    whole = tmp_path / "whole"
    shutil.copytree(index.address, whole)
    expected = DedupIndex.open(whole)
    expected.add(KEPT[150:], added=DAY)
    failed = 0
    for after in range(100):
        opened = DedupIndex.open(index.address)
        with monkeypatch.context() as patch:
            patch.setattr(os, name, Failing(getattr(os, name), after))
            try:
                opened.add(KEPT[150:], added=DAY)
            except (DataError, ConfigError):
                failed += 1
            else:
                break
        assert opened.match(ASKED).equals(matches)
        if DedupIndex.open(index.address).state() == expected.state():
            break  # all was written, and only the name's safety is in doubt
        assert before.items() <= files(index).items()
        assert DedupIndex.open(index.address).match(ASKED).equals(matches)
    assert failed > 0
    assert DedupIndex.open(index.address).state() == expected.state()
    DedupIndex.open(index.address).add(KEPT)  # nothing is new, but what was left is removed
    assert set(files(index)) == set(files(expected))


def test_what_a_killed_writer_left_is_ignored_and_then_removed(index):
    index.add(KEPT[:200])
    torn = Path(index.address) / "segment-00000002"
    torn.mkdir()
    (torn / "band_keys.npy").write_bytes(b"half of")
    (Path(index.address) / ".tmp-1-0-index.json").write_bytes(b"{")
    opened = DedupIndex.open(index.address)
    assert len(opened) == 200
    opened.add(KEPT[200:])
    assert told(opened.match(ASKED)) == slowly_matched(opened, KEPT, ASKED)
    opened.verify()
    assert not list(Path(index.address).glob(".tmp-*"))


def test_a_second_writer_is_refused_and_readers_are_not(index):
    index.add(KEPT)
    with held(Path(index.address), "another"):
        with pytest.raises(OutputHeldError, match="another process is changing"):
            index.add(frame([ENGLISH], "more"))
        with pytest.raises(OutputHeldError):
            index.compact()
        assert len(DedupIndex.open(index.address).match(ASKED)) == len(ASKED)


def test_a_writer_sees_what_another_added_meanwhile(index):
    other = DedupIndex.open(index.address)
    index.add(frame([ENGLISH]))
    done = other.add(frame([ENGLISH, KOREAN]))
    assert (done.documents, done.known, len(other)) == (1, 1, 2)


def test_a_reader_goes_on_while_the_index_is_compacted(index):
    index.add(KEPT[:300])
    index.add(KEPT[300:])
    reader = DedupIndex.open(index.address)
    before = reader.match(ASKED)
    index.compact()
    assert reader.match(ASKED).equals(before)


def test_a_reader_that_has_an_old_manifest_takes_the_new_one(index):
    index.add(KEPT[:300])
    index.add(KEPT[300:])
    old = json.loads((Path(index.address) / "index.json").read_text())
    index.compact()
    reader = LocalIndex(index.address, old)
    assert reader.match(ASKED).equals(index.match(ASKED))


# --------------------------------------------------------------------------------------------------
# Published datasets


def test_a_dataset_is_added_once(tmp_path, index):
    from jobs import dataset, run_job

    from datatools import steps

    source = tmp_path / "in.jsonl"
    frame([ENGLISH, KOREAN]).select("text").write_ndjson(source)
    chain = (steps.ReadJsonl(paths=(str(source),)), steps.Split(validation=0.5))
    run_job(tmp_path / "out", {"pretrain": dataset(*chain)})
    folder = tmp_path / "out/pretrain"
    assert index.add_dataset(folder).documents == 2
    again = index.add_dataset(folder)
    assert (again.documents, again.known, again.again) == (0, 0, True)
    (matches,) = (pl.concat(index.match_dataset(folder)),)
    assert matches["match"].to_list() == matches["id"].to_list()
    assert matches["source"].to_list() == ["pretrain"] * 2
    assert index.history.additions[-1].name == "pretrain"


def test_a_folder_that_is_no_dataset_is_refused(tmp_path, index):
    with pytest.raises(DataError, match="not a published dataset"):
        index.add_dataset(tmp_path)
