"""The benchmark of personal data: its samples and its judgement."""

import pytest
from pii import quality
from pii_texts import Sample, labelled, look_alikes, positives

from datatools.kernels.personal import KINDS


def test_every_kind_has_samples_and_numbers_that_look_like_it():
    assert {kind for sample in positives(2, 0) for kind, _, _ in sample.spans} == set(KINDS)
    assert {sample.looks_like for sample in look_alikes(1, 0)} == set(KINDS)


def test_samples_follow_from_the_seed_and_say_where_values_stand():
    assert positives(3, 7) == positives(3, 7) != positives(3, 8)
    for sample in positives(20, 1):
        ((_, start, stop),) = sample.spans
        assert any(c.isdigit() for c in sample.text[start:stop])
        assert sample.text[start:stop].strip() == sample.text[start:stop]


def test_precision_and_recall_of_a_hand_made_set():
    samples = [
        Sample("전화 010-1234-5678", (("phone", 3, 16),)),
        Sample("전화 공일공", (("phone", 3, 6),)),
        Sample("010-9999-0000", ()),
        Sample("010-9999-0000", ()),
    ]
    found = quality(samples)
    assert found == {
        "phone": {"precision": 0.3333, "recall": 0.5, "right": 1, "missed": 1, "false": 2}
    }


@pytest.mark.slow
def test_every_kind_is_found_and_told_from_what_looks_like_it():
    for kind, one in quality(positives(300, 11) + look_alikes(300, 12)).items():
        assert one["precision"] >= 0.95, (kind, one)
        assert one["recall"] >= 0.95, (kind, one)


@pytest.mark.shared
def test_the_labelled_texts_are_found(shared_dir):
    found = quality(labelled(shared_dir / "data/h_safety/presidio_synth_dataset_v2.json.gz"))
    assert len(found) == 7
    for kind, one in found.items():
        assert one["precision"] >= 0.95, (kind, one)
        assert one["recall"] >= 0.95, (kind, one)
