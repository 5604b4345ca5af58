"""Keeping evaluation sets out of what a model learns from."""
