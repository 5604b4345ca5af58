"""Tell work that takes minutes, as quadratic work on long input would, from work that does not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["soon"]

ENOUGH_S = 30


@contextmanager
def soon() -> Iterator[None]:
    """Fail where the body takes half a minute of this process's own time.

    The bound is a hundred times what the body should take, so that a slow or busy machine never
    reaches it: it is no measurement of speed.
    """
    began = time.process_time()
    yield
    assert time.process_time() - began < ENOUGH_S
