import json
import math
import signal
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import torch
import training_run
from torch import nn
from training_run import CONFIG, make_task

from datatools.errors import ConfigError, DataError
from datatools.train import loop
from datatools.train.loop import LoopConfig, StepLoss, learning_rate_at, run_loop


@dataclass
class Parabola:
    """Minimise (w - 3)^2, with the gradients of some steps spoilt."""

    model: nn.Module = field(default_factory=lambda: nn.Linear(1, 1, bias=False))
    fingerprint: str = "parabola"
    spoilt: dict[int, float] = field(default_factory=dict)

    def __post_init__(self):
        nn.init.zeros_(self.model.weight)

    def loss(self, step):
        return StepLoss((self.model.weight - 3).square().sum() * self.spoilt.get(step, 1.0), 7)

    def documents(self, step):
        return [f"doc{step}"]


def _interrupted_at(step):
    def progress(done, _end):
        if done == step:
            raise KeyboardInterrupt

    return progress


def _weights(task):
    return {name: weight.detach().clone() for name, weight in task.model.named_parameters()}


def _lines(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def _untimed(path):
    return [{k: v for k, v in line.items() if k != "seconds"} for line in _lines(path)]


# --------------------------------------------------------------------------------------------------
# The schedule


def test_cosine_falls_from_the_warm_up_on():
    config = LoopConfig(steps=12, learning_rate=2.0, schedule="cosine", warmup=0.1666)
    rates = [learning_rate_at(step, 12, config) for step in range(12)]
    assert rates[:3] == [1.0, 2.0, 2.0]
    assert rates[7] == pytest.approx(1.0)  # half of the ten falling steps are done
    assert rates[11] == pytest.approx(1 + math.cos(0.9 * math.pi))


def test_training_moves_towards_the_minimum():
    task = Parabola()
    result = run_loop(task, LoopConfig(steps=200, learning_rate=0.1, weight_decay=0.0, threads=1))
    assert task.model.weight.item() == pytest.approx(3.0, abs=0.05)
    assert result.tokens == 1400
    assert [point.tokens for point in result.curve[:2]] == [7, 14]


def test_only_matrices_decay():
    class Still(Parabola):
        def loss(self, step):
            return StepLoss(sum(w.sum() for w in self.model.parameters()) * 0.0, 1)

    task = Still(model=nn.Linear(2, 2))
    before = {n: torch.ones_like(w) for n, w in task.model.named_parameters()}
    with torch.no_grad():
        for weight in task.model.parameters():
            weight.fill_(1.0)
    config = LoopConfig(
        steps=1, learning_rate=0.5, weight_decay=0.1, warmup=0.0, decay=0.0, threads=1
    )
    run_loop(task, config)
    torch.testing.assert_close(task.model.weight, before["weight"] * 0.95)
    assert torch.equal(task.model.bias, before["bias"])


# --------------------------------------------------------------------------------------------------
# Steps that are left out


@pytest.mark.parametrize("spoil", [float("nan"), float("inf")])
def test_a_step_that_is_not_finite_changes_nothing_and_names_its_records(spoil, tmp_path):
    log = tmp_path / "log.jsonl"
    config = LoopConfig(steps=4, learning_rate=0.1, threads=1)
    task, unspoilt = Parabola(spoilt={3: spoil}), Parabola()
    result = run_loop(task, config, log=log)
    with pytest.raises(KeyboardInterrupt):
        run_loop(unspoilt, config, progress=_interrupted_at(3))
    assert torch.equal(task.model.weight, unspoilt.model.weight)
    assert result.skipped == 1
    last = _lines(log)[3]
    assert (last["loss"], last["gradient_norm"], last["skipped"]) == (None, None, True)
    assert last["documents"] == ["doc3"]
    assert "documents" not in _lines(log)[2]


def test_a_gradient_far_above_all_before_it_is_left_out():
    steps = loop.SPIKE_WINDOW + 20
    config = LoopConfig(steps=steps, learning_rate=1e-4, threads=1)
    at = loop.SPIKE_WINDOW + 5
    assert run_loop(Parabola(spoilt={at: 1000.0}), config).curve[at].skipped
    # nine times the mean is unusual, and clipping deals with it
    assert run_loop(Parabola(spoilt={at: 9.0}), config).skipped == 0
    # before there are enough steps to know what is usual, nothing is
    assert run_loop(Parabola(spoilt={20: 1000.0}), config).skipped == 0


def test_a_model_that_knows_its_data_by_heart_may_meet_something_new():
    """Beside gradients near 0 any other is large; what clipping passes is not a spike."""
    steps = loop.SPIKE_WINDOW + 20
    config = LoopConfig(steps=steps, learning_rate=1e-6, threads=1)
    known = dict.fromkeys(range(steps), 1e-6)
    assert run_loop(Parabola(spoilt=known | {steps - 1: 0.1}), config).skipped == 0
    assert run_loop(Parabola(spoilt=known | {steps - 1: 10.0}), config).skipped == 1


def test_gradients_that_stay_large_are_followed():
    """One batch can be bad; when all are, it is the weights, and waiting would not help."""
    first = loop.SPIKE_WINDOW + 5
    config = LoopConfig(steps=first + 40, learning_rate=1e-6, threads=1)
    result = run_loop(Parabola(spoilt=dict.fromkeys(range(first, first + 40), 1000.0)), config)
    assert result.curve[first].skipped
    assert 1 <= result.skipped <= 5
    assert not result.curve[-1].skipped


def test_training_that_cannot_go_on_says_which_records_it_read():
    task = Parabola(spoilt=dict.fromkeys(range(5, 50), float("nan")))
    with pytest.raises(DataError, match=r"step 15: 10 steps in a row .* doc14"):
        run_loop(task, LoopConfig(steps=50, learning_rate=0.1, threads=1))


def test_a_large_gradient_is_clipped_and_its_own_norm_logged():
    """The first update of AdamW has the size of the rate, whatever the gradient's."""
    task = Parabola(spoilt={0: 50.0})
    config = LoopConfig(steps=1, learning_rate=0.1, warmup=0.0, decay=0.0, threads=1)
    result = run_loop(task, config)
    assert result.curve[0].gradient_norm == pytest.approx(300.0)
    assert task.model.weight.grad is None
    assert task.model.weight.item() == pytest.approx(0.1, rel=1e-4)


# --------------------------------------------------------------------------------------------------
# Time


class _Clock:
    """A clock that a second passes on at every look."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        self.now += 1.0
        return self.now


def test_a_time_budget_brings_the_fall_forward(monkeypatch):
    monkeypatch.setattr(loop, "time", _Clock())
    config = LoopConfig(steps=1000, learning_rate=1.0, time_budget_s=100, threads=1)
    result = run_loop(Parabola(), config)
    assert result.stopped == "finished"
    assert 85 <= result.steps <= 100
    rates = [point.learning_rate for point in result.curve]
    assert rates[50] == 1.0  # warmed up over 50 of the 1,000 steps, then stable
    assert rates[-1] < 0.05


def test_cosine_stops_when_the_time_is_over(monkeypatch):
    monkeypatch.setattr(loop, "time", _Clock())
    config = LoopConfig(
        steps=1000, learning_rate=1.0, schedule="cosine", time_budget_s=30, threads=1
    )
    result = run_loop(Parabola(), config)
    assert (result.stopped, result.steps) == ("time_budget", 30)


# --------------------------------------------------------------------------------------------------
# Checkpoints


@pytest.mark.parametrize("at", [10, 14])
def test_an_interrupted_run_goes_on_as_if_it_had_not_stopped(at, tmp_path):
    whole = make_task()
    run_loop(whole, CONFIG, log=tmp_path / "whole.jsonl")

    places = {"log": tmp_path / "log.jsonl", "checkpoints": tmp_path / "checkpoints"}
    with pytest.raises(KeyboardInterrupt):
        run_loop(make_task(), CONFIG, **places, progress=_interrupted_at(at))
    task = make_task()
    result = run_loop(task, CONFIG, **places)

    assert result.steps == 20
    for name, weight in _weights(whole).items():
        assert torch.equal(weight, _weights(task)[name]), name
    assert _untimed(tmp_path / "log.jsonl") == _untimed(tmp_path / "whole.jsonl")
    assert [point.step for point in result.curve] == list(range(1, 21))


@pytest.mark.slow  # three starts of the interpreter
def test_a_killed_run_goes_on_as_if_it_had_not_been(tmp_path):
    def run(name, kill_after):
        script = Path(training_run.__file__)
        return subprocess.run(
            [sys.executable, str(script), str(tmp_path / name), str(kill_after)],
            capture_output=True,
            timeout=120,
            check=False,
        )

    assert run("whole", 0).returncode == 0
    assert run("killed", 13).returncode == -signal.SIGKILL
    assert not (tmp_path / "killed" / "checkpoints" / "step-00000020").exists()
    assert run("killed", 0).returncode == 0
    for file in ("model.safetensors", "optimizer.safetensors"):
        one, other = (
            (tmp_path / name / "checkpoints" / "step-00000020" / file).read_bytes()
            for name in ("whole", "killed")
        )
        assert one == other, file
    assert _untimed(tmp_path / "killed" / "log.jsonl") == _untimed(tmp_path / "whole" / "log.jsonl")


def test_only_the_newest_checkpoints_stay(tmp_path):
    config = LoopConfig(steps=5, learning_rate=0.1, checkpoint_every=1, keep_last=2, threads=1)
    run_loop(Parabola(), config, checkpoints=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000004", "step-00000005"]


def test_a_finished_run_is_not_repeated(tmp_path):
    config = LoopConfig(steps=5, learning_rate=0.1, threads=1)
    first = run_loop(Parabola(), config, checkpoints=tmp_path)
    again = run_loop(Parabola(), config, checkpoints=tmp_path)
    assert again.curve == first.curve


@pytest.mark.parametrize(
    ("task", "config", "said"),
    [
        ({"seed": 1}, {}, "other data"),
        ({"documents_used": 40}, {}, "other data"),
        ({}, {"learning_rate": 0.02}, "another configuration"),
        ({}, {"steps": 30}, "another configuration"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(task, config, said, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run_loop(make_task(), CONFIG, checkpoints=tmp_path, progress=_interrupted_at(11))
    with pytest.raises(ConfigError, match=said):
        run_loop(make_task(**task), replace(CONFIG, **config), checkpoints=tmp_path)


def test_a_new_run_starts_its_log_anew(tmp_path):
    log = tmp_path / "log.jsonl"
    config = LoopConfig(steps=3, learning_rate=0.1, threads=1)
    run_loop(Parabola(), config, log=log)
    run_loop(Parabola(), config, log=log)
    assert [line["step"] for line in _lines(log)] == [1, 2, 3]


def test_the_number_of_threads_is_put_back():
    before = torch.get_num_threads()
    run_loop(Parabola(), LoopConfig(steps=1, learning_rate=0.1, threads=before + 1))
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"learning_rate": 0.0}])
def test_settings_that_train_nothing_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        LoopConfig(**({"steps": 1, "learning_rate": 0.1} | wrong))
