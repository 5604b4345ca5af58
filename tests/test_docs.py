"""The guides are true: their Python runs, their pipelines load, their links lead somewhere."""

import re
from pathlib import Path

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


@pytest.mark.parametrize("page", sorted(path.name for path in DOCS.glob("*.md")))
def test_links_between_files_lead_somewhere(page):
    text = (DOCS / page).read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#]+)", text):
        if "://" not in link:
            assert (DOCS / link).exists(), link
