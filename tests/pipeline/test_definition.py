"""What a pipeline file may say, and what it is told when it says something else."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datatools import steps
from datatools.errors import ConfigError
from datatools.pipeline.definition import (
    Dataset,
    Pipeline,
    RunSettings,
    load_pipeline,
)
from datatools.pipeline.schema import pipeline_schema
from datatools.steps import EXPORTS, STEPS

GOOD = """\
name: demo
seed: 0
datasets:
  pages:
    steps:
      - ReadWarc: {paths: ["a.warc.gz"]}
  clean:
    from: pages
    steps:
      - GopherQuality: {min_words: 5}
      - MinHashDedup: {threshold: 0.8}
      - Split: {validation: 0.1}
run: {workers: 2}
output: out/demo
"""
ALL_STEPS = ", ".join(STEPS)
USABLE = "Use small letters, digits, - and _; `models`, `trial` and `verdicts` are taken."

# (what is written, in place of what, what the user reads). The file is called p.yaml.
TYPOS = [
    # keys
    ("nmae: demo", "name: demo", "p.yaml:1 nmae: unknown key (got 'nmae'). Did you mean 'name'?"),
    ("sed: 0", "seed: 0", "p.yaml:2 sed: unknown key (got 'sed'). Did you mean 'seed'?"),
    (
        "dataset:",
        "datasets:",
        "p.yaml:3 dataset: unknown key (got 'dataset'). Did you mean 'datasets'?",
    ),
    (
        "stpes:\n      - Read",
        "steps:\n      - Read",
        "p.yaml:5 datasets.pages.stpes: unknown key (got 'stpes'). Did you mean 'steps'?",
    ),
    (
        "form: pages",
        "from: pages",
        "p.yaml:8 datasets.clean.form: unknown key (got 'form'). Did you mean 'from'?",
    ),
    (
        "from: pages\n    publsh: false",
        "from: pages",
        "p.yaml:9 datasets.clean.publsh: unknown key (got 'publsh'). Did you mean 'publish'?",
    ),
    ("rum: {w", "run: {w", "p.yaml:13 rum: unknown key (got 'rum'). Did you mean 'run'?"),
    (
        "ouput: out",
        "output: out",
        "p.yaml:14 ouput: unknown key (got 'ouput'). Did you mean 'output'?",
    ),
    (
        "wrokers: 2",
        "workers: 2",
        "p.yaml:13 run.wrokers: unknown key (got 'wrokers'). Did you mean 'workers'?",
    ),
    (
        "worker-count: 2",
        "workers: 2",
        "p.yaml:13 run.worker-count: unknown key (got 'worker-count'). Did you mean 'workers'?",
    ),
    (
        "train: {pretrian: clean}",
        "run: {workers: 2}",
        "p.yaml:13 train.pretrian: unknown key (got 'pretrian'). Did you mean 'pretrain'?",
    ),
    (
        "validate: {v: {comapre: [pages, clean]}}",
        "run: {workers: 2}",
        "p.yaml:13 validate.v.comapre: unknown key (got 'comapre'). Did you mean 'compare'?",
    ),
    (
        "path: [",
        "paths: [",
        "p.yaml:6 datasets.pages.steps[0].ReadWarc.path: unknown key (got 'path'). "
        "Did you mean 'paths'?",
    ),
    (
        "min_word: 5",
        "min_words: 5",
        "p.yaml:10 datasets.clean.steps[0].GopherQuality.min_word: unknown key (got 'min_word'). "
        "Did you mean 'min_words'?",
    ),
    (
        "min-words: 5",
        "min_words: 5",
        "p.yaml:10 datasets.clean.steps[0].GopherQuality.min-words: unknown key "
        "(got 'min-words'). Did you mean 'min_words'?",
    ),
    (
        "treshold: 0.8",
        "threshold: 0.8",
        "p.yaml:11 datasets.clean.steps[1].MinHashDedup.treshold: unknown key (got 'treshold'). "
        "Did you mean 'threshold'?",
    ),
    (
        "MinHashDedup:\n          threshold: 0.8\n          num_prem: 64",
        "MinHashDedup: {threshold: 0.8}",
        "p.yaml:13 datasets.clean.steps[1].MinHashDedup.num_prem: unknown key (got 'num_prem'). "
        "Did you mean 'num_perm'?",
    ),
    (
        "holdwith: [x]",
        "validation: 0.1",
        "p.yaml:12 datasets.clean.steps[2].Split.holdwith: unknown key (got 'holdwith'). "
        "Did you mean 'hold_with'?",
    ),
    # names
    (
        "ReadWrac",
        "ReadWarc",
        "p.yaml:6 datasets.pages.steps[0]: unknown step (got 'ReadWrac'). Did you mean ReadWarc?",
    ),
    (
        "readwarc",
        "ReadWarc",
        "p.yaml:6 datasets.pages.steps[0]: unknown step (got 'readwarc'). Did you mean ReadWarc?",
    ),
    (
        "GopherQualty",
        "GopherQuality",
        "p.yaml:10 datasets.clean.steps[0]: unknown step (got 'GopherQualty'). "
        "Did you mean GopherQuality?",
    ),
    (
        "Nonsense",
        "MinHashDedup",
        f"p.yaml:11 datasets.clean.steps[1]: unknown step (got 'Nonsense'). Known: {ALL_STEPS}.",
    ),
    (
        "Splt",
        "Split: {validation: 0.1}",
        "p.yaml:12 datasets.clean.steps[2]: unknown step (got 'Splt'). Did you mean Split?",
    ),
    (
        "from: page",
        "from: pages",
        "p.yaml:8 datasets.clean.from: there is no such dataset (got 'page'). "
        "Did you mean 'pages'?",
    ),
    (
        "from: [pages, paegs]",
        "from: pages",
        "p.yaml:8 datasets.clean.from: there is no such dataset (got 'paegs'). "
        "Did you mean 'pages'?",
    ),
    (
        "from: zzz",
        "from: pages",
        "p.yaml:8 datasets.clean.from: there is no such dataset (got 'zzz'). Known: pages, clean.",
    ),
    (
        "hold_with: [paegs]",
        "validation: 0.1",
        "p.yaml:12 datasets.clean.steps[2].Split: there is no such dataset (got 'paegs'). "
        "Did you mean 'pages'?",
    ),
    (
        "from: pages\n    export: [tlr]",
        "from: pages",
        "p.yaml:9 datasets.clean.export[0]: unknown export format (got 'tlr'). Did you mean trl?",
    ),
    (
        "train: {pretrain: claen}",
        "run: {workers: 2}",
        "p.yaml:13 train.pretrain: there is no such dataset (got 'claen'). Did you mean 'clean'?",
    ),
    (
        "validate: {v: {compare: [pages, claen]}}",
        "run: {workers: 2}",
        "p.yaml:13 validate.v.compare[1]: there is no such dataset (got 'claen'). "
        "Did you mean 'clean'?",
    ),
    (
        "keep: longst",
        "threshold: 0.8",
        "p.yaml:11 datasets.clean.steps[1].MinHashDedup.keep: must be 'longest', "
        "'first', 'newest', 'best' or 'source' (got 'longst'). Did you mean 'longest'?",
    ),
    (
        "executor: process",
        "workers: 2",
        "p.yaml:13 run.executor: must be 'inline', 'processes' or 'ray' (got 'process'). "
        "Did you mean 'processes'?",
    ),
    (
        "train: {pretrain: clean, size: smal}",
        "run: {workers: 2}",
        "p.yaml:13 train.size: must be 'smoke', 'nano', 'micro', 'small' or 'base' (got 'smal'). "
        "Did you mean 'small'?",
    ),
    # values
    (
        "threshold: 80",
        "threshold: 0.8",
        "p.yaml:11 datasets.clean.steps[1].MinHashDedup.threshold: must be at most 1.0 (got 80). "
        "Did you mean 0.8?",
    ),
    (
        "threshold: 0",
        "threshold: 0.8",
        "p.yaml:11 datasets.clean.steps[1].MinHashDedup.threshold: must be more than 0.0 (got 0).",
    ),
    (
        "num_perm: 4",
        "threshold: 0.8",
        "p.yaml:11 datasets.clean.steps[1].MinHashDedup.num_perm: must be at least 16 (got 4).",
    ),
    (
        "Apply: {function: textwrap:dedant}",
        "GopherQuality: {min_words: 5}",
        "p.yaml:10 datasets.clean.steps[0].Apply.function: module 'textwrap' has no 'dedant' "
        "(got 'textwrap:dedant'). Did you mean 'dedent'?",
    ),
    (
        "Apply: {function: no.such:name}",
        "GopherQuality: {min_words: 5}",
        "p.yaml:10 datasets.clean.steps[0].Apply.function: cannot be imported: "
        "ModuleNotFoundError: No module named 'no' (got 'no.such:name'). Install its package, or "
        "run where it can be imported.",
    ),
    (
        "FormatChat: {template: chatmi}",
        "GopherQuality: {min_words: 5}",
        "p.yaml:10 datasets.clean.steps[0].FormatChat.template: is neither one of chatml, llama3, "
        "qwen, gemma nor a .jinja file (got 'chatmi'). Did you mean 'chatml'?",
    ),
    (
        "validation: 10",
        "validation: 0.1",
        "p.yaml:12 datasets.clean.steps[2].Split.validation: must be less than 1.0 (got 10). "
        "Did you mean 0.1?",
    ),
    (
        "min_words: five",
        "min_words: 5",
        "p.yaml:10 datasets.clean.steps[0].GopherQuality.min_words: must be a whole number "
        "(got 'five').",
    ),
    (
        "min_words: 5.5",
        "min_words: 5",
        "p.yaml:10 datasets.clean.steps[0].GopherQuality.min_words: must be a whole number "
        "(got 5.5).",
    ),
    (
        "min_words: true",
        "min_words: 5",
        "p.yaml:10 datasets.clean.steps[0].GopherQuality.min_words: must not be true or false "
        "(got True).",
    ),
    (
        "hold_with: pages",
        "validation: 0.1",
        "p.yaml:12 datasets.clean.steps[2].Split.hold_with: must be a list (got 'pages').",
    ),
    (
        "paths: [5]}",
        'paths: ["a.warc.gz"]}',
        "p.yaml:6 datasets.pages.steps[0].ReadWarc.paths[0]: must be text (got 5).",
    ),
    (
        "workers: 0",
        "workers: 2",
        "p.yaml:13 run.workers: must be at least 1 (got 0).",
    ),
    (
        "memory: 4XB",
        "workers: 2",
        "p.yaml:13 run.memory: must be a size such as 4GB or 512MiB (got '4XB').",
    ),
    (
        "max_quarantine_fraction: 5",
        "workers: 2",
        "p.yaml:13 run.max_quarantine_fraction: must be at most 1.0 (got 5). Did you mean 0.05?",
    ),
    (
        "from: pages\n    publish: maybe",
        "from: pages",
        "p.yaml:9 datasets.clean.publish: must be true or false (got 'maybe').",
    ),
    (
        "seed: zero",
        "seed: 0",
        "p.yaml:2 seed: must be a whole number (got 'zero').",
    ),
    # shapes
    ("run: 5", "run: {workers: 2}", "p.yaml:13 run: run is a mapping (got 5)."),
    (
        "validate: [a]",
        "run: {workers: 2}",
        "p.yaml:13 validate: verdicts are a mapping (got ['a']).",
    ),
    (
        "validate: {v: pages}",
        "run: {workers: 2}",
        "p.yaml:13 validate.v: a verdict has a name and is a mapping, "
        "`name: {compare: [before, after]}` (got 'pages').",
    ),
    (
        "validate: {v: {compare: [pages]}}",
        "run: {workers: 2}",
        "p.yaml:13 validate.v.compare[1]: is missing.",
    ),
    (
        "from: 5",
        "from: pages",
        "p.yaml:8 datasets.clean.from: must be the name of a dataset or a list of names (got 5).",
    ),
    (
        "from: {a: pages}",
        "from: pages",
        "p.yaml:8 datasets.clean.from: must be the name of a dataset or a list of names "
        "(got {'a': 'pages'}).",
    ),
    (
        "Split: [0.1]",
        "Split: {validation: 0.1}",
        "p.yaml:12 datasets.clean.steps[2].Split: takes its fields as "
        "`Split: {field: value}` (got [0.1]).",
    ),
    (
        "{Split: {}, Shuffle: {}}",
        "Split: {validation: 0.1}",
        "p.yaml:12 datasets.clean.steps[2]: a step is a name or `{Name: {field: value}}` "
        "(got {'Split': {}, 'Shuffle': {}}). Begin each step with `- ` on a line of its own.",
    ),
    (
        "from: pages\n    export: trl",
        "from: pages",
        "p.yaml:9 datasets.clean.export: must be a list (got 'trl').",
    ),
    (
        "pages: [a]\n  p2:",
        "pages:",
        "p.yaml:4 datasets.pages: a dataset is a mapping with `steps:` (got ['a']).",
    ),
    # sense
    (
        "Clean:",
        "clean:",
        f"p.yaml:7 datasets.Clean: is not a usable dataset name (got 'Clean'). {USABLE}",
    ),
    (
        "models:",
        "clean:",
        f"p.yaml:7 datasets.models: is not a usable dataset name (got 'models'). {USABLE}",
    ),
    (
        "x: {}\n  clean:",
        "clean:",
        "p.yaml:7 datasets.x: has neither `from:` nor `steps:`.",
    ),
    (
        "steps:\n      - GopherQuality",
        "from: pages\n    steps:\n      - GopherQuality",
        "p.yaml:9 datasets.clean.steps[0].GopherQuality: has no records to work on. "
        "Add `from:`, or start with a step that reads, such as ReadWarc.",
    ),
    (
        "- ReadWarc: {paths: [b]}\n      - GopherQuality",
        "- GopherQuality",
        "p.yaml:10 datasets.clean.steps[0].ReadWarc: reads files, so it must be the first step of "
        "a dataset without `from:`. Give it a dataset of its own and name that in `from:`.",
    ),
    (
        "- GroupPrompts",
        "- Split: {validation: 0.1}",
        "p.yaml:12 datasets.clean.steps[2].GroupPrompts: takes thread records, but gets document "
        "records. Made by: ExtractQuestions.",
    ),
    (
        "from: pages\n    publish: false",
        "from: pages",
        "p.yaml:7 datasets.clean: is neither published nor read by another dataset. "
        "Remove it, or set publish: true.",
    ),
    (
        "from: clean",
        "from: pages",
        "p.yaml:3 datasets: they need each other in a circle (got 'clean -> clean'). "
        "Break it: a dataset cannot be read before it is made.",
    ),
    (
        "Split: {validation: 0.1, hold_with: [pages]}",
        "Split: {validation: 0.1}",
        "p.yaml:12 datasets.clean.steps[2].Split.hold_with: pages holds document records, which "
        "do not say what page they came from (got 'pages'). Name datasets of threads, "
        "conversations or pairs.",
    ),
    (
        "train: {pretrain: clean, instruct: clean}",
        "run: {workers: 2}",
        "p.yaml:13 train.instruct: needs conversation records, but clean holds document records.",
    ),
    (
        "from: pages\n    export: [alpaca]",
        "from: pages",
        "p.yaml:9 datasets.clean.export: alpaca cannot carry document records. "
        "It carries conversation.",
    ),
    (
        'validate: {"../v": {compare: [pages, clean]}}',
        "run: {workers: 2}",
        "p.yaml:13 validate.../v: is not a usable name of a verdict (got '../v'). "
        "Use small letters, digits, - and _.",
    ),
    (
        "Apply: {column: txet, function: 'textwrap:dedent'}",
        "Split: {validation: 0.1}",
        "p.yaml:12 datasets.clean.steps[2].Apply: needs the column 'txet', which no earlier step "
        "makes. There are: GopherQuality.alpha_word_ratio, GopherQuality.bullet_line_ratio, "
        "GopherQuality.ellipsis_line_ratio, GopherQuality.ellipsis_ratio, "
        "GopherQuality.hash_ratio, GopherQuality.mean_word_length, "
        "GopherQuality.script, GopherQuality.stop_word_count, GopherQuality.word_count, date, "
        "html, id, language, license, meta, offset, origin, source, text, url.",
    ),
    # missing
    (
        "",
        "name: demo\n",
        "p.yaml:1 name: is missing. Add it: Name of the job, shown in reports and cards.",
    ),
    (
        "",
        "output: out/demo\n",
        "p.yaml:1 output: is missing. Add it: Folder that the job writes to, or a URL "
        "that fsspec writes to: `s3://bucket/corpus/v1`.",
    ),
    (
        "Apply",
        "Split: {validation: 0.1}",
        "p.yaml:12 datasets.clean.steps[2].Apply.function: is missing. Add it: "
        "The function, as `package.module:name`.",
    ),
    (
        "datasets: {}\nrum:",
        "datasets:",
        "p.yaml:4 rum: unknown key (got 'rum'). Did you mean 'run'?",
    ),
    # steps of one's own
    (
        "nowhere.steps:Mine",
        "Split: {validation: 0.1}",
        "p.yaml:12 datasets.clean.steps[2]: unknown step (got 'nowhere.steps:Mine'). It could not "
        "be loaded: ModuleNotFoundError: No module named 'nowhere'.",
    ),
    (
        "datatools.steps:Mine",
        "Split: {validation: 0.1}",
        "p.yaml:12 datasets.clean.steps[2]: unknown step (got 'datatools.steps:Mine'). It could "
        "not be loaded: AttributeError: module 'datatools.steps' has no attribute 'Mine'.",
    ),
    (
        "datatools.errors:ConfigError",
        "Split: {validation: 0.1}",
        "p.yaml:12 datasets.clean.steps[2]: unknown step (got 'datatools.errors:ConfigError'). "
        "It could not be loaded: datatools.errors:ConfigError is not a step.",
    ),
    (
        "datatools.steps.base:Map",
        "Split: {validation: 0.1}",
        "p.yaml:12 datasets.clean.steps[2]: is a kind of step, not a step "
        "(got 'datatools.steps.base:Map'). It lacks bind.",
    ),
]


@pytest.fixture
def at(tmp_path, monkeypatch):
    """Write p.yaml and read it as a user would, from its own folder."""
    monkeypatch.chdir(tmp_path)

    def load(text, **settings):
        (tmp_path / "p.yaml").write_text(text, encoding="utf-8")
        return load_pipeline("p.yaml", **settings)

    return load


def test_there_are_enough_typos():
    assert len(TYPOS) >= 50


@pytest.mark.parametrize(("written", "instead_of", "told"), TYPOS, ids=[t[0] for t in TYPOS])
def test_a_typo_is_told_with_file_line_step_field_and_the_nearest_name(
    at, written, instead_of, told
):
    assert GOOD.count(instead_of) >= 1
    with pytest.raises(ConfigError) as caught:
        at(GOOD.replace(instead_of, written, 1))
    assert str(caught.value) == told


def test_a_good_file_is_the_same_as_its_python_expression(at):
    expected = Pipeline(
        name="demo",
        datasets={
            "pages": Dataset(steps=(steps.ReadWarc(paths=("a.warc.gz",)),)),
            "clean": Dataset(
                **{"from": "pages"},
                steps=(
                    steps.GopherQuality(min_words=5),
                    steps.MinHashDedup(threshold=0.8),
                    steps.Split(validation=0.1),
                ),
            ),
        },
        run=RunSettings(workers=2),
        output="out/demo",
    )
    loaded = at(GOOD)
    assert loaded == expected
    assert loaded.job() == expected.job()


def test_settings_with_every_line_commented_out_are_the_defaults(at):
    text = GOOD.replace("run: {workers: 2}", "run:\n  # workers: 2\ntrain:\nvalidate:")
    loaded = at(text)
    assert loaded.run == RunSettings()
    assert loaded.train is None
    assert loaded.validate_ == {}


def test_the_fractions_of_grouped_splits_must_be_equal(at):
    text = (
        "name: leak\ndatasets:\n  pages:\n    steps: [{ReadWarc: {paths: [a.warc]}}]\n"
        "  questions:\n    from: pages\n    steps: [ExtractQuestions, {Split: {validation: 0.1}}]\n"
        "  clean:\n    from: pages\n    steps:\n"
        "      - Split: {validation: 0.2, hold_with: [questions]}\noutput: out\n"
    )
    with pytest.raises(ConfigError) as caught:
        at(text)
    message = str(caught.value)
    assert message.startswith("p.yaml:11 datasets.clean.steps[0].Split.validation: differs from ")
    assert "(got 0.2)" in message
    assert at(text.replace("0.2", "0.1")).datasets["clean"].steps[0].hold_with == ("questions",)


def test_a_step_used_twice_is_labelled_by_number():
    twice = Dataset(
        steps=(steps.ReadWarc(paths=("a",)), steps.ExactDedup(), steps.Split(), steps.ExactDedup())
    )
    job = Pipeline(name="x", datasets={"a": twice}, output="o").job()
    labels = [link.context.label for link in job.datasets[0].links]
    assert labels == ["ReadWarc", "ExactDedup", "Split", "ExactDedup#2"]


def test_only_steps_that_draw_are_told_the_seed_of_the_pipeline():
    pages = Dataset(steps=(steps.ReadWarc(paths=("a",)), steps.Split()))
    job = Pipeline(name="x", seed=7, datasets={"a": pages}, output="o").job()
    assert [link.context.seed for link in job.datasets[0].links] == [0, 7]
    assert job.seed == 7


# --------------------------------------------------------------------------------------------------
# The file itself


def test_a_missing_file_is_told_with_the_nearest_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pipeline.yaml").write_text(GOOD)
    with pytest.raises(ConfigError) as caught:
        load_pipeline("pipelin.yaml")
    assert str(caught.value) == ("pipelin.yaml: there is no such file. Did you mean pipeline.yaml?")


@pytest.mark.parametrize("data", [b"\xff\xfe", b"name: \xc3\x28"])
def test_a_file_that_is_no_text_is_told(tmp_path, data):
    (tmp_path / "p.yaml").write_bytes(data)
    with pytest.raises(ConfigError, match=r"p.yaml: cannot be read: "):
        load_pipeline(tmp_path / "p.yaml")


@pytest.mark.parametrize("path", [".", "p.yaml/x", "x" * 300, "nul\0byte"])
def test_a_path_that_is_no_file_is_told(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.yaml").write_text(GOOD)
    with pytest.raises(ConfigError):
        load_pipeline(path)


@given(st.text("abcdefghijk:{}[]-\n 0123,'\"", max_size=80))
def test_any_text_is_a_pipeline_or_a_config_error(text):
    with pytest.raises(ConfigError):
        Pipeline.from_yaml(text, "p.yaml").job()


@given(
    st.integers(0, len(GOOD)), st.integers(0, 12), st.sampled_from(["", ":", "-", "x", "\n", " "])
)
def test_a_file_with_a_hole_is_a_pipeline_or_a_config_error(start, length, filling):
    # Anything else that is raised fails the test.
    with contextlib.suppress(ConfigError):
        Pipeline.from_yaml(GOOD[:start] + filling + GOOD[start + length :], "p.yaml").job()


# --------------------------------------------------------------------------------------------------
# --set


def test_settings_replace_and_add_values(at):
    loaded = at(
        GOOD,
        overrides=[
            "run.workers=4",
            "seed=7",
            "datasets.clean.steps.1.MinHashDedup.threshold=0.9",
            "datasets.clean.publish=true",
            "run.memory=2GB",
            "output=한국어",
        ],
    )
    assert loaded.run.workers == 4
    assert loaded.run.memory == 2_000_000_000
    assert loaded.seed == 7
    assert loaded.datasets["clean"].steps[1].threshold == 0.9
    assert loaded.output == "한국어"


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("run.workers", "--set run.workers: has no value. Write --set run.workers=4, for example."),
        ("run.wrokers=4", "p.yaml:13 run.wrokers: unknown key (got 'wrokers'). Did you mean"),
        ("datasets.clean.steps.9.Split.validation=1", "--set datasets.clean.steps.9.Split"),
        ("datasets.clean.steps.x=1", "--set datasets.clean.steps.x=1: there is no 'x' on the way"),
        ("seed=[1", "--set seed:1: is not valid YAML"),
        (
            "datasets.claen.publish=false",
            "--set datasets.claen.publish=false: there is no 'claen' on the way. Did you mean "
            "'clean'?",
        ),
        (
            "datasets.clean.steps.0.GopherQualty.min_words=5",
            "--set datasets.clean.steps.0.GopherQualty.min_words=5: there is no 'GopherQualty' on "
            "the way. Did you mean 'GopherQuality'?",
        ),
        (
            "datasets.clean.steps.9.Split.validation=1",
            "--set datasets.clean.steps.9.Split.validation=1: there is no 9 on the way. It is a "
            "list: count from 0 to 2.",
        ),
        ("name.x=1", "--set name.x=1: there is no 'x' on the way"),
    ],
)
def test_a_setting_that_leads_nowhere_is_told(at, setting, told):
    with pytest.raises(ConfigError) as caught:
        at(GOOD, overrides=[setting])
    assert str(caught.value).startswith(told)


def test_a_size_of_nothing_is_refused(at):
    with pytest.raises(ConfigError, match=r"p.yaml:13 run.memory: must be at least 1 \(got '0B'\)"):
        at(GOOD.replace("workers: 2", "memory: 0B"))


# --------------------------------------------------------------------------------------------------
# Schema


def test_the_schema_names_every_step_and_export_with_its_fields():
    schema = pipeline_schema()
    definitions = schema["$defs"]
    for name in STEPS:
        assert definitions[name]["additionalProperties"] is False
        for field in steps.load_step(name).model_fields:
            assert definitions[name]["properties"][field]["description"]
    options = schema["$defs"]["Dataset"]["properties"]["steps"]["items"]["anyOf"]
    assert options[0]["enum"] == list(STEPS)
    assert {f"export-{name}" for name in EXPORTS} <= set(definitions)
