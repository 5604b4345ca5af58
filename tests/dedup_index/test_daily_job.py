"""The daily job, with the commands that `pipelines/daily.yaml` names, on two days' crawls."""

import json
import re
import shlex
import shutil
from pathlib import Path

import polars as pl
import pytest

from datatools import DedupIndex, open_dataset
from datatools.cli.main import main
from datatools.sample import make, make_sample

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "pipelines/daily.yaml"
CREATE, RUN, ADD = (
    shlex.split(line)
    for line in re.findall(r"^# +datatools (.*)$", FILE.read_text(encoding="utf-8"), re.MULTILINE)
)


def call(capsys, command, day):
    words = [word.replace("DAY", day) for word in command]
    with pytest.raises(SystemExit) as caught:
        main([str(FILE) if word == "pipelines/daily.yaml" else word for word in words])
    told = capsys.readouterr()
    assert caught.value.code == 0, told.err
    return told.out


def crawl(modules):
    """Make the sample crawl, whose documentation is of these modules only."""
    shutil.rmtree("samples", ignore_errors=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(make, "MODULES", modules)
        make_sample(Path("samples"))


def kept():
    dataset = open_dataset("out/daily/pretrain")
    return pl.concat(dataset.frame(split, ["id", "text", "url"]) for split in dataset.splits)


def test_the_example_in_the_docs_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    docs = (ROOT / "docs/kept.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```$", docs, re.MULTILINE | re.DOTALL)
    names = {}
    exec(compile(code, "docs/kept.md", "exec"), names)
    assert "documents=1" in capsys.readouterr().out
    assert names["index"].match(names["new"])["match"].to_list() == ["a"]


def test_the_commands_in_the_docs_are_those_of_the_pipeline_file():
    docs = (ROOT / "docs/kept.md").read_text(encoding="utf-8")
    lines = re.findall(r"^\$ datatools ([^#\n]*)", docs, re.MULTILINE)
    expected = [[word.replace("DAY", "2026-01-31") for word in one] for one in (CREATE, RUN, ADD)]
    assert [shlex.split(line) for line in lines] == expected


@pytest.mark.slow
def test_each_day_keeps_what_no_day_before_has_kept(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    call(capsys, CREATE, "")
    crawl(("bisect", "queue"))
    told = json.loads(call(capsys, [*RUN, "--set", "run.executor=inline", "--json"], "2026-01-30"))
    first = kept()
    assert first.height == told["datasets"]["pretrain"] > 60
    call(capsys, ADD, "2026-01-30")
    assert len(DedupIndex.open("kept.index")) == first.height

    # The same day again: nothing is computed, nothing is added.
    again = json.loads(call(capsys, [*RUN, "--set", "run.executor=inline", "--json"], "2026-01-30"))
    assert again["stages_run"] == 0
    assert "was added before" in call(capsys, ADD, "2026-01-30")

    # The next day's crawl has the same forum and the documentation of another module.
    crawl(("bisect", "heapq"))
    call(capsys, [*RUN, "--set", "run.executor=inline"], "2026-01-31")
    second = kept()
    assert second["url"].str.contains("heapq").any()
    assert not second["url"].str.contains("bisect").any()
    fates = pl.read_parquet("out/daily/pretrain/sidecar/fates.parquet")
    gone = fates.filter(reason="in_index")
    assert gone.height > 50
    survivors = gone["detail"].str.json_path_match("$.survivor")
    assert survivors.is_in(first["id"].to_list()).all()
    life = json.loads(call(capsys, ["explain", "out/daily", gone["id"][0], "--json"], ""))
    told = life["stations"][-1]["survivor"]
    assert (told["id"], told["outcome"]) == (survivors[0], "indexed")
    call(capsys, ADD, "2026-01-31")
    index = DedupIndex.open("kept.index")
    assert len(index) == len(set(first["id"]) | set(second["id"]))
    # What was kept on the second day was like nothing that was kept on the first.
    earlier = index.match(second, at=index.history.additions[0].state)
    assert earlier["match"].null_count() == second.height
