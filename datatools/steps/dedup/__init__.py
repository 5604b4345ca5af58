"""Removing what is already there: exact and near duplicates."""
