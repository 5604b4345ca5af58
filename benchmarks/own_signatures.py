"""Our side of the signatures in `dedup.py`: `python own_signatures.py IN.parquet ROUNDS MODE`.

Modes: `own`, and `compatible` with datasketch's signatures. `mb_per_s` starts from Arrow buffers;
`mb_per_s_from_frame` from a Polars frame, whose string views are converted first.
"""

from __future__ import annotations

import json
import statistics
import sys
import time

import polars as pl

from datatools.kernels.minhash import signatures
from datatools.steps.base import MAX_BATCH_BYTES, Batch

BATCH_ROWS = 1024


def main() -> None:
    source, rounds, mode = sys.argv[1:4]
    frame = pl.read_parquet(source)
    size = int(frame["text"].str.len_bytes().sum())
    batches = [Batch(part) for part in frame.iter_slices(BATCH_ROWS)]
    assert all(part.df["text"].str.len_bytes().sum() <= MAX_BATCH_BYTES for part in batches)
    # The hash that datasketch is fastest with, on both sides.
    compatible = {"compatible": "datasketch", "shingle_hash": "xxh32"}
    options = compatible if mode == "compatible" else {}
    few, _ = signatures(*Batch(frame.head(20)).buffers("text"), **options)
    ready, views = [], []
    for number in range(2 * int(rounds)):
        fresh = [Batch(part.df) for part in batches]
        if number % 2:
            for part in fresh:
                part.buffers("text")  # kept in the batch
        started = time.process_time()
        for part in fresh:
            signatures(*part.buffers("text"), **options)
        (ready if number % 2 else views).append(time.process_time() - started)
    print(
        json.dumps(
            {
                "mb_per_s": round(size / 1e6 / statistics.median(ready), 1),
                "mb_per_s_from_frame": round(size / 1e6 / statistics.median(views), 1),
                "cpu_seconds": [round(one, 4) for one in ready],
                "bytes": size,
                "first": few[0].tolist(),
            }
        )
    )


if __name__ == "__main__":
    main()
