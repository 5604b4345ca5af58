import json
from collections import Counter

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jobs import dataset, published, run_job

from datatools import verify
from datatools.engine import runner
from datatools.errors import ConfigError, DataError
from datatools.steps.ingest.read_jsonl import ReadJsonl
from datatools.steps.shape.mix import Mix


def frame(**texts):
    rows = [(f"{source}-{at}", source, text) for source, own in texts.items()
            for at, text in enumerate(own)]  # fmt: skip
    schema = dict.fromkeys(("id", "source", "text"), pl.String)
    return pl.DataFrame(rows, schema=schema, orient="row")


def words(count, size):
    """Return texts of about `size` bytes, in two languages, no two of one length in a row."""
    return [
        ("가" if at % 2 else "abc") * (1 + (at * 7 + size) % (size // 2)) for at in range(count)
    ]


def size(rows, source, unit="bytes"):
    own = rows.filter(pl.col("source") == source)
    return own.height if unit == "documents" else int(own["text"].str.len_bytes().sum())


@pytest.mark.parametrize("unit", ["bytes", "documents"])
@settings(max_examples=6, deadline=None)
@given(counts=st.tuples(st.integers(1, 30), st.integers(1, 30)), data=st.data())
def test_budgets_are_met_within_one_document(unit, counts, data):
    rows = frame(code=words(counts[0], 40), web=words(counts[1], 12))
    asked = {
        name: data.draw(st.integers(0, 3 * size(rows, name, unit))) for name in ("code", "web")
    }
    if not any(asked.values()):
        return
    kept, dropped = Mix(budgets=asked, unit=unit, max_epochs=3).apply(rows)
    for name, amount in asked.items():
        largest = rows.filter(source=name)["text"].str.len_bytes().max()
        got = size(kept, name, unit)
        assert got == amount if unit == "documents" else abs(got - amount) <= largest / 2
        # Up- and down-sampling: nothing is taken twice while something is not taken.
        copies = Counter(kept.filter(source=name)["text"])
        held = Counter(rows.filter(source=name)["text"])
        times = {epochs for text, n in held.items() for epochs in [copies[text] / n]}
        assert max(times) - min(times) <= 1
    assert kept["id"].n_unique() == kept.height
    assert set(dropped["reason"]) <= {"not_drawn"}
    assert dropped.height + len(set(kept["id"]) & set(rows["id"])) == rows.height


def test_a_larger_budget_takes_the_same_records_and_more_whatever_others_do():
    rows = frame(code=words(60, 30), web=words(60, 30))
    few = Mix(budgets={"code": 200, "web": 0}).apply(rows)[0]
    more = Mix(budgets={"code": 400, "web": 300}).apply(rows)[0].filter(source="code")
    assert set(few["id"]) < set(more["id"])
    shuffled = Mix(budgets={"code": 200, "web": 0}).apply(rows.sample(fraction=1, shuffle=True))[0]
    assert shuffled["id"].to_list() == few["id"].to_list()
    other = Mix(budgets={"code": 200, "web": 0}).apply(rows, seed=1)[0]
    assert set(other["id"]) != set(few["id"])


def test_one_source_may_dominate_and_one_may_be_left_out():
    rows = frame(huge=words(300, 60), tiny=["a", "나"], none=["x"])
    step = Mix(weights={"huge": 0, "tiny": 5, "none": 1}, unit="documents", total=12, max_epochs=9)
    assert Counter(step.apply(rows)[0]["source"]) == {"tiny": 10, "none": 2}
    kept = Mix(temperature=1, unit="documents", total=101).apply(rows)[0]
    assert Counter(kept["source"]) == {"huge": 100, "tiny": 1}


def test_copies_and_sources_are_spread_over_the_whole():
    rows = frame(code=[f"c{at}" for at in range(200)], web=[f"웹{at}" for at in range(600)])
    step = Mix(weights={"code": 1, "web": 1}, unit="documents", max_epochs={"code": 3})
    kept = step.apply(rows)[0]
    assert Counter(kept["source"]) == {"code": 600, "web": 600}
    for start in range(0, 1200, 300):
        assert 110 < (kept["source"][start : start + 300] == "code").sum() < 190
    # What was taken in part is not in front.
    part = Mix(budgets={"code": 100, "web": 600}, unit="documents").apply(rows)[0]
    assert 15 < (part["source"][:175] == "code").sum() < 40


def test_records_without_a_source_are_one_source():
    rows = frame(code=["a"] * 3).with_columns(pl.lit(None, pl.String).alias("source"))
    step = Mix(budgets={"(none)": 2}, unit="documents")
    assert step.apply(rows)[0].height == 2


def test_empty_texts_weigh_nothing_and_do_not_stop_a_mix():
    rows = frame(code=["", ""], web=["abc"])
    kept = Mix(max_epochs=2).apply(rows)[0]
    assert kept["text"].to_list() == ["abc", "abc"]
    assert Mix().apply(rows.clear())[0].height == 0


def test_tokens_are_those_of_the_tokenizer(tmp_path):
    tokenizers = pytest.importorskip("tokenizers")
    from tokenizers import models, pre_tokenizers

    made = tokenizers.Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.save(str(tmp_path / "tokenizer.json"))
    rows = frame(code=[f"{at} two three" for at in range(9)], web=[f"하나 {at}" for at in range(9)])
    step = Mix(
        budgets={"code": 9, "web": 8}, unit="tokens", tokenizer=str(tmp_path / "tokenizer.json")
    )
    assert Counter(step.apply(rows)[0]["source"]) == {"code": 3, "web": 4}


def write(path, name, count):
    rows = [{"text": f"{name} {at} " + "글" * (at % 9)} for at in range(count)]
    (path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return ReadJsonl(paths=(str(path / f"{name}.jsonl"),), unit_bytes=400)


def mixed(path, **fields):
    sources = {name: dataset(write(path, name, n), publish=False) for name, n in SIZES.items()}
    return {**sources, "mix": dataset(Mix(**fields), from_=tuple(SIZES))}


SIZES = {"code": 30, "web": 200}


def test_a_mix_of_datasets_is_told_in_manifest_ledger_and_card(tmp_path):
    fields = {"weights": {"code": 1, "web": 1}, "unit": "documents", "total": 190, "max_epochs": 2}
    run_job(tmp_path / "out", mixed(tmp_path, **fields))
    assert verify(tmp_path / "out").ok
    (step,) = json.loads((tmp_path / "out/mix/manifest.json").read_text())["steps"]
    counts = step["counts"]
    # 60 of 30 records of code: 30 copies; web fills up to 190.
    assert (counts["read"], counts["created"], counts["kept"]) == (230, 30, 190)
    assert counts["dropped"] == {"not_drawn": 70}
    (tally,) = step["tallies"]
    code, web = tally["rows"]
    assert code == {
        "source": "code",
        "asked share": 0.5,
        "asked documents": 95,
        "got documents": 60,
        "got share": 60 / 190,
        "epochs": 2.0,
        "records": 30,
        "records drawn": 60,
        "text bytes": code["text bytes"],
        "why not as asked": "holds no more within its epochs",
    }
    rows = pl.read_parquet(tmp_path / "out/mix/*.parquet")
    assert code["text bytes"] == size(rows, "code")
    assert (web["got documents"], web["epochs"]) == (130, 0.65)
    card = (tmp_path / "out/mix/README.md").read_text()
    assert "## Mix: sources of the mix" in card
    assert "| code | 0.5 | 95 | 60 | 0.3158 | 2 |" in card


@pytest.mark.parametrize("rows", [7, 65_536])
def test_a_mix_does_not_depend_on_shards_or_workers(tmp_path, monkeypatch, rows):
    monkeypatch.setattr(runner, "ROWS_PER_GATHERED_SHARD", rows)
    digests = []
    for at, unit_bytes in enumerate((200, 1 << 20)):
        datasets = mixed(tmp_path, temperature=3, total=4000, max_epochs=5)
        for name in SIZES:
            source = datasets[name].steps[0].model_copy(update={"unit_bytes": unit_bytes})
            datasets[name] = dataset(source, publish=False)
        run_job(tmp_path / f"out{at}", datasets, shard_bytes=1500)
        files = published(tmp_path / f"out{at}")
        # A file of fates has a row group for each shard that was read.
        gone = pl.read_parquet(tmp_path / f"out{at}/mix/sidecar/fates.parquet")
        shards = {name: sha for name, sha in files.items() if "train-" in name}
        digests.append((shards, gone["id"].to_list()))
    assert digests[0] == digests[1]


def test_an_impossible_budget_ends_the_run_with_its_reason(tmp_path):
    datasets = mixed(tmp_path, budgets={"code": 10**9, "web": 1})
    with pytest.raises(
        DataError, match=r"Mix\.budgets\.code: asks for 1,000,000,000 bytes of 'code'"
    ):
        run_job(tmp_path / "out", datasets)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"weights": {"a": 1}, "temperature": 2}, "temperature: says how much"),
        ({"budgets": {"a": 1}, "total": 2}, "total: is what `budgets` add up to"),
        ({"weights": {"a": -1}}, "weights.a: must be 0 or more"),
        ({"weights": {"a": 0}}, "weights: leave everything out"),
        ({"max_epochs": {"a": 0}}, "max_epochs: must be above 0"),
        ({"unit": "tokens"}, "tokenizer: and `unit: tokens` need each other"),
        ({"unit": "tokens", "tokenizer": "no/such.json"}, "tokenizer: there is no such file"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(fields, told):
    with pytest.raises(ConfigError, match=told):
        Mix(**fields)


def test_amounts_may_be_written_as_sizes():
    assert Mix(total="2kB").total == 2000
    assert Mix(budgets={"a": "1KiB"}).budgets == {"a": 1024}
