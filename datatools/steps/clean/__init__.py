"""Changing what a record holds: extraction, languages, functions of ones own."""
