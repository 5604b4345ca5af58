"""Lines, paragraphs and sentences by the book: regular expressions and Python's Unicode data."""

from __future__ import annotations

import re
import unicodedata

FILLERS = "\u115f\u1160\u3164\uffa0"
ENDS = ".!?…。！？"
CLOSES = "\"'”’»)]}」』》〉】）"


def folded(text: str) -> str:
    """Return the form in which pieces are compared."""
    kept = []
    for char in text.lower().replace("ς", "σ"):
        base, *marks = unicodedata.normalize("NFD", char)
        if char.isalpha() and marks and all("\u0300" <= mark <= "\u036f" for mark in marks):
            char = base
        category = unicodedata.category(char)
        if char.isspace():
            kept.append(" ")
        elif category == "Nd":
            kept.append("0")
        elif not (
            category[0] == "P"
            or category in ("Cc", "Cf")
            or "\u0300" <= char <= "\u036f"
            or "\ufe00" <= char <= "\ufe0f"
            or char in FILLERS
        ):
            kept.append(char)
    return re.sub(" +", " ", "".join(kept)).strip()


def says_something(text: str) -> bool:
    """Return whether a letter or digit is in the folded form."""
    return any(char.isalnum() for char in folded(text))


def lines(text: str) -> list[str]:
    """Return lines with their line feeds."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def paragraphs(text: str) -> list[str]:
    """Return paragraphs, each with the blank lines after it, the first with those before it."""
    found: list[str] = []
    open_ = False
    for line in lines(text):
        blank = not line.strip()
        if open_ or not found:
            found[len(found) - 1 :] = ["".join(found[-1:]) + line]
        elif blank:
            found[-1] += line
        else:
            found.append(line)
        open_ = not blank or (len(found) == 1 and not found[0].strip())
    return found


def sentences(text: str) -> list[str]:
    """Return sentences, each with the blanks after it, or the line feed if it is a whole line."""
    found = []
    for line in lines(text):
        body = line.removesuffix("\n")
        cut = 0
        parts = []
        for match in re.finditer(rf"[{re.escape(ENDS)}][{re.escape(ENDS + CLOSES)}]*", body):
            after = body[match.end() : match.end() + 1]
            if match.start() >= cut and (
                not after or after.isspace() or set(match[0]) & set("。！？")
            ):
                stop = match.end() + len(body[match.end() :]) - len(body[match.end() :].lstrip())
                parts.append(body[cut:stop])
                cut = stop
        if body[cut:]:
            parts.append(body[cut:])
        if len(parts) <= 1:
            parts = ["".join(parts) + line[len(body) :]]
        else:
            parts.append(line[len(body) :])
        found += [part for part in parts if part]
    return found


UNITS = {"line": lines, "paragraph": paragraphs, "sentence": sentences}
