import outputs
from outputs import step

from datatools.report.load import load_report
from datatools.report.page import render


def test_what_steps_count_by_source_is_a_table_of_its_own(tmp_path):
    rows = [
        {"source": "code", "got share": 0.25, "records": 1200, "why": None},
        {"source": "웹", "got share": 0.75, "records": 3, "why": "gives what others lack"},
    ]
    tallies = [{"title": "sources", "rows": rows}, {"title": "items found most", "rows": []}]
    steps = [step("Read", kept=3), step("Mix", read=3, kept=3, tallies=tallies)]
    outputs.publish(tmp_path, "mix", "document", [{"id": "a", "text": "글"}], steps)
    html = render(load_report(tmp_path))
    _, _, section = html.partition('<section id="tallies">')
    section = section.partition("</section>")[0]
    for told in ("Mix: sources", "0.250", "1,200", "웹", "gives what others lack", "None."):
        assert told in section, told


def test_without_such_counts_there_is_no_section(tmp_path):
    steps = [step("Read", kept=1)]
    outputs.publish(tmp_path, "mix", "document", [{"id": "a", "text": "글"}], steps)
    assert 'id="tallies"' not in render(load_report(tmp_path))
