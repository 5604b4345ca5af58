from __future__ import annotations

from pathlib import Path

import pytest

from datatools.errors import DataError
from datatools.judge.reference import ReferenceSet, bundled_reference


def size(text: str) -> int:
    return len(text.encode("utf-8"))


def test_rows_become_documents_by_domain_with_the_row_as_cluster() -> None:
    rows = [
        {"id": "b", "text": "word " * 30, "domain": "news", "language": "en"},
        {"id": "a", "text": "글 " * 10, "domain": "story", "language": "ko"},
    ]
    found = ReferenceSet.of(rows, chunk_bytes=50)
    assert [(domain, one.id) for domain, one in found.items()] == [
        ("news", "b#0000"),
        ("news", "b#0001"),
        ("news", "b#0002"),
        ("story", "a#0000"),
    ]
    assert {one.cluster for one in found.domains["news"]} == {"b"}
    assert found.documents == 4
    assert found.size == sum(size(row["text"]) for row in rows)


def test_the_order_of_rows_does_not_change_the_digest_but_a_letter_does() -> None:
    rows = [{"id": str(at), "text": f"text {at}"} for at in range(5)]
    one = ReferenceSet.of(rows).digest()
    assert ReferenceSet.of(rows[::-1]).digest() == one
    assert ReferenceSet.of([*rows[:-1], {"id": "4", "text": "text 5"}]).digest() != one


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"id": "a"}], "reference\\[0\\]: needs a string `text`"),
        ([{"text": "a"}], "reference\\[0\\]: needs a string `id`"),
        ([{"id": "a", "text": "x"}, {"id": "a", "text": "y"}], "that another row has"),
        ([{"id": "a", "text": "  \n "}], "holds no text"),
        ([], "holds no text"),
    ],
)
def test_a_broken_row_is_named(rows: list[dict[str, str]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        ReferenceSet.of(rows)


def test_a_file_of_rows_is_read_and_its_broken_line_named(tmp_path: Path) -> None:
    file = tmp_path / "neutral.jsonl"
    file.write_text('{"id": "a", "text": "하나"}\n\n{"id": "b", "text": "two"}\n', "utf-8")
    assert ReferenceSet.open(file).documents == 2
    file.write_text('{"id": "a", "text": "하나"}\n{oops\n', "utf-8")
    with pytest.raises(DataError, match=r"neutral.jsonl:2: is not JSON"):
        ReferenceSet.open(file)
    with pytest.raises(DataError, match="cannot be read"):
        ReferenceSet.open(tmp_path / "missing.jsonl")


def test_the_bundled_texts_give_korean_and_english_prose_the_same_weight() -> None:
    found = bundled_reference()
    assert sorted(found.domains) == ["prose-en", "prose-ko", "pydoc"]
    assert {one.language for one in found.domains["prose-ko"]} == {"ko"}
    sizes = {name: sum(one.size for one in documents) for name, documents in found.domains.items()}
    assert 0.7 < sizes["prose-ko"] / sizes["prose-en"] < 1.4
    assert min(len({one.cluster for one in group}) for group in found.domains.values()) >= 15
