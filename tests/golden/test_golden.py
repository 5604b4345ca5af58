"""Every step's output on fixed inputs, by its version: a change of output needs a new version.

Results are cached by step versions, so a step that gives other bytes under an old version would
have old results served for new ones. `digests.json` holds, for each step, the version it was at,
the digest of what it gave, and the versions of the libraries it names.

When a test here fails:

1. Was the change meant? If not, mend the step.
2. Bump `version` in the step's class (not needed if only a library changed).
3. Write the digests again, look at the difference and commit it:

       DATATOOLS_UPDATE_GOLDEN=1 python -m pytest tests/golden

An update without a bump is refused here, too. A new step needs an entry in `CASES` and an update.
"""

import hashlib
import json
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any

import golden_inputs as inputs
import polars as pl
import pytest

from datatools import steps
from datatools.engine.inline import apply
from datatools.records import conform
from datatools.steps import STEPS, load_step
from datatools.steps.base import Source

DIGESTS = Path(__file__).with_name("digests.json")
UPDATE = bool(os.environ.get("DATATOOLS_UPDATE_GOLDEN"))

# Per step its configurations and the frame they run on, or for a source what writes its file. A
# function among the fields writes what the field names.
CASES: dict[str, tuple[list[dict[str, Any]], Any]] = {
    "ReadWarc": ([{}, {"max_record_bytes": 500}], inputs.write_warc),
    "ReadJsonl": ([{}, {"id": "id"}], inputs.write_jsonl),
    "ReadParquet": ([{}, {"id": "id"}], inputs.write_parquet),
    "ReadDataset": ([{}], inputs.write_dataset),
    "ExtractText": ([{}, {"engine": "trafilatura"}], inputs.pages),
    "DetectLanguage": ([{}, {"paragraphs": True}], inputs.documents),
    "Apply": ([{"function": "golden_inputs:shout"}], inputs.documents),
    "LanguageFilter": ([{"keep": ("en", "ko")}], inputs.documents),
    "CodeSwitching": ([{"max_other_language": 0.3}], inputs.documents),
    "GopherQuality": (
        [{}, {"min_words": 5, "stop_words": ("the", "and")}, {"profile": "datatrove-0.10"}],
        inputs.documents,
    ),
    "GopherRepetition": ([{}, {"profile": "datatrove-0.10"}], inputs.documents),
    "C4Quality": ([{}, {"profile": "datatrove-0.10", "min_sentences": 1}], inputs.documents),
    "C4Paragraphs": ([{"long_paragraph": 20, "min_paragraphs": 1}], inputs.documents),
    "FineWebQuality": ([{}, {"profile": "datatrove-0.10"}], inputs.documents),
    "Decontaminate": (
        [
            {"benchmarks": inputs.write_benchmarks, **fields}
            for fields in (
                {},
                {"action": "cut", "ngram": 5},
                {"action": "report", "min_found": 0.2},
            )
        ],
        inputs.documents,
    ),
    "UrlFilter": (
        [{"block": ("www.example.org",)}, {"words": ("글", "x"), "allow": ("*.example.org",)}],
        inputs.addressed,
    ),
    "Pii": ([{"ip": "drop"}, {"phone": "report", "rrn": "off"}], inputs.private),
    "Secrets": ([{"password": "drop"}, {"connection_string": "report"}], inputs.private),
    "ExactDedup": ([{}], inputs.documents),
    "MinHashDedup": ([{}, {"unit": "char", "keep": "first"}], inputs.documents),
    "UrlDedup": (
        [{}, {"keep": "newest", "ignore": ("scheme", "www"), "parameters": ("ref",)}],
        inputs.addressed,
    ),
    "LineDedup": (
        [{}, {"unit": "sentence"}, {"unit": "paragraph", "keep": "all", "max_documents": 1}],
        inputs.documents,
    ),
    "SubstringDedup": ([{"length": 60}], inputs.documents),
    "SemanticDedup": ([{}, {"threshold": 0.8, "keep": "longest"}], inputs.embedded),
    "IndexDedup": ([{"index": inputs.write_index}], inputs.documents),
    "ExtractQuestions": ([{}], inputs.pages),
    "GroupPrompts": ([{}], inputs.threads),
    "AcceptedAnswer": ([{}, {"min_votes": 1, "strip_boilerplate": False}], inputs.threads),
    "FormatChat": ([{"template": name} for name in ("chatml", "llama3")], inputs.conversations),
    "PairByVotes": ([{}, {"min_score": 2, "min_ratio": 2.0}], inputs.threads),
    "PairChecks": ([{}], inputs.preferences),
    "Mix": (
        [
            {"by": "language", "weights": {"en": 1, "ko": 2}, "total": 900},
            {"by": "language", "temperature": 3, "unit": "documents", "total": 40, "max_epochs": 9},
        ],
        inputs.of_two_languages,
    ),
    "Shuffle": ([{}], inputs.documents),
    "Split": ([{"validation": 0.3}], inputs.documents),
}
MODELS = {"CodeSwitching", "DetectLanguage", "LanguageFilter"}
"""Steps whose numbers are sums of floats, which another processor adds in another order."""


class Log:
    """Keeps what a source says of its bytes."""

    def __init__(self):
        self.said = []

    def consumed(self, start, end):
        self.said.append(["consumed", start, end])

    def skipped(self, start, end, reason):
        self.said.append(["skipped", start, end, reason])

    def incomplete(self, start, end, detail):
        self.said.append(["incomplete", start, end])

    def quarantined(self, id, reason, *, offset, detail=""):
        self.said.append(["quarantined", id, reason, offset])


def plain(frame, *, digits=None):
    """Return a frame as values that JSON holds, the same whatever library wrote it."""

    def value(one):
        if isinstance(one, float):
            return repr(one if digits is None else round(one, digits))
        if isinstance(one, bytes):
            return one.hex()
        if isinstance(one, list):
            return [value(inner) for inner in one]
        if isinstance(one, dict):
            return {name: value(inner) for name, inner in one.items()}
        return one

    return [frame.columns, [[value(one) for one in row] for row in frame.iter_rows()]]


def output(name, settings, given, folder):
    """Return what a step gives, as values that JSON holds."""
    cls = load_step(name)
    if issubclass(cls, Source):
        field = "path" if "path" in cls.model_fields else "paths"
        source = cls(**{field: given(folder), **settings})
        log = Log()
        frames = [
            conform(frame, "document")
            for unit in source.units()
            for frame in source.read(unit, log, "golden")
        ]
        # Where a Parquet file or dataset lies is in no row; its size is its library's affair.
        return [plain(pl.concat(frames)), log.said]
    fields = {key: one(folder) if callable(one) else one for key, one in settings.items()}
    kept, dropped = apply(cls(**fields), given(), seed=7)
    digits = 3 if name in MODELS else None
    if name in MODELS:
        dropped = dropped.drop("value")
    return [
        plain(kept, digits=digits),
        plain(dropped.drop("detail") if name == "Apply" else dropped),
    ]


def found(name, folder):
    """Return a step's entry as it is now."""
    settings, given = CASES[name]
    values = [output(name, one, given, folder) for one in settings]
    data = json.dumps(values, ensure_ascii=False, sort_keys=True).encode("utf-8", "surrogatepass")
    cls = load_step(name)
    return {
        "version": cls.version,
        "digest": hashlib.sha256(data).hexdigest(),
        "libraries": {library: version(library) for library in sorted(cls.libraries)},
    }


def stored():
    return json.loads(DIGESTS.read_text()) if DIGESTS.exists() else {}


def verdict(name, old, new):
    """Return what is wrong with an entry, or None; and whether an update may mend it."""
    if old is None:
        return f"{name} has no golden digest: update", True
    if old["version"] != new["version"]:
        return f"the version of {name} is now {new['version']}: update its golden digest", True
    if old["digest"] == new["digest"]:
        return None, True
    changed = {
        library: f"{old['libraries'].get(library)} -> {now}"
        for library, now in new["libraries"].items()
        if old["libraries"].get(library) != now
    }
    if changed:
        return f"output of {name} changed with {changed}: look at it, then update", True
    return f"output of {name} changed: bump version", False


@pytest.mark.parametrize("name", list(STEPS))
def test_a_step_s_output_changes_only_with_its_version(name, tmp_path):
    assert name in CASES, f"{name} needs an entry in CASES of {Path(__file__).name}"
    old, new = stored().get(name), found(name, tmp_path)
    wrong, mendable = verdict(name, old, new)
    if UPDATE and mendable and old != new:
        entries = {**stored(), name: new}
        ordered = {key: entries[key] for key in STEPS if key in entries}
        DIGESTS.write_text(json.dumps(ordered, indent=2) + "\n")
        return
    assert wrong is None, f"{wrong} (see the docstring of {Path(__file__).name})"


@pytest.mark.parametrize("name", [n for n in CASES if n not in ("ReadDataset", "ReadParquet")])
def test_every_case_shows_a_kept_record_and_one_that_is_not(name, tmp_path):
    """A digest of nothing would guard nothing."""
    settings, given = CASES[name]
    first, second = output(name, settings[0], given, tmp_path)
    assert first[1], "no record is kept"
    gone = second if issubclass(load_step(name), Source) else second[1]
    if name not in ("DetectLanguage", "GroupPrompts", "Shuffle", "Split"):
        assert gone, "every record is kept"


def test_a_change_without_a_bump_is_refused_and_says_what_to_do():
    old = {"version": 1, "digest": "a", "libraries": {"lib": "1"}}
    assert verdict("X", old, old) == (None, True)
    changed = {**old, "digest": "b"}
    assert verdict("X", old, changed) == ("output of X changed: bump version", False)
    assert verdict("X", old, {**changed, "version": 2})[1]
    told, mendable = verdict("X", old, {**changed, "libraries": {"lib": "2"}})
    assert mendable
    assert "lib" in told


def test_another_output_is_another_digest(monkeypatch, tmp_path):
    before = found("GopherQuality", tmp_path)
    assert found("GopherQuality", tmp_path) == before
    monkeypatch.setitem(CASES, "GopherQuality", ([{"min_words": 80}, {}], inputs.documents))
    assert found("GopherQuality", tmp_path)["digest"] != before["digest"]


def test_no_digest_is_of_a_step_that_is_gone():
    assert set(stored()) == set(STEPS) == set(CASES)
    assert set(steps.STEPS) == set(STEPS)
