"""datatools builds the data language models learn from, and says whether it got better."""

from __future__ import annotations

__version__ = "0.1.0"
