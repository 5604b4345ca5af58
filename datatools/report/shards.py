"""Published records: what they look like, in which languages, how long.

Owns: which records are shown and which are measured. A large dataset is measured on shards spread
evenly over it, and the page says on how many records. Refuses: records that left (`fates`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from datatools.dataset import Dataset, ShardFile
from datatools.report.histograms import histogram_of
from datatools.report.languages import UNKNOWN
from datatools.report.model.chats import Conversation, Message, Segment
from datatools.report.model.distributions import Histogram, LanguageCount
from datatools.report.model.pairs import Pair
from datatools.report.model.samples import Sample
from datatools.report.quantities import decimal

__all__ = [
    "TEXT_CHARACTERS",
    "Texts",
    "conversations",
    "measured_shards",
    "pairs",
    "samples",
    "sidecar_values",
    "texts",
]

TEXT_CHARACTERS: Final = 500
"""Characters of a published text that are shown."""
_MESSAGE_CHARACTERS: Final = 900
_RENDERED_CHARACTERS: Final = 2000
_MEASURED_ROWS: Final = 1_000_000
_SHOWN: Final = 4
_LANGUAGES_SHOWN: Final = 2
_SERIES: Final = 3


# --------------------------------------------------------------------------------------------------
# Distributions


def measured_shards(shards: Sequence[ShardFile]) -> list[ShardFile]:
    """Return the shards to measure: all, or as many of them, evenly spread, as hold a million rows.

    At least one is returned if there is one.
    """
    total = sum(shard.rows for shard in shards)
    if total <= _MEASURED_ROWS:
        return list(shards)
    wanted = max(1, int(len(shards) * _MEASURED_ROWS / total))
    return [shards[number * len(shards) // wanted] for number in range(wanted)]


@dataclass(frozen=True)
class Texts:
    """What was measured on a dataset's texts.

    Attributes:
        rows: Records measured.
        languages: Records by language, most first.
        lengths: Characters per record by language; None without records.
    """

    rows: int
    languages: tuple[LanguageCount, ...]
    lengths: Histogram | None


def texts(dataset: Dataset) -> Texts:
    """Measure languages and lengths of a dataset of documents.

    A missing language counts as `und`. Lengths are told for the three most frequent languages, the
    rest as `other`.
    """
    frames = [
        pl.scan_parquet(dataset.path / shard.path, glob=False)
        .select(
            pl.col("language").fill_null(UNKNOWN),
            pl.col("text").str.len_chars().fill_null(0).cast(pl.Float64).alias("characters"),
            pl.col("text").str.len_bytes().fill_null(0).cast(pl.Int64).alias("bytes"),
        )
        .collect()
        for shard in measured_shards(dataset.shards)
    ]
    if not frames:
        return Texts(0, (), None)
    frame = pl.concat(frames)
    counted = (
        frame.group_by("language")
        .agg(pl.len().alias("rows"), pl.col("bytes").sum())
        .sort(["rows", "language"], descending=[True, False])
    )
    languages = tuple(LanguageCount(*row) for row in counted.iter_rows())
    named = [one.language for one in languages[:_SERIES]]
    series = {
        name: frame.filter(pl.col("language") == name)["characters"].to_numpy() for name in named
    }
    if len(languages) > _SERIES:
        others = ~pl.col("language").is_in(named)
        series["other"] = frame.filter(others)["characters"].to_numpy()
    return Texts(
        frame.height,
        languages,
        histogram_of({name: np.maximum(values, 1) for name, values in series.items()}),
    )


def sidecar_values(dataset: Dataset, column: str) -> npt.NDArray[np.float64] | None:
    """Return a measured column of the published records, or None if it is not beside them."""
    found = []
    for shard in measured_shards(dataset.shards):
        path = dataset.path / "sidecar" / shard.path
        if not path.is_file() or column not in pl.read_parquet_schema(path):
            return None
        values = pl.read_parquet(path, columns=[column], glob=False)[column]
        found.append(values.cast(pl.Float64).drop_nulls().to_numpy())
    return np.concatenate([*found, np.empty(0)])


# --------------------------------------------------------------------------------------------------
# Records to look at


def _places(dataset: Dataset) -> Iterator[tuple[ShardFile, int]]:
    """Yield where records to look at are: a few of each of the largest languages, spread out.

    They come from the first shard that holds records, which is enough for a look.
    """
    shard = next((shard for shard in dataset.shards if shard.rows), None)
    if shard is None:
        return
    column = pl.read_parquet(dataset.path / shard.path, columns=["language"], glob=False)
    rows = column.select(pl.col("language").fill_null(UNKNOWN)).with_row_index("row")
    largest = (
        rows.group_by("language")
        .len()
        .sort(["len", "language"], descending=[True, False])["language"]
        .to_list()
    )
    chosen = largest[:_LANGUAGES_SHOWN]
    for language in chosen:
        own = rows.filter(pl.col("language") == language)["row"].to_list()
        wanted = min(_SHOWN // len(chosen), len(own))
        for number in range(wanted):
            yield shard, own[(2 * number + 1) * len(own) // (2 * wanted)]


def _rows(dataset: Dataset) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield records to look at, each with what the sidecar says of it."""
    for shard, row in _places(dataset):
        found = pl.scan_parquet(dataset.path / shard.path, glob=False).slice(row, 1).collect()
        beside = dataset.path / "sidecar" / shard.path
        signals: dict[str, Any] = {}
        if beside.is_file():
            signals = pl.scan_parquet(beside, glob=False).slice(row, 1).collect().row(0, named=True)
        yield found.row(0, named=True), signals


def samples(dataset: Dataset) -> tuple[Sample, ...]:
    """Return published documents or threads to look at."""
    return tuple(_sample(row, signals) for row, signals in _rows(dataset))


def _sample(row: Mapping[str, Any], signals: Mapping[str, Any]) -> Sample:
    text = row.get("text") or row.get("question") or ""
    for answer in row.get("answers") or ():
        votes = "" if answer["votes"] is None else f" {answer['votes']} votes"
        accepted = " accepted" if answer["accepted"] else ""
        text += f"\n\n→{accepted}{votes}\n{answer['text'] or ''}"
    return Sample(
        id=row["id"],
        url=row.get("url"),
        text=text[:TEXT_CHARACTERS],
        characters=len(text),
        language=row.get("language"),
        signals={
            name: _signal(value)
            for name, value in signals.items()
            if "." in name and value is not None
        },
    )


def _signal(value: object) -> str:
    return decimal(value) if isinstance(value, float) else str(value)[:80]


def conversations(dataset: Dataset) -> tuple[Conversation, ...]:
    """Return conversations to look at, with what the loss covers."""
    found = []
    for row, signals in _rows(dataset):
        text, spans = signals.get("text"), signals.get("loss_spans")
        segments: tuple[Segment, ...] = ()
        if text is not None and spans is not None:
            segments = _segments(text[:_RENDERED_CHARACTERS], spans)
        found.append(
            Conversation(
                id=row["id"],
                url=row.get("url"),
                language=row.get("language"),
                segments=segments,
                messages=() if segments else _messages(row["messages"]),
                left_out=max(0, len(text or "") - _RENDERED_CHARACTERS) if segments else 0,
            )
        )
    return tuple(found)


def _segments(text: str, spans: Sequence[Mapping[str, int]]) -> tuple[Segment, ...]:
    """Return a text cut at the edges of spans, which are sorted and do not overlap."""
    found: list[Segment] = []
    at = 0
    for span in spans:
        start, end = min(span["start"], len(text)), min(span["end"], len(text))
        found += [Segment(text[at:start], False), Segment(text[start:end], True)]
        at = end
    found.append(Segment(text[at:], False))
    return tuple(segment for segment in found if segment.text)


def _messages(messages: Sequence[Mapping[str, Any]] | None) -> tuple[Message, ...]:
    found = []
    for message in messages or ():
        text = message["content"] or ""
        train = message.get("train")
        found.append(
            Message(
                role=message["role"] or "",
                text=text[:_MESSAGE_CHARACTERS],
                left_out=max(0, len(text) - _MESSAGE_CHARACTERS),
                trained=message["role"] == "assistant" if train is None else train,
            )
        )
    return tuple(found)


def pairs(dataset: Dataset) -> tuple[Pair, ...]:
    """Return preference pairs to look at."""
    return tuple(
        Pair(
            id=row["id"],
            url=row.get("url"),
            language=row.get("language"),
            prompt=_messages(row["prompt"]),
            chosen=_messages(row["chosen"]),
            rejected=_messages(row["rejected"]),
            strength=row.get("strength"),
        )
        for row, _ in _rows(dataset)
    )
