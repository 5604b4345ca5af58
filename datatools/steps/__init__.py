"""WHAT is done: every step, one concept per file, loaded when it is first named.

To add a step: write its file, add its line here, write its test. The schema, the command line's
help, the docs page and the contract tests follow from the class.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datatools.steps.base import Export, Step

STEPS = {
    "ReadWarc": "ingest.read_warc",
    "ReadJsonl": "ingest.read_jsonl",
    "ReadParquet": "ingest.read_parquet",
    "ReadDataset": "ingest.read_dataset",
    "ExtractText": "clean.extract_text",
    "DetectLanguage": "language.detect_language",
    "Apply": "clean.apply_function",
    "LanguageFilter": "language.language_filter",
    "CodeSwitching": "language.code_switching",
    "GopherQuality": "filters.gopher_quality",
    "GopherRepetition": "filters.gopher_repetition",
    "C4Quality": "filters.c4_quality",
    "C4Paragraphs": "filters.c4_paragraphs",
    "FineWebQuality": "filters.fineweb_quality",
    "UrlFilter": "safety.url_filter",
    "Pii": "safety.pii",
    "Secrets": "safety.secrets",
    "Decontaminate": "decontamination.decontaminate",
    "ExactDedup": "dedup.exact_dedup",
    "MinHashDedup": "dedup.minhash_dedup",
    "UrlDedup": "dedup.url_dedup",
    "LineDedup": "dedup.line_dedup",
    "IndexDedup": "dedup.index_dedup",
    "SubstringDedup": "dedup.substring_dedup",
    "SemanticDedup": "dedup.semantic_dedup",
    "ExtractQuestions": "instruct.extract_questions",
    "GroupPrompts": "instruct.group_prompts",
    "AcceptedAnswer": "instruct.accepted_answer",
    "FormatChat": "instruct.format_chat",
    "PairByVotes": "preference.pair_by_votes",
    "PairChecks": "preference.pair_checks",
    "Mix": "shape.mix",
    "Shuffle": "shape.shuffle",
    "Split": "shape.split",
}
"""Module of each step, below this package."""

EXPORTS = {
    "trl": ("export.trl", "Trl"),
    "alpaca": ("export.alpaca", "Alpaca"),
}
"""Module and class of each export format, by the name that `export:` uses."""

__all__ = ["EXPORTS", "STEPS", "load_export", "load_step"]


def load_step(name: str) -> type[Step]:
    """Return the step class of that name.

    Args:
        name: A name in `STEPS`, or `package.module:Class` for a step of one's own.

    Raises:
        KeyError: There is no such step.
    """
    from datatools.steps.base import Step

    if ":" in name:
        module, _, attribute = name.partition(":")
        try:
            found = getattr(importlib.import_module(module), attribute)
        except (Exception, SystemExit) as error:  # importing runs code, which may raise anything
            raise KeyError(f"{type(error).__name__}: {error}") from error
    else:
        found = getattr(importlib.import_module(f"datatools.steps.{STEPS[name]}"), name)
    if not (isinstance(found, type) and issubclass(found, Step)):
        raise KeyError(f"{name} is not a step")
    return found


def load_export(name: str) -> type[Export]:
    """Return the export format of that name.

    Raises:
        KeyError: There is no such format.
    """
    module, attribute = EXPORTS[name]
    found: type[Export] = getattr(importlib.import_module(f"datatools.steps.{module}"), attribute)
    return found


def __getattr__(name: str) -> Any:
    if name in STEPS:
        return load_step(name)
    raise AttributeError(f"module 'datatools.steps' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *STEPS])
