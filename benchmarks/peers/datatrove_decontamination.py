"""datatrove's n-gram decontamination over a file of texts: decisions and processor time.

Usage: datatrove_decontamination.py ITEMS.parquet TEXTS.parquet OUT.parquet MODE

Both files have a column `text`. MODE is `default` (words by spaCy, as its examples do) or `split`
(`str.split` in spaCy's place). The index holds every 12-gram of the items, by the filter's own
normalisation, tokenizer and hash; its indexer needs a package that downloads evaluation sets.
Writes a column `gone`, and prints the processor seconds of filtering, as JSON.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
from datatrove.data import Document
from datatrove.pipeline.decont.n_grams import NGramsDecontConfig, NGramsDecontFilter
from datatrove.utils.text import ngrams, simplify_text
from loguru import logger


class SplitWords:
    """The cheapest tokenizer there is."""

    def word_tokenize(self, text: str) -> list[str]:
        """Return the words of a text."""
        return text.split()


def main(items: Path, texts: Path, out: Path, mode: str) -> None:
    logger.remove()
    with tempfile.TemporaryDirectory() as folder:
        config = NGramsDecontConfig()
        step = NGramsDecontFilter(folder, config)
        if mode == "split":
            step.tokenizer = SplitWords()
        hashes = {
            step.hash_func(" ".join(gram))
            for text in pl.read_parquet(items)["text"]
            for gram in ngrams(
                step.tokenizer.word_tokenize(simplify_text(text, config.norm_config)),
                config.n_grams,
            )
        }
        array = np.array(sorted(hashes), dtype=config.hash_config.np_descr)
        array.tofile(Path(folder, "items.index.hashes"))
        documents = [Document(text=text, id=str(at)) for at, text in
                     enumerate(pl.read_parquet(texts)["text"])]  # fmt: skip
        step.filter(documents[0])  # loads the index and the tokenizer
        started = time.process_time()
        gone = [step.filter(document) is not True for document in documents]
        seconds = time.process_time() - started
    pl.DataFrame({"gone": gone}).write_parquet(out)
    print(json.dumps({"cpu_seconds": seconds, "grams": len(hashes)}))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]), sys.argv[4])
