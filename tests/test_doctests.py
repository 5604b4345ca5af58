"""Every example in a docstring of the package runs."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import datatools

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(datatools.__path__, "datatools.")
    # A worker serves its parent's pipe as soon as it is run, and holds no example.
    if not module.name.endswith(".worker")
)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = doctest.testmod(importlib.import_module(name))
    assert found.failed == 0


def test_there_are_examples():
    count = sum(
        len(test.examples)
        for name in MODULES
        for test in doctest.DocTestFinder().find(importlib.import_module(name))
    )
    assert count > 300
