"""The peer's side of `end_to_end.py`: datatrove as its own examples use it.

Run by the interpreter of the peer's environment:

    python datatrove_run.py jsonl IN OUT WORKERS       filters + MinHash in four stages + write
    python datatrove_run.py warc  IN OUT WORKERS       WARC + resiliparse + filters + write

Prints one JSON line with the rows read and kept.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

from datatrove.executor.local import LocalPipelineExecutor
from datatrove.pipeline.dedup.minhash import (
    MinhashConfig,
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.pipeline.extractors.base import BaseExtractor
from datatrove.pipeline.filters import GopherQualityFilter, GopherRepetitionFilter
from datatrove.pipeline.readers import JsonlReader, WarcReader
from datatrove.pipeline.writers.jsonl import JsonlWriter


class Resiliparse(BaseExtractor):
    """The same extractor as ours, with the same options, in the peer's sandbox."""

    name = "resiliparse"

    def __init__(self) -> None:
        super().__init__(timeout=5)

    def extract(self, text: str) -> str:
        """Return the page's main text."""
        from resiliparse.extract.html2text import extract_plain_text

        return extract_plain_text(text, main_content=True, alt_texts=False, links=False)


def rows(folder: Path) -> int:
    return sum(sum(1 for _ in gzip.open(path, "rb")) for path in sorted(folder.glob("*.jsonl.gz")))


def run(steps: list[object], logs: Path, tasks: int, workers: int) -> None:
    LocalPipelineExecutor(pipeline=steps, logging_dir=str(logs), tasks=tasks, workers=workers).run()


def minhash(source: Path, out: Path, workers: int) -> None:
    """Run the four stages; 17 bands of 7, as ours at a threshold of 0.8."""
    config = MinhashConfig(n_grams=5, num_buckets=17, hashes_per_bucket=7)
    tasks = len(list(source.glob("*.jsonl.gz")))
    sigs, buckets, clusters = (str(out / name) for name in ("sigs", "buckets", "clusters"))
    reader = JsonlReader(str(source))
    run([reader, MinhashDedupSignature(sigs, config=config)], out / "log1", tasks, workers)
    run(
        [MinhashDedupBuckets(sigs, buckets, config=config)],
        out / "log2",
        config.num_buckets,
        workers,
    )
    run([MinhashDedupCluster(buckets, clusters, config=config)], out / "log3", 1, 1)
    run(
        [reader, MinhashDedupFilter(clusters), JsonlWriter(str(out / "final"))],
        out / "log4",
        tasks,
        workers,
    )


def main() -> None:
    kind, source, out, workers = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
    tasks = len([path for path in source.iterdir() if path.is_file()])
    first = (
        [JsonlReader(str(source))] if kind == "jsonl" else [WarcReader(str(source)), Resiliparse()]
    )
    filters = [GopherRepetitionFilter(), GopherQualityFilter()]
    filtered = out / "filtered"
    run([*first, *filters, JsonlWriter(str(filtered))], out / "log0", tasks, workers)
    result = {"after_filters": rows(filtered)}
    if kind == "jsonl":
        minhash(filtered, out, workers)
        result["kept"] = rows(out / "final")
    else:
        result["kept"] = result["after_filters"]
    print(json.dumps(result))


if __name__ == "__main__":
    main()
