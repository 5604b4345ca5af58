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


def evidence(survivor, similarity=None):
    value = {"survivor": survivor} | ({} if similarity is None else {"similarity": similarity})
    return json.dumps(value, separators=(",", ":"))


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
    assert sum(found.similarity.series["removed"]) == 6


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
