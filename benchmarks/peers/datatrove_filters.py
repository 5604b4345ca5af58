"""datatrove's quality filters over a file of texts: decisions and processor time.

Usage: datatrove_filters.py TEXTS.parquet OUT.parquet FILTER...

Reads the column `text`; writes one column per filter, in a struct of `reason` (null keeps) and
`text` (after the filter, where it changes texts). `chain` runs the four filters of FineWeb in its
order, each on what the one before it left. Prints the processor seconds of each, as JSON.
"""

from __future__ import annotations

import json
import sys
import time

import polars as pl
from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4ParagraphFilter,
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)
from datatrove.utils.text import split_into_words
from loguru import logger

FILTERS = {
    "GopherQuality": GopherQualityFilter,
    "GopherRepetition": GopherRepetitionFilter,
    "C4Quality": C4QualityFilter,
    "C4Paragraphs": C4ParagraphFilter,
    "FineWebQuality": FineWebQualityFilter,
}
CHAIN = ("GopherRepetition", "GopherQuality", "C4Quality", "FineWebQuality")


def decide(one: object, document: Document) -> str | None:
    try:
        decision = one.filter(document)
    except ZeroDivisionError:
        return "error: ZeroDivisionError"
    if decision is True:
        return None
    return decision[1] if isinstance(decision, tuple) else "dropped"


def run(name: str, texts: list[str]) -> tuple[float, list[dict[str, str | None]]]:
    names = CHAIN if name == "chain" else (name,)
    filters = [FILTERS[one]() for one in names]
    split_into_words("Load the tokenizer.")
    rows = []
    started = time.process_time()
    for number, text in enumerate(texts):
        document = Document(text=text, id=str(number))
        reason = None
        for one in filters:
            reason = decide(one, document)
            if reason is not None:
                break
        rows.append({"reason": reason, "text": document.text})
    return time.process_time() - started, rows


def main() -> None:
    logger.remove()
    source, out, *names = sys.argv[1:]
    texts = pl.read_parquet(source)["text"].to_list()
    seconds, columns = {}, {}
    schema = pl.Struct({"reason": pl.String, "text": pl.String})
    for name in names:
        seconds[name], rows = run(name, texts)
        columns[name] = pl.Series(name, rows, dtype=schema)
    pl.DataFrame(columns).write_parquet(out)
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
