"""Task bodies made for tests: what a worker process can be asked to do, good and bad."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from datatools.engine.tasks import Output, RowBody, TaskEnv
from datatools.errors import ConfigError, IntegrityError


@dataclass(frozen=True)
class Say:
    """Returns what it was given, and the process it ran in."""

    words: object = "hello"

    def run(self, env: TaskEnv) -> Output:
        return Output(values={"said": self.words, "pid": os.getpid()})


@dataclass(frozen=True)
class WriteRows:
    """Commits a part of `rows` rows."""

    rows: int

    def run(self, env: TaskEnv) -> Output:
        frame = pl.DataFrame({"x": range(self.rows)}, schema={"x": pl.Int64})
        return Output(parts={"data": env.write("data", frame.clear(), [frame])})


class AwkwardError(Exception):
    """Pickles and does not unpickle: it hands other arguments to `Exception` than it takes."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where}: {what}")


class UnsendableError(Exception):
    """Does not even pickle."""

    def __init__(self) -> None:
        super().__init__("cannot be sent")
        self.handle = sys.stdout


class PanicError(BaseException):
    """What a panic of a Rust library looks like: neither an `Exception` nor an exit."""


@dataclass(frozen=True)
class Raise:
    """Raises an exception, by name."""

    name: str

    def run(self, env: TaskEnv) -> Output:
        if self.name == "ConfigError":
            raise ConfigError("step.field", "is wrong", got=7, hint="Mend it.")
        if self.name == "IntegrityError":
            raise IntegrityError("part.arrow", "is not what it was")
        if self.name == "OSError":
            raise OSError(28, "No space left on device", "file.arrow")
        if self.name == "AwkwardError":
            raise AwkwardError("here", "went wrong")
        if self.name == "UnsendableError":
            raise UnsendableError
        if self.name == "quits":
            sys.exit(3)
        if self.name == "asks to be interrupted":
            raise KeyboardInterrupt
        if self.name == "has no memory":
            raise MemoryError
        if self.name == "panics":
            raise PanicError("index out of bounds")
        if self.name == "PolarsError":
            pl.DataFrame({"a": [1]}).select("b")
        raise ValueError("got ㅋㅋ and \ud800")


@dataclass(frozen=True)
class DieWhile:
    """Kills its own process while a file exists."""

    path: str

    def run(self, env: TaskEnv) -> Output:
        if os.path.exists(self.path):
            with open(self.path, "a") as file:
                file.write("died\n")
            os.kill(os.getpid(), signal.SIGKILL)
        return Output(values={"said": "alive"})


@dataclass(frozen=True)
class WaitFor:
    """Says that it has begun by making a file, then waits until another file exists."""

    begun: str
    go_on: str
    child: bool = False

    def run(self, env: TaskEnv) -> Output:
        pids = [os.getpid()]
        if self.child:
            sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
            pids.append(subprocess.Popen(sleeper).pid)
        temporary = Path(f"{self.begun}.part")
        temporary.write_text(" ".join(map(str, pids)))
        temporary.rename(self.begun)
        while not os.path.exists(self.go_on):
            time.sleep(0.01)
        return Output(values={"said": "went on"})


@dataclass(frozen=True)
class Print:
    """Writes to its standard output what looks like an answer to the driver."""

    def run(self, env: TaskEnv) -> Output:
        os.write(1, b"\x05\0\0\0\0\0\0\0hello")
        print("noise")  # noqa: T201 - the noise is the test
        return Output(values={"said": "printed"})


@dataclass(frozen=True)
class RowsOf(RowBody):
    """Per-row work that another body does; says whether it was asked to be careful."""

    body: object

    def run(self, env: TaskEnv) -> Output:
        output = self.body.run(env)
        output.values["careful"] = env.careful is not None
        return output


_held: list[bytes] = []


@dataclass(frozen=True)
class Hold:
    """Keeps memory after it is done."""

    mib: int

    def run(self, env: TaskEnv) -> Output:
        _held.append(b"x" * (self.mib << 20))
        return Output(values={"said": self.mib, "pid": os.getpid()})
