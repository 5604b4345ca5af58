"""A job as it is written: the model, its YAML, and everything that is checked before it runs."""
