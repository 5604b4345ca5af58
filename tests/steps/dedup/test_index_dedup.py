import json
from datetime import date

import polars as pl
import pytest
from jobs import dataset, job, ran, run_job

from datatools import (
    DedupIndex,
    explain,
    load_pipeline,
    open_dataset,
    plan,
    run,
    steps,
    verify,
)
from datatools.errors import ConfigError, DatatoolsError
from datatools.report.duplicates import clusters
from datatools.testing import check_step

ENGLISH = (
    "The old bridge at the edge of the village was built by two brothers who could not agree on "
    "anything else, and travellers still stop in the middle to look at the line where they meet."
)
KOREAN = (
    "마을 끝에 있는 오래된 다리는 무슨 일에도 뜻이 맞지 않던 두 형제가 놓은 것이고, 지금도 "
    "지나가는 사람들은 다리 한가운데에 멈춰 서서 두 쪽이 만나는 자리를 오래도록 들여다본다고 한다."
)
NEW = ["A text of which nobody has seen anything before.", "아무도 본 적이 없는 새로운 글입니다."]
DAY = date(2026, 1, 31)


@pytest.fixture
def index(tmp_path):
    made = DedupIndex.create(tmp_path / "kept.index")
    texts = [ENGLISH, KOREAN]
    made.add(pl.DataFrame({"id": ["old-en", "old-ko"], "text": texts}), added=DAY)
    return made


def crawl(folder, name, texts):
    path = folder / f"{name}.jsonl"
    rows = [json.dumps({"text": text}, ensure_ascii=False) for text in texts]
    path.write_text("\n".join(rows), encoding="utf-8")
    return steps.ReadJsonl(paths=(str(path),))


def test_a_near_duplicate_of_a_document_in_the_index_leaves_and_says_of_which(index):
    edited = [ENGLISH.replace("they meet.", "they met!"), KOREAN.upper(), *NEW]
    frame = pl.DataFrame({"id": list("abcd"), "text": edited})
    kept, dropped = steps.IndexDedup(index=index.address).apply(frame)
    assert kept["text"].to_list() == NEW
    assert dropped["reason"].to_list() == ["in_index"] * 2
    told = [json.loads(detail) for detail in dropped["detail"]]
    assert [one["survivor"] for one in told] == ["old-en", "old-ko"]
    assert all(one["added"] == "2026-01-31" for one in told)
    assert told[1]["similarity"] == 1.0
    # The last word is in one of the shingles: give or take four standard errors.
    shingles = len(ENGLISH.split()) - 4
    assert abs(told[0]["similarity"] - (shingles - 1) / (shingles + 1)) < 0.09


def test_duplicates_among_the_new_documents_are_left_to_other_steps(index):
    frame = pl.DataFrame({"text": [NEW[0]] * 3})
    assert steps.IndexDedup(index=index.address).apply(frame)[0].height == 3


def test_the_step_keeps_the_contract(index):
    records = pl.DataFrame(
        {"id": ["a", "b", "c"], "text": [ENGLISH, NEW[0], ENGLISH + " " + KOREAN]}
    )
    check_step(steps.IndexDedup(index=index.address), records)
    check_step(steps.IndexDedup(index=index.address, before=DAY), records)


def test_explain_and_the_report_tell_who_stayed(tmp_path, index):
    step = steps.IndexDedup(index=index.address)
    source = crawl(tmp_path, "today", [ENGLISH, *NEW])
    output = tmp_path / "out"
    result = run_job(output, {"pretrain": dataset(source, step)})
    assert result.datasets["pretrain"]["ledger"]["dropped"] == {"in_index": 1}
    fates = pl.read_parquet(output / "pretrain/sidecar/fates.parquet")
    (station,) = explain(output, fates["id"][0]).stations
    assert (station.step, station.reason) == ("IndexDedup", "in_index")
    assert (station.survivor.id, station.survivor.added) == ("old-en", "2026-01-31")
    (largest,) = clusters(open_dataset(output / "pretrain")).largest
    assert (largest.step, largest.survivor, largest.removed) == ("IndexDedup", "old-en", 1)
    assert verify(output).ok


@pytest.mark.parametrize("unit_bytes", [200, 10**6])
def test_documents_of_the_index_that_were_not_compared_are_told_everywhere(
    tmp_path, index, unit_bytes
):
    copies = pl.DataFrame({"id": [f"copy {n}" for n in range(299)], "text": [KOREAN] * 299})
    index.add(copies, added=DAY)
    source = crawl(tmp_path, "today", [KOREAN, *NEW, KOREAN + "!", ENGLISH])
    datasets = {
        "pretrain": dataset(
            source.model_copy(update={"unit_bytes": unit_bytes}),
            steps.IndexDedup(index=index.address),
        )
    }
    result = run_job(tmp_path / "out", datasets)
    (_, step) = result.datasets["pretrain"]["steps"]
    # 300 texts share all 17 buckets, two new ones ask, and 256 of each bucket are compared.
    assert step["notes"] == {"buckets_cut": 34, "pairs_not_compared": 34 * 44}
    assert "notes" not in step["counts"]
    told = "34 buckets were too large: 1,496 pairs not compared"
    assert f"IndexDedup in pretrain: {told}" in result.notes
    assert verify(tmp_path / "out").datasets["pretrain"].cut == {"IndexDedup": told}


def test_an_index_that_grew_makes_the_step_run_again_and_one_that_did_not_leaves_it_cached(
    tmp_path, index
):
    datasets = {
        "pretrain": dataset(
            crawl(tmp_path, "today", [ENGLISH, *NEW]), steps.IndexDedup(index=index.address)
        )
    }
    first = run_job(tmp_path / "out", datasets)
    assert ran(first)
    index.add(pl.DataFrame({"id": ["old-en"], "text": ["known by its id"]}))
    index.compact()
    assert not ran(run_job(tmp_path / "out", datasets))
    index.add(pl.DataFrame({"id": ["later"], "text": NEW[:1]}))
    again = run_job(tmp_path / "out", datasets)
    assert ran(again)
    assert again.datasets["pretrain"]["rows"] == first.datasets["pretrain"]["rows"] - 1


def test_a_job_that_added_what_it_published_gives_the_same_when_it_runs_again(tmp_path, index):
    day = date(2026, 2, 1)
    source = crawl(tmp_path, "today", [ENGLISH, NEW[0], NEW[0] + "!", NEW[1]])
    chain = (steps.IndexDedup(index=index.address, before=day), steps.MinHashDedup(keep="first"))
    datasets = {"pretrain": dataset(source, *chain)}
    first = run_job(tmp_path / "out", datasets)
    folder = tmp_path / "out/pretrain"
    assert index.add_dataset(folder, added=day).documents == 2
    again = run_job(tmp_path / "out", datasets)
    assert not ran(again)
    assert again.datasets == first.datasets
    # Also from nothing, with the grown index.
    other = run_job(tmp_path / "other", datasets)
    shards = [run.datasets["pretrain"]["shards"] for run in (first, other)]
    assert shards[0] == shards[1]
    assert index.add_dataset(folder, added=day).again
    # The next day all of it is known.
    tomorrow = steps.IndexDedup(index=index.address, before=date(2026, 2, 2))
    gone = run_job(tmp_path / "next", {"pretrain": dataset(source, tomorrow)})
    assert gone.datasets["pretrain"]["ledger"]["dropped"] == {"in_index": 4}


def test_what_is_added_while_a_run_is_under_way_plays_no_part_in_it(tmp_path, index, monkeypatch):
    step = steps.IndexDedup(index=index.address)
    bind = type(step).bind

    def grown(self, context):
        index.add(pl.DataFrame({"id": ["meanwhile"], "text": NEW[:1]}))
        return bind(self, context)

    monkeypatch.setattr(type(step), "bind", grown)
    datasets = {"pretrain": dataset(crawl(tmp_path, "today", [ENGLISH, *NEW]), step)}
    result = run_job(tmp_path / "out", datasets)
    assert len(DedupIndex.open(index.address)) == 3
    assert result.datasets["pretrain"]["ledger"]["dropped"] == {"in_index": 1}
    # A frame is compared with the index as it is.
    assert step.apply(pl.DataFrame({"text": NEW[:1]}))[0].is_empty()


@pytest.mark.slow
def test_worker_processes_give_the_same_bytes(tmp_path, index):
    texts = [f"{ENGLISH} {n} {KOREAN}" for n in range(300)] + [ENGLISH, *NEW] * 20
    shards = []
    for executor in ("inline", "processes"):
        source = crawl(tmp_path, "today", texts)
        source = source.model_copy(update={"unit_bytes": 20_000})
        datasets = {"pretrain": dataset(source, steps.IndexDedup(index=index.address))}
        result = run(job(tmp_path / executor, datasets, executor=executor), only=["pretrain"])
        shards.append(result.datasets["pretrain"]["shards"])
    assert shards[0] == shards[1]
    assert result.datasets["pretrain"]["ledger"]["dropped"] == {"in_index": 20}


def test_a_plan_says_what_the_index_holds(tmp_path, index):
    datasets = {
        "pretrain": dataset(crawl(tmp_path, "today", NEW), steps.IndexDedup(index=index.address))
    }
    (one,) = plan(job(tmp_path / "out", datasets)).datasets
    assert one.explained["IndexDedup"] == [
        "2 documents in the index, similar from 0.8 on (estimated, standard error 0.035)"
    ]


def test_an_index_that_is_not_there_is_refused_before_anything_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "daily.yaml"
    file.write_text(
        "name: daily\ndatasets:\n  pretrain:\n    steps:\n"
        "      - ReadJsonl: {paths: [a.jsonl]}\n      - IndexDedup: {index: kept.index}\n"
        "output: out\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_pipeline(file)
    assert "daily.yaml:6" in str(caught.value)
    assert "datatools index create kept.index" in str(caught.value)
    assert isinstance(caught.value, DatatoolsError)
