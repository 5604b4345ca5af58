"""What the fence stopped, on the terminal: a line for each record, whatever a parser said of it."""

import pytest

from datatools.cli.fenced import SHOWN, echo_fenced


def record(number, detail):
    return {"id": f"{number:032x}", "step": "Apply", "reason": "fence_error", "detail": detail}


@pytest.mark.parametrize(
    ("detail", "told"),
    [
        ("ValueError: line 3\n  is broken\n\n    here", "ValueError: line 3 is broken here"),
        ("값이 없다\r\n\t둘째 줄\x0b셋째", "값이 없다 둘째 줄 셋째"),
        ("\n", ""),
    ],
)
def test_a_detail_of_several_lines_is_shown_on_one(capsys, detail, told):
    echo_fenced({"total": 1, "records": [record(7, detail)]}, "out/pages/manifest.json")
    assert capsys.readouterr().out.splitlines() == [
        "      quarantined by the fence: 1",
        f"        {7:032x}  Apply  fence_error: {told}",
    ]


def test_of_many_records_the_first_are_shown_and_the_others_counted(capsys):
    records = [record(number, "died\nat once") for number in range(SHOWN + 2)]
    echo_fenced({"total": 1234, "records": records}, "out/pages/manifest.json")
    head, *lines, last = capsys.readouterr().out.splitlines()
    assert head.endswith(": 1,234")
    assert [line.split()[0] for line in lines] == [one["id"] for one in records[:SHOWN]]
    assert last.strip() == f"... and {1234 - SHOWN:,} more, see `fence` in out/pages/manifest.json"


@pytest.mark.parametrize("fence", [{}, {"total": 0, "records": []}])
def test_where_the_fence_stopped_nothing_nothing_is_said(capsys, fence):
    echo_fenced(fence, "out/pages/manifest.json")
    assert capsys.readouterr().out == ""
