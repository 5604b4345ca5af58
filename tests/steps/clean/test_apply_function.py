import subprocess
import sys

import polars as pl
import pytest
import toys
from jobs import dataset, run_job
from pydantic import ValidationError

from datatools.code_digest import source_digest
from datatools.errors import ConfigError
from datatools.steps.clean.apply_function import Apply

TEXTS = ["hello", "안녕", "", None, "note to self", "é\0\u2028", "\ufffd", "가" * 100_000]


def applied(texts, function, **settings):
    frame = pl.DataFrame({"text": texts}, schema={"text": pl.String})
    return Apply(function=function, **settings).apply(frame)


def test_texts_are_what_the_function_returns_and_nulls_stay_null():
    kept, dropped = applied(TEXTS, "applied:shout")
    assert kept["text"].to_list() == [None if text is None else text.upper() for text in TEXTS]
    assert dropped.height == 0


def test_a_record_for_which_it_returns_none_is_dropped():
    kept, dropped = applied(TEXTS, "applied:without_notes")
    assert kept["text"].to_list() == [text for text in TEXTS if text != "note to self"]
    assert dropped.select("text", "fate", "reason").rows() == [
        ("note to self", "dropped", "function_returned_none")
    ]


@pytest.mark.parametrize(
    ("text", "reason", "detail"),
    [
        ("raise", "fence_error", "ValueError: got ㅋㅋ ?"),
        ("number", "fence_error", "TypeError: must return text or None, not int"),
        ("exit", "fence_crash", "exited with code 3"),
        ("kill", "fence_crash", "killed by SIGKILL"),
        ("grow", "fence_memory", "more than 64 MiB"),
    ],
)
def test_one_bad_record_costs_one_record(text, reason, detail):
    texts = [f"good {i}" for i in range(20)] + [text] + ["다른 글"] * 3
    assert_one_is_quarantined(texts, text, reason, detail, cpu_seconds=60)


def test_one_endless_record_costs_one_record():
    texts = ["good", "loop", "다른 글"]
    told = "fence_timeout", "more than 0.3 s of CPU time"
    assert_one_is_quarantined(texts, "loop", *told, cpu_seconds=0.3)


def assert_one_is_quarantined(texts, bad, reason, detail, **limits):
    kept, dropped = applied(texts, "applied:bad_sometimes", memory_bytes=64 << 20, **limits)
    assert kept["text"].to_list() == [other + "!" for other in texts if other != bad]
    assert dropped.select("text", "fate", "reason", "detail").rows() == [
        (bad, "quarantined", reason, detail)
    ]


def test_a_lone_surrogate_becomes_the_replacement_character_and_an_empty_text_stays():
    kept, _ = applied(["surrogate", "empty"], "applied:bad_sometimes")
    assert kept["text"].to_list() == ["a\ufffdb", ""]


def test_another_column_can_be_changed():
    frame = pl.DataFrame({"text": ["a"], "url": ["https://example.org/é"]})
    kept, _ = Apply(function="applied:shout", column="url").apply(frame)
    assert kept.rows() == [("a", "HTTPS://EXAMPLE.ORG/É")]
    with pytest.raises(ConfigError, match="Apply: needs the column 'ulr'"):
        Apply(function="applied:shout", column="ulr").apply(frame)


@pytest.mark.parametrize(
    ("function", "told"),
    [
        ("applied", "must be package.module:name"),
        ("nowhere:f", "cannot be imported: ModuleNotFoundError: No module named 'nowhere'"),
        ("applied:shuot", "module 'applied' has no 'shuot'. Did you mean 'shout'?"),
        ("applied:not_a_function", "is not a function"),
        ("math:sqrt", "has no Python source to make a key from"),
        ("broken_module:f", "cannot be imported: SyntaxError: "),
    ],
)
def test_a_function_that_cannot_be_used_is_refused_before_anything_runs(
    tmp_path, monkeypatch, function, told
):
    (tmp_path / "broken_module.py").write_text("def f(:\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ValidationError, match=told):
        Apply(function=function)


def test_it_runs_alike_in_worker_processes(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("hello\nkill\n안녕\nnumber\n")
    steps = toys.ReadLines(paths=(str(path),)), Apply(function="applied:bad_sometimes")
    results = []
    for executor in ("inline", "processes"):
        run_job(tmp_path / executor, {"a": dataset(*steps)}, executor=executor)
        fates = pl.read_parquet(tmp_path / executor / "a/sidecar/fates.parquet")
        texts = pl.read_parquet(tmp_path / executor / "a/*.parquet")["text"].to_list()
        results.append((texts, fates.select("reason", "detail", "preview").rows()))
    assert results[0] == results[1]
    assert results[0][0] == ["hello!", "안녕!"]
    assert [reason for reason, *_ in results[0][1]] == ["fence_crash", "fence_error"]


# --------------------------------------------------------------------------------------------------
# The digest of the code

FILES = {
    "__init__": "",
    "main": "from . import near\nfrom digested.sub.deep import f\nimport digested.named as n\n",
    "near": "def g(): return 1\n",
    "named": "x = 1\n",
    "unused": "y = 1\n",
    "sub/__init__": "",
    "sub/deep": "from ..far import h\ndef f(): return h()\n",
    "far": "def h(): return 1\n",
}


@pytest.fixture
def package(tmp_path, monkeypatch):
    for name, text in FILES.items():
        path = tmp_path / "digested" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path / "digested"
    for name in [name for name in sys.modules if name.partition(".")[0] == "digested"]:
        del sys.modules[name]


@pytest.mark.parametrize("name", ["main", "near", "named", "sub/deep", "far", "__init__"])
def test_the_digest_changes_with_every_file_it_rests_on(package, name):
    before = source_digest("digested.main")
    file = package / f"{name}.py"
    file.write_text(file.read_text() + "added = 1\n")
    assert source_digest("digested.main") != before


@pytest.mark.parametrize("name", ["main", "near", "far"])
def test_the_digest_does_not_change_with_comments_and_layout(package, name):
    before = source_digest("digested.main")
    file = package / f"{name}.py"
    file.write_text("# said\n\n\n" + file.read_text().replace("(): ", "():\n    "))
    assert source_digest("digested.main") == before


def test_the_digest_does_not_change_with_what_is_not_imported(package):
    before = source_digest("digested.main")
    (package / "unused.py").write_text("y = 2\n")
    assert source_digest("digested.main") == before


def test_the_digest_is_that_of_another_process(package):
    code = "from datatools.code_digest import source_digest; print(source_digest('digested.main'))"
    other = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(package.parent), "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
    )
    assert other.stdout.strip() == source_digest("digested.main")
