"""When a result is kept and when it is made again, and what is told of the difference."""

import json

import pytest

from datatools.engine.store import write_json
from datatools.job.conclusions import Conclusion, shard_digests
from datatools.job.differences import differences


@pytest.fixture
def one(tmp_path):
    """A result that is there with its mark and a file beside it."""
    found = Conclusion(
        "verdict v",
        tmp_path / "v.json",
        tmp_path / "v.key",
        ("before", "after"),
        {"validate": {"tier": "smoke"}, "seed": 0},
        (tmp_path / "model",),
    )
    found.path.write_text("{}")
    found.beside[0].touch()
    write_json(found.mark, found.recipe(INPUTS))
    return found


INPUTS = {"before": "1", "after": "2"}


def test_a_result_made_from_all_this_is_kept(one):
    assert one.reasons(INPUTS) == []


@pytest.mark.parametrize(
    ("inputs", "reasons"),
    [
        ({"before": "1", "after": "3"}, ["after changed"]),
        ({"before": "3", "after": "4"}, ["before changed", "after changed"]),
        ({"before": "1"}, ["after changed"]),
        ({**INPUTS, "한국어": "5"}, ["한국어 changed"]),
        ({"before": "1", "after": None}, []),  # not known yet
        ({"before": "3", "after": None}, ["before changed"]),
    ],
)
def test_inputs_that_changed_are_named(one, inputs, reasons):
    assert sorted(one.reasons(inputs)) == sorted(reasons)


def test_settings_that_changed_are_named_before_inputs(one):
    from dataclasses import replace

    other = replace(one, settings={"validate": {"tier": "cpu"}, "seed": 1})
    assert other.reasons({"before": "1", "after": "3"}) == [
        "seed: 0 -> 1",
        "validate.tier: 'smoke' -> 'cpu'",
        "after changed",
    ]


@pytest.mark.parametrize(
    "content", [None, "", "{", "[]", "{}", '{"inputs": 3}', '"a digest"', '{"inputs": ["a"]}']
)
def test_a_mark_that_is_gone_or_says_nothing_means_not_made(one, content):
    one.mark.unlink()
    if content is not None:
        one.mark.write_text(content)
    assert one.reasons(INPUTS) == ["not made yet"]


def test_a_file_that_is_gone_or_damaged_is_named(one):
    one.path.write_text("{")
    assert one.reasons(INPUTS) == ["v.json is damaged"]
    one.path.unlink()
    one.beside[0].unlink()
    assert one.reasons(INPUTS) == ["v.json is gone", "model is gone"]


def test_digests_are_of_the_records_and_nothing_else_of_a_manifest():
    def manifest(*shas, **more):
        return {"shards": [{"sha256": sha, "path": "x"} for sha in shas], **more}

    same = shard_digests({"a": manifest("1", "2"), "b": manifest("1", "2", versions=3)}, ["a", "b"])
    assert same["a"] == same["b"]
    other = shard_digests({"a": manifest("2", "1")}, ["a"])
    assert other["a"] != same["a"]


@pytest.mark.parametrize("value", [{"a": [1, {"b": None}]}, [], "x", None, 1.5, {"키": "값"}])
def test_a_value_does_not_differ_from_its_own_json(value):
    assert differences(json.loads(json.dumps(value)), value) == []
