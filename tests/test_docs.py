"""The guides are true: their Python runs, their pipelines load, their links lead somewhere."""

import gzip
import json
import re
from pathlib import Path

import polars as pl
import pytest

from datatools.pipeline.definition import load_pipeline

DOCS = Path(__file__).resolve().parents[1] / "docs"


def blocks(page, language):
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_the_signatures_of_the_dedup_guide_are_made(capsys):
    (code,) = blocks("dedup.md", "python")
    exec(compile(code, "dedup.md", "exec"), {})
    assert capsys.readouterr().out == "(1, 128) uint32\n"


def test_the_pipeline_of_the_dedup_guide_loads(tmp_path, monkeypatch):
    (datasets,) = blocks("dedup.md", "yaml")
    for name in ("wiki", "web"):
        (tmp_path / f"{name}.jsonl").write_text('{"text": "가"}\n')
    (tmp_path / "p.yaml").write_text(f"name: p\n{datasets}output: out\n")
    monkeypatch.chdir(tmp_path)
    job = load_pipeline(tmp_path / "p.yaml").job()
    assert [dataset.name for dataset in job.datasets] == ["wiki", "web"]


def test_the_python_of_the_safety_guide_masks(capsys):
    (code,) = blocks("safety.md", "python")
    exec(compile(code, "safety.md", "exec"), {})
    masked = ["문의는 [PHONE]로", "Write to [EMAIL], version 1.2.3.4"]
    assert capsys.readouterr().out == f"{masked} [1, 0]\n"


def test_the_pipeline_of_the_safety_guide_loads(tmp_path, monkeypatch):
    (datasets,) = blocks("safety.md", "yaml")
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "ads.txt").write_text("ads.example.com\n")
    (tmp_path / "pages.jsonl").write_text('{"text": "가"}\n')
    (tmp_path / "p.yaml").write_text(f"name: p\n{datasets}output: out\n")
    monkeypatch.chdir(tmp_path)
    (dataset,) = load_pipeline(tmp_path / "p.yaml").job().datasets
    assert dataset.name == "pages"


def test_the_pipeline_of_the_decontamination_guide_loads(tmp_path, monkeypatch):
    (datasets,) = blocks("decontamination.md", "yaml")
    (tmp_path / "eval").mkdir()
    item = {"question": "몇?", "answer": "one", "choices": {"text": ["a", "b"]}, "id": "x"}
    data = gzip.compress(json.dumps(item).encode())
    (tmp_path / "eval/gsm8k_test.jsonl.gz").write_bytes(data)
    pl.DataFrame([item]).write_parquet(tmp_path / "eval/arc-test.parquet")
    (tmp_path / "p.yaml").write_text(f"name: p\n{datasets}output: out\n")
    monkeypatch.chdir(tmp_path)
    job = load_pipeline(tmp_path / "p.yaml").job()
    assert [dataset.name for dataset in job.datasets] == ["held", "web"]


def test_the_pipeline_of_the_mixing_guide_loads(tmp_path, monkeypatch):
    (datasets,) = blocks("mixing.md", "yaml")
    (tmp_path / "p.yaml").write_text(f"name: p\n{datasets}output: out\n")
    monkeypatch.chdir(tmp_path)
    job = load_pipeline(tmp_path / "p.yaml").job()
    assert [dataset.name for dataset in job.datasets] == ["code", "web", "pretrain"]


@pytest.mark.parametrize("page", sorted(path.name for path in DOCS.glob("*.md")))
def test_links_between_files_lead_somewhere(page):
    text = (DOCS / page).read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#]+)", text):
        if "://" not in link:
            assert (DOCS / link).exists(), link
