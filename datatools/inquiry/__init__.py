"""Questions about an output: does it hold, and what became of a record."""
