"""The two jobs a MinHash peer does in `dedup.py`, in a process of its own.

    python <peer>_dedup.py signatures IN.parquet ROUNDS [MODE]   CPU seconds for text to signatures
    python <peer>_dedup.py deduplicate IN.parquet OUT.parquet    whole job; survivors are written

Imports, reading and a first call on twenty documents are outside the CPU seconds of `signatures`;
`deduplicate` is timed from outside, start and imports included. Peers that leave tokens to the user
get those of `shingles`, which are the words and shingles that ours uses too.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable

import polars as pl

BANDS, ROWS, THRESHOLD = 17, 7, 0.8


def shingles(text: str) -> list[str]:
    words = re.findall(r"\w+", text.lower())
    return [" ".join(words[at : at + 5]) for at in range(len(words) - 4)]


def main(
    signatures: Callable[[list[str], str], list[int] | None],
    survivors: Callable[[list[str]], list[bool]] | None = None,
) -> None:
    """Do what the command line asks.

    Args:
        signatures: Makes the signatures of texts in a mode. May return the first text's.
        survivors: Says of every text whether it stays.
    """
    command, source, last = sys.argv[1:4]
    if command == "signatures":
        mode = sys.argv[4] if len(sys.argv) > 4 else ""
        texts = pl.read_parquet(source, columns=["text"])["text"].to_list()
        first = signatures(texts[:20], mode)
        seconds = []
        for _ in range(int(last)):
            started = time.process_time()
            signatures(texts, mode)
            seconds.append(time.process_time() - started)
        print(json.dumps({"cpu_seconds": seconds, "first": first}))
    elif survivors is not None:
        frame = pl.read_parquet(source)
        keep = pl.Series(survivors(frame["text"].to_list()), dtype=pl.Boolean)
        frame.filter(keep).write_parquet(last)
