"""How kernels are compiled, and where compiled kernels are kept.

Owns the `kernel` decorator and the cache directory. Refuses: any kernel. Importing a module that
holds kernels compiles nothing and touches no file; both happen at a kernel's first call.

The directory is `$DATATOOLS_KERNEL_CACHE`, else `$XDG_CACHE_HOME/datatools/kernels`, else
`~/.cache/datatools/kernels`, and in it one folder per digest of the kernels' source, the versions
of Python, its Unicode data, numba and llvmlite, and the CPU. The digest is needed because numba
does not notice that a function called from another file has changed. When the directory cannot be
written, the kernels are compiled in every process, after one warning.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import sys
import tempfile
import threading
import unicodedata
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import llvmlite
import llvmlite.binding
import numba
import numba.extending
import numpy as np
import numpy.typing as npt
from numba.core.caching import FunctionCache, NullCache, _Cache

from datatools.errors import DataError

__all__ = [
    "CACHE_VARIABLE",
    "I64",
    "U64",
    "arrow_buffers",
    "cache_dir",
    "cpu_name",
    "intrinsic",
    "kernel",
]

I64 = Any
"""A machine integer inside a kernel: int or np.int64. numba, not mypy, checks its arithmetic."""
U64 = Any
"""An unsigned 64-bit integer inside a kernel, wrapping around; every literal beside one is
np.uint64, because numba makes a float of a u64 and an i64."""

CACHE_VARIABLE = "DATATOOLS_KERNEL_CACHE"
"""Environment variable that names the cache directory."""

MAX_ROW_BYTES = 1 << 30
"""Longest row the kernels take: they keep positions within a row as int32, and lower-casing can
make a row half as long again."""

F = TypeVar("F", bound=Callable[..., Any])

_locator_lock = threading.Lock()


def kernel(function: F) -> F:
    """Compile `function` with numba at its first call and cache the machine code on disk.

    Kernels release the GIL. They use neither fastmath nor parallel loops: the same bytes come out
    on every machine.
    """
    dispatcher: Any = numba.njit(nogil=True, error_model="numpy")(function)
    # `cache=True` would look for a writable directory now, at import; this looks at the first call.
    dispatcher._cache = _LazyCache(function)
    return cast(F, dispatcher)


def intrinsic(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function that kernels call out of one that writes its LLVM code; see numba's docs."""
    # numba's own type would have callers pass the typing context.
    return cast("Callable[..., Any]", numba.extending.intrinsic(function))


def cpu_name() -> str:
    """Return LLVM's name of this machine's CPU type, e.g. `znver4`."""
    return str(llvmlite.binding.get_host_cpu_name())


@functools.cache
def _digest() -> str:
    hasher = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        hasher.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    versions = (sys.version, unicodedata.unidata_version, numba.__version__, llvmlite.__version__)
    hasher.update("\0".join((*versions, cpu_name())).encode())
    return hasher.hexdigest()[:16]


def cache_dir() -> Path | None:
    """Return the directory for compiled kernels and tables, made if needed; None if unwritable.

    Warns once per directory when it cannot be written.
    """
    if CACHE_VARIABLE in os.environ:
        base = os.environ[CACHE_VARIABLE]
    else:
        cache_home = os.environ.get("XDG_CACHE_HOME") or os.path.join("~", ".cache")
        base = os.path.join(os.path.expanduser(cache_home), "datatools", "kernels")
    return _writable(os.path.join(base, _digest()))


@functools.cache
def _writable(directory: str) -> Path | None:
    path = Path(directory)
    try:
        path.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path).close()
    except OSError as error:
        warnings.warn(
            f"{path}: kernels are compiled again in every process, because this directory cannot "
            f"be written ({error.strerror}). Set {CACHE_VARIABLE} to one that can.",
            RuntimeWarning,
            stacklevel=2,
        )
        return None
    return path


class _LazyCache(_Cache):
    """numba's function cache, opened when the function is first compiled."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    @functools.cached_property
    def _opened(self) -> Any:
        config: Any = numba.config
        null_cache: Any = NullCache
        directory = cache_dir()
        if directory is None:
            return null_cache()
        # numba reads the directory from a global; other users of numba must not see ours.
        open_cache: Any = FunctionCache
        with _locator_lock:
            before = config.CACHE_DIR
            config.CACHE_DIR = str(directory)
            try:
                return open_cache(self._function)
            except (OSError, RuntimeError):
                return null_cache()
            finally:
                config.CACHE_DIR = before

    @property
    def cache_path(self) -> str | None:
        return cast("str | None", self._opened.cache_path)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return self._opened.load_overload(sig, target_context)
        except Exception:  # a damaged file unpickles into any error; start anew and compile again
            self.flush()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            self._opened.save_overload(sig, data)
        except OSError as error:
            warnings.warn(
                f"{self.cache_path}: a compiled kernel could not be stored ({error.strerror}).",
                RuntimeWarning,
                stacklevel=2,
            )

    def enable(self) -> None:
        self._opened.enable()

    def disable(self) -> None:
        self._opened.disable()

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._opened.flush()


def arrow_buffers(
    offsets: npt.NDArray[np.int64], data: npt.NDArray[np.uint8]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8], int]:
    """Return the buffers in the one form kernels are compiled for: contiguous and read-only.

    Args:
        offsets: int64 of shape (rows + 1,), as `Batch.buffers` gives them.
        data: uint8 of shape (bytes,), valid UTF-8 within each row.

    Returns:
        offsets: The same numbers.
        data: The same bytes.
        longest: Bytes of the longest row, 0 without rows.

    Raises:
        DataError: A row is longer than 1 GiB.
    """
    offsets = np.ascontiguousarray(offsets, dtype=np.int64).view()
    data = np.ascontiguousarray(data, dtype=np.uint8).view()
    offsets.setflags(write=False)
    data.setflags(write=False)
    longest = int(np.diff(offsets).max(initial=0))
    if longest > MAX_ROW_BYTES:
        raise DataError(
            "text kernels",
            f"a record has more than {MAX_ROW_BYTES} bytes of text",
            got=longest,
            hint="Split or drop such records first.",
        )
    return offsets, data, longest
