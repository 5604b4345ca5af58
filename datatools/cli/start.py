"""The first lines of the console script: Ctrl-C is heard before the rest is imported."""

from __future__ import annotations

from datatools.cli.interrupts import leave_at_once

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit."""
    leave_at_once()
    from datatools.cli.main import main as run

    run()


if __name__ == "__main__":
    main()
