"""Preference pairs: which of two answers people preferred."""
