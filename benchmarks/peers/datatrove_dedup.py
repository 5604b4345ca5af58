"""datatrove: its signature step alone, and its four stages with words split at white space.

Modes of `signatures`: `default` is what its examples do (spaCy words, 14 bands of 8); `split` puts
`str.split` in spaCy's place, what a user who tunes it gets. Writing signatures is left out of the
former two and part of `deduplicate`.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import side
from datatrove.executor.local import LocalPipelineExecutor
from datatrove.pipeline.dedup.minhash import (
    MinhashConfig,
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.pipeline.readers import ParquetReader
from datatrove.pipeline.writers import ParquetWriter


class SplitWords:
    """The cheapest tokenizer there is."""

    def word_tokenize(self, text: str) -> list[str]:
        """Return the words of a text."""
        return text.split()


def signature_step(folder: str, config: MinhashConfig, mode: str) -> MinhashDedupSignature:
    step = MinhashDedupSignature(folder, config=config)
    if mode == "split":
        step.word_tokenizer = SplitWords()
    return step


def signatures(texts: list[str], mode: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        step = signature_step(folder, MinhashConfig(), mode)
        for text in texts:
            shingles = step.get_shingles(text)
            if shingles.size:
                step.get_signature(shingles)


def deduplicate(source: Path, out: Path) -> None:
    config = MinhashConfig(n_grams=5, num_buckets=side.BANDS, hashes_per_bucket=side.ROWS)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        sigs, buckets, clusters = (str(work / name) for name in ("sigs", "buckets", "clusters"))
        reader = ParquetReader(str(source.parent), glob_pattern=source.name)
        stages = [
            [reader, signature_step(sigs, config, "split")],
            [MinhashDedupBuckets(sigs, buckets, config=config)],
            [MinhashDedupCluster(buckets, clusters, config=config)],
            [reader, MinhashDedupFilter(clusters), ParquetWriter(str(work / "final"))],
        ]
        for number, stage in enumerate(stages):
            tasks = side.BANDS if number == 1 else 1
            LocalPipelineExecutor(
                pipeline=stage, logging_dir=str(work / f"log{number}"), tasks=tasks, workers=1
            ).run()
        (written,) = sorted((work / "final").glob("*.parquet"))
        side.pl.read_parquet(written).write_parquet(out)


if __name__ == "__main__":
    if sys.argv[1] == "deduplicate":
        deduplicate(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        side.main(signatures)
