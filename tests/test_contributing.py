"""The worked example of CONTRIBUTING.md is a step that works, with a test that passes."""

import doctest
import importlib
import importlib.util
import re
import sys
from pathlib import Path

import polars as pl
import pytest

from datatools import load_pipeline, run, verify
from datatools.pipeline.schema import pipeline_schema
from datatools.testing import check_step

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
STEP, TEST = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
LINE = re.search(r'`("NoShouting": "filters\.no_shouting",)`', TEXT)[1]


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The example as a module of a package of one's own."""
    folder = tmp_path / "code/shoutpkg"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "steps.py").write_text(STEP, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path / "code"))
    importlib.invalidate_caches()
    yield importlib.import_module("shoutpkg.steps")
    for name in [name for name in sys.modules if name.partition(".")[0] == "shoutpkg"]:
        del sys.modules[name]


def test_its_doctest_passes(package):
    found = doctest.testmod(package)
    assert found.attempted >= 2
    assert found.failed == 0


def test_it_keeps_the_contract(package):
    check_step(package.NoShouting())


@pytest.fixture
def registered(tmp_path, monkeypatch):
    """The example as a step of datatools, as its second and third edit say."""
    from datatools import steps
    from datatools.steps import filters

    file = tmp_path / "no_shouting.py"
    file.write_text(STEP, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("datatools.steps.filters.no_shouting", file)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    monkeypatch.setattr(filters, "no_shouting", module, raising=False)
    spec.loader.exec_module(module)
    name, where = re.fullmatch(r'"(\w+)": "([\w.]+)",', LINE).groups()
    monkeypatch.setitem(steps.STEPS, name, where)


@pytest.mark.usefixtures("registered")
def test_its_test_passes():
    names = {}
    exec(compile(TEST, "CONTRIBUTING.md test", "exec"), names)
    tests = [value for name, value in names.items() if name.startswith("test_")]
    assert len(tests) == 2
    for test in tests:
        test()


@pytest.mark.usefixtures("registered")
def test_it_is_in_the_schema_with_its_field_and_the_field_s_words():
    schema = pipeline_schema()
    field = schema["$defs"]["NoShouting"]["properties"]["max_capital_ratio"]
    assert field["default"] == 0.5
    assert "Lowering it drops more" in field["description"]
    known = schema["$defs"]["Dataset"]["properties"]["steps"]["items"]["anyOf"]
    assert "NoShouting" in known[0]["enum"]


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize("executor", ["inline", "processes"])
def test_it_runs_in_a_pipeline_by_its_full_name(tmp_path, monkeypatch, executor):
    # A worker process finds the package by the same path as a user's would.
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "code"))
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"text": "BUY NOW"}\n{"text": "hello"}\n{"text": "안녕하세요"}\n')
    file = tmp_path / "p.yaml"
    file.write_text(
        f"name: own\ndatasets:\n  quiet:\n    steps:\n      - ReadJsonl: {{paths: [{rows}]}}\n"
        "      - shoutpkg.steps:NoShouting: {max_capital_ratio: 0.4}\n"
        f"run: {{executor: {executor}, workers: 1}}\noutput: {tmp_path / 'out'}\n"
    )
    result = run(load_pipeline(file), only=["quiet"])
    assert result.datasets["quiet"]["ledger"]["dropped"] == {"too_many_capitals": 1}
    assert verify(tmp_path / "out").ok
    texts = pl.read_parquet(tmp_path / "out/quiet/train-*.parquet")["text"].to_list()
    assert texts == ["hello", "안녕하세요"]


def test_the_folders_it_names_are_there():
    named = re.findall(r"`([a-z/]+)`", "\n".join(re.findall(r"^\| .*? \|", TEXT, re.MULTILINE)))
    assert "datatools/engine" in named
    for name in named:
        assert (ROOT / name).is_dir() or (ROOT / "datatools" / name).is_dir(), name


def test_the_make_targets_it_names_are_there():
    makefile = (ROOT / "Makefile").read_text()
    named = set(re.findall(r"`make (\w+)`", TEXT))
    assert {"test", "check", "schemas", "docs"} <= named
    for name in named:
        assert re.search(rf"^{name}:", makefile, re.MULTILINE), name
