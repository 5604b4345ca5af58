"""data-juicer: what its MinHash operator computes for each sample."""

from __future__ import annotations

import side
from data_juicer.ops.deduplicator import DocumentMinhashDeduplicator


def signatures(texts: list[str], mode: str) -> None:
    operator = DocumentMinhashDeduplicator(
        tokenization="space",
        window_size=5,
        num_permutations=128,
        num_bands=16,
        num_rows_per_band=8,
    )
    for text in texts:
        operator.compute_hash({"text": text})


if __name__ == "__main__":
    side.main(signatures)
