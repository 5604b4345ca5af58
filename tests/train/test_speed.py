"""The speed of training is measured, and the time that follows from it is plain arithmetic."""

import pytest

from datatools.errors import ConfigError
from datatools.train.fit import default_batch_tokens
from datatools.train.model import SIZES
from datatools.train.speed import measure_speed, training_seconds


def test_a_size_that_does_not_fit_the_budget_is_measured_by_one_row(monkeypatch):
    rows = []

    def run_loop(task, config, **settings):
        from datatools.train import speed

        rows.append((task.per_step, config.steps))

        class Took:
            seconds = 0.4 * task.per_step * config.steps

        assert speed.PackedText is type(task.rows)
        return Took()

    monkeypatch.setattr("datatools.train.speed.run_loop", run_loop)
    context = SIZES["smoke"].context
    # A row takes 0.4 s: a budget of 0.1 s pays for none, of 1 s for two, of 100 s for whole steps.
    assert measure_speed("smoke", 10_000_000, budget_s=0.1).tokens_per_s == context / 0.4
    assert rows == [(1, 1)]
    rows.clear()
    found = measure_speed("smoke", 10_000_000, budget_s=1.0)
    assert found.tokens_per_s == pytest.approx(context / 0.4)
    assert rows == [(1, 1)] * 4 + [(2, 1)]
    assert found.memory_bytes is None
    rows.clear()
    full = round(default_batch_tokens(SIZES["smoke"], 10_000_000) / context)
    found = measure_speed("smoke", 10_000_000, budget_s=100.0)
    assert {per_step for per_step, _ in rows} == {1, full}
    assert found.memory_bytes is not None


def test_a_size_that_is_none_is_refused():
    with pytest.raises(ConfigError, match="nanoo"):
        measure_speed("nanoo", 1000)


def test_time_grows_with_tokens_and_with_each_tuned_model_by_half():
    alone = training_seconds(500.0, 10_000, 0)
    assert alone == pytest.approx(1.2 * 20)
    assert training_seconds(500.0, 20_000, 0) == pytest.approx(2 * alone)
    assert training_seconds(500.0, 10_000, 2) == pytest.approx(2 * alone)
