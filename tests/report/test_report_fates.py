import outputs
from outputs import fate, step

from datatools.dataset import open_dataset
from datatools.report import fates
from datatools.report.load import load_report
from datatools.report.model.distributions import Threshold


def facts(tmp_path, steps, rows, documents=(), **given):
    outputs.publish(tmp_path, "d", "document", documents, steps, fates=rows, **given)
    return load_report(tmp_path).datasets[0]


def test_reasons_come_in_step_order_and_most_frequent_first(tmp_path):
    steps = [
        step("A", read=9, kept=3, dropped={"few": 1, "many": 4}, quarantined={"bad": 1}),
        step("B", read=3, kept=0, dropped={"last": 3}),
    ]
    rows = [fate(str(n), "A", "many") for n in range(4)] + [fate("4", "A", "few")]
    rows += [fate("5", "A", "bad", fate="quarantined", detail="why")]
    rows += [fate(str(n), "B", "last") for n in (6, 7, 8)]
    found = facts(tmp_path, steps, rows).gone
    assert [(g.step, g.fate, g.reason, g.count) for g in found] == [
        ("A", "dropped", "many", 4),
        ("A", "dropped", "few", 1),
        ("A", "quarantined", "bad", 1),
        ("B", "dropped", "last", 3),
    ]
    assert found[2].samples[0].detail == "why"


def test_records_with_a_preview_are_shown_first(tmp_path):
    rows = [fate(str(n), "A", "r", preview="보기" if n in (5, 7) else None) for n in range(9)]
    (found,) = facts(tmp_path, [step("A", read=9, dropped={"r": 9})], rows).gone
    assert [sample.id for sample in found.samples] == ["5", "7", "0", "1"]


def test_first_rows_do_not_depend_on_how_the_file_is_read(tmp_path, monkeypatch):
    rows = [
        fate(str(n), f"S{n % 3}", f"r{n % 2}", preview="x" if n % 5 == 0 else None)
        for n in range(200)
    ]
    outputs.publish(tmp_path, "d", "document", [], fates=rows)
    path = tmp_path / "d" / fates.FATES
    whole = fates._first_of_each(path)
    monkeypatch.setattr(fates, "_BATCH_ROWS", 7)
    assert fates._first_of_each(path) == whole


def test_replaced_records_are_no_loss_to_look_at(tmp_path):
    rows = [fate("1", "A", "expanded"), fate("2", "A", "merged"), fate("3", "A", "lost")]
    steps = [step("A", read=3, dropped={"expanded": 1, "merged": 1, "lost": 1})]
    assert [group.reason for group in facts(tmp_path, steps, rows).gone] == ["lost"]


def test_a_rule_is_told_with_its_value_and_limit(tmp_path):
    fired = {"measure": "ratio", "threshold": "> 0.3"}
    values = ["0.4533333333333333", "0.30000000000000004", "de"]
    rows = [fate(str(n), "A", "r", value=value, **fired) for n, value in enumerate(values)]
    (found,) = facts(tmp_path, [step("A", read=3, dropped={"r": 3})], rows).gone
    assert [sample.rule for sample in found.samples] == [
        "ratio 0.453333 > 0.3",
        "ratio 0.30000000000000004 > 0.3",
        "ratio de > 0.3",
    ]


def test_a_measure_is_told_with_published_and_dropped_values(tmp_path):
    fired = {"measure": "words"}
    rows = [
        fate("1", "Gopher", "short", value="12", threshold="< 50", **fired),
        fate("2", "Gopher", "long", value="9000", threshold="> 5000", **fired),
        fate("3", "Gopher", "undefined:words", fate="quarantined", **fired),
    ]
    steps = [
        step(
            "Gopher",
            read=5,
            kept=2,
            dropped={"short": 1, "long": 1},
            quarantined={"undefined:words": 1},
        )
    ]
    documents = outputs.documents({"4": "하나", "5": "two"})
    found = facts(tmp_path, steps, rows, documents, sidecar={"Gopher.words": [60, 4000]})
    (measure,) = found.measures
    assert measure.thresholds == (Threshold("<", 50.0), Threshold(">", 5000.0))
    assert {name: sum(c) for name, c in measure.histogram.series.items()} == {
        "published": 2,
        "dropped": 2,
    }
    edges, series = measure.histogram.edges, measure.histogram.series
    below = [n for n, c in enumerate(series["dropped"]) if c and edges[n + 1] <= 50]
    above = [n for n, c in enumerate(series["dropped"]) if c and edges[n] >= 5000]
    assert len(below) == len(above) == 1


def test_a_category_is_counted_by_value(tmp_path):
    rows = [
        fate(str(n), "Lang", "language", measure="language", value=v, threshold="not_in [en, ko]")
        for n, v in enumerate(["de", "ja", "de", None])
    ]
    (measure,) = facts(tmp_path, [step("Lang", read=4, dropped={"language": 4})], rows).measures
    assert measure.histogram is None
    assert dict(measure.categories) == {"de": 2, "none": 1, "ja": 1}
    assert measure.rule == "not_in [en, ko]"
    assert measure.dropped == 4


def test_a_dataset_without_fates_has_none_to_show(tmp_path):
    outputs.publish(tmp_path, "d", "document", [], [step("A", read=1, dropped={"r": 1})])
    (tmp_path / "d" / fates.FATES).unlink()
    (group,) = load_report(tmp_path).datasets[0].gone
    assert (group.count, group.samples) == (1, ())
    assert fates.measures(open_dataset(tmp_path / "d"), []) == ()
