"""Functions for `Apply` to run, good and bad."""

from __future__ import annotations

import os


def shout(text: str) -> str:
    """Return the text in capitals."""
    return text.upper()


def without_notes(text: str) -> str | None:
    """Drop notes."""
    return None if text.startswith("note") else text


def bad_sometimes(text: str) -> str | None:
    """Do what the text asks for."""
    if text == "raise":
        raise ValueError("got ㅋㅋ \ud800")
    if text == "exit":
        os._exit(3)
    if text == "kill":
        os.kill(os.getpid(), 9)
    if text == "loop":
        while True:
            pass
    if text == "grow":
        return "x" * (1 << 40)
    if text == "number":
        return 7  # type: ignore[return-value]
    if text == "surrogate":
        return "a\ud800b"
    if text == "empty":
        return ""
    return text + "!"


not_a_function = 7
