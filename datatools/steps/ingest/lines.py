"""Lines of a byte stream, with their positions, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

__all__ = ["split_lines"]


def split_lines(
    chunks: Iterable[bytes], start: int, max_bytes: int
) -> Iterator[tuple[int, int, bytes | None]]:
    r"""Cut a stream into lines at `\n` and nowhere else.

    U+2028, U+0085 and a lone `\r` are characters of a line. A stream that ends without a `\n` has a
    last line that does not end in one.

    Args:
        chunks: The stream, in pieces.
        start: Position of its first byte.
        max_bytes: Lines longer than this, without their `\n`, are measured and let go.

    Yields:
        Position of the line's first byte, position after its `\n`, and the line without the `\n`,
        None if it is too long. The lines tile the stream.

    Example:
        >>> list(split_lines([b"a\nb", b"c\n", b"d"], 0, 10))
        [(0, 2, b'a'), (2, 5, b'bc'), (5, 6, b'd')]
    """
    position = start
    parts: list[bytes] = []  # an unfinished line
    held = 0
    for chunk in chunks:
        first, *others = chunk.split(b"\n")
        held += len(first)
        parts.append(first)
        if held > max_bytes:
            parts = [b""]
        if not others:
            continue
        end = position + held + 1
        yield position, end, b"".join(parts) if held <= max_bytes else None
        position = end
        last = others.pop()
        for line in others:
            end = position + len(line) + 1
            yield position, end, line if len(line) <= max_bytes else None
            position = end
        held = len(last)
        parts = [last]
    if held:
        yield position, position + held, b"".join(parts) if held <= max_bytes else None
