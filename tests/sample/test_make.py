import hashlib
import os
import subprocess
import sys
import zlib
from collections import Counter

import pytest
from sample_reading import responses

from datatools.errors import ConfigError, DataError
from datatools.sample import heldout, heldout_pydoc, load_truth, make_sample
from datatools.sample.pydoc_pages import HELDOUT_MODULES, MODULES

# What the files decompress to; zlib versions compress differently. A change here is a change of the
# sample that every user gets: make it on purpose.
GOLDEN = {
    "forum-00000.warc.gz": "d7772a8a874c834d743c25799fd2f33c4ac060176a3993bfa7a89a1feb7c6443",
    "site-00000.warc.gz": "736541d53b62126b4ab78bc05f1dd57cba3659d7c27dbf197d547ac7705e855b",
    "truncated-00000.warc.gz": "81ba4076fb68c00965ce3e456d4d850702980520242fe784e64afc8b20795cdb",
}


def complete_members(path):
    """Return what the complete gzip members of a file decompress to."""
    data, out = path.read_bytes(), b""
    while data:
        decoder = zlib.decompressobj(31)
        text = decoder.decompress(data)
        if not decoder.eof:
            break
        data, out = decoder.unused_data, out + text
    return out


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_our_own_pages_are_the_same_on_every_machine(crawl):
    digests = {
        name: hashlib.sha256(complete_members(crawl.folder / name)).hexdigest() for name in GOLDEN
    }
    assert digests == GOLDEN


def test_another_process_in_another_environment_writes_the_same_bytes(crawl, tmp_path):
    code = "import sys, datatools.sample as s; s.make_sample(sys.argv[1])"
    changed = {"PYTHONHASHSEED": "4321", "HOME": str(tmp_path), "TZ": "Asia/Seoul", "LC_ALL": "C"}
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "again")],
        env={**os.environ, **changed, "PYTHONPATH": os.getcwd()},
        cwd=tmp_path,
        check=True,
        timeout=300,
    )
    assert contents(tmp_path / "again") == contents(crawl.folder)


def test_a_second_call_replaces_the_files_with_equal_ones(few_modules, tmp_path):
    first = make_sample(tmp_path)
    before = contents(tmp_path)
    assert make_sample(tmp_path) == first
    assert contents(tmp_path) == before


def test_documentation_of_another_python_does_not_stay_behind(few_modules, tmp_path):
    (tmp_path / "pydoc-00007.warc.gz").write_bytes(b"from a Python with more to say")
    (tmp_path / "mine.txt").write_text("stays")
    summary = make_sample(tmp_path)
    assert {path.name for path in tmp_path.glob("*.warc.gz")} == set(summary.files)
    assert (tmp_path / "mine.txt").read_text() == "stays"


def test_another_seed_plants_elsewhere_but_as_much(few_modules, tmp_path):
    one, two = make_sample(tmp_path / "1", seed=1), make_sample(tmp_path / "2", seed=2)
    assert one.defects == two.defects
    rows_one, _ = load_truth(tmp_path / "1")
    rows_two, _ = load_truth(tmp_path / "2")
    assert {row.url for row in rows_one} != {row.url for row in rows_two}
    for rows in (rows_one, rows_two):
        near = [row.jaccard for row in rows if row.defect == "near_duplicate"]
        assert all(0.8 <= value < 0.95 for value in near)


def test_making_it_takes_seconds(crawl):
    assert crawl.cpu_s < 20


def test_the_documentation_is_about_ten_megabytes_of_html_in_files_for_several_workers(crawl):
    names = [name for name in crawl.summary.files if name.startswith("pydoc-")]
    pages = {}
    for name in names:
        pages.update(responses(crawl.folder / name))
    assert names == ["pydoc-00000.warc.gz", "pydoc-00001.warc.gz", "pydoc-00002.warc.gz"]
    assert 8e6 < sum(len(body) for _, _, body in pages.values()) < 13e6
    library = [url for url in pages if "/library/" in url]
    assert len(library) == len(MODULES) - len(crawl.summary.absent)
    assert sum("/topics/" in url for url in pages) > 70


def test_the_summary_agrees_with_the_folder(crawl):
    on_disk = {path.name: path.stat().st_size for path in crawl.folder.glob("*.warc.gz")}
    assert crawl.summary.files == tuple(sorted(on_disk))
    assert crawl.summary.bytes == sum(on_disk.values())
    assert {name: row["bytes"] for name, row in crawl.totals["files"].items()} == on_disk
    assert crawl.summary.records == sum(row["records"] for row in crawl.totals["files"].values())
    assert crawl.summary.defects == Counter(row.defect for row in crawl.truth)
    assert crawl.totals["defects"] == crawl.summary.defects


def test_no_address_is_served_twice(crawl):
    urls = Counter()
    for name in crawl.summary.files:
        if not name.startswith("truncated"):
            urls.update(responses(crawl.folder / name).keys())
    assert max(urls.values()) == 1


def test_a_missing_module_is_told_and_left_out(few_modules, tmp_path):
    summary = make_sample(tmp_path)
    assert summary.absent == ("no_such_module",)
    assert load_truth(tmp_path)[1]["absent_modules"] == ["no_such_module"]
    pages = responses(tmp_path / "pydoc-00000.warc.gz")
    assert [url for url in pages if "/library/" in url] == [
        "https://docs.sample.example/python/3/library/bisect.html",
        "https://docs.sample.example/python/3/library/queue.html",
    ]


def test_a_file_in_the_way_is_the_users_error(few_modules, tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(ConfigError, match=r"taken: the sample cannot be written here"):
        make_sample(tmp_path / "taken")


@pytest.mark.parametrize("text", [None, "{", "[]"])
def test_a_folder_without_truth_is_named(tmp_path, text):
    if text is not None:
        (tmp_path / "truth.json").write_text("{}")
        (tmp_path / "truth.jsonl").write_text(text)
    with pytest.raises(DataError, match=r"not a folder that `datatools sample` wrote"):
        load_truth(tmp_path)


def test_heldout_documentation_is_of_other_modules_and_names_no_file(crawl):
    rows = heldout_pydoc()
    assert {row["id"] for row in rows} == {f"pydoc-{name}" for name in HELDOUT_MODULES}
    assert set(HELDOUT_MODULES).isdisjoint(MODULES)
    assert all(row["text"].startswith("NAME\n") for row in rows)
    assert not any("\nFILE\n" in row["text"] or "\nDATA\n" in row["text"] for row in rows)
    assert sum(len(row["text"]) for row in rows) > 200_000


def test_heldout_prose_shares_no_run_of_words_with_any_page(crawl):
    pages = []
    for name in ("forum-00000.warc.gz", "site-00000.warc.gz"):
        for _, _, body in responses(crawl.folder / name).values():
            pages.append(body.decode("utf-8", "replace"))
            pages.append(body.decode("cp949", "replace"))
    runs = {"en": 7, "ko": 4}
    seen = {language: set() for language in runs}
    for page in pages:
        words = page.split()
        for language, n in runs.items():
            seen[language].update(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
    for row in heldout():
        n = runs[row["language"]]
        words = row["text"].split()
        shared = {tuple(words[i : i + n]) for i in range(len(words) - n + 1)}
        assert shared.isdisjoint(seen[row["language"]]), row["id"]
