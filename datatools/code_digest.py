"""What code a result was made with: digests of syntax trees, so that an edit is never served stale.

Owns: what of a module's source counts, and how far imports are followed. Refuses: compiled modules,
whose code cannot be read.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import os
import uuid
from importlib.machinery import ModuleSpec
from pathlib import Path

from datatools.errors import ConfigError

__all__ = ["foreign_code", "source_digest"]


def foreign_code(cls: type) -> str | None:
    """Return the digest of the code of a class that is not ours; None for one of this package.

    Our own steps bump their `version`. A class without readable source (typed into a notebook) gets
    a digest that no other process has: its results are not taken from another process's cache.
    """
    if cls.__module__.partition(".")[0] == "datatools":
        return None
    try:
        return source_digest(cls.__module__)
    except ConfigError:
        return _unknown()


@functools.cache
def _unknown() -> str:
    return uuid.uuid4().hex


def source_digest(module: str) -> str:
    """Return a digest of a module's syntax tree and of those it imports from its own package.

    Comments and layout do not count, docstrings do.

    Args:
        module: Dotted name.

    Raises:
        ConfigError: The module has no Python source.

    Example:
        >>> len(source_digest("datatools.errors"))
        64
    """
    package = module.partition(".")[0]
    seen: dict[str, str] = {}
    left = [module]
    while left:
        name = left.pop()
        if name in seen:
            continue
        spec = _spec(name)
        if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
            if name == module:
                raise ConfigError(
                    module,
                    "has no Python source to make a key from",
                    hint="Wrap it in a function of your own.",
                )
            continue
        parent = name if spec.submodule_search_locations else name.rpartition(".")[0]
        stat = os.stat(spec.origin)
        seen[name], imports = _parsed(spec.origin, stat.st_mtime_ns, stat.st_size, parent)
        left += [found for found in imports if found.split(".")[0] == package]
    joined = "\n".join(f"{name} {seen[name]}" for name in sorted(seen))
    return hashlib.sha256(joined.encode()).hexdigest()


@functools.lru_cache(maxsize=256)
def _parsed(path: str, mtime_ns: int, size: int, parent: str) -> tuple[str, list[str]]:
    """Return a file's syntax tree as text and the names it imports; parsed once per state of it."""
    tree = ast.parse(Path(path).read_bytes())
    return ast.dump(tree), _imports(tree, parent)


def _imports(tree: ast.AST, parent: str) -> list[str]:
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                anchor = parent.split(".")
                anchor = anchor[: len(anchor) - node.level + 1]
                base = ".".join([*anchor, *([node.module] if node.module else [])])
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return [name for name in names if name]


def _spec(name: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError):  # an attribute of a module, or a module made by hand
        return None
