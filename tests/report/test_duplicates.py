import json

import outputs
import pytest
from outputs import fate

from datatools.dataset import open_dataset
from datatools.engine.fates import PREVIEW_CHARACTERS
from datatools.report import duplicates

ENGLISH = (
    "The library opens at nine and closes at six.",
    "The library opens at ten and closes at six.",
)
KOREAN = (
    "도서관은 아홉 시에 열고 여섯 시에 닫습니다.",
    "도서관은 열 시에 열고 여섯 시에 닫습니다.",
)


def evidence(survivor, similarity=None, **more):
    value = {"survivor": survivor} | ({} if similarity is None else {"similarity": similarity})
    return json.dumps(value | more, separators=(",", ":"), ensure_ascii=False)


def clusters(tmp_path, texts, fates):
    outputs.publish(tmp_path, "d", "document", outputs.documents(texts), fates=fates)
    return duplicates.clusters(open_dataset(tmp_path / "d"))


def test_previews_are_cut_where_the_engine_cuts_them():
    assert duplicates.PREVIEW_CHARACTERS == PREVIEW_CHARACTERS


@pytest.mark.parametrize(("kept", "removed"), [ENGLISH, KOREAN])
def test_a_removed_record_is_compared_with_the_one_that_stayed(tmp_path, kept, removed):
    gone = fate("b", "MinHashDedup", "near_duplicate", detail=evidence("a", 0.9), preview=removed)
    found = clusters(tmp_path, {"a": kept}, [gone])
    (difference,) = found.largest[0].differences
    assert "".join(p.text for p in difference.pieces if p.side != "second") == removed
    assert "".join(p.text for p in difference.pieces if p.side != "first") == kept
    changed = [p.text for p in difference.pieces if p.side != "both"]
    assert changed in (["ten", "nine"], ["열", "아홉"])
    assert (difference.similarity, difference.cut) == (0.9, False)


def test_the_largest_clusters_come_first(tmp_path):
    rows = [fate(f"x{n}", "D", "r", detail=evidence("a", 0.8)) for n in range(3)]
    rows += [fate("y", "D", "r", detail=evidence("b", 0.95))]
    rows += [fate(f"z{n}", "D", "r", detail=evidence("c", 0.9)) for n in range(2)]
    found = clusters(tmp_path, {"a": "가", "b": "나", "c": "다"}, rows)
    assert [(c.survivor, c.removed, c.lowest) for c in found.largest] == [
        ("a", 3, 0.8),
        ("c", 2, 0.9),
        ("b", 1, 0.95),
    ]
    assert (found.clusters, found.removed) == (3, {"D": 6})
    assert sum(found.similarity["D"].series["removed"]) == 6


def test_what_follows_the_cut_preview_is_not_a_difference(tmp_path):
    words = [f"낱말{n}" for n in range(400)]
    kept = " ".join(words)
    removed = kept.replace("낱말5 ", "바뀐 ")[:PREVIEW_CHARACTERS]
    gone = fate("b", "MinHashDedup", "near_duplicate", detail=evidence("a", 0.9), preview=removed)
    (difference,) = clusters(tmp_path, {"a": kept}, [gone]).largest[0].differences
    assert difference.cut
    assert [p.text for p in difference.pieces if p.side != "both"] == ["바뀐", "낱말5"]


def test_layout_is_not_a_difference(tmp_path):
    gone = fate("b", "D", "r", detail=evidence("a"), preview="one\n\n\ntwo \u00a0 three")
    (difference,) = clusters(tmp_path, {"a": "one\ntwo three"}, [gone]).largest[0].differences
    assert {piece.side for piece in difference.pieces} == {"both"}


def test_a_survivor_that_left_later_is_told_with_its_reason(tmp_path):
    rows = [
        fate("b", "ExactDedup", "exact_duplicate", detail=evidence("a"), preview="글"),
        fate("a", "MinHashDedup", "near_duplicate", detail=evidence("c", 0.9)),
    ]
    found = clusters(tmp_path, {"c": "글 하나"}, rows)
    first = next(c for c in found.largest if c.survivor == "a")
    assert first.survivor_text is None
    assert first.survivor_left == "MinHashDedup: near_duplicate"
    assert first.differences == ()


def test_details_that_only_look_like_evidence_are_left_alone(tmp_path):
    rows = [
        fate("1", "D", "r", detail='{"survivor'),
        fate("2", "D", "r", detail='{"other": 1}'),
        fate("3", "D", "r", detail="survivor"),
    ]
    assert clusters(tmp_path, {"a": "글"}, rows) is None


# --------------------------------------------------------------------------------------------------
# Sizes


def bins_by_hand(sizes):
    """Return clusters and removed records by range, found by trying every range in turn."""
    found = []
    low, high = 2, 2
    while low <= max(sizes):
        inside = [size for size in sizes if low <= size <= high]
        found.append((low, high, len(inside), sum(size - 1 for size in inside)))
        low, high = high + 1, 2 * high
    return found


@pytest.mark.parametrize(
    "sizes", [[2], [2, 3, 4, 5], [9], [2, 2, 8, 9, 16, 17, 33], [4, 4, 4], [64, 65]]
)
def test_clusters_are_counted_in_ranges_of_sizes_that_double(tmp_path, sizes):
    rows = [
        fate(f"{number}-{n}", "D", "r", detail=evidence(f"s{number}"))
        for number, size in enumerate(sizes)
        for n in range(size - 1)
    ]
    found = clusters(tmp_path, {"a": "글"}, rows).sizes
    assert [(one.low, one.high, one.clusters, one.removed) for one in found] == bins_by_hand(sizes)


def test_similarity_is_told_for_each_step_that_measured_it(tmp_path):
    rows = [fate(f"m{n}", "MinHashDedup", "r", detail=evidence("a", 0.8)) for n in range(3)]
    rows += [fate("e", "ExactDedup", "r", detail=evidence("a"))]
    rows += [fate("s", "SemanticDedup", "r", detail=evidence("a", 1.0))]
    found = clusters(tmp_path, {"a": "글"}, rows).similarity
    assert {label: sum(one.series["removed"]) for label, one in found.items()} == {
        "MinHashDedup": 3,
        "SemanticDedup": 1,
    }
    assert all(0.8 <= one.edges[0] <= 0.9 and one.edges[-1] == 1 for one in found.values())


# --------------------------------------------------------------------------------------------------
# Sources


def table(across):
    """Return the counts that are not 0, by the names of both sides."""
    return {
        (removed, stayed): number
        for removed, row in zip(across.removed, across.counts, strict=True)
        for stayed, number in zip(across.stayed, row, strict=True)
        if number
    }


def test_duplicates_are_counted_by_the_sources_of_both_sides(tmp_path):
    rows = outputs.documents({"a": "가", "b": "나"})
    rows[0]["source"], rows[1]["source"] = "신문", "blogs"
    fates = [fate(f"x{n}", "D", "r", detail=evidence("a"), source="blogs") for n in range(3)]
    fates += [fate("y", "D", "r", detail=evidence("b"), source="신문")]
    # This one stayed, and left later: its source is in the fates.
    fates += [fate("z", "D", "r", detail=evidence("gone"), source="blogs")]
    fates += [fate("gone", "Short", "too_short", source="메일")]
    fates += [fate("w", "D", "r", detail=evidence("nowhere"))]
    outputs.publish(tmp_path, "d", "document", rows, fates=fates)
    assert table(duplicates.clusters(open_dataset(tmp_path / "d")).across) == {
        ("blogs", "신문"): 3,
        ("신문", "blogs"): 1,
        ("blogs", "메일"): 1,
        ("not told", "not told"): 1,
    }


def test_sources_of_another_dataset_and_of_an_index_are_told_with_it(tmp_path):
    archive = outputs.documents({"k": "옛글"})
    archive[0]["source"] = "dump"
    outputs.publish(tmp_path, "archive", "document", archive)
    fates = [
        fate("1", "D", "r", detail=evidence("k", dataset="archive"), source="crawl"),
        fate("2", "D", "r", detail=evidence("k", dataset="hidden"), source="crawl"),
        fate("3", "I", "r", detail=evidence("k", 0.9, added="2026-01-31", source="last")),
        fate("4", "D", "r", detail=evidence("a", dataset=None), source="crawl"),
    ]
    found = clusters(tmp_path, {"a": "글"}, fates)
    assert table(found.across) == {
        ("crawl", "dump in archive"): 1,
        ("crawl", "not told in hidden"): 1,
        ("not told", "last in an index"): 1,
        ("crawl", "pages"): 1,
    }


def test_sources_beyond_the_twelfth_are_summed(tmp_path):
    fates = [
        fate(f"{number}-{n}", "D", "r", detail=evidence("a"), source=f"s{number:02}")
        for number in range(15)
        for n in range(15 - number)
    ]
    across = clusters(tmp_path, {"a": "글"}, fates).across
    assert across.removed == (*(f"s{number:02}" for number in range(12)), "3 others")
    assert across.counts[-1] == (3 + 2 + 1,)
    assert (across.summed, sum(map(sum, across.counts))) == ((3, 0), len(fates))


def test_a_rest_of_one_source_has_its_own_name(tmp_path):
    fates = [
        fate(f"{number}", "D", "r", detail=evidence("a"), source=f"s{number:02}")
        for number in range(13)
    ]
    across = clusters(tmp_path, {"a": "글"}, fates).across
    assert (across.removed[-1], across.summed) == ("s12", (0, 0))


# --------------------------------------------------------------------------------------------------
# Survivors elsewhere


@pytest.mark.parametrize(("kept", "removed"), [ENGLISH, KOREAN])
def test_a_survivor_in_another_dataset_is_compared_there(tmp_path, kept, removed):
    outputs.publish(tmp_path, "archive", "document", outputs.documents({"k": kept}))
    gone = fate("b", "D", "r", detail=evidence("k", 0.9, dataset="archive"), preview=removed)
    (cluster,) = clusters(tmp_path, {"k": "다른 글, another text"}, [gone]).largest
    assert (cluster.survivor_in, cluster.survivor_url) == ("archive", "https://example.org/k")
    (difference,) = cluster.differences
    assert "".join(p.text for p in difference.pieces if p.side != "first") == kept


def test_a_survivor_in_an_index_is_told_with_its_day_and_address(tmp_path):
    told = evidence("k", 0.9, added="2026-01-31", source="last", url="https://old.example/k")
    gone = [fate("b", "I", "in_index", detail=told, preview="글")]
    # A record of this dataset may have the id, too: what was meant is the one in the index.
    (cluster,) = clusters(tmp_path, {"k": "글"}, gone).largest
    assert (cluster.indexed, cluster.survivor_url) == ("2026-01-31", "https://old.example/k")
    assert (cluster.survivor_text, cluster.differences) == (None, ())


def test_addresses_of_records_that_are_compared_are_not_listed_again(tmp_path):
    rows = [
        fate(
            f"x{n}",
            "D",
            "r",
            detail=evidence("a", 0.9),
            url=f"https://example.org/{n}",
            preview="글" if n in (3, 4) else None,
        )
        for n in range(7)
    ]
    (cluster,) = clusters(tmp_path, {"a": "글"}, rows).largest
    assert [one.url for one in cluster.differences] == [f"https://example.org/{n}" for n in (3, 4)]
    assert cluster.urls == tuple(f"https://example.org/{n}" for n in (0, 1, 2, 5))
