"""What a run would take: counted up from a sample, from records of the last run, or measured."""

import json

import pytest
import toys
from counted import whole_job
from jobs import dataset, job, write_lines

from datatools.job.forecasting import forecast


@pytest.fixture
def lines(tmp_path):
    return write_lines(tmp_path / "a.txt", 44)


def test_a_forecast_counts_up_from_a_sample_and_leaves_nothing_behind(tmp_path, lines, monkeypatch):
    places = tmp_path / "temporary"
    places.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(places))
    size = (tmp_path / "a.txt").stat().st_size
    datasets = {"pages": dataset(toys.ReadLines(paths=(lines,)), toys.Upper(), toys.Length())}
    found = forecast(job(tmp_path / "out", datasets), records=10)
    assert found.sample_records == 11  # ten that can be used, and a bad line among them
    assert 0 < found.sample_bytes < found.input_bytes == size
    whole = forecast(job(tmp_path / "out", datasets), records=1000)
    assert whole.sample_bytes == size
    # By proportion: a sample of a quarter forecasts about what the whole takes on disk.
    assert whole.disk_bytes / 4 < found.disk_bytes < whole.disk_bytes * 8
    assert found.seconds > 0
    assert list(places.iterdir()) == []
    assert not (tmp_path / "out").exists()


@pytest.fixture
def _measured(monkeypatch):
    """Measuring, which takes seconds, replaced by a machine of 1,000 tokens per second."""
    from datatools.judge import cost
    from datatools.train import speed

    monkeypatch.setattr(speed, "measure_speed", lambda *a: speed.Speed(1000.0, None, 1.0))
    monkeypatch.setattr(cost, "measure_ngram", lambda order: cost.NgramSpeed(1e6, 1e6, 1000))


def by_name(pipeline):
    return {one.name: one for one in forecast(pipeline).conclusions}


@pytest.mark.slow
def test_training_and_verdict_are_measured_where_no_run_recorded_them(tmp_path, lines):
    found = forecast(whole_job(tmp_path, lines))
    train, verdict = found.conclusions
    assert (train.name, verdict.name) == ("train", "verdict cleaning")
    assert "made-up tokens" in train.method
    assert "34 runs" in verdict.method
    assert train.seconds > 0
    assert verdict.seconds > 0
    assert found.total_seconds == found.seconds + train.seconds + verdict.seconds
    assert found.total_disk_bytes == found.disk_bytes + train.disk_bytes
    assert found.present_bytes == 0
    assert not (tmp_path / "out").exists()


def record(tmp_path, **changed):
    """Write a training result as a run of this output records it: 100 s for 10,000 tokens."""
    value = {
        "size": "smoke",
        "seconds": 100.0,
        "pretrain": {"run": {"tokens": 10_000}},
        "instruct": None,
        "preference": None,
        **changed,
    }
    (tmp_path / "out/models").mkdir(parents=True, exist_ok=True)
    (tmp_path / "out/models/train.json").write_text(json.dumps(value))


@pytest.mark.usefixtures("_measured")
def test_training_is_forecast_from_the_last_runs_own_speed(tmp_path, lines):
    record(tmp_path)
    train = by_name(whole_job(tmp_path, lines, tokens=40_000))["train"]
    assert train.seconds == pytest.approx(400)  # four times the tokens of the recorded run
    assert "last run" in train.method
    # A record of another size of model, or of more models, says nothing of this one.
    for other in ({"size": "nano"}, {"instruct": {}}, {"seconds": None}):
        record(tmp_path, **other)
        assert "made-up" in by_name(whole_job(tmp_path, lines))["train"].method


@pytest.mark.usefixtures("_measured")
def test_a_verdict_is_forecast_from_the_last_one_of_as_much_text(tmp_path, lines):
    pipeline = whole_job(tmp_path, lines)
    found = forecast(pipeline)
    path = tmp_path / "out/verdicts/cleaning.json"
    path.parent.mkdir(parents=True)

    def method(size, tier="smoke"):
        value = {"tier": tier, "seconds": 77.0, "a": {"size": size}, "b": {"size": size}}
        path.write_text(json.dumps(value))
        verdict = by_name(pipeline)["verdict cleaning"]
        return verdict.method if verdict.seconds != 77.0 else "recorded"

    assert found.input_bytes < 2000
    assert method(800) == "recorded"
    assert "moment of either voice" in method(80_000)
    assert "moment of either voice" in method(800, "cpu")


@pytest.mark.usefixtures("_measured")
def test_models_are_counted_in_the_disk_that_is_needed(tmp_path, lines):
    from datatools.train.model import SIZES

    train = by_name(whole_job(tmp_path, lines, size="nano"))["train"]
    assert train.disk_bytes == 4 * SIZES["nano"].parameters
