"""A word difference on the terminal: marked, coloured and wrapped.

Owns: the marks, `[-removed-]` and `{+stayed+}`, which say without colours what colours say, and
where lines end. Refuses: what differs (`report.diff`).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import click
from rich.cells import cell_len, chop_cells

from datatools.report.visible import visible

if TYPE_CHECKING:
    from datatools.report.diff import Piece

__all__ = ["diff_lines"]

_MARKS: Final = {"both": "{}", "first": "[-{}-]", "second": "{{+{}+}}"}
_COLOURS: Final = {"both": None, "first": "red", "second": "green"}
_WORDS: Final = re.compile(r"\n|[^\S\n]+|\S+")


def diff_lines(pieces: Sequence[Piece], columns: int) -> list[str]:
    """Return a difference as lines of at most so many terminal columns, styled.

    Words stay whole where a line can hold them. A Korean syllable is two columns wide. A line end
    that only one of the texts has is shown as `⏎`.

    Args:
        pieces: Words of both texts, of the first and of the second one.
        columns: Columns of a line, 2 or more.

    Example:
        >>> from datatools.report.diff import word_diff
        >>> lines = diff_lines(word_diff("문을 아홉 시에 엽니다", "문을 열 시에 엽니다"), 20)
        >>> [click.unstyle(line) for line in lines]
        ['문을 [-아홉-]{+열+}', '시에 엽니다']
    """
    text, colours = "", list[str | None]()
    for piece in pieces:
        shown = visible(piece.text)
        if piece.side != "both":
            shown = shown.replace("\n", "⏎ ")
        marked = _MARKS[piece.side].format(shown)
        text += marked
        colours += [_COLOURS[piece.side]] * len(marked)
    return [_styled(text[start:stop], colours[start:stop]) for start, stop in _lines(text, columns)]


def _lines(text: str, columns: int) -> list[tuple[int, int]]:
    """Return where each line begins and ends."""
    lines: list[tuple[int, int]] = []
    start = stop = used = 0  # the line so far: text[start:stop], in so many columns
    for found in _WORDS.finditer(text):
        word, at = found[0], found.start()
        if word == "\n":
            lines.append((start, stop))
            start = stop = found.end()
            used = 0
            continue
        if word.isspace():
            continue  # counted with the word after it, or lost at a line's end
        for part in chop_cells(word, columns):
            width = cell_len(text[stop:at]) + cell_len(part)
            if stop > start and used + width > columns:
                lines.append((start, stop))
                start, used, width = at, 0, cell_len(part)
            elif stop == start:
                start, width = at, cell_len(part)
            at += len(part)
            stop = at
            used += width
    return [*lines, (start, stop)]


def _styled(line: str, colours: Sequence[str | None]) -> str:
    runs = itertools.groupby(zip(line, colours, strict=True), key=lambda pair: pair[1])
    return "".join(
        click.style("".join(letter for letter, _ in run), fg=colour)
        if colour
        else "".join(letter for letter, _ in run)
        for colour, run in runs
    )
