"""The form of every error: `where: what is wrong (got X). What to do.`"""

import ast
import re
from pathlib import Path

import pytest

import datatools.errors
from datatools.errors import ConfigError, DataError, DatatoolsError

PACKAGE = Path(datatools.errors.__file__).parent
FAMILY = {name for name in datatools.errors.__all__ if name.endswith("Error")}
WHAT_TO_DO = re.compile(r"\.\s|\(got |[.?!]$|[Dd]id you mean")
"""What a problem, a clause before what was got and what to do, must not hold."""


def words(node):
    """Return the text of a string in a program, with `X` for what is known only when it runs."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(
            words(part) if isinstance(part, ast.Constant) else "X" for part in node.values
        )
    return "X"


def problems(source):
    """Yield line and problem of every error that a program makes."""
    for node in ast.walk(ast.parse(source)):
        named = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        if named and node.func.id in FAMILY and len(node.args) > 1:
            yield node.lineno, words(node.args[1])


def test_no_error_of_the_package_says_what_to_do_before_what_was_got():
    found = [
        (path.relative_to(PACKAGE).as_posix(), line, problem)
        for path in sorted(PACKAGE.rglob("*.py"))
        for line, problem in problems(path.read_text(encoding="utf-8"))
    ]
    assert len(found) > 200
    assert [one for one in found if WHAT_TO_DO.search(one[2])] == []


@pytest.mark.parametrize(
    "problem", ["is wrong. Mend it", "is wrong (got 3)", "is wrong.", "is X. Did you mean 'Y'?"]
)
def test_an_error_that_says_them_the_other_way_round_would_be_found(problem):
    ((_, found),) = problems(f"raise ConfigError('a.b', {problem!r}, got=1)")
    assert WHAT_TO_DO.search(found)


@pytest.mark.parametrize("kind", [ConfigError, DataError])
def test_an_error_keeps_all_it_says_at_another_place(kind):
    error = kind("낱말", "is too short", got="말", hint="Write more.")
    moved = error.at("p.yaml:3 낱말")
    assert type(moved) is kind
    assert str(moved) == "p.yaml:3 낱말: is too short (got '말'). Write more."
    assert str(DatatoolsError("a", "is gone").at("b")) == "b: is gone."
