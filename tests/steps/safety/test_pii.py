"""`Pii` over frames, and in a run that must keep what it masks to itself."""

import json
import re

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jobs import dataset, job
from pydantic import ValidationError

from datatools import explain, run
from datatools.errors import ConfigError
from datatools.steps.ingest.read_jsonl import ReadJsonl
from datatools.steps.safety.pii import PII, Pii

KOREAN = "문의는 010-1234-5678로, 메일은 kim@example.com입니다. 주민번호 880101-1234568."
ENGLISH = "Call (212) 555-0199 or write to kim@example.com. My SSN is 219-09-9999."


def applied(texts, **settings):
    frame = pl.DataFrame({"text": texts}, schema={"text": pl.String})
    return Pii(**settings).apply(frame)


def test_placeholders_stand_where_values_stood():
    kept, dropped = applied([KOREAN, ENGLISH, "nothing, 없음", "", None])
    assert kept["text"].to_list() == [
        "문의는 [PHONE]로, 메일은 [EMAIL]입니다. 주민번호 [RRN].",
        "Call [PHONE] or write to [EMAIL]. My SSN is [SSN].",
        "nothing, 없음",
        "",
        None,
    ]
    assert dropped.height == 0


def test_each_kind_is_counted_in_a_column_of_its_own():
    kept, _ = applied([KOREAN, ENGLISH, None])
    assert kept["pii_email"].to_list() == [1, 1, 0]
    assert kept["pii_rrn"].to_list() == [1, 0, 0]
    assert [name for name in kept.columns if name != "text"] == [f"pii_{kind}" for kind in PII]


def test_a_kind_that_is_reported_is_counted_and_stays():
    kept, _ = applied([KOREAN], email="report")
    assert "kim@example.com" in kept["text"].item()
    assert kept["pii_email"].item() == 1


def test_a_kind_that_is_off_is_not_looked_for():
    kept, _ = applied([KOREAN], email="off")
    assert "kim@example.com" in kept["text"].item()
    assert "pii_email" not in kept.columns


def test_the_first_kind_to_drop_is_the_reason_and_the_detail_tells_only_counts():
    kept, dropped = applied([ENGLISH, KOREAN, "빈 글"], ssn="drop", rrn="drop", ip="drop")
    assert kept["text"].to_list() == ["빈 글"]
    assert dropped["reason"].to_list() == ["pii_ssn", "pii_rrn"]
    assert [json.loads(one) for one in dropped["detail"]] == [
        {"found": {"email": 1, "phone": 1, "ssn": 1}},
        {"found": {"email": 1, "phone": 1, "rrn": 1}},
    ]


def test_another_placeholder_can_be_chosen():
    assert (
        applied([KOREAN], placeholder="〈{type}〉")[0]["text"]
        .item()
        .startswith("문의는 〈PHONE〉로")
    )


@pytest.mark.parametrize("placeholder", ["x@y.com", "010-1234-5678", "{type}@x.org"])
def test_a_placeholder_that_would_be_found_is_refused(placeholder):
    with pytest.raises((ConfigError, ValidationError), match="would be found itself"):
        Pii(placeholder=placeholder)


def test_a_step_that_looks_for_nothing_is_refused():
    with pytest.raises((ConfigError, ValidationError), match="looks for nothing"):
        Pii(**dict.fromkeys(PII, "off"))


PIECES = [
    *(
        "전화",
        "계좌 ",
        "주문번호 ",
        "order number ",
        "phone ",
        "card ",
        "로 ",
        " ",
        ", ",
        "\n",
        "😀",
    ),
    *("010-1234-5678", "02-123-4567", "0212345678", "1588-1592", "1588-1234", "12345678"),
    *("4111111111111111", "880101-1234568", "880101-1234567", "phone@order.com", "order@x.org"),
    *("123-456-789012", "8.8.8.8", "93.184.216.34", "[PHONE]", "[CARD] ", "(", ")", "-", "x12"),
    *("2001:4860:4860::8888", ":", "account number ", "219-09-9999", "GB82WEST12345698765432", "+"),
]
texts = st.lists(st.lists(st.sampled_from(PIECES), max_size=20).map("".join), max_size=5)


@given(texts)
def test_a_masked_text_is_masked_no_further(texts):
    once, _ = applied(texts)
    twice, _ = applied(once["text"].to_list())
    assert twice["text"].to_list() == once["text"].to_list()
    assert twice.select(pl.col("^pii_.*$").sum()).sum_horizontal().item() == 0


MASK = re.compile(r"\[(?:" + "|".join(kind.upper() for kind in PII) + r")\]")


@given(texts)
def test_nothing_but_what_was_found_is_touched(texts):
    plain = [text.replace("[PHONE]", "").replace("[CARD]", "") for text in texts]
    kept, _ = applied(plain)
    counts = kept.select(pl.sum_horizontal("^pii_.*$")).to_series().to_list()
    for text, masked, count in zip(plain, kept["text"].to_list(), counts, strict=True):
        pieces = MASK.split(masked)
        assert len(pieces) == count + 1
        # What is between the placeholders stands in the text, in this order, ends included.
        assert re.fullmatch(".+".join(re.escape(piece) for piece in pieces), text, re.DOTALL)


PLANTED = {
    "phone": ["010-2345-6789", "(212) 555-0147"],
    "email": ["minsu.kim@example.net", "jane_doe@example.org"],
    "rrn": ["900101-1234568"],
    "card": ["4539 5787 6362 1486"],
    "ip": ["93.184.216.77"],
}


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    """A run over documents with planted values: most masked, those with a card dropped."""
    folder = tmp_path_factory.mktemp("planted")
    lines = []
    for number in range(12):
        values = " ".join(value for some in PLANTED.values() for value in some if value[0] != "4")
        card = PLANTED["card"][0] if number % 3 == 0 else ""
        text = f"문서 {number}: 연락은 {values} {card} 입니다. A document with values."
        lines.append(json.dumps({"id": f"doc-{number}", "text": text}, ensure_ascii=False))
    path = folder / "in.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    steps = ReadJsonl(paths=(str(path),)), Pii(card="drop")
    run(job(folder / "out", {"pages": dataset(*steps)}))
    return folder / "out"


def test_a_run_keeps_the_values_to_itself(output):
    told = {
        path.relative_to(output).as_posix(): path.read_bytes()
        for path in output.rglob("*")
        if path.is_file() and ".cache" not in path.parts
    }
    assert any("report.html" in name for name in told)
    texts = {
        name: content.decode("utf-8", "replace")
        for name, content in told.items()
        if not name.endswith(".parquet")
    }
    tables = [output / name for name in told if name.endswith(".parquet")]
    for path in tables:
        texts[str(path)] = json.dumps(pl.read_parquet(path).rows(), ensure_ascii=False, default=str)
    assert any("fates" in name for name in texts)
    assert any("[PHONE]" in text for text in texts.values())
    for name, text in texts.items():
        for value in [value for some in PLANTED.values() for value in some]:
            assert value not in text, name


def test_the_ledger_tells_how_much_was_masked(output):
    manifest = json.loads((output / "pages" / "manifest.json").read_text())
    counts = manifest["ledger"]
    assert counts["dropped"] == {"pii_card": 4}
    lengths = {kind: sum(map(len, values)) for kind, values in PLANTED.items()}
    assert counts["removed"] == {
        f"pii_{kind}": 8 * size for kind, size in lengths.items() if kind != "card"
    }


def test_explain_tells_kinds_and_counts(output):
    fates = pl.read_parquet(output / "pages" / "sidecar" / "fates.parquet")
    assert fates["reason"].to_list() == ["pii_card"] * 4
    told = str(explain(output, fates["id"][0]))
    assert "'found': {'email': 2, 'phone': 2, 'rrn': 1, 'card': 1, 'ip': 1}" in told
    assert not any(value in told for some in PLANTED.values() for value in some)


def test_previews_of_dropped_documents_have_every_value_masked(output):
    fates = pl.read_parquet(output / "pages" / "sidecar" / "fates.parquet")
    shown = fates["preview"].drop_nulls().to_list()
    assert shown[0] == (
        "문서 0: 연락은 [PHONE] [PHONE] [EMAIL] [EMAIL] [RRN] [IP] [CARD] 입니다. "
        "A document with values."
    )
