"""What a search's fields come to, in words: held against the formula, worked out here."""

import re

import pytest

from datatools.steps import GroupPrompts, MinHashDedup
from datatools.steps.dedup.recall import explain_recall


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7, 0.8, 0.95, 1.0])
def test_the_recall_told_is_that_of_the_bands_told(threshold):
    choice, recall, disk = explain_recall(threshold, 128)
    bands, rows = map(int, re.match(r"(\d+) bands x (\d+) rows", choice).groups())
    assert f"up to {24 * bands} bytes" in disk
    found = re.findall(r"(>?)(\d+)% at (?:similarity )?([\d.]+)", recall)
    assert len(found) >= 3
    for more, percent, similarity in found:
        exact = 1 - (1 - float(similarity) ** rows) ** bands
        if more:
            assert 0.99 < exact < 1
        else:
            assert int(percent) == pytest.approx(100 * exact, abs=0.51)


def test_only_certainty_is_told_as_100_percent():
    _, recall, _ = explain_recall(0.8, 128)
    assert recall.endswith(">99% at 0.9, 100% at 1")


@pytest.mark.parametrize("step", [MinHashDedup(threshold=0.6), GroupPrompts(threshold=0.6)])
def test_steps_that_search_near_duplicates_explain_their_recall(step):
    assert list(step.explains()) == explain_recall(0.6, 128)
