"""A job as it is done: running it, planning it, and what it leaves behind."""
