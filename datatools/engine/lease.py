"""Holding an output at a URL: a lease that is renewed, and taken over from a run that died.

A lease is an object `.lock/<number>` made with put-if-absent. The highest number holds. Its owner
writes it anew every few seconds with a higher count; a run that ends writes that it ended. Who
wants the output makes the next number, so of two who want it one wins, however late their requests
arrive: numbers only grow, and whoever finds a higher one than his own has lost.

A dead run is known by its process, when it ran on this machine, or else by a lease that stood still
for `PATIENCE_S` by the watcher's own clock. Clocks of two machines are never compared.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import psutil

from datatools.engine.remote import Remote
from datatools.errors import DatatoolsError, OutputHeldError

__all__ = ["PATIENCE_S", "RENEW_S", "leased"]

RENEW_S = 10.0
"""Seconds between two renewals."""
PATIENCE_S = 60.0
"""Seconds for which a lease of another machine must stand still before it is taken over."""
_FOLDER = ".lock"


@contextlib.contextmanager
def leased(
    output: Remote, owner: str, *, renew_s: float = RENEW_S, patience_s: float = PATIENCE_S
) -> Iterator[Callable[[], None]]:
    """Hold an output for this run; a second run on it is refused.

    A run on this machine that is alive refuses at once; one on another within `renew_s`, as soon as
    it is seen to renew its lease.

    Args:
        output: The output.
        owner: Who holds it, for people.
        renew_s: Seconds between renewals.
        patience_s: Seconds of standing still after which a lease is taken over.

    Yields:
        A function that raises `OutputHeldError` when the lease was lost: another run may be at work
        on the output, and this one must stop.

    Raises:
        OutputHeldError: Another run holds it; nothing was changed.
        ConfigError: The store cannot be written to.
    """
    lease = _Lease(output, owner, renew_s, patience_s)
    lease.take()
    ended = threading.Event()
    keeper = threading.Thread(target=lease.keep, args=(ended,), daemon=True, name="lease")
    keeper.start()
    try:
        yield lease.check
    finally:
        ended.set()
        keeper.join()
        lease.end()


@dataclass
class _Lease:
    output: Remote
    owner: str
    renew_s: float
    patience_s: float
    token: str = field(default_factory=lambda: secrets.token_hex(8))
    number: int = 0
    count: int = 0
    lost: str | None = None
    renewed: float = 0.0

    def take(self) -> None:
        """Become the holder of the highest number.

        Raises:
            OutputHeldError: Another run is.
        """
        while True:
            highest = self._highest()
            if highest:
                self._wait_until_free(highest)
            self.number = highest + 1
            try:
                self.output.create(_path(self.number), self._value())
            except FileExistsError:
                found = self._read(self.number)
                if found.get("token") != self.token:  # else our own answer was lost on its way
                    continue
            # Whoever deleted what we counted from has a higher number.
            if self._highest() != self.number or self._read(self.number).get("token") != self.token:
                continue
            self.renewed = time.monotonic()
            self.output.remove([p for p in self.output.listing(_FOLDER) if p < _path(self.number)])
            return

    def _highest(self) -> int:
        return max((int(path.rpartition("/")[2]) for path in self._paths()), default=0)

    def _paths(self) -> list[str]:
        return [p for p in self.output.listing(_FOLDER) if p.rpartition("/")[2].isdigit()]

    def _read(self, number: int) -> dict[str, Any]:
        try:
            value = orjson.loads(self.output.read(_path(number)))
        except (FileNotFoundError, orjson.JSONDecodeError):
            return {}
        return value if isinstance(value, dict) else {}

    def _wait_until_free(self, number: int) -> None:
        """Return when a lease is free: its run ended, or died.

        Raises:
            OutputHeldError: Its run is alive.
        """
        first = found = self._read(number)
        started = time.monotonic()
        while found and not found.get("ended") and not _died(found):
            if found.get("count") != first.get("count") or _lives(found):
                raise self._held(found)
            if time.monotonic() - started > self.patience_s:
                return
            time.sleep(min(self.renew_s, self.patience_s) / 5)
            found = self._read(number)

    def _held(self, found: dict[str, Any]) -> OutputHeldError:
        return OutputHeldError(
            self.output.url,
            "another run holds this output",
            got=found.get("owner"),
            hint="Wait for it to end, or choose another `output:`.",
        )

    def _value(self, *, ended: bool = False) -> bytes:
        self.count += 1
        return orjson.dumps(
            {
                "owner": self.owner,
                "token": self.token,
                "count": self.count,
                "ended": ended,
                **_process(),
            }
        )

    def keep(self, ended: threading.Event) -> None:
        """Renew the lease until the run ends or the lease is lost."""
        while not ended.wait(self.renew_s):
            try:
                highest = self._highest()
                if highest != self.number:
                    self.lost = str(self._read(highest).get("owner", "an unknown run"))
                    return
                self.output.write(_path(self.number), self._value())
                self.renewed = time.monotonic()
            except DatatoolsError:
                continue  # `check` tells when this has lasted too long

    def check(self) -> None:
        """Raise if the lease was lost, or could not be renewed for so long that it may be."""
        if self.lost is not None:
            raise OutputHeldError(
                self.output.url,
                "was taken over by another run, so this one stops",
                got=self.lost,
                hint="This run stood still for too long. Finished work is kept.",
            )
        if time.monotonic() - self.renewed > self.patience_s:
            raise OutputHeldError(
                self.output.url,
                f"could not be reached for {self.patience_s:.0f} s, so another run may hold it now",
                hint="Finished work is kept: run again once the store is reachable.",
            )

    def end(self) -> None:
        """Say that the run ended; if the store cannot be reached, the lease runs out."""
        if self.lost is None:
            with contextlib.suppress(DatatoolsError):
                self.output.write(_path(self.number), self._value(ended=True))


def _path(number: int) -> str:
    return f"{_FOLDER}/{number:010d}"


def _machine() -> str:
    """Return what names this machine, this start of it, and this space of process numbers."""
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        parts.append(os.readlink("/proc/self/ns/pid"))
    return " ".join(parts)


def _process() -> dict[str, Any]:
    return {
        "machine": _machine(),
        "pid": os.getpid(),
        "born": psutil.Process().create_time(),
    }


def _alive_here(found: dict[str, Any]) -> bool | None:
    """Return whether the run is alive; None if it is not on this machine."""
    if found.get("machine") != _machine():
        return None
    try:
        born = psutil.Process(int(found["pid"])).create_time()
    except (psutil.Error, ValueError, KeyError):
        return False
    return bool(born == found.get("born"))


def _died(found: dict[str, Any]) -> bool:
    return _alive_here(found) is False


def _lives(found: dict[str, Any]) -> bool:
    return _alive_here(found) is True
