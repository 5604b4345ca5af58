"""Loops over Arrow buffers, compiled by numba: words, hashes, MinHash, n-grams, union-find."""
