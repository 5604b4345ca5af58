"""The first lines of the console script: what must be settled before the rest is imported."""

from __future__ import annotations

import os

from datatools.cli.interrupts import leave_at_once

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit."""
    leave_at_once()  # Ctrl-C is heard
    from datatools.engine.executors.environment import ALLOCATOR

    for name, value in ALLOCATOR.items():
        os.environ.setdefault(name, value)
    from datatools.cli.main import main as run

    run()


if __name__ == "__main__":
    main()
