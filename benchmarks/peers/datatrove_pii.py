"""datatrove: what its `PIIFormatter` takes, and what it makes of each text.

    python datatrove_pii.py IN.parquet OUT.parquet

Imports and reading are outside the CPU seconds that it prints.
"""

from __future__ import annotations

import json
import sys
import time

import polars as pl
from datatrove.pipeline.formatters import PIIFormatter


def main() -> None:
    source, out = sys.argv[1:]
    texts = pl.read_parquet(source, columns=["text"])["text"].to_list()
    formatter = PIIFormatter()
    started = time.process_time()
    masked = [formatter.format(text) for text in texts]
    seconds = time.process_time() - started
    pl.DataFrame({"text": masked}).write_parquet(out)
    print(json.dumps({"cpu_seconds": seconds}))


if __name__ == "__main__":
    main()
