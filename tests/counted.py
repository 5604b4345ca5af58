"""Training, judging and reporting replaced by calls that are counted, for they take minutes."""

import json

import numpy as np
import toys
from jobs import dataset, job

from datatools import Pipeline
from datatools.pipeline.definition import TrainSettings, ValidateSettings


def count_calls(monkeypatch):
    """Replace training, judging and reporting, and return how often each is called."""
    from datatools.judge import compare, decision
    from datatools.report import build
    from datatools.train import api

    calls = {"train": 0, "verdict": 0, "report": 0}

    def train_all(output, **settings):
        calls["train"] += 1
        for name in (settings["pretrain"], settings["instruct"], settings["preference"]):
            if name is not None:
                (output / "models" / name).mkdir(parents=True, exist_ok=True)
                (output / "models" / name / "model.safetensors").touch()
        (output / "models/train.json").write_text(json.dumps({"tokens": settings["tokens"]}))

    class Receipts:
        def save(self, path):
            np.save(path.with_suffix(".npy"), np.zeros(1))

    class Verdict:
        def model_dump(self, mode):
            return {"headline": "no difference"}

    def measure(before, after, **settings):
        calls["verdict"] += 1
        return Receipts()

    def write_report(output, *, title):
        calls["report"] += 1
        (output / "report.html").write_text(title)
        return output / "report.html"

    monkeypatch.setattr(api, "train_all", train_all)
    monkeypatch.setattr(compare, "measure", measure)
    monkeypatch.setattr(decision, "recompute", lambda receipts: Verdict())
    monkeypatch.setattr(build, "write_report", write_report)
    return calls


def whole_job(tmp_path, lines, *, seed=0, minimum=3, **train):
    """Return a job over toy lines that trains, judges and reports."""
    read = dataset(toys.ReadLines(paths=(lines,)), toys.Upper(), toys.Length())
    made = job(tmp_path / "out", {"pages": read}, seed=seed)
    datasets = {
        **made.datasets,
        "clean": dataset(toys.Length(minimum=minimum), from_="pages"),
        "other": dataset(toys.Length(minimum=20), from_="pages"),
    }
    return Pipeline(
        name="job",
        seed=seed,
        datasets=datasets,
        train=TrainSettings(pretrain="clean", **train),
        validate={"cleaning": ValidateSettings(compare=("pages", "clean"))},
        run=made.run,
        output=made.output,
    )
