"""What a MinHash search finds: its bands and rows, and the predicted recall, in words."""

from __future__ import annotations

from datatools.kernels.minhash import choose_bands, predicted_recall

__all__ = ["explain_recall"]

BYTES_PER_KEY = 24
"""A band's key, the row and its priority."""
BYTES_PER_PAIR = 40
"""Two rows, their priorities and the similarity."""


def explain_recall(threshold: float, num_perm: int) -> list[str]:
    """Return the bands and rows that follow from a threshold, and the share of pairs they find.

    A pair that is found is compared; it counts as a duplicate only from the threshold on.

    Args:
        threshold: Jaccard similarity in (0, 1].
        num_perm: Length of a signature.

    Returns:
        Three lines: the choice, the predicted recall from two tenths below the threshold to two
        tenths above it, and the temporary disk per document.

    Raises:
        ConfigError: No choice of bands finds pairs at the threshold.

    Example:
        >>> for line in explain_recall(0.8, 128):
        ...     print(line)
        17 bands x 7 rows, 119 of 128 permutations
        predicted recall: 38% at similarity 0.6, 77% at 0.7, 98% at 0.8, >99% at 0.9, 100% at 1
        temporary tables: up to 408 bytes per document before compression, and 40 per pair compared
    """
    bands, rows = choose_bands(threshold, num_perm)
    places = [round(threshold + tenths / 10, 4) for tenths in (-2, -1, 0, 1, 2)]
    recalls = [(s, predicted_recall(s, bands, rows)) for s in places if 0 < s <= 1]
    (first, share), *more = [(f"{s:g}", _percent(recall)) for s, recall in recalls]
    rest = "".join(f", {share} at {s}" for s, share in more)
    return [
        f"{bands} bands x {rows} rows, {bands * rows} of {num_perm} permutations",
        f"predicted recall: {share} at similarity {first}{rest}",
        f"temporary tables: up to {bands * BYTES_PER_KEY} bytes per document before compression, "
        f"and {BYTES_PER_PAIR} per pair compared",
    ]


def _percent(share: float) -> str:
    """Return a share that only certainty rounds to 100%."""
    return ">99%" if 0.995 <= share < 1 else f"{share:.0%}"
