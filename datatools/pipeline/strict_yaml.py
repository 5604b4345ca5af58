"""YAML read strictly: no code, no aliases, no duplicate keys, and a line for every value.

Plain PyYAML turns `no` into False, `12:30` into 750 and `1e-5` into a string, keeps the last of two
equal keys, and expands a ten-line alias bomb past memory. A pipeline file needs none of that, so
values are built from the parser's events and everything else is refused with its line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from datatools.errors import ConfigError

__all__ = ["Document", "parse"]

MAX_BYTES = 1 << 20
MAX_DEPTH = 64
MAX_INTEGER = 2**63 - 1
MAX_DIGITS = 100
"""Of a number; leading zeros are counted."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_INT = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = {
    **dict.fromkeys(("null", "Null", "NULL", "~", ""), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_CORE_TAGS = frozenset(f"tag:yaml.org,2002:{name}" for name in ("str", "map", "seq"))

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Document:
    """A parsed file.

    Attributes:
        value: Mappings, lists, strings, numbers, booleans and None.
        lines: Line of each value (counted from 1) by its path from the root; that of a mapping's
            value is its key's.
    """

    value: Any
    lines: Mapping[Path, int] = field(default_factory=dict)

    def line(self, path: Path) -> int:
        """Return the line of the value at a path, or of the nearest value around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def _scalar(event: yaml.ScalarEvent) -> Any:
    """Return a scalar's value by the YAML 1.2 core schema.

    Raises:
        ValueError: It is a number or a text that cannot be stored.
    """
    text: str = event.value
    if _SURROGATE.search(text):
        raise ValueError("holds half of a surrogate pair, which is no character")
    if event.style is not None or event.tag == "tag:yaml.org,2002:str":
        return text
    if text in _SPECIAL:
        return _SPECIAL[text]
    for form, start, base in ((_INT, 0, 10), (_OCTAL, 2, 8), (_HEX, 2, 16)):
        if form.fullmatch(text):
            number = int(text[start:], base) if len(text) <= MAX_DIGITS else MAX_INTEGER + 1
            if not -MAX_INTEGER <= number <= MAX_INTEGER:
                raise ValueError("holds an integer of more than 64 bits")
            return number
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def parse(text: str, where: str) -> Document:
    r"""Parse one YAML document.

    Args:
        text: The file's text.
        where: Its name, for messages.

    Raises:
        ConfigError: The text is not YAML, or uses what is refused here.

    Example:
        >>> parse("a: no\nb: [1e-5, 010]", "x.yaml").value
        {'a': 'no', 'b': [1e-05, 10]}
    """
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise ConfigError(where, f"is larger than {MAX_BYTES} bytes", hint="Is it a pipeline file?")
    builder = _Builder(where)
    try:
        for event in yaml.parse(text, Loader=_Loader):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        told = error.problem or error.context or ""
        raise ConfigError(
            f"{where}:{line}",
            f"is not valid YAML: {told}",
            hint="Indent with spaces, not tabs." if "'\\t'" in told else None,
        ) from None
    except yaml.YAMLError as error:
        raise ConfigError(where, f"is not valid YAML: {str(error).splitlines()[0]}") from None
    except (ValueError, OverflowError) as error:  # from PyYAML's own escapes and numbers
        raise ConfigError(where, f"is not valid YAML: {error}") from None
    return Document(builder.root, builder.lines)


class _Loader(yaml.SafeLoader):
    """PyYAML's scanner, told of the depth limit.

    It reads 1,024 characters ahead of its events, and each bracket costs it a pass over all that
    are open.
    """

    def fetch_flow_collection_start(self, token: Any) -> None:
        if self.flow_level >= MAX_DEPTH:
            problem = f"nests deeper than {MAX_DEPTH} levels"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=self.get_mark())
        super().fetch_flow_collection_start(token)


class _Builder:
    """Builds values from events, without recursion."""

    def __init__(self, where: str) -> None:
        self.root: Any = None
        self.lines: dict[Path, int] = {}
        self._where = where
        self._stack: list[tuple[Any, Path]] = []
        self._keys: list[str | None] = []
        self._documents = 0

    def take(self, event: yaml.Event) -> None:
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                self._refuse(line, "holds more than one document", "Keep one pipeline per file.")
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            self._refuse(line, "uses an anchor or alias", "Write the value out.")
        tag = getattr(event, "tag", None)
        if tag and tag not in _CORE_TAGS:
            self._refuse(line, f"uses the tag {tag!r}", "Plain values need no tag.")
        if isinstance(event, yaml.ScalarEvent):
            try:
                value = _scalar(event)
            except ValueError as error:
                self._refuse(line, str(error), "Write a value that can be stored.")
            self._add(value, line, event)
        elif isinstance(event, yaml.MappingStartEvent):
            self._open({}, line)
        elif isinstance(event, yaml.SequenceStartEvent):
            self._open([], line)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._stack.pop()
            self._keys.pop()

    def _open(self, value: Any, line: int) -> None:
        if len(self._stack) >= MAX_DEPTH:
            self._refuse(line, f"nests deeper than {MAX_DEPTH} levels", "A pipeline is flat.")
        path = self._add(value, line, None)
        self._stack.append((value, path))
        self._keys.append(None)

    def _add(self, value: Any, line: int, event: yaml.ScalarEvent | None) -> Path:
        if not self._stack:
            self.root = value
            self.lines[()] = line
            return ()
        container, path = self._stack[-1]
        if isinstance(container, list):
            at: Path = (*path, len(container))
            container.append(value)
            self.lines[at] = line
            return at
        key = self._keys[-1]
        if key is not None:
            container[key] = value
            self._keys[-1] = None
            return (*path, key)
        if event is None or not isinstance(value, str):
            self._refuse(line, f"has a key that is not a word (got {value!r})", "Quote it.")
        if value in container:
            self._refuse(line, f"has the key {value[:MAX_DIGITS]!r} twice", "Remove one of them.")
        self._keys[-1] = value
        self.lines[(*path, value)] = line
        return path

    def _refuse(self, line: int, problem: str, hint: str) -> NoReturn:
        raise ConfigError(f"{self._where}:{line}", problem, hint=hint)
