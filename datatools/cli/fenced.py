"""What the fence stopped, on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from datatools.cli.terminal import echo

__all__ = ["echo_fenced"]

SHOWN = 5


def echo_fenced(fence: Mapping[str, Any], manifest: str) -> None:
    """Show the first records that killed, hung or flooded their process even alone.

    Args:
        fence: `fence` of a manifest; without a `total` nothing is shown.
        manifest: Where the others are told.
    """
    total, records = fence.get("total", 0), fence.get("records", ())
    if not total:
        return
    echo(f"      quarantined by the fence: {total:,}")
    for one in records[:SHOWN]:
        detail = " ".join(str(one["detail"]).split())  # what a parser raises may have lines
        echo(f"        {one['id']}  {one['step']}  {one['reason']}: {detail}")
    if total > SHOWN:
        echo(f"        ... and {total - SHOWN:,} more, see `fence` in {manifest}")
