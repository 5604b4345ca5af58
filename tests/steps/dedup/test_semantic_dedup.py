import json
import math

import numpy as np
import polars as pl
import pytest
from jobs import dataset, published, run_job

from datatools.errors import ConfigError, DataError
from datatools.kernels.cosine import choose_bits
from datatools.steps.dedup.semantic_dedup import CLOSEST, SemanticDedup
from datatools.steps.ingest.read_parquet import ReadParquet
from datatools.testing import check_step


def families(seed, count, dimensions=24):
    """Return texts, Korean and English by turns, and embeddings in families of close ones."""
    draw = np.random.default_rng(seed)
    texts, vectors = [], []
    for family in range(count):
        base = draw.normal(size=dimensions)
        for copy in range(draw.integers(1, 5)):
            noise = draw.normal(size=dimensions) * draw.choice([0, 0.1, 0.2, 0.4])
            vectors.append((base + noise).tolist())
            word = "글" if family % 2 else "text"
            texts.append(f"{word} {family} " + "." * copy)
    order = draw.permutation(len(texts))
    return [texts[at] for at in order], [vectors[at] for at in order]


def cosine(one, other):
    """Return the cosine by the book, exactly rounded sums."""
    product = math.fsum(a * b for a, b in zip(one, other, strict=True))
    return product / math.sqrt(math.fsum(a * a for a in one) * math.fsum(b * b for b in other))


def slow_dedup(vectors, threshold, order):
    """Return {position: position that stays} by comparing everything with everything that stays."""
    gone, stays = {}, []
    for at in order:
        close = [other for other in stays if cosine(vectors[at], vectors[other]) >= threshold]
        if close:
            gone[at] = close[0]
        else:
            stays.append(at)
    return gone


@pytest.mark.parametrize("keep", ["first", "longest"])
@pytest.mark.parametrize("threshold", [0.85, 0.97, 1.0])
def test_what_is_removed_is_close_to_what_stays(keep, threshold):
    texts, vectors = families(5, 60)
    frame = pl.DataFrame({"text": texts, "embedding": vectors}).with_columns(
        id=pl.int_range(pl.len()).cast(pl.String)
    )
    kept, dropped = SemanticDedup(threshold=threshold, keep=keep).apply(frame)
    order = sorted(
        range(len(texts)), key=lambda at: (-len(texts[at].encode()) * (keep == "longest"), at)
    )
    stays = {int(id_) for id_ in kept["id"]}
    told = [json.loads(detail) for detail in dropped["detail"]]
    gone = {
        int(id_): int(detail["survivor"]) for id_, detail in zip(dropped["id"], told, strict=True)
    }
    assert set(dropped["reason"]) <= {"semantic_duplicate"}
    assert set(gone.values()) <= stays
    for (at, survivor), detail in zip(gone.items(), told, strict=True):
        similarity = cosine(vectors[at], vectors[survivor])
        assert similarity >= threshold - 1e-12
        assert detail["similarity"] == pytest.approx(similarity, abs=1e-4)
    # Of few vectors the search finds every pair; see the kernel's tests for its recall.
    assert gone == slow_dedup(vectors, threshold, order)


def test_a_chain_is_not_merged():
    angles = [0.0, 0.3, 0.6]
    vectors = [[math.cos(angle), math.sin(angle)] for angle in angles]
    frame = pl.DataFrame({"text": list("abc"), "embedding": vectors})
    kept, _ = SemanticDedup(threshold=math.cos(0.4)).apply(frame)
    assert kept["text"].to_list() == ["a", "c"]


ROWS = {
    "id": list("abcdef"),
    "text": ["하나", "one", "둘", "two", "셋", "three"],
    "embedding": [[1.0, 0.0], [2.0, 0.1], None, [0.0, 0.0], [math.nan, 1.0], [1.0, 0.01]],
}


@pytest.mark.parametrize(
    "dtype", [pl.List(pl.Float64), pl.List(pl.Float32), pl.Array(pl.Float32, 2)]
)
def test_records_without_an_embedding_stay(dtype, tmp_path):
    frame = pl.DataFrame(ROWS).with_columns(pl.col("embedding").cast(dtype))
    kept, _ = SemanticDedup().apply(frame)
    assert kept["id"].to_list() == ["a", "c", "d", "e"]
    path = tmp_path / "a.parquet"
    frame.write_parquet(path)
    source = ReadParquet(paths=(str(path),), id="id", vectors=("embedding",))
    run_job(tmp_path / "out", {"a": dataset(source, SemanticDedup())})
    assert pl.read_parquet(tmp_path / "out/a/*.parquet")["text"].to_list() == [
        "하나",
        "둘",
        "two",
        "셋",
    ]
    notes = json.loads((tmp_path / "out/a/manifest.json").read_text())["steps"][1]["notes"]
    assert notes == {
        "pairs_proposed": 3,
        "buckets_cut": 0,
        "pairs_not_compared": 0,
        "without_embedding": 3,
    }


def test_pairs_that_were_not_compared_are_counted_and_told(tmp_path):
    # One bucket a band, and in it 12 copies: the 10th to 12th are close to 9, 10 and 11 others.
    frame = pl.DataFrame({"text": ["글"] * 12, "embedding": [[1.0, 2.0]] * 12})
    frame.write_parquet(tmp_path / "a.parquet")
    source = ReadParquet(paths=(str(tmp_path / "a.parquet"),), vectors=("embedding",))
    step = SemanticDedup(threshold=0.99)
    result = run_job(tmp_path / "out", {"pages": dataset(source, step)})
    bands, _, _ = choose_bits(0.99, 12)
    notes = result.datasets["pages"]["steps"][1]["notes"]
    assert notes == {
        "pairs_proposed": 28 + 4 * CLOSEST,
        "buckets_cut": bands,
        "pairs_not_compared": bands * (1 + 2 + 3),
        "without_embedding": 0,
    }
    which = "1 bucket was" if bands == 1 else f"{bands} buckets were"
    told = f"SemanticDedup in pages: {which} too large: {6 * bands} pairs not compared"
    assert told in result.notes


def test_documents_of_another_dataset_are_never_removed(tmp_path):
    for name, texts, vectors in (
        ("mine", ["먼저", "mine"], [[1.0, 0.0], [0.0, 1.0]]),
        ("theirs", ["theirs", "또"], [[1.0, 0.01], [1.0, 0.0]]),
    ):
        pl.DataFrame({"text": texts, "embedding": vectors}).write_parquet(
            tmp_path / f"{name}.parquet"
        )
    theirs, mine = (
        ReadParquet(paths=(str(tmp_path / f"{name}.parquet"),), vectors=("embedding",))
        for name in ("theirs", "mine")
    )
    step = SemanticDedup(against="theirs")
    run_job(tmp_path / "out", {"theirs": dataset(theirs), "mine": dataset(mine, step)})
    assert pl.read_parquet(tmp_path / "out/mine/*.parquet")["text"].to_list() == ["mine"]
    assert pl.read_parquet(tmp_path / "out/theirs/*.parquet").height == 2


@pytest.mark.parametrize("settings", [{"executor": "processes", "workers": 2}])
def test_output_does_not_depend_on_workers(settings, tmp_path):
    texts, vectors = families(9, 80)
    frame = pl.DataFrame({"text": texts, "embedding": vectors})
    frame.write_parquet(tmp_path / "a.parquet", row_group_size=20)
    source = ReadParquet(
        paths=(str(tmp_path / "a.parquet"),), vectors=("embedding",), unit_bytes=2000
    )
    steps = {"a": dataset(source, SemanticDedup(threshold=0.9))}
    run_job(tmp_path / "one", steps)
    run_job(tmp_path / "two", steps, **settings)
    assert published(tmp_path / "one") == published(tmp_path / "two")


def test_embeddings_of_two_models_are_refused():
    frame = pl.DataFrame({"text": ["a", "나"], "embedding": [[1.0], [1.0, 2.0]]})
    with pytest.raises(DataError, match="several lengths"):
        SemanticDedup().apply(frame)


def test_a_column_of_something_else_is_refused():
    frame = pl.DataFrame({"text": ["a"], "embedding": ["[1.0]"]})
    with pytest.raises(ConfigError, match="does not hold lists of numbers"):
        SemanticDedup().apply(frame)


@pytest.mark.parametrize("fields", [{}, {"threshold": 0.8, "keep": "longest"}])
def test_it_keeps_the_contract(fields):
    texts, vectors = families(7, 12)
    check_step(SemanticDedup(**fields), pl.DataFrame({"text": texts, "embedding": vectors}))
