from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from datatools.errors import ConfigError, DataError
from datatools.judge.arm import Arm, Text, read_arm


def an_arm(count: int = 200, name: str = "A") -> Arm:
    texts = [Text(f"id{at}", f"문서 {at} " + "text " * (at % 7 + 1)) for at in range(count)]
    return read_arm(texts, name)


def publish(folder: Path, **splits: pl.DataFrame) -> Path:
    folder.mkdir()
    shards = []
    for split, frame in splits.items():
        file = folder / f"{split}-00000-of-00001.parquet"
        frame.write_parquet(file)
        size = file.stat().st_size
        shards.append(
            {"path": file.name, "rows": frame.height, "bytes": size, "sha256": "", "split": split}
        )
    rows = sum(frame.height for frame in splits.values())
    manifest = {"kind": "document", "rows": rows, "shards": shards}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_lists_frames_and_published_datasets_give_the_same_arm(tmp_path: Path) -> None:
    rows = [
        {"id": "b", "text": "둘째 text", "source": "s"},
        {"id": "a", "text": "첫째 text", "source": "s"},
    ]
    expected = (Text("a", "첫째 text", "s"), Text("b", "둘째 text", "s"))
    frame = pl.DataFrame(rows)
    held_out = pl.DataFrame({"id": ["c"], "text": ["held out"], "source": ["s"]})
    folder = publish(tmp_path / "data", train=frame, validation=held_out)
    forms = [rows, frame, folder, str(folder), [Text(**row) for row in rows]]
    for form in forms:
        assert read_arm(form, "A").documents == expected


def test_a_dataset_with_only_a_held_out_split_is_refused(tmp_path: Path) -> None:
    frame = pl.DataFrame({"id": ["c"], "text": ["held out"]})
    folder = publish(tmp_path / "data", validation=frame)
    with pytest.raises(ConfigError, match="no split to train on"):
        read_arm(folder, "A")


def test_a_dataset_of_conversations_is_refused(tmp_path: Path) -> None:
    folder = publish(tmp_path / "data", train=pl.DataFrame({"id": ["c"], "messages": [["x"]]}))
    with pytest.raises(ConfigError, match=r"needs a column `text` \(got \['id', 'messages'\]\)"):
        read_arm(folder, "A")


@pytest.mark.parametrize("bad", [[1], [{"id": "a"}], [{"text": None}], [None]])
def test_what_is_no_text_is_named_by_its_place(bad: list[object]) -> None:
    with pytest.raises(DataError, match=r"arm A\[1\]: must be a text"):
        read_arm(["fine", *bad], "A")  # type: ignore[list-item]


def test_the_order_of_documents_changes_neither_digest_nor_draw() -> None:
    one = an_arm()
    other = read_arm(list(one.documents[::-1]), "A")
    assert one.digest() == other.digest()
    assert one.take_bytes(900, seed=3, draw=1) == other.take_bytes(900, seed=3, draw=1)
    assert one.take_share(0.5, seed=3, draw=1) == other.take_share(0.5, seed=3, draw=1)


def test_a_draw_holds_the_budget_to_the_byte_and_repeats_nothing() -> None:
    arm = an_arm()
    for budget in (1, 2, 100, 1001, 2002):
        taken = arm.take_bytes(budget, seed=0, draw=0)
        size = sum(len(text.encode()) for text in taken)
        assert budget - 3 < size <= budget  # a Hangul syllable has three bytes
        whole = list(taken[:-1])
        assert len(set(whole)) == len(whole)
        assert set(whole) <= set(arm.texts)


def test_a_draw_of_more_than_there_is_gives_all_there_is() -> None:
    arm = an_arm(10)
    assert sorted(arm.take_bytes(10**9, seed=0, draw=0)) == sorted(arm.texts)
    assert sorted(arm.take_share(1.0, seed=0, draw=0)) == sorted(arm.texts)


def test_both_arms_draw_the_same_documents_where_both_have_them() -> None:
    a = an_arm()
    kept = [one for at, one in enumerate(a.documents) if at % 4]
    b = read_arm([Text(one.id, one.text + " cleaned") for one in kept], "B")
    drawn_a = set(a.take_share(0.5, seed=0, draw=2))
    drawn_b = set(b.take_share(0.5, seed=0, draw=2))
    assert drawn_b == {one.text + " cleaned" for one in kept if one.text in drawn_a}
    assert 0.3 < len(drawn_b) / len(kept) < 0.7


def test_draws_and_seeds_differ() -> None:
    arm = an_arm()
    draws = {tuple(arm.take_share(0.5, seed=seed, draw=draw)) for seed in (0, 1) for draw in (0, 1)}
    assert len(draws) == 4


def test_documents_of_one_id_are_drawn_apart() -> None:
    arm = read_arm(["same text"] * 400, "A")
    assert len(np.unique(arm.numbers(0, 0))) == 400
    assert 150 < len(arm.take_share(0.5, seed=0, draw=0)) < 250


def test_half_of_an_arm_holds_half_of_its_longest_document() -> None:
    lines = [f"line {at} of the long one, 긴 글의 {at}번째 줄" for at in range(2000)]
    arm = read_arm([Text("long", "\n".join(lines)), Text("short", "a short one")], "A")
    long = {piece for piece in arm.pieces if piece.startswith("line")}
    assert "".join(arm.pieces) == "".join(arm.texts)
    assert len(long) > 30
    for draw in range(5):
        taken = [piece for piece in arm.take_share(0.5, seed=0, draw=draw) if piece in long]
        assert abs(len(taken) - len(long) / 2) <= 1
        spent = arm.take_bytes(arm.size // 2, seed=0, draw=draw)
        assert abs(sum(piece in long for piece in spent) - len(long) / 2) <= 2
    draws = {frozenset(arm.take_share(0.5, seed=0, draw=draw)) for draw in range(5)}
    assert len(draws) == 5
