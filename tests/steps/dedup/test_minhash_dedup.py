import json
import re

import polars as pl
import pytest
import toys
from jobs import dataset, published, run_job
from slow_similarity import corpus, similar_pairs, similarity

from datatools.errors import ConfigError
from datatools.steps.dedup.minhash_dedup import MinHashDedup


def deduped(texts, **settings):
    """Return the positions that stay, and {position: (survivor's position, similarity)}."""
    frame = pl.DataFrame(
        {"id": [str(i) for i in range(len(texts))], "text": texts},
        schema={"id": pl.String, "text": pl.String},
    )
    kept, dropped = MinHashDedup(**settings).apply(frame)
    evidence = [json.loads(detail) for detail in dropped["detail"]]
    gone = {
        int(id_): (int(told["survivor"]), told["similarity"])
        for id_, told in zip(dropped["id"], evidence, strict=True)
    }
    assert set(dropped["reason"]) <= {"near_duplicate"}
    return [int(id_) for id_ in kept["id"]], gone


@pytest.mark.parametrize("keep", ["longest", "first"])
@pytest.mark.parametrize("threshold", [0.5, 0.8, 1.0])
def test_every_removed_document_reached_the_threshold_against_one_that_stays(keep, threshold):
    texts = corpus(seed=11, families=30)
    kept, gone = deduped(texts, keep=keep, threshold=threshold)
    assert sorted([*kept, *gone]) == list(range(len(texts)))
    assert gone
    for removed, (survivor, told) in gone.items():
        exact = similarity(texts[removed], texts[survivor])
        assert survivor in kept
        assert exact >= threshold
        assert told == round(exact, 4)


@pytest.mark.parametrize("keep", ["longest", "first"])
def test_the_survivor_is_the_better_one(keep):
    texts = corpus(seed=12, families=30)
    _, gone = deduped(texts, keep=keep)
    for removed, (survivor, _) in gone.items():
        if keep == "first":
            assert survivor < removed
        else:
            size = len(texts[removed].encode()), len(texts[survivor].encode())
            assert (-size[1], survivor) < (-size[0], removed)


def test_at_least_95_of_100_planted_pairs_are_told_apart():
    texts = corpus(seed=13, families=60)
    kept, _ = deduped(texts)
    truth = similar_pairs(texts, 0.8)
    assert len(truth) > 80
    stay = set(kept)
    missed = [pair for pair in truth if set(pair) <= stay]
    assert len(missed) / len(truth) <= 0.05


def test_documents_without_a_near_duplicate_all_stay():
    texts = corpus(seed=14, families=30)
    kept, _ = deduped(texts)
    in_pairs = {i for pair in similar_pairs(texts, 0.8) for i in pair}
    assert set(range(len(texts))) - in_pairs <= set(kept)


def test_a_chain_is_not_merged_over_its_ends():
    words = [f"w{i}" for i in range(60)]
    a, b, c = " ".join(words), " ".join([*words[4:], "x1"]), " ".join([*words[12:], "x1", "x2"])
    assert similarity(a, b) >= 0.8 > similarity(a, c)
    assert similarity(b, c) >= 0.8
    kept, gone = deduped([a, b, c], keep="first")
    assert kept == [0, 2]
    assert gone == {1: (0, round(similarity(a, b), 4))}


def test_the_longest_counts_bytes_so_that_korean_is_not_short():
    korean = "가나 다라 마바 사아 자차 카타 파하"
    kept, _ = deduped([korean, korean + "!" * 3])
    assert kept == [1]
    assert deduped([korean, korean])[0] == [0]  # a tie goes to the first


@pytest.mark.parametrize(
    "texts",
    [
        ["the cat sat on the mat today", "The CAT sat, on the mat: today!"],
        ["우리는 오늘 학교에 가서 책을 읽었다", "우리는 오늘, 학교에 가서 책을 읽었다!!"],
        ["too short", "Too short."],
        ["짧은 글", "짧은  글"],
        ["", ""],
        ["", None],
    ],
)
def test_case_punctuation_and_spacing_play_no_part(texts):
    assert deduped(texts, keep="first")[0] == [0]


@pytest.mark.parametrize(
    "texts",
    [
        ["the cat sat on the mat today", "a dog ran in the park all day"],
        ["one two", "one two three"],
        ["짧은 글", "다른 글"],
        ["!!!", "???"],
        ["", "a"],
    ],
)
def test_other_texts_stay(texts):
    assert deduped(texts)[0] == [0, 1]


def test_characters_find_what_words_do_not_where_there_are_no_spaces():
    one = "오늘은날씨가좋아서공원에서산책을하고책을읽었습니다정말즐거운하루였습니다"
    two = one.replace("정말", "아주")
    assert deduped([one, two], unit="char", threshold=0.6)[0] == [0]
    assert deduped([one, two], unit="word", threshold=0.6)[0] == [0, 1]


def test_without_verification_at_least_as_much_is_removed():
    texts = corpus(seed=15, families=20)
    verified, _ = deduped(texts)
    frame = pl.DataFrame({"text": texts})
    kept, dropped = MinHashDedup(verify="none").apply(frame)
    assert kept.height <= len(verified)
    assert all(json.loads(detail)["similarity"] is None for detail in dropped["detail"])


# --------------------------------------------------------------------------------------------------
# In a pipeline


def pipeline(tmp_path, name, texts, *, unit_bytes=1 << 20, **settings):
    path = tmp_path / "a.txt"
    if not path.exists():
        path.write_text("\n".join(texts) + "\n")
    source = toys.ReadLines(paths=(str(path),), unit_bytes=unit_bytes)
    run_job(tmp_path / name, {"a": dataset(source, MinHashDedup())}, **settings)
    manifest = json.loads((tmp_path / name / "a/manifest.json").read_bytes())
    kept = pl.read_parquet(tmp_path / name / "a/*.parquet")["text"].to_list()
    return kept, manifest["steps"][1], published(tmp_path / name)


def test_the_result_does_not_depend_on_shards_or_memory(tmp_path):
    texts = corpus(seed=16, families=20)
    expected = [texts[i] for i in deduped(texts)[0]]
    for name, settings in {
        "one": {},
        "many": {"unit_bytes": 2000},
        "small": {"unit_bytes": 4000, "memory": 20_000},
    }.items():
        kept, step, _ = pipeline(tmp_path, name, texts, **settings)
        assert kept == expected
        assert step["notes"]["pairs_not_compared"] == step["notes"]["buckets_cut"] == 0


def test_a_bucket_of_one_template_is_capped_and_what_was_not_compared_is_counted(tmp_path):
    template = "this is the same page footer that a thousand pages of one site have in common"
    others = corpus(seed=17, families=2)
    kept, step, _ = pipeline(tmp_path, "out", [template] * 300 + others)
    assert kept.count(template) == 1
    assert step["counts"]["dropped"]["near_duplicate"] >= 299
    hubs = 8
    left_out = 300 * 299 // 2 - sum(299 - hub for hub in range(hubs))
    # Every band has the bucket, and each counts what it left out.
    assert step["notes"]["pairs_not_compared"] == 17 * left_out


# --------------------------------------------------------------------------------------------------
# Configuration


@pytest.mark.parametrize("step", [{"threshold": 0.02}, {"threshold": 0.1, "num_perm": 16}])
def test_a_threshold_that_no_bands_can_find_is_refused_before_anything_runs(step):
    with pytest.raises(ConfigError, match=r"no bands of \d+ permutations reach a recall of 0.98"):
        MinHashDedup(**step)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"compatible": "datasketch", "unit": "char"}, "datasketch signatures are made of words"),
        ({"shingle_hash": "xxh32"}, "is read only with `compatible: datasketch`"),
    ],
)
def test_what_another_librarys_signatures_cannot_be_is_refused(step, message):
    with pytest.raises(ConfigError, match=message):
        MinHashDedup(**step)


# --------------------------------------------------------------------------------------------------
# Signatures of another library


def test_an_index_that_datasketch_built_finds_what_our_signatures_ask_for():
    datasketch = pytest.importorskip("datasketch")
    texts = [
        "the quick brown fox jumps over the lazy dog and runs into the green wood",
        "우리는 오늘 학교에 가서 책을 읽고 친구와 오래 이야기를 나누었다 그리고 집에 왔다",
    ]
    index = datasketch.MinHashLSH(threshold=0.8, num_perm=128)
    for text in texts:
        words = re.findall(r"\w+", text.lower())
        sketch = datasketch.MinHash(num_perm=128)
        for i in range(len(words) - 4):
            sketch.update(" ".join(words[i : i + 5]).encode())
        index.insert(text, sketch)
    asked = pl.Series([text.upper() + "!" for text in texts])
    step = MinHashDedup(compatible="datasketch")
    for text, row in zip(texts, step.signatures(asked), strict=True):
        ours = datasketch.MinHash(num_perm=128, hashvalues=row, scheme="affine32")
        assert index.query(ours) == [text]


@pytest.mark.parametrize("compatible", ["datasketch", "datatrove"])
@pytest.mark.parametrize("verify", ["exact", "signature"])
def test_the_signatures_of_another_library_find_the_same_duplicates(compatible, verify):
    texts = corpus(seed=18, families=20)
    truth = similar_pairs(texts, 0.8)
    _, gone = deduped(texts, compatible=compatible, verify=verify)
    assert len(gone) >= 10
    if verify == "exact":
        assert all(tuple(sorted((a, b))) in truth for a, (b, _) in gone.items())


def test_verification_by_signatures_tells_the_share_of_equal_positions():
    texts = corpus(seed=19, families=20)
    step = MinHashDedup(verify="signature")
    signatures = step.signatures(pl.Series(texts), seed=0)
    _, gone = deduped(texts, verify="signature")
    assert gone
    for removed, (survivor, told) in gone.items():
        assert told == round(float((signatures[removed] == signatures[survivor]).mean()), 4) >= 0.8


def test_letters_as_tokens_see_through_korean_particles():
    words = ["학교", "친구", "도서관", "이야기", "저녁", "버스", "우산", "창문", "편지", "바다"]
    words += ["고양이", "기차", "사과", "시장"]
    one = " ".join(f"{word}에서 우리는 만났다" for word in words)
    two = one.replace("도서관에서", "도서관에는").replace("바다에서", "바다에는")
    assert deduped([one, two], unit="word")[0] == [0, 1]
    assert deduped([one, two], unit="auto")[0] == [0]
