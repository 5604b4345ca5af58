import datetime

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datatools.steps.ingest.arrow_rows import ArrowRows
from datatools.steps.ingest.read_parquet import ReadParquet


class Log:
    def __init__(self):
        self.lost = []

    def quarantined(self, id, reason, *, offset, detail=""):
        self.lost.append((id, reason, offset, detail))


def rows(step, first=0):
    log = Log()
    made = ArrowRows(step, "a/b.parquet", log, "가게")
    made.row = first
    return made, log


def by_column(batch, step, first=0):
    made, log = rows(step, first)
    frames = [*made.take(batch), *made.frames.rest()]
    return frames, log.lost, made.row


def by_row(batch, step, first=0):
    made, log = rows(step, first)
    frames = [*made._row_by_row(batch), *made.frames.rest()]
    return frames, log.lost, made.row


def step(**fields):
    return ReadParquet(paths=("x",), **fields)


text = st.text("ab 가나\n", max_size=6)
COLUMNS = {
    "text": st.none() | text,
    "body": text,
    "url": st.none() | text,
    "key": text,
    "number": st.integers(0, 5),
    "rate": st.none() | st.floats(),
    "day": st.dates(),
    "tags": st.lists(text, max_size=2),
    "raw": st.binary(max_size=3),
}


@given(
    names=st.permutations(sorted(COLUMNS)).flatmap(
        lambda names: st.integers(1, len(names)).map(lambda n: names[:n])
    ),
    data=st.data(),
    height=st.integers(1, 5),
    settings=st.sampled_from(
        [
            {},
            {"id": "key"},
            {"id": "number"},
            {"text": "body"},
            {"id": "text"},
            {"id": "url"},
            {"source": "key"},
            {"url": "number"},
            {"date": "day"},
            {"date": "url"},
            {"license": "raw"},
        ]
    ),
)
def test_columns_give_what_rows_give(names, data, height, settings):
    types = {"day": pa.date32(), "tags": pa.list_(pa.string()), "raw": pa.binary()}
    batch = pa.RecordBatch.from_arrays(
        [
            pa.array(
                data.draw(st.lists(COLUMNS[name], min_size=height, max_size=height)),
                types.get(name)
                or (pa.int64() if name == "number" else None)
                or (pa.float64() if name == "rate" else pa.large_string()),
            )
            for name in names
        ],
        names,
    )
    columns, lost, row = by_column(batch, step(**settings), 7)
    others, others_lost, other_row = by_row(batch, step(**settings), 7)
    assert (lost, row) == (others_lost, other_row)
    assert [frame.to_dicts() for frame in columns] == [frame.to_dicts() for frame in others]
    assert [frame.schema for frame in columns] == [frame.schema for frame in others]


@pytest.mark.parametrize(
    "text_column",
    [
        pa.array(["가", "b"]).dictionary_encode(),
        pa.array(["가", "b"], pa.string_view()),
        pa.array(["가", "b"], pa.large_string()),
    ],
)
def test_a_batch_without_surprises_is_taken_by_column_whatever_holds_its_text(text_column):
    day = datetime.date(2024, 2, 1)
    batch = pa.RecordBatch.from_arrays([text_column, pa.array([day, None])], ["text", "day"])
    made, _ = rows(step())
    frame = made._whole(batch)
    assert isinstance(frame, pl.DataFrame)
    assert frame["text"].to_list() == ["가", "b"]
    assert frame["meta"].to_list() == ['{"day":"2024-02-01"}', '{"day":null}']
    assert frame["source"].to_list() == ["가게", "가게"]


def test_rows_before_a_whole_batch_are_handed_out_before_it():
    made, log = rows(step())
    torn = pa.RecordBatch.from_pydict({"text": pa.array(["a", None], pa.large_string())})
    whole = pa.RecordBatch.from_pydict({"text": pa.array(["b"], pa.large_string())})
    frames = [*made.take(torn), *made.take(whole), *made.frames.rest()]
    assert [t for frame in frames for t in frame["text"].to_list()] == ["a", "b"]
    assert [o for frame in frames for o in frame["offset"].to_list()] == [0, 2]
    assert [reason for _, reason, _, _ in log.lost] == ["text_missing"]
