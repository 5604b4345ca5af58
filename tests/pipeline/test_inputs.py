"""Inputs that are not there: told with file and line, before anything is made."""

import pytest

from datatools import load_pipeline, plan, run
from datatools.errors import ConfigError, DatatoolsError
from datatools.job.forecasting import forecast

YAML = """\
name: p
datasets:
  pages:
    steps:
      - ReadJsonl:
          paths: [rows.jsonl]
  more:
    steps:
      - {reader}:
          label: other
          {field}: {value}
run: {{executor: inline}}
output: {output}
"""

MISSING = [
    ("ReadJsonl", "paths", '["nothing/*.jsonl"]', "nothing/ does not exist or is empty."),
    ("ReadWarc", "paths", '["없는 곳/*.warc.gz"]', "없는 곳/ does not exist or is empty."),
    ("ReadParquet", "paths", '["rows.jsonk"]', "Did you mean rows.jsonl?"),
    ("ReadDataset", "path", "./nothing", "Give a folder that exists, or a hub name"),
]


@pytest.fixture
def pipeline(tmp_path, monkeypatch):
    """Write a pipeline whose second reader may miss its input; return it, loaded."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.jsonl").write_text('{"text": "하나 one"}\n', encoding="utf-8")

    def write(reader, field, value, output="out"):
        text = YAML.format(reader=reader, field=field, value=value, output=output)
        (tmp_path / "p.yaml").write_text(text, encoding="utf-8")
        return load_pipeline("p.yaml")

    return write


@pytest.mark.parametrize("call", [run, plan, forecast])
@pytest.mark.parametrize(("reader", "field", "value", "hint"), MISSING)
def test_a_missing_input_is_told_with_file_and_line_and_nothing_is_made(
    pipeline, tmp_path, reader, field, value, hint, call
):
    loaded = pipeline(reader, field, value)
    with pytest.raises(DatatoolsError) as caught:
        call(loaded)
    told = str(caught.value)
    assert told.startswith(f"p.yaml:11 datasets.more.steps[0].{reader}.{field}: ")
    assert hint in told
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p.yaml", "rows.jsonl"]


@pytest.mark.parametrize("kind", ["a folder of an earlier run", "none yet"])
def test_the_output_is_never_what_was_meant(pipeline, tmp_path, kind):
    if kind == "a folder of an earlier run":
        (tmp_path / "row").mkdir()
    loaded = pipeline("ReadJsonl", "paths", "[rowx]", output="row")
    with pytest.raises(ConfigError) as caught:
        run(loaded)
    assert caught.value.hint == "This folder holds 2 files, among them p.yaml, rows.jsonl."


def test_an_input_that_is_not_wanted_may_be_missing(pipeline):
    loaded = pipeline("ReadJsonl", "paths", "[nothing.jsonl]")
    assert run(loaded, only=["pages"]).datasets["pages"]["rows"] == 1


def test_an_error_about_a_file_names_the_file(pipeline, tmp_path):
    (tmp_path / "ReadJsonl.csv").write_text("id,text\n")
    with pytest.raises(DatatoolsError, match=r"^ReadJsonl\.csv: is named as CSV"):
        run(pipeline("ReadJsonl", "paths", "[ReadJsonl.csv]"))


def test_a_pipeline_written_in_python_is_told_by_its_name(pipeline):
    loaded = pipeline("ReadJsonl", "paths", "[nothing.jsonl]")
    written = type(loaded)(name="p", datasets=loaded.datasets, output="out")
    assert written == loaded.model_copy(update={"run": written.run})
    with pytest.raises(ConfigError, match=r"^p datasets\.more\.steps\[0\]\.ReadJsonl\.paths: no "):
        run(written)
