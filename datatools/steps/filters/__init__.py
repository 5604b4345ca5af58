"""Rules that drop whole documents: numbers first, then decisions over the numbers."""
