import json
import math

import outputs
import pytest

from datatools.report.training import CHANCE_LOSS, Training
from datatools.train.results import TrainReport, as_json


def test_the_shape_is_the_one_that_training_writes():
    """A field renamed on either side must be noticed here, not in a report."""
    import dataclasses

    from datatools.train import results

    written = outputs.training()
    for part, cls in (
        (written, TrainReport),
        (written["tokenizer"], results.TokenizerResult),
        (written["pretrain"], results.PretrainResult),
        (written["pretrain"]["run"], results.RunResult),
        (written["pretrain"]["before"], results.BitsPerByte),
        (written["pretrain"]["probes"][0], results.ProbeShift),
        (written["instruct"], results.SftResult),
        (written["instruct"]["after"], results.AnswerScores),
        (written["preference"], results.RewardResult),
        (written["preference"]["after"], results.Accuracy),
    ):
        assert set(part) == {field.name for field in dataclasses.fields(cls)}


def test_every_part_is_read():
    training = Training.of(outputs.training())
    assert [part.name for part in training.parts] == ["pretrain", "instruct", "preference"]
    base, tuned, reward = training.parts
    assert [(s.name, s.before, s.after) for s in base.shifts] == [
        ("bits per byte", 4.25, 3.125),
        ("bits per byte, en", 4.0, 3.0),
        ("bits per byte, ko", 4.5, 3.25),
    ]
    assert (tuned.shifts[1].before, tuned.shifts[1].after) == (0.01, 0.04)
    assert [(a.value, a.pairs) for a in reward.accuracies] == [(0.75, 22), (0.625, 22), (0.85, 147)]
    assert base.probes[0].after == (("한[ed95]", 0.25), ("\n", 0.125))


def test_parts_that_were_not_trained_are_left_out():
    training = Training.of(outputs.training(instruct=None, preference=None))
    assert [part.name for part in training.parts] == ["pretrain"]


def test_without_a_held_out_split_there_is_only_a_loss():
    value = outputs.training()
    for part in ("pretrain", "instruct", "preference"):
        value[part]["before"] = value[part]["after"] = None
    value["preference"] |= {"length_only": None, "margin": None}
    for part in Training.of(value).parts:
        assert part.shifts == ()
        assert part.held_out == ""
        assert part.loss.after is not None
    assert [a.name for a in Training.of(value).parts[2].accuracies] == [
        "reward model, training pairs"
    ]


def test_an_accuracy_without_pairs_is_left_out():
    value = outputs.training()
    value["preference"]["after"] = as_json(outputs.accuracy(math.nan, pairs=0, groups=0))
    value["preference"]["after"]["value"] = None
    names = [accuracy.name for accuracy in Training.of(value).parts[2].accuracies]
    assert "reward model, held-out pairs" not in names


@pytest.mark.parametrize(("steps", "before", "after"), [(10, 10.0, 1.0), (60, 59.0, 2.0)])
def test_the_loss_is_the_mean_of_the_ends_of_the_curve(steps, before, after):
    value = outputs.training()
    value["pretrain"]["run"] = outputs.run([float(n) for n in range(steps, 0, -1)])
    loss = Training.of(value).parts[0].loss
    assert (loss.before, loss.after) == (before, after)


def test_steps_that_were_not_finite_do_not_count_in_the_loss():
    value = outputs.training()
    value["pretrain"]["run"] = outputs.run([None, 4.0, 2.0, None])
    loss = Training.of(value).parts[0].loss
    assert (loss.before, loss.after) == (4.0, 2.0)
    value["pretrain"]["run"] = outputs.run([None])
    assert Training.of(value).parts[0].loss.before is None


def test_chance_is_the_loss_of_a_coin():
    assert math.isclose(CHANCE_LOSS, -math.log(0.5))


def test_it_survives_a_round_trip_through_json():
    value = outputs.training()
    assert Training.of(json.loads(json.dumps(value))) == Training.of(value)
