"""The form of a dataset: which records are held out, and in what order."""
