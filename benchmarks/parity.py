"""Whether a profile decides as the toolkit it is named after, on the same real documents.

Runs datatrove's filters in its own environment and ours with `profile: datatrove-0.10` over the
same texts, and prints for each filter and rule how many documents both drop for that reason, how
many only one of them does, and of the texts that both keep how many are equal. Our default profile
stands beside it, to show what the name alone says.

`python benchmarks/parity.py [--quick] [--json]`; the last line is a JSON object with `figures`, and
the status is 1 where one is not met.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import polars as pl
from filter_texts import documents
from machine import describe, figure, peer_environment, version_of

from datatools.steps import load_step

HERE = Path(__file__).parent
FILTERS = ("GopherQuality", "GopherRepetition", "C4Quality", "C4Paragraphs", "FineWebQuality")
PROFILE = "datatrove-0.10"
TARGET = 0.995
SHOWN = 5  # disagreements


def ours(texts: pl.DataFrame, name: str, profile: str) -> tuple[list[str | None], dict[int, str]]:
    """Return each document's reason, and the texts of those that stay."""
    step = load_step(name)
    fields = {"profile": profile} if "profile" in step.model_fields else {}
    kept, dropped = step(**fields).apply(texts)
    reasons = dict(zip(dropped["number"], dropped["reason"], strict=True))
    stays = dict(zip(kept["number"], kept["text"], strict=True))
    return [reasons.get(number) for number in range(texts.height)], stays


def compare(
    texts: pl.DataFrame, theirs: list[str | None], their_texts: list[str], name: str, profile: str
) -> dict[str, object]:
    mine, kept = ours(texts, name, profile)
    same = [a == b for a, b in zip(mine, theirs, strict=True)]
    rules: dict[str, Counter[str]] = {}
    for a, b in zip(mine, theirs, strict=True):
        for reason in {a, b} - {None}:
            where = "both" if a == b else "ours" if reason == a else "theirs"
            rules.setdefault(str(reason), Counter())[where] += 1
    both = [n for n, b in enumerate(theirs) if b is None and n in kept]
    differing = [n for n, equal in enumerate(same) if not equal]
    return {
        "agreement": sum(same) / len(same),
        "kept": {"ours": mine.count(None), "theirs": theirs.count(None)},
        "texts_equal": sum(kept[n] == their_texts[n] for n in both) / max(len(both), 1),
        "rules": {reason: dict(counts) for reason, counts in sorted(rules.items())},
        "differences": [
            {"document": n, "ours": mine[n], "theirs": theirs[n]} for n in differing[:SHOWN]
        ],
    }


def tell(name: str, profile: str, found: dict[str, object]) -> None:
    print(f"\n{name}, profile {profile}: {found['agreement']:.2%} of decisions, {found['kept']}")
    rules = found["rules"]
    assert isinstance(rules, dict)
    for reason, counts in rules.items():
        only = f"only ours {counts.get('ours', 0)}, only theirs {counts.get('theirs', 0)}"
        print(f"  {reason:32} both {counts.get('both', 0):5}, {only}")
    print(f"  texts that both keep are equal: {found['texts_equal']:.2%}")
    if profile == PROFILE:
        print(f"  differences: {found['differences'] or 'none'}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="every fifth document")
    parser.add_argument("--json", action="store_true", help="print the JSON object alone")
    arguments = parser.parse_args()
    python = peer_environment("datatrove")
    texts = documents(quick=arguments.quick).with_row_index("number")
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder, "texts.parquet"), Path(folder, "out.parquet")
        texts.write_parquet(source)
        peer = HERE / "peers" / "datatrove_filters.py"
        subprocess.run(
            [str(python), str(peer), str(source), str(out), *FILTERS],
            check=True,
            capture_output=True,
        )
        decided = pl.read_parquet(out)
    result: dict[str, object] = {
        "machine": describe(),
        "datatrove": version_of(python, "datatrove"),
        "spacy": version_of(python, "spacy"),
        "documents": dict(texts["kind"].value_counts(sort=True).iter_rows()),
    }
    figures = {}
    for name in FILTERS:
        theirs = decided[name].struct.field("reason").to_list()
        their_texts = decided[name].struct.field("text").to_list()
        if name == "C4Paragraphs":  # one rule, which datatrove names otherwise
            theirs = [reason and "too_few_paragraphs" for reason in theirs]
        for profile in (PROFILE, "datatools"):
            found = compare(texts, theirs, their_texts, name, profile)
            result[f"{name}, {profile}"] = found
            if not arguments.json:
                tell(name, profile, found)
            if profile == PROFILE:
                agreement, equal = found["agreement"], found["texts_equal"]
                assert isinstance(agreement, float)
                assert isinstance(equal, float)
                figures[f"{name}_agreement"] = figure(round(agreement, 5), TARGET)
                if name == "C4Quality":
                    figures["C4Quality_texts_equal"] = figure(round(equal, 5), TARGET)
    print(json.dumps({**result, "figures": figures}, ensure_ascii=False))
    return 0 if all(one["met"] for one in figures.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
