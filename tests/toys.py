"""Steps made for tests: a source over plain text files, and steps that misbehave on purpose."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import polars as pl

from datatools.records import Kind, make_id
from datatools.steps.base import (
    Batch,
    Context,
    Expanded,
    Filter,
    FlatMap,
    Map,
    Mapped,
    ReadLog,
    Rule,
    Source,
    Unit,
)


class ReadLines(Source):
    """One record per line of text files; `#` lines are skipped, `!` lines quarantined."""

    paths: tuple[str, ...]
    """Files."""

    def units(self) -> list[Unit]:
        units = []
        for path in sorted(self.paths, key=lambda p: Path(p).name):
            data = Path(path).read_bytes()
            start = 0
            while start < len(data) or (start == 0 and not data):
                end = min(len(data), start + self.unit_bytes)
                newline = data.find(b"\n", end)
                end = len(data) if newline < 0 else newline + 1
                stat = os.stat(path)
                mark = f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ino}"
                units.append(Unit(path, Path(path).name, start, end, len(data), mark))
                start = end
                if not data:
                    break
        return units

    def read(self, unit: Unit, log: ReadLog, label: str) -> Iterator[pl.DataFrame]:
        data = Path(unit.path).read_bytes()[unit.start : unit.end]
        at = unit.start
        rows = []
        for line in data.splitlines(keepends=True):
            stop = at + len(line)
            text = line.decode().rstrip("\n")
            if text.startswith("#"):
                log.skipped(at, stop, "comment")
            else:
                log.consumed(at, stop)
                id_ = make_id(label, unit.relpath, at)
                if text.startswith("!"):
                    log.quarantined(id_, "bad_line", offset=at, detail=text)
                else:
                    rows.append(
                        {
                            "id": id_,
                            "text": text,
                            "url": f"https://example.org/{unit.relpath}/{at}",
                            "source": label,
                            "origin": unit.relpath,
                            "offset": at,
                        }
                    )
            at = stop
            if len(rows) == 10:
                yield pl.DataFrame(rows)
                rows = []
        if rows:
            yield pl.DataFrame(rows)


class Upper(Map):
    """Upper-cases; drops `drop me`, quarantines `boom`."""

    suffix: str = ""
    """Added to every text."""

    def bind(self, context: Context) -> Upper:
        return self

    def map(self, batch: Batch) -> Mapped:
        text = batch.df["text"]
        return Mapped(
            batch.df.with_columns((text.str.to_uppercase() + self.suffix).alias("text")),
            dropped=pl.select(
                pl.when(text.str.contains("drop me")).then(pl.lit("asked"))
            ).to_series(),
            quarantined=pl.select(
                pl.when(text.str.contains("boom")).then(pl.lit("boom"))
            ).to_series(),
        )


class Words(FlatMap):
    """One child per word; a record without words is dropped."""

    def bind(self, context: Context) -> Words:
        return self

    def flat_map(self, batch: Batch) -> Expanded:
        parents, keys, texts = [], [], []
        dropped: list[str | None] = []
        for index, text in enumerate(batch.df["text"].to_list()):
            words = text.split()
            dropped.append(None if words else "no_words")
            for word in words:
                parents.append(index)
                keys.append(word)
                texts.append(word)
        children = pl.DataFrame(
            {"parent": parents, "key": keys, "text": texts},
            schema={"parent": pl.UInt32, "key": pl.String, "text": pl.String},
        )
        return Expanded(children, dropped=pl.Series(dropped, dtype=pl.String))


class Length(Filter):
    """Drops short and long texts; the length of `nan` is undefined."""

    measures: ClassVar = {"characters": pl.Float64}
    minimum: int | None = 3
    """Fewest characters."""
    maximum: int | None = None
    """Most characters."""
    log: str | None = None
    """File that says how often this measured."""

    def bind(self, context: Context) -> Length:
        return self

    def rules(self) -> tuple[Rule, ...]:
        return (
            Rule("too_short", "characters", "<", "minimum"),
            Rule("too_long", "characters", ">", "maximum"),
        )

    def reads(self) -> frozenset[str]:
        return frozenset({"text"})

    def measure(self, batch: Batch) -> pl.DataFrame:
        if self.log is not None:
            with open(self.log, "a") as file:
                file.write(f"{len(batch)}\n")
        text = batch.df["text"]
        lengths = text.str.len_chars().cast(pl.Float64)
        return pl.DataFrame(
            {
                "characters": pl.select(
                    pl.when(text == "nan").then(float("nan")).otherwise(lengths)
                ).to_series()
            }
        )


class Die(Map):
    """Kills its own process at the first record that says `die`, while a file exists."""

    while_exists: str
    """File whose presence makes it deadly."""

    def bind(self, context: Context) -> Die:
        return self

    def map(self, batch: Batch) -> Mapped:
        if "die" in batch.df["text"].to_list() and os.path.exists(self.while_exists):
            os.kill(os.getpid(), signal.SIGKILL)
        return Mapped(batch.df)


class Slow(Map):
    """Sleeps for every batch."""

    seconds: float = 0.05
    """How long."""

    def bind(self, context: Context) -> Slow:
        return self

    def map(self, batch: Batch) -> Mapped:
        time.sleep(self.seconds)
        return Mapped(batch.df)


class DieOnce(Map):
    """Kills its own process at the first record that says `die`, and removes the file that says
    so."""

    mark: str
    """File whose presence makes it deadly, once."""

    def bind(self, context: Context) -> DieOnce:
        return self

    def map(self, batch: Batch) -> Mapped:
        if "die" in batch.df["text"].to_list() and os.path.exists(self.mark):
            os.unlink(self.mark)
            os.kill(os.getpid(), signal.SIGKILL)
        return Mapped(batch.df)


class Questions(FlatMap):
    """One thread for every part of a text after its first `|`; a page without one is dropped."""

    gives: ClassVar[Kind | None] = "thread"

    def bind(self, context: Context) -> Questions:
        return self

    def flat_map(self, batch: Batch) -> Expanded:
        rows = [
            {"parent": index, "key": str(number), "question": part.strip(), "doc_id": id_}
            for index, (id_, text) in enumerate(batch.df.select("id", "text").iter_rows())
            for number, part in enumerate(text.split("|")[1:])
        ]
        schema = {
            "parent": pl.UInt32,
            "key": pl.String,
            "question": pl.String,
            "doc_id": pl.String,
        }
        asked = batch.df["text"].str.contains("|", literal=True)
        without = pl.select(pl.when(~asked).then(pl.lit("no_question"))).to_series()
        return Expanded(pl.DataFrame(rows, schema=schema), dropped=without)


class ReadNamed(ReadLines):
    """Takes the id of a record from its line: what comes before the first `=`."""

    def read(self, unit: Unit, log: ReadLog, label: str) -> Iterator[pl.DataFrame]:
        for frame in super().read(unit, log, label):
            parts = frame["text"].str.splitn("=", 2).struct.unnest()
            yield frame.with_columns(parts["field_0"].alias("id"), parts["field_1"].alias("text"))
