"""Steps that one row can kill, hang or flood, and a record of how often each row was tried."""

from __future__ import annotations

import ctypes
import mmap
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from typing import ClassVar

import polars as pl
from toys import ReadLines

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
    Unit,
)

GIB = 1 << 30
_kept: list[mmap.mmap] = []


class PanicException(BaseException):
    """What a panic of a Rust library looks like: neither an `Exception` nor an exit."""


def suffer(text: str) -> None:
    """Do what the first word of a text says."""
    match text.partition(" ")[0].lower():
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "segv":
            ctypes.string_at(0)
        case "exit":
            os._exit(7)
        case "hang":
            while True:
                pass
        case "sleep":
            time.sleep(3600)
        case "flood":
            # Memory that is asked for and not touched, then what the system's killer would do.
            while len(_kept) < 256:
                _kept.append(mmap.mmap(-1, GIB // 16))
            os.kill(os.getpid(), signal.SIGKILL)
        case "quit":
            sys.exit(3)
        case "interrupt":
            raise KeyboardInterrupt
        case "panic":
            raise PanicException("index out of bounds")
        case "raise":
            raise ValueError("got 없음")


def note(log: str | None, texts: Sequence[str]) -> None:
    """Write down which texts are about to be tried."""
    if log is not None:
        with open(log, "a") as file:
            file.write("".join(f"{text}\n" for text in texts))


class ReadDeadly(ReadLines):
    """Suffers what a line says while it reads."""

    def read(self, unit: Unit, log: ReadLog, label: str) -> Iterator[pl.DataFrame]:
        for frame in super().read(unit, log, label):
            for text in frame["text"].to_list():
                suffer(text)
            yield frame


class Shout(Map):
    """Upper-cases; `removed` counts spaces, `notes` words, and `drop me` is dropped."""

    log: str | None = None
    """File that says what was tried."""
    tame: bool = False
    """Quarantine as the fence would, without suffering."""

    def bind(self, context: Context) -> Shout:
        return self

    def map(self, batch: Batch) -> Mapped:
        texts = batch.df["text"].to_list()
        note(self.log, texts)
        reasons = [TAME.get(text.partition(" ")[0]) if self.tame else None for text in texts]
        if not self.tame:
            for text in texts:
                suffer(text)
        text = batch.df["text"]
        drops = pl.when(text.str.contains("drop me")).then(pl.lit("asked"))
        good = [text for text, reason in zip(texts, reasons, strict=True) if reason is None]
        return Mapped(
            batch.df.with_columns(
                text.str.to_uppercase(), text.str.len_chars().cast(pl.Int32).alias("length")
            ),
            dropped=pl.select(drops).to_series(),
            quarantined=pl.Series([r and r[0] for r in reasons], dtype=pl.String),
            detail=pl.Series([r and r[1] for r in reasons], dtype=pl.String),
            removed={"spaces": sum(text.count(" ") for text in good)},
            notes={"words": sum(len(text.split()) for text in good)},
        )


TAME = {
    "kill": ("fence_crash", "killed by SIGKILL"),
    "segv": ("fence_crash", "killed by SIGSEGV"),
    "exit": ("fence_crash", "exited with code 7"),
}


class Parts(FlatMap):
    """One child per word; a text of one word is dropped."""

    log: str | None = None
    """File that says what was tried."""
    tame: bool = False
    """Quarantine as the fence would, without suffering."""

    def bind(self, context: Context) -> Parts:
        return self

    def flat_map(self, batch: Batch) -> Expanded:
        texts = batch.df["text"].to_list()
        note(self.log, texts)
        rows, dropped, stopped = [], [], []
        for index, text in enumerate(texts):
            words = text.split()
            lost = TAME.get(words[0].lower()) if self.tame and words else None
            if not self.tame:
                suffer(text)
            stopped.append(lost)
            alone = lost is None and len(words) < 2
            dropped.append("one_word" if alone else None)
            if lost is None and not alone:
                rows += [{"parent": index, "key": str(n), "text": w} for n, w in enumerate(words)]
        schema = {"parent": pl.UInt32, "key": pl.String, "text": pl.String}
        return Expanded(
            pl.DataFrame(rows, schema=schema),
            dropped=pl.Series(dropped, dtype=pl.String),
            quarantined=pl.Series([lost and lost[0] for lost in stopped], dtype=pl.String),
            detail=pl.Series([lost and lost[1] for lost in stopped], dtype=pl.String),
        )


class Count(Filter):
    """Drops texts of few characters; a text that it cannot count kills."""

    measures: ClassVar = {"characters": pl.Int64, "first": pl.String}
    minimum: int | None = 6
    """Fewest characters."""
    log: str | None = None
    """File that says what was tried."""
    harmless: bool = False
    """Do not suffer."""

    def bind(self, context: Context) -> Count:
        return self

    def rules(self) -> tuple[Rule, ...]:
        return (Rule("short", "characters", "<", "minimum"),)

    def reads(self) -> frozenset[str]:
        return frozenset({"text"})

    def measure(self, batch: Batch) -> pl.DataFrame:
        texts = batch.df["text"].to_list()
        note(self.log, texts)
        if not self.harmless:
            for text in texts:
                suffer(text)
        text = batch.df["text"]
        return pl.DataFrame({"characters": text.str.len_chars(), "first": text.str.head(1)})
