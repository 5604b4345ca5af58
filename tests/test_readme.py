"""The READMEs are true: their code runs, their pipelines load, their commands are there."""

import json
import re
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from datatools import load_pipeline, run, verify
from datatools.cli.main import COMMANDS, main
from datatools.sample import make, make_sample

ROOT = Path(__file__).resolve().parents[1]
README, KOREAN = (
    (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.ko.md")
)


def blocks(text, language):
    """Return the code blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


PYTHON = blocks(README, "python")
YAML = blocks(README, "yaml")
COMMAND_LINES = [
    line.removeprefix("$ ").partition(" #")[0].strip()
    for text in (README, KOREAN)
    for block in blocks(text, "console")
    for line in block.splitlines()
    if line.startswith("$ ")
]


def test_there_is_something_to_test():
    assert len(PYTHON) >= 2
    assert len(YAML) >= 1
    assert len(COMMAND_LINES) >= 10


@pytest.mark.parametrize("number", range(len(PYTHON)))
def test_a_python_block_runs(tmp_path, monkeypatch, capsys, number):
    monkeypatch.chdir(tmp_path)
    notes = ["first note", "두 번째 쪽지", "first note", "셋째 쪽지", "another note"]
    rows = [json.dumps({"text": text}, ensure_ascii=False) for text in notes]
    Path("notes.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    exec(compile(PYTHON[number], f"README.md python block {number}", "exec"), {})
    told = capsys.readouterr().out
    if "notes.jsonl" in PYTHON[number]:
        assert "'exact_duplicate': 1" in told
        assert verify("out/notes").datasets["notes"].rows == 4
    else:
        assert told


def test_the_frame_example_drops_what_it_says_for_both_languages(tmp_path, monkeypatch, capsys):
    names = {}
    exec(PYTHON[0], names)
    assert names["kept"].is_empty()
    assert names["dropped"]["text"].to_list() == ["Too short.", "짧은 글."]
    assert names["dropped"]["reason"].unique().to_list() == ["gopher_short_doc"]
    assert "threshold" in capsys.readouterr().out


@pytest.mark.parametrize("number", range(len(YAML)))
def test_a_pipeline_loads_and_resolves(tmp_path, number):
    file = tmp_path / "web.yaml"
    file.write_text(YAML[number], encoding="utf-8")
    pipeline = load_pipeline(file)
    assert {dataset.name for dataset in pipeline.job().datasets} == set(pipeline.datasets)


@pytest.fixture
def few_modules(monkeypatch):
    monkeypatch.setattr(make, "MODULES", ("bisect", "queue"))


@pytest.mark.usefixtures("few_modules")
def test_the_pipeline_runs_on_a_crawl(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_sample(tmp_path / "crawl")
    Path("web.yaml").write_text(YAML[0], encoding="utf-8")
    settings = ["run.executor=inline", "run.on_input_error=quarantine"]
    settings += ["run.max_quarantine_fraction=0.05"]
    pipeline = load_pipeline("web.yaml", settings)
    result = run(pipeline, only=["pretrain", "instruct"])  # the verdict takes a minute
    assert result.ok, result.problems
    assert verify("out/web").ok
    languages = pl.read_parquet("out/web/pretrain/sidecar/train-*.parquet")
    assert set(languages["LanguageFilter.language"]) == {"en", "ko"}
    assert list(Path("out/web/instruct/trl").glob("*.parquet"))


@pytest.mark.parametrize("text", [README, KOREAN], ids=["README.md", "README.ko.md"])
def test_both_languages_show_the_same_pipelines_and_commands(text):
    assert blocks(text, "yaml") == YAML
    named = set(re.findall(r"(?<=datatools )[a-z]+(?= )", "\n".join(COMMAND_LINES)))
    assert {"plan", "run", "verify", "explain"} <= named
    for name in named:
        assert f"datatools {name}" in text


@pytest.mark.parametrize("line", sorted(set(COMMAND_LINES)))
def test_a_command_line_is_one_that_exists(line):
    program, name, *arguments = line.split()
    if program == "make":
        assert re.search(rf"^{name}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
        return
    assert program == "datatools"
    assert name in COMMANDS
    done = subprocess.run(
        [sys.executable, "-m", "datatools.cli.main", name, "--help"],
        capture_output=True,
        text=True,
        timeout=180,
        check=True,
    )
    for option in (argument for argument in arguments if argument.startswith("--")):
        assert option in done.stdout


def test_commands_named_in_the_text_exist():
    named = set(re.findall(r"`datatools ([a-z]+)", README + KOREAN))
    assert named
    assert named <= set(COMMANDS)


def test_the_error_message_shown_is_the_one_that_is_printed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("web.yaml").write_text(YAML[0], encoding="utf-8")
    (block,) = [block for block in blocks(README, "console") if "\nerror: " in block]
    command, told = block.splitlines()
    with pytest.raises(SystemExit) as caught:
        main(command.removeprefix("$ datatools ").split())
    assert caught.value.code == 2
    assert capsys.readouterr().err == told + "\n"


@pytest.mark.parametrize("name", ["README.md", "README.ko.md", "CONTRIBUTING.md"])
def test_links_lead_to_files_that_are_there(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        if "://" not in target:
            assert (ROOT / target).exists(), target


def test_the_table_of_results_names_what_the_quickstart_makes():
    pipeline = load_pipeline(ROOT / "pipelines/quickstart.yaml")
    assert f"{pipeline.output}/report.html" in README
    assert pipeline.output == "out/quickstart"
    assert pipeline.train is not None
    for name in ("pretrain", "instruct", "preference"):
        assert name in pipeline.datasets
        assert "trl" in [export.folder for export in pipeline.datasets[name].export]
