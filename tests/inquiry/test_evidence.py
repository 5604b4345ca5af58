import json

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datatools.inquiry.evidence import EVIDENCE, replaced_records, with_evidence

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
value = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**9), 10**9), st.floats(1e-9, 1), text, st.just("0.5")
)
keys = st.sampled_from(["similarity", "dataset", "added", "source", "url", "removed", "다른 것"])


def read(*details):
    frame = pl.LazyFrame({"detail": details}, schema={"detail": pl.String})
    return with_evidence(frame).collect().to_dicts()


def spaced(values):
    return json.dumps(values, ensure_ascii=False)


def compact(values):
    return json.dumps(values, separators=(",", ":"), ensure_ascii=True)


@given(text, st.dictionaries(keys, value), st.sampled_from([spaced, compact]))
def test_evidence_reads_as_json_does(survivor, more, dumps):
    given_ = {"survivor": survivor, **more}
    (found,) = read(dumps(given_))
    assert found["survivor"] == survivor
    for name, key in (("dataset", "dataset"), ("added", "added"), ("index_url", "url")):
        if isinstance(more.get(key), str | None):
            assert found[name] == more.get(key)
    if type(more.get("similarity")) is float:
        assert found["similarity"] == pytest.approx(more["similarity"], rel=1e-15)
    if more.get("similarity") is None:
        assert found["similarity"] is None


@pytest.mark.parametrize(
    "detail",
    [
        None,
        "",
        "같은 글",
        '{"survivor',
        '{"survivor":',
        '{"survivor":null}',
        '{"survivor":3}',
        '{"survivor":["a"]}',
        '{"survivor":"a"',
        '{"survivor":"a"} and more',
        '{"survivor":"a"}{"survivor":"b"}',
        '{"survivor":"a","similarity":{"of":1}}',
        '{"survivor":"a","similarity":[1]}',
        '{"survivor":"a","similarity":1e999}',
        '{"survivor":"a","similarity":01}',
        '{"survivor":"a","similarity":.5}',
        '{"survivor":"a","similarity":NaN}',
        '{"survivor":"a",}',
        '{"survivor":"a\\x"}',
        '{"survivor":"a\n"}',
        '{"removed":1,"survivor":"a"}',
    ],
)
def test_a_detail_of_another_form_is_no_evidence_and_no_failure(detail):
    assert read(detail, '{"survivor":"b"}') == [dict.fromkeys(EVIDENCE) | {"survivor": "b"}]


def test_only_dropped_records_are_replaced(tmp_path):
    rows = [
        {"id": "1", "fate": "dropped", "detail": '{"survivor":"a"}'},
        {"id": "2", "fate": "quarantined", "detail": '{"survivor":"a"}'},
        {"id": "3", "fate": "dropped", "detail": '{"survivor":"b","url":"a"}'},
        {"id": "4", "fate": "dropped", "detail": '{"survivor":"ab"}'},
        {"id": "5", "fate": "dropped", "detail": '{"survivor":"\\uac00\\"","url":"a"}'},
    ]
    schema = dict.fromkeys(("id", "url", "source", "step", "fate", "detail", "preview"), pl.String)
    path = tmp_path / "fates.parquet"
    pl.DataFrame(rows, schema=schema).write_parquet(path)
    assert replaced_records(path).collect()["id"].to_list() == ["1", "3", "4", "5"]
    assert replaced_records(path, by=["a"]).collect()["id"].to_list() == ["1"]
    assert replaced_records(path, by=["a", "ab"]).collect()["id"].to_list() == ["1", "4"]
    # An id of this kind is not made here, but an index may hold what others made.
    assert replaced_records(path, by=["a", '가"']).collect()["id"].to_list() == ["1", "5"]
