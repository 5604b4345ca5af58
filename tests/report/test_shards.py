import outputs
import polars as pl
import pytest
from outputs import message

from datatools.dataset import open_dataset
from datatools.report import shards


def dataset(tmp_path, rows, kind="document", **given):
    outputs.publish(tmp_path, "d", kind, rows, **given)
    return open_dataset(tmp_path / "d")


def test_languages_are_counted_with_their_bytes(tmp_path):
    rows = [
        {"id": "1", "text": "한글", "language": "ko"},
        {"id": "2", "text": "four", "language": "en"},
        {"id": "3", "text": "가", "language": "ko"},
        {"id": "4", "text": None, "language": None},
    ]
    found = shards.texts(dataset(tmp_path, rows, splits={"train": 3, "validation": 1}, shards=2))
    told = [(one.language, one.rows, one.text_bytes) for one in found.languages]
    assert told == [("ko", 2, 9), ("en", 1, 4), ("und", 1, 0)]
    assert found.rows == 4


def test_lengths_are_characters_not_bytes(tmp_path):
    rows = [{"id": "1", "text": "가" * 100, "language": "ko"}]
    rows += [{"id": "2", "text": "a" * 300, "language": "en"}]
    lengths = shards.texts(dataset(tmp_path, rows)).lengths
    assert (lengths.edges[0], lengths.edges[-1]) == (100, 300)
    assert {name: sum(counts) for name, counts in lengths.series.items()} == {"en": 1, "ko": 1}


def test_languages_beyond_the_third_are_told_together(tmp_path):
    tags = ["en"] * 4 + ["ko"] * 3 + ["de"] * 2 + ["fr", "ja"]
    rows = [{"id": str(n), "text": "x" * (n + 1), "language": tag} for n, tag in enumerate(tags)]
    lengths = shards.texts(dataset(tmp_path, rows)).lengths
    counts = {name: sum(counts) for name, counts in lengths.series.items()}
    assert counts == {"en": 4, "ko": 3, "de": 2, "other": 2}


def test_an_empty_dataset_has_no_distribution_and_no_sample(tmp_path):
    empty = dataset(tmp_path, [])
    assert shards.texts(empty) == shards.Texts(0, (), None)
    assert shards.samples(empty) == ()


def test_a_large_dataset_is_measured_on_shards_spread_evenly(monkeypatch, tmp_path):
    monkeypatch.setattr(shards, "_MEASURED_ROWS", 4)
    rows = [{"id": str(n), "text": str(n), "language": "en"} for n in range(10)]
    large = dataset(tmp_path, rows, shards=5)
    measured = shards.measured_shards(large.shards)
    assert [shard.path[:11] for shard in measured] == ["train-00000", "train-00002"]
    assert shards.texts(large).rows == 4


def test_samples_are_of_the_largest_languages_and_spread_out(tmp_path):
    tags = ["en"] * 8 + ["ko"] * 4 + ["de"]
    rows = [{"id": str(n), "text": f"{n} 글", "language": tag} for n, tag in enumerate(tags)]
    assert [sample.id for sample in shards.samples(dataset(tmp_path, rows))] == [
        "2",
        "6",
        "9",
        "11",
    ]


def test_a_sample_tells_its_signals_and_how_much_is_left_out(tmp_path):
    text = "가" * (shards.TEXT_CHARACTERS + 5)
    (sample,) = shards.samples(
        dataset(
            tmp_path,
            [{"id": "1", "text": text, "url": "u", "language": "ko"}],
            sidecar={
                "Gopher.words": [3],
                "Gopher.ratio": [0.25],
                "origin": ["f"],
                "None.m": [None],
            },
        )
    )
    assert sample.text == "가" * shards.TEXT_CHARACTERS
    assert sample.characters == shards.TEXT_CHARACTERS + 5
    assert dict(sample.signals) == {"Gopher.words": "3", "Gopher.ratio": "0.250"}


def test_a_thread_is_shown_with_its_answers(tmp_path):
    answers = [
        {"id": "a", "text": "9시.", "votes": 8, "accepted": True},
        {"id": "b", "text": "몰라요.", "votes": None, "accepted": False},
    ]
    rows = [{"id": "1", "question": "언제 여나요?", "answers": answers}]
    (sample,) = shards.samples(dataset(tmp_path, rows, kind="thread"))
    assert sample.text == "언제 여나요?\n\n→ accepted 8 votes\n9시.\n\n→\n몰라요."


def test_segments_are_the_rendered_text_cut_at_the_mask(tmp_path):
    text = "질문: 언제? 답: 9시.끝 질문: 왜? 답: 그냥.끝"
    spans = []
    for answer in ("9시.끝", "그냥.끝"):
        start = text.index(answer)
        spans.append({"start": start, "end": start + len(answer)})
    rows = [{"id": "1", "messages": [message("user", "언제?")]}]
    (found,) = shards.conversations(
        dataset(
            tmp_path,
            rows,
            kind="conversation",
            sidecar={"text": [text], "loss_spans": [spans]},
        )
    )
    assert "".join(segment.text for segment in found.segments) == text
    trained = [segment.text for segment in found.segments if segment.trained]
    assert trained == ["9시.끝", "그냥.끝"]
    assert found.messages == ()


def test_a_mask_past_the_cut_is_cut_with_the_text(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "_RENDERED_CHARACTERS", 4)
    (found,) = shards.conversations(
        dataset(
            tmp_path,
            [{"id": "1", "messages": []}],
            kind="conversation",
            sidecar={"text": ["abcdefgh"], "loss_spans": [[{"start": 2, "end": 6}]]},
        )
    )
    assert [(s.text, s.trained) for s in found.segments] == [("ab", False), ("cd", True)]
    assert found.left_out == 4


def test_a_conversation_that_is_not_rendered_is_told_by_message(tmp_path):
    said = [message("user", "언제?"), message("assistant", "9시.")]
    (found,) = shards.conversations(
        dataset(tmp_path, [{"id": "1", "messages": said}], kind="conversation")
    )
    assert [(m.role, m.text, m.trained) for m in found.messages] == [
        ("user", "언제?", False),
        ("assistant", "9시.", True),
    ]


def test_a_pair_has_both_sides(tmp_path):
    row = {
        "id": "1",
        "prompt": [message("user", "왜?")],
        "chosen": [message("assistant", "그래서.")],
        "rejected": [message("assistant", "몰라.")],
        "strength": 1.5,
    }
    (found,) = shards.pairs(dataset(tmp_path, [row], kind="preference"))
    assert [m.text for m in (*found.prompt, *found.chosen, *found.rejected)] == [
        "왜?",
        "그래서.",
        "몰라.",
    ]
    assert found.strength == 1.5


@pytest.mark.parametrize("column", ["Gopher.words", "Other.words"])
def test_measured_values_come_from_every_split(tmp_path, column):
    rows = [{"id": str(n), "text": "x"} for n in range(4)]
    found = shards.sidecar_values(
        dataset(
            tmp_path,
            rows,
            sidecar={"Gopher.words": pl.Series([1, 2, None, 4], dtype=pl.Int64)},
            splits={"train": 3, "validation": 1},
        ),
        column,
    )
    assert found is None if column.startswith("Other") else found.tolist() == [1, 2, 4]
