"""The parts of `dedup.py`: each measures one promise, ours beside the peers'."""
