"""Outputs written by hand, in the shapes that a run leaves on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from datatools.engine.fates import PUBLISHED_FATES
from datatools.engine.ledger import StepCounts, total
from datatools.engine.publish import main_columns
from datatools.records import SCHEMAS


def step(label: str, **given: Any) -> dict[str, Any]:
    """Return a step of a manifest.

    Args:
        label: Its label.
        given: Counts by name; `fields`, `notes`, `rules`, `tallies` and `cls`.
    """
    counts = {"read": 0, "created": 0, "kept": 0, "dropped": {}, "quarantined": {}, "removed": {}}
    counts |= {"text_bytes": 0} | {
        k: v for k, v in given.items() if k in counts or k == "text_bytes"
    }
    return {
        "label": label,
        "step": given.get("cls", label.partition("#")[0]),
        "version": 1,
        "fields": given.get("fields", {}),
        "counts": counts,
        "notes": given.get("notes", {}),
        "rules": given.get("rules", []),
        **({"tallies": given["tallies"]} if "tallies" in given else {}),
    }


def fate(id: str, step: str, reason: str, **given: Any) -> dict[str, Any]:
    """Return a row of fates."""
    return {"id": id, "step": step, "reason": reason, "fate": "dropped", **given}


def publish(
    output: Path,
    name: str,
    kind: str,
    rows: Sequence[Mapping[str, Any]],
    steps: Sequence[Mapping[str, Any]] = (),
    *,
    parents: Sequence[str] = (),
    fates: Sequence[Mapping[str, Any]] = (),
    sidecar: Mapping[str, Sequence[Any]] | None = None,
    splits: Mapping[str, int] | None = None,
    shards: int = 1,
    **extra: Any,
) -> dict[str, Any]:
    """Write a dataset and return its manifest.

    `splits` says how many rows, in order, belong to each split; `shards` into how many files of
    equal length each split is cut.
    """
    folder = output / name
    (folder / "sidecar").mkdir(parents=True)
    schema = {column: SCHEMAS[kind][column] for column in main_columns(kind)}
    frame = pl.DataFrame(
        [{column: row.get(column) for column in schema} for row in rows], schema=schema
    )
    beside = pl.DataFrame({"id": frame["id"], **(sidecar or {})})
    listed = []
    start = 0
    for split, height in (splits or {"train": frame.height}).items():
        for number in range(shards):
            low = start + number * height // shards
            high = start + (number + 1) * height // shards
            path = f"{split}-{number:05d}-of-{shards:05d}.parquet"
            frame[low:high].write_parquet(folder / path)
            beside[low:high].write_parquet(folder / "sidecar" / path)
            data = (folder / path).read_bytes()
            listed.append(
                {
                    "path": path,
                    "rows": high - low,
                    "bytes": len(data),
                    "sha256": hashlib.sha256(data).hexdigest(),
                    "split": split,
                }
            )
        start += height
    pl.DataFrame(
        [{column: row.get(column) for column in PUBLISHED_FATES} for row in fates],
        schema=PUBLISHED_FATES,
    ).write_parquet(folder / "sidecar" / "fates.parquet")
    manifest = {
        "format": 1,
        "pipeline": "byhand",
        "dataset": name,
        "kind": kind,
        "rows": frame.height,
        "shards": listed,
        "files": [],
        "ledger": total(StepCounts.from_json(one["counts"]) for one in steps).to_json(),
        "steps": list(steps),
        "from": list(parents),
        "inputs": {},
        "fence": {"total": 0, "records": []},
        "exports": [],
        "origins": [],
        "seed": 0,
        "versions": {"datatools": "0.1.0", "python": "3.11.7"},
        **extra,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, ensure_ascii=False))
    return manifest


def message(role: str, content: str) -> dict[str, Any]:
    """Return a chat message; answers are trained on."""
    return {
        "role": role,
        "content": content,
        "name": None,
        "tool_calls": None,
        "train": role == "assistant",
    }


def documents(texts: Mapping[str, str], **columns: Any) -> list[dict[str, Any]]:
    """Return documents by id, with addresses made of the ids."""
    return [
        {"id": id, "text": text, "url": f"https://example.org/{id}", "source": "pages", **columns}
        for id, text in texts.items()
    ]


# --------------------------------------------------------------------------------------------------
# Training and verdicts


def run(losses: Sequence[float | None], **given: Any) -> dict[str, Any]:
    """Return a run of the training loop with these losses."""
    curve = [
        {
            "step": number,
            "tokens": 100 * number,
            "loss": loss,
            "learning_rate": 0.001,
            "gradient_norm": 1.0,
            "skipped": loss is None,
        }
        for number, loss in enumerate(losses, start=1)
    ]
    return {
        "curve": curve,
        "steps": len(curve),
        "tokens": 100 * len(curve),
        "seconds": 12.5,
        "tokens_per_s": 1000.0,
        "skipped": sum(point["skipped"] for point in curve),
        "stopped": "finished",
        "device": "cpu",
        "threads": 2,
        "parameters": 166_336,
        **given,
    }


def accuracy(value: float | None, pairs: int = 22, groups: int = 12) -> dict[str, Any]:
    """Return an accuracy with an interval of a tenth on both sides."""
    low, high = (None, None) if value is None else (value - 0.1, value + 0.1)
    return {"value": value, "low": low, "high": high, "pairs": pairs, "groups": groups}


def training(**given: Any) -> dict[str, Any]:
    """Return a training result, all parts of it."""
    bits = {"documents": 41, "bytes": 100_000}
    answers = {"conversations": 20, "bytes": 10_000}
    return {
        "size": "smoke",
        "seed": 0,
        "tokenizer": {
            "vocabulary": 1024,
            "bytes_per_token": {"en": 2.5, "ko": 2.0},
            "text_bytes": 1_000_000,
            "seconds": 0.9,
        },
        "pretrain": {
            "folder": "models/pretrain",
            "run": run([7.0, 6.0, None, 5.0]),
            "documents": 354,
            "epochs": 1.0,
            "before": {"all": 4.25, "by_language": {"en": 4.0, "ko": 4.5}, **bits},
            "after": {"all": 3.125, "by_language": {"en": 3.0, "ko": 3.25}, **bits},
            "probes": [
                {
                    "prompt": "최고의 프로그래밍 언어는?",
                    "before": [["?", 0.003], [" a", 0.002]],
                    "after": [["한[ed95]", 0.25], ["\n", 0.125]],
                }
            ],
        },
        "instruct": {
            "folder": "models/instruct",
            "run": run([5.0, 4.0]),
            "conversations": 132,
            "untrained": 3,
            "utilisation": 0.9,
            "before": {
                "bits_per_byte": 3.5,
                "gain": 0.01,
                "shuffled_gain": 0.0,
                "stop_probability": 0.0,
                **answers,
            },
            "after": {
                "bits_per_byte": 2.75,
                "gain": 0.04,
                "shuffled_gain": -0.02,
                "stop_probability": 0.5,
                **answers,
            },
        },
        "preference": {
            "folder": "models/preference",
            "run": run([0.693, 0.6]),
            "pairs": 147,
            "truncated": 97,
            "on_train": accuracy(0.85, pairs=147, groups=78),
            "before": accuracy(0.5),
            "after": accuracy(0.75),
            "length_only": accuracy(0.625),
            "margin": 0.46,
        },
        "seconds": 38.0,
        **given,
    }


def verdict(**given: Any) -> dict[str, Any]:
    """Return a verdict as it is stored."""
    voice = {
        "voice": "ngram-6",
        "regime": "token-matched",
        "main": True,
        "call": "better",
        "effect": 0.05,
        "low": 0.03,
        "high": 0.07,
        "level": 0.95,
        "method": "t",
        "seed_effects": [0.04, 0.05, 0.06],
        "rope": 0.01,
        "bits_a": 2.5,
        "bits_b": 2.45,
        "null_a": 0.004,
        "null_b": -0.006,
        "low_rates": {},
        "train_bytes_a": 500_000,
        "train_bytes_b": 400_000,
    }
    arm = {"documents": 100, "size": 600_000, "digest": "00"}
    return {
        "decision": "better",
        "reasons": ["ngram-6, token-matched: +0.0500 bits per byte."],
        "a": {"name": "pages", **arm},
        "b": {"name": "clean", **arm},
        "shared_ids": 90,
        "tier": "smoke",
        "effect": 0.05,
        "low": 0.03,
        "high": 0.07,
        "level": 0.95,
        "seeds": 3,
        "rope": 0.01,
        "relative": 0.02,
        "domains": [
            {
                "domain": domain,
                "documents": 20,
                "bits_a": 2.5,
                "bits_b": 2.45,
                "effect": 0.05,
                "low": 0.02,
                "high": 0.08,
                "p": 0.03,
            }
            for domain in ("news", "편지")
        ],
        "voices": [
            voice,
            {**voice, "voice": "neural-smoke", "main": False, "call": "inconclusive", "low": -9.0},
        ],
        "contamination": {
            "documents": 47,
            "seen_a": 1,
            "seen_b": 1,
            "excluded": 1,
            "excluded_share": 0.02,
            "limit": 0.2,
        },
        "seconds": 75.0,
        "history": "A gap of this size agreed in 88% of pairs.",
        "limits": "A tier of about a minute sees gross defects.",
        "advice": "",
        "headline": "A model trained on clean reads neutral text 2.0% better.",
        **given,
    }


def add_training(output: Path, value: Mapping[str, Any]) -> None:
    """Write a training result."""
    (output / "models").mkdir(exist_ok=True)
    (output / "models" / "train.json").write_text(json.dumps(value, ensure_ascii=False))


def add_verdict(output: Path, name: str, value: Mapping[str, Any]) -> None:
    """Write a verdict."""
    (output / "verdicts").mkdir(exist_ok=True)
    (output / "verdicts" / f"{name}.json").write_text(json.dumps(value, ensure_ascii=False))


# --------------------------------------------------------------------------------------------------
# A whole output

STAYED = "The library opens at nine and closes at six, also on Saturdays, and is free for all."
REMOVED = "The library opens at ten and closes at six, also on Saturdays, and is free for all."
머문 = "도서관은 아홉 시에 열고 여섯 시에 닫습니다. 토요일에도 같습니다."
떠난 = "도서관은 열 시에 열고 여섯 시에 닫습니다. 토요일에도 같습니다."


def whole(output: Path) -> dict[str, dict[str, Any]]:
    """Write an output with every kind of dataset, training, a verdict and a failed run.

    Returns:
        The manifests by name.
    """
    output.mkdir(parents=True, exist_ok=True)
    pages = {f"{number:032x}": STAYED + f" {number}" for number in range(6)}
    pages |= {f"{number:032x}": 머문 + f" {number}" for number in range(6, 10)}
    manifests = {}
    manifests["pages"] = publish(
        output,
        "pages",
        "document",
        documents(pages),
        [
            step("ReadWarc", read=13, kept=11, quarantined={"bad_record": 2}),
            step("ExtractText", read=11, kept=10, dropped={"no_text": 1}, text_bytes=4000),
        ],
        fates=[
            fate("e" * 32, "ExtractText", "no_text", url="https://example.org/empty"),
            fate("f" * 32, "ReadWarc", "bad_record", fate="quarantined", detail="no HTTP head"),
            fate("d" * 32, "ReadWarc", "bad_record", fate="quarantined", detail="no HTTP head"),
        ],
        inputs={
            "ReadWarc": {
                "size": 100_000,
                "consumed": 98_000,
                "skipped": {"warc-type:request": 1500, "http-status:404": 100},
                "incomplete": [
                    {"path": "cut.warc.gz", "start": 600, "end": 1000, "detail": "the file ends"}
                ],
            }
        },
        origins=[{"source": "pages", "license": "", "rows": 10}],
    )
    survivors = list(pages)
    kept = {id: pages[id] for id in survivors[:3]} | {id: pages[id] for id in survivors[6:8]}
    languages = ["en"] * 3 + ["ko"] * 2
    rows = documents(kept)
    for row, language in zip(rows, languages, strict=True):
        row["language"] = language
    evidence = json.dumps({"survivor": survivors[0], "similarity": 0.8123}, separators=(",", ":"))
    korean = json.dumps({"survivor": survivors[6], "similarity": 0.9}, separators=(",", ":"))
    gone = {"measure": "word_count", "threshold": "< 50"}
    manifests["clean"] = publish(
        output,
        "clean",
        "document",
        rows,
        [
            step(
                "GopherQuality",
                read=10,
                kept=8,
                dropped={"gopher_short_doc": 2},
                removed={"boilerplate": 77},
                text_bytes=3000,
                fields={"min_words": 50, "max_words": None},
            ),
            step(
                "MinHashDedup",
                read=8,
                kept=5,
                dropped={"near_duplicate": 3},
                text_bytes=2000,
                notes={"pairs_not_compared": 4},
            ),
        ],
        parents=["pages"],
        sidecar={"GopherQuality.word_count": [55, 60, 400, 70, 80]},
        fates=[
            fate("1" * 32, "GopherQuality", "gopher_short_doc", value="12", preview="짧다", **gone),
            fate(
                "2" * 32, "GopherQuality", "gopher_short_doc", value="49", preview="short", **gone
            ),
            fate(
                "3" * 32,
                "MinHashDedup",
                "near_duplicate",
                detail=evidence,
                url="https://mirror.example.org/1",
                preview=REMOVED + " 0",
            ),
            fate("4" * 32, "MinHashDedup", "near_duplicate", detail=evidence),
            fate("5" * 32, "MinHashDedup", "near_duplicate", detail=korean, preview=떠난 + " 6"),
        ],
        splits={"train": 4, "validation": 1},
        exports=["trl"],
    )
    manifests["questions"] = publish(
        output,
        "questions",
        "thread",
        [
            {
                "id": "6" * 32,
                "group_id": "6" * 32,
                "question": "언제 여나요?",
                "answers": [
                    {"id": "a", "text": "9시.", "votes": 8, "accepted": True},
                    {"id": "b", "text": "아마 9시.", "votes": None, "accepted": False},
                ],
                "url": "https://example.org/q",
            }
        ],
        [
            step(
                "ExtractQuestions",
                read=10,
                created=1,
                kept=1,
                dropped={"expanded": 1, "no_qa_markup": 9},
                text_bytes=30,
            )
        ],
        parents=["pages"],
        fates=[fate(id, "ExtractQuestions", "no_qa_markup") for id in survivors[1:]]
        + [fate(survivors[0], "ExtractQuestions", "expanded")],
    )
    text = "<|im_start|>user\n언제 여나요?<|im_end|>\n<|im_start|>assistant\n9시.<|im_end|>\n"
    start = text.index("9시")
    manifests["instruct"] = publish(
        output,
        "instruct",
        "conversation",
        [
            {
                "id": "6" * 32,
                "messages": [message("user", "언제 여나요?"), message("assistant", "9시.")],
                "language": "ko",
            }
        ],
        [step("AcceptedAnswer", read=1, kept=1, text_bytes=25)],
        parents=["questions"],
        sidecar={
            "text": [text],
            "loss_spans": [[{"start": start, "end": start + len("9시.<|im_end|>")}]],
        },
    )
    manifests["preference"] = publish(
        output,
        "preference",
        "preference",
        [
            {
                "id": "7" * 32,
                "prompt": [message("user", "When do you open?")],
                "chosen": [message("assistant", "At nine.")],
                "rejected": [message("assistant", "No idea.")],
                "strength": 2.0,
                "url": "https://example.org/q",
            }
        ],
        [step("PairByVotes", read=1, created=1, kept=1, dropped={"expanded": 1}, text_bytes=40)],
        parents=["questions"],
        fates=[fate("6" * 32, "PairByVotes", "expanded")],
    )
    add_training(output, training())
    add_verdict(output, "cleaning", verdict())
    (output / "run.json").write_text(
        json.dumps(
            {
                "pipeline": {
                    "name": "byhand",
                    "seed": 0,
                    "datasets": {name: {"publish": True} for name in manifests},
                },
                "datasets": sorted(manifests),
                "problems": ["pages: 2 of 13 records quarantined (bad_record 2)"],
            }
        )
    )
    return manifests
