import os
from pathlib import Path

import pytest

from datatools.sample import load_truth, make, make_sample


class Crawl:
    """One written sample with its truth, shared by the tests that only read it."""

    def __init__(self, folder: Path) -> None:
        before = os.times()
        self.summary = make_sample(folder)
        after = os.times()
        self.cpu_s = sum(after[:4]) - sum(before[:4])
        self.folder = folder
        self.truth, self.totals = load_truth(folder)

    def planted(self, *defects):
        return [row for row in self.truth if row.defect in defects]


@pytest.fixture(scope="session")
def crawl(tmp_path_factory):
    return Crawl(tmp_path_factory.mktemp("sample"))


@pytest.fixture
def few_modules(monkeypatch):
    """Makes the documentation small, for tests that write a sample of their own."""
    monkeypatch.setattr(make, "MODULES", ("bisect", "no_such_module", "queue"))
