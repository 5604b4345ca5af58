import os
import re

import outputs
import pages
import polars as pl
import pytest
from jobs import dataset, run_job, write_lines
from toys import Length, ReadLines, Upper, Words

from datatools.engine.store import TEMPORARY
from datatools.errors import DataError
from datatools.report import build
from datatools.report.build import write_report
from datatools.steps import load_step


def numbers(cell):
    return [int(value) for value in cell.xpath(".//data/@value")]


def check_funnel(page, manifests):
    """Compare every count of the funnel with the manifests."""
    tree = pages.parsed(page)
    tables = {
        article.xpath("string(h3/text())").strip(): article
        for article in tree.xpath("//section[@id='funnel']/article")
    }
    assert set(tables) == set(manifests)
    for name, manifest in manifests.items():
        bodies = tables[name].xpath(".//tbody[contains(@class, 'step')]")
        assert len(bodies) == len(manifest["steps"])
        for body, step in zip(bodies, manifest["steps"], strict=True):
            counts = step["counts"]
            apart = {r: n for r, n in counts["dropped"].items() if r in ("expanded", "merged")}
            lost = {r: n for r, n in counts["dropped"].items() if r not in apart}
            cells = {
                cell.get("data-label"): numbers(cell)[0]
                for cell in body.xpath(".//td[@data-label]")
            }
            cells.pop("Tokens", None)
            replaced = sum(apart.values())
            assert cells.pop("Created", 0) == counts["created"]
            assert cells.pop("Replaced", 0) == replaced
            assert cells == {
                "Read": counts["read"],
                "Kept": counts["kept"],
                "Dropped": sum(lost.values()),
                "Quarantined": sum(counts["quarantined"].values()),
                "Text kept": counts["text_bytes"],
            }
            assert body.xpath("string(.//th)") == step["label"]
            told = {
                (item.get("class"), item.xpath("string(span)")): numbers(item)[0]
                for item in body.xpath(".//ul[@class='reasons']/li")
            }
            expected = {("apart", r): n for r, n in apart.items()}
            expected |= {("dropped", r): n for r, n in lost.items()}
            expected |= {("quarantined", r): n for r, n in counts["quarantined"].items()}
            assert told == expected
        assert numbers(tables[name].xpath(".//p[@class='splits']")[0])[:1] == [
            sum(
                s["rows"]
                for s in manifest["shards"]
                if s["split"] == manifest["shards"][0]["split"]
            )
        ]


def test_the_funnel_says_what_the_manifests_say(whole_output):
    folder, manifests = whole_output
    check_funnel(write_report(folder).read_text("utf-8"), manifests)


def test_the_report_of_a_real_run_says_what_its_manifests_say(tmp_path):
    path = write_lines(tmp_path / "lines.txt")
    exact = load_step("ExactDedup")()
    result = run_job(
        tmp_path / "out",
        {
            "pages": dataset(ReadLines(paths=(path,), unit_bytes=200), Upper()),
            "clean": dataset(Length(minimum=5), exact, from_="pages"),
            "words": dataset(Words(), from_="clean"),
        },
    )
    page = write_report(tmp_path / "out").read_text("utf-8")
    assert pages.foreign(page) == []
    check_funnel(page, result.datasets)
    counts = result.datasets["pages"]["inputs"]["ReadLines"]
    rows = pages.parsed(page).xpath("//section[@id='input']/article//tr")
    told = {row.xpath("string(th)").strip(): numbers(row)[0] for row in rows}
    assert told["In all"] == counts["size"] == os.path.getsize(path)
    assert told["Read"] == counts["consumed"]
    assert told["Skipped: comment"] == counts["skipped"]["comment"] > 0
    assert told["Could not be read"] == 0
    fates = pl.read_parquet(tmp_path / "out/clean/sidecar/fates.parquet")
    short = fates.filter(pl.col("preview").is_not_null(), reason="too_short")
    assert short.height == 5
    for value in short["value"].cast(pl.Float64)[:4]:
        assert f"characters {value} &lt; 5" in page or f"characters {value:g} &lt; 5" in page


def test_tokens_are_bytes_over_the_bytes_of_a_token(whole_output):
    folder, manifests = whole_output
    page = write_report(folder).read_text("utf-8")
    ratio = float(re.search(r"Tokens are bytes of text over ([\d.]+)", page)[1])
    cells = pages.parsed(page).xpath("//td[@data-label='Tokens']")
    sizes = [s["counts"]["text_bytes"] for m in manifests.values() for s in m["steps"]]
    for cell, size in zip(cells, sizes, strict=True):
        assert numbers(cell)[0] == pytest.approx(size / ratio, rel=0.005, abs=1)


def test_the_verdict_is_told_with_its_intervals(whole_output):
    folder, _ = whole_output
    tree = pages.parsed(write_report(folder).read_text("utf-8"))
    (article,) = tree.xpath("//section[@id='verdict']/article")
    text = " ".join(article.text_content().split())
    assert text.startswith("better cleaning: clean against pages, tier smoke")
    assert "A model trained on clean reads neutral text 2.0% better." in text
    assert "+0.0500" in text
    assert "+0.0300 to +0.0700" in text
    assert "편지" in text
    assert "A tier of about a minute sees gross defects." in text
    label = article.xpath(".//svg/@aria-label")[0]
    assert "ngram-6, token-matched +0.0500 [+0.0300, +0.0700]" in label


def test_duplicates_are_told_with_their_words(whole_output):
    folder, _ = whole_output
    tree = pages.parsed(write_report(folder).read_text("utf-8"))
    (section,) = tree.xpath("//section[@id='duplicates']")
    changes = [
        (card.xpath("string(.//del)"), card.xpath("string(.//ins)"))
        for card in section.xpath(".//div[@class='card']")
    ]
    assert changes == [("ten", "nine"), ("열", "아홉")]
    korean = section.xpath(".//p[contains(@class, 'diff')][@lang='ko']")
    assert len(korean) == 1


def test_duplicates_across_sources_add_up_to_what_was_removed(tmp_path):
    rows = outputs.documents({"a": outputs.STAYED, "b": outputs.머문})
    rows[0]["source"], rows[1]["source"] = "신문", "blogs"
    fates = [
        outputs.fate(f"{stays}{n}", "D", "r", detail=f'{{"survivor":"{stays}"}}', source=source)
        for stays, source, count in (("a", "blogs", 5), ("b", "blogs", 2), ("b", "메일", 1))
        for n in range(count)
    ]
    outputs.publish(tmp_path, "d", "document", rows, fates=fates)
    tree = pages.parsed(write_report(tmp_path).read_text("utf-8"))
    matrix, sizes = (
        [
            [cell.text_content().strip() for cell in row]
            for row in tree.xpath(
                f"//section[@id='duplicates']//table[contains(@class, '{name}')]//tr"
            )
        ]
        for name in ("matrix", "sizes")
    )
    assert matrix[1:] == [
        ["removed from", "신문", "blogs", "all"],
        ["blogs", "5", "2", "7"],
        ["메일", "0", "1", "1"],
    ]
    assert [[row[0], *row[2:]] for row in sizes[1:]] == [
        ["2", "0", "0"],
        ["3–4", "1", "3"],
        ["5–8", "1", "5"],
    ]


def test_duplicates_of_one_source_need_no_table(whole_output):
    folder, _ = whole_output
    tree = pages.parsed(write_report(folder).read_text("utf-8"))
    assert not tree.xpath("//table[contains(@class, 'matrix')]")


def test_the_mask_covers_the_answer_and_its_end(whole_output):
    folder, _ = whole_output
    tree = pages.parsed(write_report(folder).read_text("utf-8"))
    (marked,) = tree.xpath("//section[@id='chats']//article//mark")
    assert marked.text == "9시.<|im_end|>"
    assert marked.getparent().get("lang") == "ko"


def test_both_sides_of_a_pair_stand_side_by_side(whole_output):
    folder, _ = whole_output
    tree = pages.parsed(write_report(folder).read_text("utf-8"))
    sides = tree.xpath("//section[@id='pairs']//div[@class='sides']/div")
    told = [" ".join(side.text_content().split()) for side in sides]
    assert told == ["chosen assistant At nine.", "rejected assistant No idea."]


def test_a_failed_run_says_so_at_the_top(whole_output):
    folder, _ = whole_output
    tree = pages.parsed(write_report(folder).read_text("utf-8"))
    (alert,) = tree.xpath("//header//div[@role='alert']")
    assert "2 of 13 records quarantined" in alert.text_content()


@pytest.mark.parametrize("kind", ["document", "thread", "conversation", "preference"])
def test_an_empty_dataset_makes_a_page(tmp_path, kind):
    outputs.publish(tmp_path, "empty", kind, [])
    page = write_report(tmp_path).read_text("utf-8")
    tree = pages.parsed(page)
    assert pages.foreign(page) == []
    assert tree.xpath("//section/@id") == ["funnel", "problems", "next"]
    assert tree.xpath("//nav//a/@href") == ["#funnel", "#problems", "#next"]
    assert not tree.xpath("//*[@role='alert']")


def test_a_verdict_without_a_measurement_makes_a_page(tmp_path):
    outputs.publish(tmp_path, "d", "document", [])
    nothing = {"effect": None, "low": None, "high": None, "relative": None}
    value = outputs.verdict(
        decision="invalid", voices=[], domains=[], seeds=0, seconds=0.0, history="", **nothing
    )
    outputs.add_verdict(tmp_path, "v", value)
    tree = pages.parsed(write_report(tmp_path).read_text("utf-8"))
    text = tree.xpath("string(//section[@id='verdict'])")
    assert "invalid" in text
    assert not tree.xpath("//section[@id='verdict']//svg")


def test_a_training_of_one_part_without_a_finite_loss_makes_a_page(tmp_path):
    outputs.publish(tmp_path, "d", "document", [])
    value = outputs.training(instruct=None, preference=None)
    value["pretrain"] |= {"run": outputs.run([None]), "before": None, "after": None, "probes": []}
    outputs.add_training(tmp_path, value)
    text = pages.parsed(write_report(tmp_path).read_text("utf-8")).xpath("string(//main)")
    assert "No step had a finite loss." in text


def test_long_texts_are_cut_with_a_count(tmp_path):
    outputs.publish(tmp_path, "d", "document", outputs.documents({"a": "가" * 12_345}))
    page = write_report(tmp_path).read_text("utf-8")
    assert "11,845 more characters" in page
    assert len(page) < 60_000


# --------------------------------------------------------------------------------------------------
# Writing


def test_an_older_page_stays_whole_when_writing_fails(tmp_path, monkeypatch):
    outputs.publish(tmp_path, "d", "document", [])
    (tmp_path / "report.html").write_text("old")

    def refuse(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(build.os, "fsync", refuse)
    with pytest.raises(DataError, match=r"report\.html: cannot be written: No space left"):
        write_report(tmp_path)
    assert (tmp_path / "report.html").read_text() == "old"
    assert not list(tmp_path.glob(f"{TEMPORARY}*"))


def test_what_a_killed_report_leaves_is_removed_by_the_next_run():
    assert build._TEMPORARY == TEMPORARY


def test_the_page_is_replaced_and_is_readable_by_others(tmp_path):
    outputs.publish(tmp_path, "d", "document", [])
    first = write_report(tmp_path, title="하나").read_text("utf-8")
    path = write_report(tmp_path, title="둘")
    assert path == tmp_path / "report.html"
    assert "하나" in first
    assert "하나" not in path.read_text("utf-8")
    assert path.stat().st_mode & 0o777 == (tmp_path / "d" / "manifest.json").stat().st_mode & 0o777
