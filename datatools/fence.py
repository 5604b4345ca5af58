"""A child process around risky work: one bad item costs one item.

Owns: starting, feeding, watching and replacing a child that runs a function over items of bytes,
and the verdict on an item that cannot be done. Refuses: knowing what the items are. Deterministic
limits (size, depth, attributes) belong before the fence, for time and memory vary between machines.

The parent watches, because nothing inside the child can: a C parser that loops holds the
interpreter lock, so no signal handler and no thread of the child ever runs. The child says in
shared memory which item it is at and when it began; the parent asks the operating system for the
child's CPU time.

    parent                                        child (python -m datatools.fence)
    frame of items  ──────── pipe ──────────▶     function(item) for each item
    results in order ◀─────── pipe ──────────     one result per item, at once
    watchdog        ◀── shared page ─────────     index, CPU time and clock when the item began

The child is started by `exec`, never by a bare fork, so it is safe after threads and Polars; it
imports only what its function needs. It dies with its parent: the kernel sends it SIGKILL (Linux),
and it leaves when its pipe ends. Nothing it returns is unpickled.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import mmap
import os
import pickle
import resource
import select
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import BinaryIO, Final, Literal, TypeAlias, get_args

import psutil

from datatools.errors import ConfigError, DatatoolsError
from datatools.heartbeat import beat

__all__ = ["FENCED_REASONS", "Factory", "Fence", "Fenced", "FencedReason"]

Factory: TypeAlias = Callable[[], Callable[[bytes], bytes]]
"""A picklable callable that builds, in the child, the function to run. It is pickled by module and
name, so it must be importable: no lambda, nothing defined in the main script. `functools.partial`
is fine."""

FencedReason = Literal["fence_timeout", "fence_memory", "fence_crash", "fence_error"]
FENCED_REASONS: Final[tuple[FencedReason, ...]] = get_args(FencedReason)

_FRAME_BYTES: Final = 4 << 20
_PIPE_BYTES: Final = 1 << 20  # the most an unprivileged process may ask for: pipe(7)
_WATCH_S: Final = 0.05
_START_S: Final = 120.0
_STDERR_BYTES: Final = 4096
_MESSAGE_CHARS: Final = 500

_COUNT: Final = struct.Struct("<Q")
_RESULT: Final = struct.Struct("<BQ")  # status, bytes that follow
_PAGE: Final = struct.Struct("<qqqq")  # item's index; CPU ns and clock ns at its start; its limit
_IDLE: Final = -1

_DONE, _RAISED, _NO_MEMORY, _READY, _UNBUILT = range(5)

# What allocators of C++ and Rust print before they abort.
_MEMORY_WORDS: Final = (b"memory allocation of", b"bad_alloc", b"out of memory", b"MemoryError")

# One item at a time: thread pools in the child would only map memory that counts against its limit.
_CHILD_ENVIRONMENT: Final = {
    "MALLOC_ARENA_MAX": "1",
    "NUMBA_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "POLARS_MAX_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "RAYON_NUM_THREADS": "1",
}


@dataclass(frozen=True)
class Fenced:
    """An item that could not be done.

    Attributes:
        reason: `fence_timeout` (CPU time or wall clock), `fence_memory`, `fence_crash` (the process
            died) or `fence_error` (the function raised).
        detail: What happened, in words that do not vary between runs: the limit, the signal, the
            exception's type and message.
    """

    reason: FencedReason
    detail: str


class Fence:
    """Runs a function over items in a child process that may hang, grow or die.

    An item during which the child dies, overruns its time or its memory is tried once more, alone
    in a fresh child; when that fails too, it is the failure and the rest goes on. So the outcome of
    an item does not depend on its neighbours. An exception is a result and costs no child.

    The child starts with the first item and stays until `close`, the end of a `with` block, garbage
    collection or the end of this process. One call runs at a time; other threads wait.

    Args:
        factory: Builds the function in the child; see `Factory`. Its own time and memory (imports,
            models, a warm-up) do not count against the limits of the items.
        cpu_seconds: CPU time one item may take, all threads together. Checked every 50 ms.
        wall_seconds: Wall-clock time one item may take: for work that sleeps. Leave it generous,
            because a busy or suspended machine stretches it.
        memory_bytes: Address space one item may add to what the child has mapped when the item
            begins (RLIMIT_AS, where the system enforces it: Linux). The child is replaced between
            items once leaks have added half as much.

    Raises:
        ConfigError: From `run`: the function cannot be pickled or built.
        DatatoolsError: From `run`: the child cannot be started or keeps dying idle.

    Example:
        >>> import functools, zlib
        >>> unpack = functools.partial(functools.partial, zlib.decompress)
        >>> with Fence(unpack) as fence:
        ...     text, failure = fence.run([zlib.compress(b"text"), b"not packed"])
        >>> text, failure.reason
        (b'text', 'fence_error')
    """

    def __init__(
        self,
        factory: Factory,
        *,
        cpu_seconds: float = 5.0,
        wall_seconds: float = 20.0,
        memory_bytes: int = 1 << 30,
    ) -> None:
        self._factory = factory
        self._limits = _Limits(cpu_seconds, wall_seconds, memory_bytes)
        self._child: _Child | None = None
        self._lock = threading.Lock()

    def run(self, items: Sequence[bytes], *, again: bool = True) -> list[bytes | Fenced]:
        """Return the function's result for each item, in order, or why there is none.

        Args:
            items: What the function takes, one call each. No items, no child.
            again: Whether an item that is lost is tried once more, alone. Without, an item may be
                blamed for what its neighbours left behind: for callers who look closer themselves.

        Returns:
            One result per item. Results already there are kept when a later item fails.

        Raises:
            ConfigError: The function cannot be pickled or built in the child.
            DatatoolsError: The child cannot be started or keeps dying before its first item.
        """
        with self._lock:
            try:
                return self._run(items, again)
            except BaseException:
                # Interrupted between two frames of the conversation: this child is of no more use.
                self._drop()
                raise

    def close(self) -> None:
        """End the child. A later `run` starts another."""
        with self._lock:
            self._drop()

    def __enter__(self) -> Fence:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _run(self, items: Sequence[bytes], again: bool) -> list[bytes | Fenced]:
        results: list[bytes | Fenced] = []
        stillborn = 0
        while len(results) < len(items):
            at = len(results)
            attempt = self._attempt(items[at : _frame_end(items, at)])
            results += attempt.results
            if attempt.loss is None:
                continue
            if attempt.blamed:
                lost = items[len(results)]
                results.append(self._attempt_alone(lost) if again else attempt.loss)
                stillborn = 0
            else:
                # Died between items (an idle child can be killed by anyone): nobody's fault.
                stillborn = 0 if attempt.results else stillborn + 1
                if stillborn == 3:
                    raise DatatoolsError(
                        "fence",
                        "the child process keeps dying before its first item",
                        got=attempt.loss.detail,
                        hint="Look for a memory limit on this process (ulimit -v, a container).",
                    )
        return results

    def _attempt_alone(self, item: bytes) -> bytes | Fenced:
        attempt = self._attempt([item])
        if attempt.results:
            return attempt.results[0]
        assert attempt.loss is not None
        return attempt.loss

    def _attempt(self, items: Sequence[bytes]) -> _Attempt:
        if self._child is None or not self._child.usable():
            self._drop()
            self._child = _Child(self._factory, self._limits)
        attempt = self._child.work(items)
        if attempt.loss is not None:
            self._drop()
        return attempt

    def _drop(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None


@dataclass(frozen=True)
class _Limits:
    cpu_seconds: float
    wall_seconds: float
    memory_bytes: int


_Phase: TypeAlias = Literal["starting", "working"]


@dataclass(frozen=True)
class _Attempt:
    """What became of a frame: results in order; if the child was lost, why and on whose account."""

    results: list[bytes | Fenced]
    loss: Fenced | None = None
    blamed: bool = False


def _frame_end(items: Sequence[bytes], start: int) -> int:
    """Return the end of the frame that begins at `start`: at most 4 MiB, at least one item."""
    size, end = len(items[start]), start + 1
    while end < len(items) and size + len(items[end]) <= _FRAME_BYTES:
        size += len(items[end])
        end += 1
    return end


# --------------------------------------------------------------------------------------------------
# The parent's side


class _Child:
    """One child process, from its start to its end, as its parent sees it."""

    def __init__(self, factory: Factory, limits: _Limits) -> None:
        try:
            recipe = pickle.dumps((factory, limits.memory_bytes))
        except Exception as error:
            raise ConfigError(
                "fence",
                "the function's factory cannot be sent to a child process",
                got=_describe(error),
                hint="Name it at the top level of an importable module.",
            ) from error
        self._limits = limits
        self._owner = os.getpid()
        self._received = bytearray()
        self._last_words = b""
        self._near_limit_at = _IDLE

        child_in, self._to_child = _pipe()
        self._from_child, child_out = _pipe()
        self._stderr, child_err = _pipe()
        page_fd, self._page = _shared_page()
        ours = (self._to_child, self._from_child, self._stderr)
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-P", "-m", "datatools.fence"]
                + [str(number) for number in (child_in, child_out, page_fd, self._owner)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,  # stdout is the command line's data channel
                stderr=child_err,
                pass_fds=(child_in, child_out, page_fd),
                env=_child_environment(),
            )
        except BaseException:
            for fd in ours:
                os.close(fd)
            raise
        finally:
            for fd in (child_in, child_out, child_err, page_fd):
                os.close(fd)
        self.end = weakref.finalize(self, _end, self._process, self._owner, ours)
        """Kills the child and closes the pipes; harmless when called twice."""
        self._watched = psutil.Process(self._process.pid)
        for fd in ours:
            os.set_blocking(fd, False)
        try:
            self._build(recipe)
        except BaseException:
            self.end()
            raise

    def usable(self) -> bool:
        """Return whether the child is alive and ours: a fork must not share its parent's."""
        return self._owner == os.getpid() and self._process.poll() is None

    def work(self, items: Sequence[bytes]) -> _Attempt:
        """Send one frame and gather its results while watching the limits."""
        _PAGE.pack_into(self._page, 0, _IDLE, 0, 0, 0)
        self._near_limit_at = _IDLE
        self._last_words = b""
        sizes = [_COUNT.pack(len(item)) for item in items]
        frame = b"".join([_COUNT.pack(len(items)), *sizes, *items])
        answers, loss = self._converse(frame, len(items), "working")
        results: list[bytes | Fenced] = []
        for status, payload in answers:
            if status == _NO_MEMORY:
                # Its heap may be in pieces: what comes next must not depend on that.
                return _Attempt(results, self._out_of_memory(), blamed=True)
            done = status == _DONE
            results.append(payload if done else Fenced("fence_error", payload.decode()))
        if loss is None:
            return _Attempt(results)
        index, *_ = _PAGE.unpack_from(self._page, 0)
        return _Attempt(results, loss, blamed=index == len(results))

    def _build(self, recipe: bytes) -> None:
        frame = _COUNT.pack(len(recipe)) + recipe
        answers, loss = self._converse(frame, 1, "starting")
        if loss is not None:
            raise DatatoolsError(
                "fence",
                f"the child process did not start: {loss.detail}",
                got=self._last_words.decode("utf-8", "replace"),
                hint="Check that this Python interpreter can import datatools and has memory left.",
            )
        ((status, payload),) = answers
        if status == _UNBUILT:
            raise ConfigError(
                "fence",
                "the function could not be built in the child process: " + payload.decode(),
                hint="Name it at the top level of an importable module, not in the main script, "
                "and install what it imports.",
            )

    def _converse(
        self, frame: bytes, expected: int, phase: _Phase
    ) -> tuple[list[tuple[int, bytes]], Fenced | None]:
        """Send `frame`, gather `expected` answers; return fewer and why if the child is lost."""
        poll = select.poll()
        poll.register(self._to_child, select.POLLOUT)
        poll.register(self._from_child, select.POLLIN)
        poll.register(self._stderr, select.POLLIN)
        unsent = memoryview(frame)
        answers: list[tuple[int, bytes]] = []
        progressed = watched = time.monotonic()
        while True:
            beat()  # the limits watched here see to it that this ends
            ready = {fd for fd, _ in poll.poll(_WATCH_S * 1000)}
            if self._to_child in ready:
                unsent = self._send(unsent)
                if not unsent:
                    poll.unregister(self._to_child)
            if self._stderr in ready and not self._listen():
                poll.unregister(self._stderr)
            ended = self._from_child in ready and not self._receive()
            now = time.monotonic()
            if arrived := self._answers():
                answers += arrived
                progressed = now
            if len(answers) == expected or (answers and answers[-1][0] == _NO_MEMORY):
                return answers, None
            if not ended and now - watched < _WATCH_S:
                continue
            watched = now
            if ended or self._process.poll() is not None:
                return answers + self._remains(), self._death()
            if overrun := self._overrun(phase, now - progressed):
                return answers, overrun

    def _send(self, unsent: memoryview) -> memoryview:
        try:
            return unsent[os.write(self._to_child, unsent) :]
        except BlockingIOError:
            return unsent
        except BrokenPipeError:
            return unsent[len(unsent) :]  # the child is gone; its end of the other pipe tells

    def _receive(self) -> bool:
        """Read what has come from the child; return False at its end."""
        try:
            data = os.read(self._from_child, _PIPE_BYTES)
        except BlockingIOError:
            return True
        self._received += data
        return bool(data)

    def _listen(self) -> bool:
        """Keep the last of what the child writes to stderr; return False at its end."""
        try:
            data = os.read(self._stderr, _PIPE_BYTES)
        except BlockingIOError:
            return True
        self._last_words = (self._last_words + data)[-_STDERR_BYTES:]
        return bool(data)

    def _answers(self) -> list[tuple[int, bytes]]:
        """Take the complete answers out of what has been received."""
        answers = []
        start = 0
        while len(self._received) - start >= _RESULT.size:
            status, size = _RESULT.unpack_from(self._received, start)
            end = start + _RESULT.size + size
            if len(self._received) < end:
                break
            answers.append((status, bytes(self._received[start + _RESULT.size : end])))
            start = end
        del self._received[:start]
        return answers

    def _remains(self) -> list[tuple[int, bytes]]:
        """Return the answers a dead child left in its pipe."""
        while True:
            before = len(self._received)
            if not self._receive() or len(self._received) == before:
                return self._answers()

    def _overrun(self, phase: _Phase, waited_s: float) -> Fenced | None:
        """Return which limit the child is over, if any."""
        if phase == "starting":
            over = waited_s > _START_S
            return Fenced("fence_timeout", f"no answer in {_START_S:g} s") if over else None
        before = _PAGE.unpack_from(self._page, 0)
        try:
            times, memory = self._watched.cpu_times(), self._watched.memory_info()
        except psutil.Error:
            return None  # it died since we looked; the next round finds it
        if before != _PAGE.unpack_from(self._page, 0):
            return None  # it went on to another item meanwhile
        index, cpu_ns, clock_ns, limit_bytes = before
        limits = self._limits
        if index == _IDLE:
            over = waited_s > limits.wall_seconds
            return Fenced("fence_timeout", "did not take its items") if over else None
        if memory.vms > limit_bytes - limits.memory_bytes // 4:
            self._near_limit_at = index
        if times.user + times.system - cpu_ns / 1e9 > limits.cpu_seconds:
            return Fenced("fence_timeout", f"more than {limits.cpu_seconds:g} s of CPU time")
        if time.monotonic() - clock_ns / 1e9 > limits.wall_seconds:
            return Fenced("fence_timeout", f"more than {limits.wall_seconds:g} s")
        return None

    def _death(self) -> Fenced:
        """Return what the child died of."""
        try:
            code = self._process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            return Fenced("fence_crash", "closed its pipe")
        while self._listen() and select.select([self._stderr], [], [], 0)[0]:
            pass
        index, *_ = _PAGE.unpack_from(self._page, 0)
        near = index == self._near_limit_at != _IDLE
        if near or any(words in self._last_words for words in _MEMORY_WORDS):
            return self._out_of_memory()
        if code >= 0:
            return Fenced("fence_crash", f"exited with code {code}")
        return Fenced("fence_crash", f"killed by {signal.Signals(-code).name}")

    def _out_of_memory(self) -> Fenced:
        return Fenced("fence_memory", f"more than {self._limits.memory_bytes >> 20} MiB")


def _end(process: subprocess.Popen[bytes], owner: int, fds: Sequence[int]) -> None:
    for fd in fds:
        os.close(fd)
    if os.getpid() == owner:  # else we are a fork of the owner, and the child is not ours to end
        process.kill()
        process.wait()


def _pipe() -> tuple[int, int]:
    """Return a large pipe whose ends lie above stdio, where a closed stdin would have put them."""
    ends = os.pipe()
    reader, writer = (_above_stdio(end) for end in ends)
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        # Over the user's quota of pipe memory it is refused; a smaller pipe is only slower.
        with contextlib.suppress(PermissionError):
            fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    return reader, writer


def _above_stdio(fd: int) -> int:
    if fd > 2:
        return fd
    moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
    os.close(fd)
    return moved


def _shared_page() -> tuple[int, mmap.mmap]:
    with tempfile.TemporaryFile() as file:
        file.truncate(mmap.PAGESIZE)
        page = mmap.mmap(file.fileno(), mmap.PAGESIZE)
        return fcntl.fcntl(file.fileno(), fcntl.F_DUPFD_CLOEXEC, 3), page


def _child_environment() -> dict[str, str]:
    # The child must find what the parent finds: in a notebook, under pytest, in a Ray worker.
    places = [place or os.getcwd() for place in sys.path]
    return {**os.environ, **_CHILD_ENVIRONMENT, "PYTHONPATH": os.pathsep.join(places)}


def _describe(error: BaseException) -> str:
    text = f"{type(error).__name__}: {error}"
    return text.encode("utf-8", "replace").decode()[:_MESSAGE_CHARS]


# --------------------------------------------------------------------------------------------------
# The child's side


def _serve(source_fd: int, sink_fd: int, page_fd: int, parent: int) -> None:
    """Build the function, then answer frames until the pipe ends."""
    _die_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, who then ends us
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.environ.pop("PYTHONPATH", None)
    for fd in (source_fd, sink_fd, page_fd):
        os.set_inheritable(fd, False)  # a grandchild that kept them would hide our death
    page = mmap.mmap(page_fd, mmap.PAGESIZE)
    with open(source_fd, "rb") as source, open(sink_fd, "wb", buffering=0) as sink:
        try:
            factory, memory_bytes = pickle.loads(_frame(source))  # noqa: S301 - our parent's own
            function = factory()
        except BaseException as error:
            _answer(sink, _UNBUILT, _describe(error).encode())
            return
        _answer(sink, _READY, b"")
        memory = _Memory(memory_bytes)
        while not memory.leaked() and (frame := source.read(_COUNT.size)):
            (count,) = _COUNT.unpack(frame)
            sizes = [size for (size,) in _COUNT.iter_unpack(source.read(count * _COUNT.size))]
            items = memoryview(source.read(sum(sizes)))
            start = 0
            for index, size in enumerate(sizes):
                item = bytes(items[start : start + size])
                start += size
                limit = memory.limit()
                began = time.process_time_ns(), time.monotonic_ns()
                _PAGE.pack_into(page, 0, index, *began, limit)
                status, result = _apply(function, item)
                if status == _RAISED and memory.was_near(limit):
                    status = _NO_MEMORY  # libraries have names of their own for it
                memory.lift()
                _answer(sink, status, result)
                if status == _NO_MEMORY:
                    return
            _PAGE.pack_into(page, 0, _IDLE, 0, 0, 0)


def _apply(function: Callable[[bytes], bytes], item: bytes) -> tuple[int, bytes]:
    try:
        result = function(item)
        if not isinstance(result, bytes):
            raise TypeError(f"the fenced function returned {type(result).__name__}, not bytes")
    except MemoryError:
        return _NO_MEMORY, b""
    except BaseException as error:  # a panic of a Rust extension is no Exception
        return _RAISED, _describe(error).encode()
    return _DONE, result


class _Memory:
    """The address space of this process: how much an item may add, and how much has been lost."""

    def __init__(self, memory_bytes: int) -> None:
        self._memory_bytes = memory_bytes
        self._process = psutil.Process()
        self._hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        self._base = self._mapped()

    def limit(self) -> int:
        """Set the limit to what is mapped now plus an item's share; return it in bytes."""
        limit = self._mapped() + self._memory_bytes
        if self._hard != resource.RLIM_INFINITY:
            limit = min(limit, self._hard)
        resource.setrlimit(resource.RLIMIT_AS, (limit, self._hard))
        return limit

    def was_near(self, limit: int) -> bool:
        """Return whether this process has ever mapped all but a quarter of an item's share."""
        try:
            with open("/proc/self/status", "rb") as status:
                fields = dict(line.split(b":", 1) for line in status)
        except OSError:
            return False
        peak = int(fields[b"VmPeak"].split()[0]) << 10
        return peak > limit - self._memory_bytes // 4

    def lift(self) -> None:
        """Remove the limit, so that an answer can be sent after an item that used all of it."""
        resource.setrlimit(resource.RLIMIT_AS, (self._hard, self._hard))

    def leaked(self) -> bool:
        """Return whether items have left behind half of what one of them may use."""
        return self._mapped() - self._base > self._memory_bytes // 2

    def _mapped(self) -> int:
        return int(self._process.memory_info().vms)


def _frame(source: BinaryIO) -> bytes:
    (size,) = _COUNT.unpack(source.read(_COUNT.size))
    return source.read(size)


def _answer(sink: BinaryIO, status: int, payload: bytes) -> None:
    answer = memoryview(_RESULT.pack(status, len(payload)) + payload)
    while answer:
        answer = answer[sink.write(answer) :]


def _die_with(parent: int) -> None:
    """Have the kernel kill this process with its parent (Linux); elsewhere the pipe's end must do.

    The kernel means the thread that started us. When only that thread ends, we are replaced.
    """
    if sys.platform == "linux":
        pr_set_pdeathsig = 1  # <linux/prctl.h>
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit()  # it ended before we asked


if __name__ == "__main__":
    _serve(*map(int, sys.argv[1:]))
