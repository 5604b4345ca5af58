import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datatools.errors import ConfigError
from datatools.records import SCHEMAS
from datatools.steps.ingest.read_parquet import ReadParquet

COUNT = 500
NUMBERS = np.arange(COUNT * 3, dtype=np.float64).reshape(COUNT, 3) / 7


def table(vectors, texts=None):
    texts = [f"글 {n}" for n in range(COUNT)] if texts is None else texts
    return pa.table({"text": texts, "embedding": vectors, "other": [1] * COUNT})


def frames(path, **fields):
    source = ReadParquet(paths=str(path), vectors=("embedding",), **fields)

    class Log:
        def __getattr__(self, name):
            return lambda *args, **named: None

    return [frame for unit in source.units() for frame in source.read(unit, Log(), "label")]


@pytest.mark.parametrize(
    "vectors",
    [
        pa.array(NUMBERS.tolist(), pa.list_(pa.float64())),
        pa.array(NUMBERS.tolist(), pa.large_list(pa.float32())),
        pa.array(NUMBERS.tolist(), pa.list_(pa.float32(), 3)),
    ],
    ids=["list", "large_list", "fixed_size_list"],
)
def test_vectors_of_every_type_stay_columns(vectors, tmp_path):
    pq.write_table(table(vectors), tmp_path / "a.parquet", row_group_size=70)
    found = frames(tmp_path / "a.parquet", unit_bytes=1000)
    rows = [row for frame in found for row in frame.iter_rows(named=True)]
    assert found[0].columns == [*SCHEMAS["document"], "embedding"]
    assert [row["embedding"] for row in rows] == NUMBERS.astype(np.float32).tolist()
    assert {row["meta"] for row in rows} == {'{"other":1}'}


def test_rows_that_are_quarantined_take_no_vector_of_another_along(tmp_path):
    texts = [None if n % 3 == 0 else f"글 {n}" for n in range(COUNT)]
    vectors = [None if n % 5 == 0 else vector for n, vector in enumerate(NUMBERS.tolist())]
    pq.write_table(table(vectors, texts), tmp_path / "a.parquet", row_group_size=90)
    for frame in frames(tmp_path / "a.parquet"):
        for row in frame.iter_rows(named=True):
            n = row["offset"]
            assert row["text"] == f"글 {n}"
            expected = None if n % 5 == 0 else NUMBERS[n].astype(np.float32).tolist()
            assert row["embedding"] == expected


@pytest.mark.parametrize(
    ("name", "problem"),
    [("embeding", "Did you mean 'embedding'"), ("other", "does not hold lists of numbers")],
)
def test_a_column_that_holds_no_vectors_is_refused(name, problem, tmp_path):
    pq.write_table(table(NUMBERS.tolist()), tmp_path / "a.parquet")
    with pytest.raises(ConfigError, match=problem):
        ReadParquet(paths=str(tmp_path / "a.parquet"), vectors=(name,)).units()


def test_a_document_s_own_column_cannot_be_one():
    with pytest.raises(ConfigError, match="another column of this name"):
        ReadParquet(paths="a.parquet", vectors=("text",))
