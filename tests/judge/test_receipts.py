from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from datatools.errors import DataError
from datatools.judge.arm import Text
from datatools.judge.compare import measure
from datatools.judge.corrupt import shuffle_words
from datatools.judge.decision import recompute
from datatools.judge.receipts import Receipts
from datatools.judge.reference import ReferenceSet
from datatools.judge.tiers import Tier


@pytest.fixture(scope="module")
def receipts(prose: list[Text], neutral: ReferenceSet, ngram_tier: Tier) -> Receipts:
    return measure(prose, shuffle_words(prose, 0.5), tier=ngram_tier, reference=neutral)


@pytest.mark.parametrize("suffix", ["json", "parquet"])
def test_stored_receipts_lead_to_the_same_verdict(
    receipts: Receipts, tmp_path: Path, suffix: str
) -> None:
    path = receipts.save(tmp_path / f"receipts.{suffix}")
    loaded = Receipts.load(path)
    assert np.array_equal(loaded.nll, receipts.nll)
    assert (loaded.header, loaded.documents, loaded.runs) == (
        receipts.header,
        receipts.documents,
        receipts.runs,
    )
    assert recompute(loaded) == recompute(receipts)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_parquet_holds_one_row_per_document_and_one_column_per_run(
    receipts: Receipts, tmp_path: Path
) -> None:
    table = pq.read_table(receipts.save(tmp_path / "receipts.parquet"))
    assert table.num_rows == len(receipts.documents)
    assert sum(name.startswith("nll_") for name in table.column_names) == len(receipts.runs)


def test_a_changed_number_changes_the_verdict(receipts: Receipts) -> None:
    nll = receipts.nll.copy()
    for row, run in enumerate(receipts.runs):
        if run.planned.arm == "B":
            nll[row] *= 0.9
    changed = Receipts(receipts.header, receipts.documents, receipts.runs, nll)
    assert recompute(receipts).decision == "worse"
    assert recompute(changed).decision == "better"


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[1]", b'{"header": {"format": 1}}', b"PAR1", b"\xff\xfe"]
)
@pytest.mark.parametrize("suffix", ["json", "parquet"])
def test_what_is_no_receipts_is_refused(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"receipts.{suffix}"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"receipts.{suffix}: holds no receipts"):
        Receipts.load(path)


def test_a_newer_format_is_refused_by_its_number(receipts: Receipts, tmp_path: Path) -> None:
    newer = Receipts(
        receipts.header.model_copy(update={"format": 99}),
        receipts.documents,
        receipts.runs,
        receipts.nll,
    )
    with pytest.raises(DataError, match=r"must have format 1 \(got 99\)"):
        Receipts.load(newer.save(tmp_path / "receipts.json"))


def test_other_names_and_missing_files_are_refused(receipts: Receipts, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"must end in .json or .parquet"):
        receipts.save(tmp_path / "receipts.csv")
    with pytest.raises(DataError, match="cannot be read"):
        Receipts.load(tmp_path / "missing.json")
