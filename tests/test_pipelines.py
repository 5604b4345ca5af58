"""The pipelines of the repository are executed: on the sample crawl, against what was planted in
it; on real crawls; and on everything broken that could be found."""

import json
import os
import re
import selectors
import subprocess
import sys
import threading
from collections import Counter
from itertools import combinations
from pathlib import Path
from queue import Empty, SimpleQueue

import polars as pl
import pytest

from datatools import DedupIndex, load_pipeline, plan, run, verify
from datatools.cli.main import main
from datatools.sample import content, load_truth, make, make_sample
from datatools.sample.forum_pages import question_url

ROOT = Path(__file__).resolve().parents[1]
TESTS = Path(__file__).resolve().parent
QUICKSTART = ROOT / "pipelines/quickstart.yaml"
DATASETS = ["pages", "pretrain", "questions", "instruct", "preference"]
PUBLISHED = ["pretrain", "instruct", "preference"]


@pytest.fixture(scope="module")
def crawl(tmp_path_factory):
    """A folder with the sample crawl, whose documentation is of two modules only."""
    folder = tmp_path_factory.mktemp("pipelines")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(make, "MODULES", ("bisect", "queue"))
        make_sample(folder / "samples")
    DedupIndex.create(folder / "kept.index")  # which the daily job reads
    return folder


@pytest.mark.parametrize("file", sorted((ROOT / "pipelines").glob("*.yaml")), ids=lambda f: f.name)
def test_a_pipeline_loads_and_plans(crawl, monkeypatch, file):
    monkeypatch.chdir(crawl)
    pipeline = load_pipeline(file, ["output=planned"])
    found = plan(pipeline)
    assert {one.name for one in found.datasets} == set(pipeline.datasets)
    (source,) = [one for one in found.datasets if one.units]
    assert source.input_bytes == sum(
        path.stat().st_size for path in (crawl / "samples").glob("*.warc.gz")
    )
    assert not (crawl / "planned").exists()


class Made:
    """What the quickstart made, with the truth about what it was made from."""

    def __init__(self, folder, result):
        self.folder = folder
        self.output = folder / "out/quickstart"
        self.result = result
        self.truth, self.totals = load_truth(folder / "samples")
        self.rows = {}
        self.fates = {}
        for name in DATASETS:
            shards = sorted((self.output / name).glob("*.parquet"))
            self.rows[name] = pl.concat(
                pl.read_parquet(path).with_columns(split=pl.lit(path.name.split("-")[0]))
                for path in shards
            )
            self.fates[name] = pl.read_parquet(self.output / name / "sidecar/fates.parquet")

    def planted(self, defect):
        return [row for row in self.truth if row.defect == defect]

    def at(self, dataset, url):
        return self.rows[dataset].filter(url=url)

    def left(self, url):
        """Return `{(step, reason)}` of every record that left at an address."""
        gone = pl.concat(frame.filter(url=url) for frame in self.fates.values())
        return set(gone.select("step", "reason").iter_rows())

    def steps(self, url):
        return {step for step, _ in self.left(url)}


@pytest.fixture(scope="module")
def made(crawl):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(crawl)
        pipeline = load_pipeline(QUICKSTART, ["run.executor=inline"])
        return Made(crawl, run(pipeline, only=DATASETS))


def test_the_quickstart_succeeds_and_every_record_is_accounted_for(made):
    assert made.result.ok, made.result.problems
    assert made.result.datasets.keys() == set(DATASETS)
    found = verify(made.output)
    assert found.ok, found.to_json()
    for check in found.datasets.values():
        ledger = check.ledger
        assert ledger["read"] + ledger["created"] == (
            ledger["kept"] + sum(ledger["dropped"].values()) + sum(ledger["quarantined"].values())
        )


def test_every_byte_of_the_crawl_is_accounted_for(made):
    counts = made.result.datasets["pages"]["inputs"]["ReadWarc"]
    files = list((made.folder / "samples").glob("*.warc.gz"))
    assert counts["size"] == sum(path.stat().st_size for path in files)
    lost = sum(item["end"] - item["start"] for item in counts["incomplete"])
    assert counts["consumed"] + sum(counts["skipped"].values()) + lost == counts["size"]


def test_both_languages_come_out_of_every_dataset(made):
    for name in PUBLISHED:
        urls = made.rows[name]["url"].str.extract(r"/(en|ko)/")
        shares = urls.drop_nulls().value_counts(normalize=True, parallel=False)
        assert shares["proportion"].min() > 0.2, name


# --------------------------------------------------------------------------------------------------
# The planted defects, each with the fate that truth expects


def replaced_by_its_twin(made, row, steps):
    """One of two alike leaves, against the other, which stays."""
    gone = made.fates["pretrain"].filter(
        pl.col("url").is_in([row.url, row.pair_url]) & pl.col("step").is_in(steps)
    )
    assert gone.height == 1, row
    (fate,) = gone.to_dicts()
    stays = row.pair_url if fate["url"] == row.url else row.url
    survivor = json.loads(fate["detail"])["survivor"]
    assert made.at("pretrain", stays)["id"].to_list() == [survivor]


def exact_duplicate(made, row):
    replaced_by_its_twin(made, row, ["ExactDedup", "MinHashDedup"])


def near_duplicate(made, row):
    replaced_by_its_twin(made, row, ["MinHashDedup"])
    detail = made.fates["pretrain"].filter(
        pl.col("url").is_in([row.url, row.pair_url]) & (pl.col("step") == "MinHashDedup")
    )["detail"][0]
    # Measured on the extracted pages, which say more than the article: close to the truth.
    assert json.loads(detail)["similarity"] == pytest.approx(row.jaccard, abs=0.1)


def abridged(made, row):
    assert row.marker in made.at("pretrain", row.url)["text"][0]


def wrong_language(made, row):
    (fate,) = made.fates["pretrain"].filter(url=row.url).to_dicts()
    assert (fate["step"], fate["reason"]) == ("LanguageFilter", "language_not_kept")
    assert fate["value"] == row.url.split("/")[3]


def boilerplate(made, row):
    assert made.steps(row.url) & {"ExtractText", "GopherQuality"}
    assert made.at("pretrain", row.url).is_empty()


def repetitive(made, row):
    assert "GopherRepetition" in made.steps(row.url)
    assert made.at("pretrain", row.url).is_empty()


def comes_out_right(made, row):
    assert row.marker in made.at("pages", row.url)["text"][0]


def is_skipped(made, row):
    assert made.left(row.url) == set()
    assert made.at("pages", row.url).is_empty()
    skipped = made.result.datasets["pages"]["inputs"]["ReadWarc"]["skipped"]
    reason = {"http_404": "http-status:404", "image": "content-type:image/png"}[row.defect]
    assert skipped[reason] > 0


def empty_body(made, row):
    assert made.steps(row.url) & {"ReadWarc", "ExtractText"}
    assert made.at("pages", row.url).is_empty()


def truncated_record(made, row):
    (item,) = made.result.datasets["pages"]["inputs"]["ReadWarc"]["incomplete"]
    assert (item["path"], item["start"]) == (row.file, row.offset)
    assert item["end"] == (made.folder / "samples" / row.file).stat().st_size
    assert made.at("pages", row.url).is_empty()


def answers_at(url):
    (question,) = [one for one in content.questions() if question_url(one) == url]
    return question.answers


def pairs_at(made, url):
    pairs = made.at("preference", url)
    return [
        (chosen[0]["content"], rejected[0]["content"])
        for chosen, rejected in zip(pairs["chosen"], pairs["rejected"], strict=True)
    ]


def start(text):
    """Return what tells an answer from the others, whatever became of its white space."""
    return " ".join(text.split())[:40]


def vote_tie(made, row):
    tied = [
        {start(one.text), start(other.text)}
        for one, other in combinations(answers_at(row.url), 2)
        if one.votes == other.votes and row.marker in (one.text[:40], other.text[:40])
    ]
    assert tied
    for chosen, rejected in pairs_at(made, row.url):
        assert {start(chosen), start(rejected)} not in tied


def accept_vote_conflict(made, row):
    assert ("PairByVotes", "accept_vote_conflict") in made.left(row.url)
    votes = {start(one.text): one.votes for one in answers_at(row.url)}
    accepted = start(row.marker)
    for chosen, rejected in pairs_at(made, row.url):
        if accepted in (start(chosen), start(rejected)):
            assert start(chosen) == accepted
            assert votes[accepted] > votes[start(rejected)]


def makes_no_pair(made, row):
    assert pairs_at(made, row.url) == []
    assert made.at("questions", row.url).height == 1
    assert made.steps(row.url) & {"ExtractQuestions", "PairByVotes", "PairChecks"}


def special_token_in_answer(made, row):
    assert pairs_at(made, row.url) == []
    assert ("PairChecks", "pair_special_token") in made.left(row.url)


def markup_is_mended(made, row):
    (answers,) = made.at("questions", row.url)["answers"]
    assert any(row.marker[:30] in answer["text"] for answer in answers)


def jsonld_cut_off(made, row):
    gone = made.fates["questions"].filter(url=row.url)
    assert gone.select("step", "fate").rows() == [("ExtractQuestions", "quarantined")]
    assert made.at("questions", row.url).is_empty()


def near_duplicate_question(made, row):
    groups = [made.at("questions", url)["group_id"].to_list() for url in (row.url, row.pair_url)]
    assert groups[0] == groups[1]
    assert len(groups[0]) == 1
    for name in ("instruct", "preference"):
        sides = {made.at(name, url)["split"][0] for url in (row.url, row.pair_url)}
        assert len(sides) == 1


FATES = {
    "exact_duplicate": exact_duplicate,
    "near_duplicate": near_duplicate,
    "abridged": abridged,
    "wrong_language": wrong_language,
    "boilerplate": boilerplate,
    "repetitive": repetitive,
    "cp949": comes_out_right,
    "charset_utf8_label": comes_out_right,
    "charset_euckr_label": comes_out_right,
    "broken_html": comes_out_right,
    "http_404": is_skipped,
    "image": is_skipped,
    "empty_body": empty_body,
    "truncated_record": truncated_record,
    "vote_tie": vote_tie,
    "accept_vote_conflict": accept_vote_conflict,
    "identical_answers": makes_no_pair,
    "whitespace_only_difference": makes_no_pair,
    "empty_answer": makes_no_pair,
    "special_token_in_answer": special_token_in_answer,
    "jsonld_trailing_comma": markup_is_mended,
    "jsonld_raw_newline": markup_is_mended,
    "jsonld_cut_off": jsonld_cut_off,
    "near_duplicate_question": near_duplicate_question,
}


@pytest.mark.parametrize("defect", list(FATES))
def test_a_planted_defect_meets_its_fate(made, defect):
    rows = made.planted(defect)
    assert len(rows) == made.totals["defects"][defect] > 0
    for row in rows:
        FATES[defect](made, row)


def test_no_planted_defect_is_left_unjudged(made):
    assert set(made.totals["defects"]) == set(FATES)


def test_pages_without_a_defect_are_kept_but_for_a_few(made):
    """The filters are for the planted pages: of the others nearly all articles stay."""
    planted = {row.url for row in made.truth} | {row.pair_url for row in made.truth}
    articles = made.rows["pages"].filter(
        pl.col("url").str.contains("/articles/") & ~pl.col("url").is_in(list(planted - {None}))
    )
    kept = made.rows["pretrain"].filter(pl.col("url").is_in(articles["url"].to_list()))
    assert articles.height > 60
    assert kept.height >= 0.95 * articles.height


# --------------------------------------------------------------------------------------------------
# Splits


def test_a_group_of_questions_is_never_on_both_sides(made):
    sides = pl.concat(made.rows[name].select("group_id", "split") for name in PUBLISHED[1:])
    assert set(sides["split"]) == {"train", "validation"}
    both = sides.group_by("group_id").agg(pl.col("split").n_unique()).filter(pl.col("split") > 1)
    assert both.is_empty()


def test_no_page_of_a_held_out_question_is_trained_on(made):
    held = pl.concat(
        made.rows[name].filter(split="validation").select("doc_id") for name in PUBLISHED[1:]
    )["doc_id"].unique()
    assert held.len() > 10
    train = made.rows["pretrain"].filter(split="train")
    assert train.filter(pl.col("id").is_in(held.implode())).is_empty()
    # Nor does any other page in train hold such a question's text.
    pages = made.rows["pages"].filter(pl.col("id").is_in(held.implode()))
    asked = {
        question_url(one): one.text
        for one in content.questions()
        if question_url(one) in set(pages["url"])
    }
    assert len(asked) > 10
    whole = "\n".join(" ".join(text.split()) for text in train["text"])
    assert [url for url, text in asked.items() if " ".join(text.split()) in whole] == []


def test_the_held_out_share_is_about_what_was_asked_for(made):
    for name in PUBLISHED:
        rows = made.rows[name]
        share = rows.filter(split="validation").height / rows.height
        assert 0.04 < share < 0.25, name


# --------------------------------------------------------------------------------------------------
# What others read


@pytest.mark.parametrize("name", PUBLISHED)
def test_datasets_loads_what_was_published(made, tmp_path, monkeypatch, name):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_OFFLINE", True)
    datasets.disable_progress_bars()
    loaded = datasets.load_dataset(str(made.output / name), cache_dir=str(tmp_path))
    rows = made.rows[name]
    assert {split: loaded[split].num_rows for split in loaded} == dict(
        rows.group_by("split").len().iter_rows()
    )
    for split in loaded:
        assert loaded[split]["id"][:] == rows.filter(split=split)["id"].to_list()


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("pretrain", {"text"}),
        ("instruct", {"messages"}),
        ("preference", {"prompt", "chosen", "rejected"}),
    ],
)
def test_the_folder_for_trl_has_its_columns_and_as_many_rows(made, name, columns):
    for split in ("train", "validation"):
        frame = pl.read_parquet(made.output / name / f"trl/{split}-*.parquet")
        assert columns <= set(frame.columns)
        assert frame.height == made.rows[name].filter(split=split).height


# --------------------------------------------------------------------------------------------------
# The whole thing


@pytest.mark.slow
def test_the_quickstart_trains_judges_and_reports_and_is_then_cached(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for arguments in (["sample", "samples"], ["run", str(QUICKSTART), "--json"]):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        told = capsys.readouterr()
        assert caught.value.code == 0, told.err
    found = json.loads(told.out)
    assert found["ok"] is True
    output = tmp_path / "out/quickstart"
    assert verify(output).ok
    page = (output / "report.html").read_text(encoding="utf-8")
    assert "pretrain" in page
    assert list((output / "models").rglob("model.safetensors"))
    verdict = json.loads((output / "verdicts/cleaning.json").read_bytes())
    assert verdict["decision"] in (
        *("better", "worse", "equivalent", "inconclusive", "fragile", "invalid"),
    )
    train = json.loads((output / "models/train.json").read_bytes())
    assert train
    with pytest.raises(SystemExit):
        main(["run", str(QUICKSTART), "--json"])
    again = json.loads(capsys.readouterr().out)
    assert again["stages_run"] == 0
    assert again["seconds"] < 30
    with pytest.raises(SystemExit) as caught:
        main(["status", str(output), "--json"])
    assert json.loads(capsys.readouterr().out)["state"] == "ended"


# --------------------------------------------------------------------------------------------------
# Real crawls


@pytest.mark.shared
def test_the_quickstart_s_datasets_are_made_of_real_crawls(shared_dir, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = sorted((shared_dir / "data/a_warc").glob("*.w*.gz"))
    # A WAT file holds metadata records only, which are no pages.
    paths = [path for path in found if re.search(r"\.warc\.gz$|\.wet\.gz$", path.name)]
    assert len(paths) >= 6
    settings = [
        f"datasets.pages.steps.0.ReadWarc.paths={json.dumps([str(path) for path in paths])}",
        "run.max_quarantine_fraction=1",
    ]
    result = run(load_pipeline(QUICKSTART, settings), only=DATASETS)
    assert result.ok
    checked = verify("out/quickstart")
    assert checked.ok, checked.to_json()
    counts = result.datasets["pages"]["inputs"]["ReadWarc"]
    assert counts["size"] == sum(path.stat().st_size for path in paths)
    lost = sum(item["end"] - item["start"] for item in counts["incomplete"])
    assert counts["consumed"] + sum(counts["skipped"].values()) + lost == counts["size"]
    assert result.datasets["pages"]["rows"] > 500
    assert result.datasets["pretrain"]["rows"] > 100


# --------------------------------------------------------------------------------------------------
# Everything broken

READERS = ["ReadWarc", "ReadJsonl", "ReadParquet", "ReadDataset"]
CLAIMED = {
    ".json": "ReadJsonl",
    ".jsonl": "ReadJsonl",
    ".jsonl.gz": "ReadJsonl",
    ".jsonl.zst": "ReadJsonl",
    ".parquet": "ReadParquet",
    ".warc": "ReadWarc",
    ".warc.gz": "ReadWarc",
    ".arc": "ReadWarc",
    ".arc.gz": "ReadWarc",
    ".wacz": "ReadWarc",
}
LIMIT_S = 20


def readers_of(path):
    """Return the reader that a file's name asks for, or all of them."""
    claimed = [reader for suffix, reader in CLAIMED.items() if path.name.endswith(suffix)]
    return claimed or READERS


class Trier:
    """A child that tries files; one that hangs or dies is replaced."""

    def __init__(self, folder):
        self._folder = folder
        self._child = self._start()

    def _start(self):
        offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
        return subprocess.Popen(
            [sys.executable, str(TESTS / "trying.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **offline},
        )

    def attempt(self, reader, path):
        self._child.stdin.write(f"{reader}\t{path}\t{self._folder}\n".encode())
        self._child.stdin.flush()
        with selectors.DefaultSelector() as waiting:
            waiting.register(self._child.stdout, selectors.EVENT_READ)
            answered = waiting.select(LIMIT_S)
        line = self._child.stdout.readline() if answered else b""
        if line:
            return json.loads(line)
        self.stop()
        self._child = self._start()
        return {"outcome": "died" if answered else f"took more than {LIMIT_S} s"}

    def stop(self):
        self._child.kill()
        self._child.communicate()


@pytest.mark.shared
def test_every_broken_file_is_read_with_its_ledger_or_refused_in_words(shared_dir, tmp_path):
    corpus = shared_dir / "badinputs"
    files = sorted(path for path in corpus.rglob("*") if path.is_file())
    assert len(files) > 1000
    waiting = SimpleQueue()
    for path in files:
        for reader in readers_of(path):
            waiting.put((reader, path))
    total = waiting.qsize()
    outcomes = []

    def work(number):
        trier = Trier(tmp_path / f"out-{number}")
        try:
            while True:
                reader, path = waiting.get_nowait()
                outcomes.append((reader, path, trier.attempt(reader, path)))
        except Empty:
            pass
        finally:
            trier.stop()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    bad = [
        f"{reader} {path.relative_to(corpus)}: {outcome}"
        for reader, path, outcome in outcomes
        if outcome["outcome"] not in ("read", "refused")
    ]
    assert bad == []
    assert len(outcomes) == total
    refused = [outcome for _, _, outcome in outcomes if outcome["outcome"] == "refused"]
    kinds = Counter(outcome["kind"] for outcome in refused)
    assert set(kinds) <= {"UnsupportedFormatError", "ConfigError", "DataError"}
    for outcome in refused:  # in one line of words that ends with what to do
        assert re.fullmatch(r"[^\n]+: [^\n]+\.", outcome["told"]), outcome
    # Not everything is refused: good neighbours of what is broken come out.
    kept = Counter()
    for reader, _, outcome in outcomes:
        kept[reader] += outcome.get("kept", 0)
    assert kept["ReadWarc"] > 50
    assert kept["ReadJsonl"] > 0
