"""`datatools train` and `compare` on datasets at a URL: as on those in a folder."""

import json
import shutil

import pytest
from jobs import dataset, run_job

from datatools import open_dataset, steps
from datatools.engine.remote import Remote
from datatools.judge import compare, decision

TEXTS = ("The farmer walks to the market. ", "농부는 아침마다 시장에 걸어간다. ")


@pytest.fixture(params=["memory", pytest.param("bucket", marks=pytest.mark.slow)])
def url(request):
    """The URL of an output: in this process's memory, and on an S3 server."""
    return f"{request.getfixturevalue(request.param)}/corpus"


@pytest.fixture
def both(tmp_path, url):
    """Publish documents in two languages to a folder and a URL, which this machine then forgets."""
    rows = [{"text": TEXTS[n % 2] * 3 + f" {n}.", "lang": ["en", "ko"][n % 2]} for n in range(120)]
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (tmp_path / "a.jsonl").write_text(lines, encoding="utf-8")
    source = steps.ReadJsonl(paths=(str(tmp_path / "a.jsonl"),), language="lang")
    datasets = {
        "pretrain": dataset(source, steps.Split(validation=0.2)),
        "less": dataset(steps.ExactDedup(), steps.Split(validation=0.3), from_="pretrain"),
    }
    folder = tmp_path / "local"
    for output in (folder, url):
        run_job(output, datasets)
    shutil.rmtree(tmp_path / "scratch")
    return folder, url


def lasting(value):
    """Return a training result without what the clock says, and without where it lies."""
    if isinstance(value, dict):
        passing = ("seconds", "per_s", "folder")
        return {k: lasting(v) for k, v in value.items() if not k.endswith(passing)}
    return [lasting(one) for one in value] if isinstance(value, list) else value


def test_training_at_a_url_is_training_in_a_folder_and_its_models_lie_there(datatools, both):
    options = ("--tokens", "2000", "--probe", "최고의 언어는?", "--json")
    here, there = (datatools("train", output, *options) for output in both)
    assert (here.code, there.code) == (0, 0)
    assert lasting(json.loads(there.out)) == lasting(json.loads(here.out))
    folder, url = both
    names = [name for name in Remote(url).listing() if name.startswith("models/")]
    local = [path.relative_to(folder).as_posix() for path in (folder / "models").rglob("*.*")]
    assert names == sorted(local)
    weights = "models/pretrain/model.safetensors"
    assert Remote(url).read(weights) == (folder / weights).read_bytes()


def test_without_json_it_says_where_the_models_are(datatools, both):
    url = both[1]
    called = datatools("train", url, "--tokens", "1000", "--pretrain", "less")
    assert called.out.splitlines()[0].startswith("tokenizer ")
    assert called.out.splitlines()[-1] == f"models  {url}/models"


def test_a_dataset_that_is_not_at_the_url_cannot_be_trained_on(datatools, both):
    called = datatools("train", both[1], "--pretrain", "pretrian")
    assert called.code == 1
    assert "is not a published dataset" in called.err


def test_datasets_at_a_url_are_compared_as_they_are_there(datatools, both, monkeypatch):
    seen = []

    class Verdict:
        sentences = ("equivalent",)

    def measure(before, after, **settings):
        seen.append([open_dataset(path).manifest for path in (before, after)])
        seen.append([settings[name] for name in ("tier", "seed", "names")])
        for path in (before, after):  # every shard is at hand
            assert open_dataset(path).frame("train").height > 0

    monkeypatch.setattr(compare, "measure", measure)  # which takes a minute
    monkeypatch.setattr(decision, "recompute", lambda receipts: Verdict())
    folder, url = both
    for output in (url, folder):
        called = datatools("compare", f"{output}/pretrain", f"{output}/less", "--seed", "3")
        assert (called.code, called.out) == (0, "equivalent\n")
    there, asked, here, _ = seen
    assert asked == ["smoke", 3, ("pretrain", "less")]
    assert there == here


def test_a_dataset_at_a_url_is_not_compared_with_itself(datatools, both):
    url = both[1]
    called = datatools("compare", f"{url}/less", f"{url}/less/")
    assert called.code == 2
    assert "are one dataset" in called.err


def test_a_dataset_that_is_not_at_the_url_is_told(datatools, both):
    called = datatools("compare", f"{both[1]}/pretrain", f"{both[1]}/lesss")
    assert called.code == 1
    assert f"{both[1]}/lesss: is not a published dataset" in called.err
