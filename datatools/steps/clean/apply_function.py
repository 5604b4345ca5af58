"""`Apply`: a plain function of one's own as a step, fenced and part of the key."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import ClassVar

import polars as pl
from pydantic import Field, field_validator

from datatools.code_digest import source_digest
from datatools.errors import ConfigError, suggestion
from datatools.fence import Fence, Fenced
from datatools.records import Kind
from datatools.steps.base import Batch, Context, Map, Mapped

__all__ = ["Apply"]

_NONE, _UNCHANGED = b"0", b"="
_SURROGATES = re.compile("[\ud800-\udfff]")


class Apply(Map):
    """Run a function `text -> text` over one column; a record for which it returns None is dropped.

    A null is not given to the function and stays null.

    The function runs behind the fence: one that raises, hangs, crashes or grows costs the record it
    was given, which is quarantined with the reason. The syntax tree of its module, and of what that
    imports from its own package, is part of the result's key, so an edited function is never served
    from the cache; comments and layout do not count.

    Example:
        >>> frame = pl.DataFrame({"text": ["  들여쓴 글", "  indented"]})
        >>> kept, dropped = Apply(function="textwrap:dedent").apply(frame)
        >>> kept["text"].to_list()
        ['들여쓴 글', 'indented']
    """

    version: ClassVar[int] = 1
    takes: ClassVar[Kind | None] = None
    risky: ClassVar[bool] = True

    function: str
    """The function, as `package.module:name`. It takes the column's text and returns text, or None
    to drop the record."""
    column: str = "text"
    """The text column it changes."""
    cpu_seconds: float = Field(5.0, gt=0)
    """CPU time it may take for one record. Raising it lets slower records pass."""
    memory_bytes: int = Field(1 << 30, ge=1 << 20)
    """Memory it may add for one record, in bytes."""

    @field_validator("function")
    @classmethod
    def _is_importable(cls, value: str) -> str:
        try:
            _load(value)
            source_digest(value.partition(":")[0])
        except ConfigError as error:
            raise ValueError(f"{error.problem}. {error.hint or ''}".strip()) from error
        return value

    def reads(self) -> frozenset[str]:
        """Return the column."""
        return frozenset({self.column})

    def digests(self) -> Mapping[str, str]:
        """Return the digest of the function's code."""
        return {self.function: source_digest(self.function.partition(":")[0])}

    def bind(self, context: Context) -> _Bound:
        """Start a fence around the function."""
        fence = Fence(
            partial(_fenced, self.function),
            cpu_seconds=self.cpu_seconds,
            memory_bytes=self.memory_bytes,
        )
        return _Bound(fence, self.column)


class _Bound:
    def __init__(self, fence: Fence, column: str) -> None:
        self._fence = fence
        self._column = column

    def close(self) -> None:
        self._fence.close()

    def map(self, batch: Batch) -> Mapped:
        texts = batch.df[self._column].to_list()
        results = iter(self._fence.run([text.encode() for text in texts if text is not None]))
        new: list[str | None] = []
        dropped: list[str | None] = []
        quarantined: list[str | None] = []
        detail: list[str | None] = []
        for text in texts:
            result = _UNCHANGED if text is None else next(results)
            failure = result if isinstance(result, Fenced) else None
            answer = _UNCHANGED if isinstance(result, Fenced) else result
            gone = answer == _NONE
            new.append(text if gone or answer == _UNCHANGED else answer[1:].decode())
            dropped.append("function_returned_none" if gone else None)
            quarantined.append(failure.reason if failure else None)
            detail.append(failure.detail if failure else None)
        return Mapped(
            batch.df.with_columns(pl.Series(self._column, new, dtype=pl.String)),
            dropped=pl.Series(dropped, dtype=pl.String),
            quarantined=pl.Series(quarantined, dtype=pl.String),
            detail=pl.Series(detail, dtype=pl.String),
        )


def _load(name: str) -> Callable[[str], str | None]:
    module, colon, attribute = name.partition(":")
    if not colon:
        raise ConfigError("Apply", "must be package.module:name", got=name)
    try:
        holder = importlib.import_module(module)
    except (Exception, SystemExit) as error:  # importing runs code, which may raise anything
        raise ConfigError(
            "Apply",
            f"cannot be imported: {type(error).__name__}: {error}",
            got=name,
            hint="Install its package, or run where it can be imported.",
        ) from error
    if not hasattr(holder, attribute):
        raise ConfigError(
            "Apply",
            f"module {module!r} has no {attribute!r}",
            got=name,
            hint=suggestion(attribute, [one for one in vars(holder) if not one.startswith("_")]),
        )
    function = getattr(holder, attribute)
    if not callable(function):
        raise ConfigError("Apply", "is not a function", got=name)
    return function  # type: ignore[no-any-return]


def _fenced(name: str) -> Callable[[bytes], bytes]:
    """Build, in the fenced child, the function over bytes: `1text`, or `_NONE`."""
    function = _load(name)

    def run(item: bytes) -> bytes:
        result = function(item.decode())
        if result is None:
            return _NONE
        if not isinstance(result, str):
            raise TypeError(f"must return text or None, not {type(result).__name__}")
        # A lone surrogate cannot be stored as UTF-8; it becomes U+FFFD as it does in the readers.
        return b"1" + _SURROGATES.sub("\ufffd", result).encode()

    return run
