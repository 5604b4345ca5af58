import polars as pl
import pytest
import toys
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st
from jobs import dataset, job, run_job

from datatools import steps
from datatools.job.running import run
from datatools.steps.shape.split import Split


def is_held(group, fraction, seed=0):
    """Return whether a group is held out, by the definition: its hash as a number in [0, 1)."""
    return xxhash.xxh3_64(f"{seed}:{group}".encode()).intdigest() / 2**64 < fraction


def sides(frame, validation, seed=0):
    kept, dropped = Split(validation=validation).apply(frame, seed=seed)
    assert dropped.height == 0
    assert kept.drop("split").equals(frame)
    return kept["split"].to_list()


fractions = st.sampled_from([0.0, 0.01, 0.1, 0.25, 0.5, 0.9, 0.999])
ids = st.lists(st.text("ab한글01", min_size=1, max_size=6), unique=True, max_size=30)


@settings(max_examples=12)
@given(ids=ids, validation=fractions, seed=st.integers(0, 99))
def test_each_record_falls_on_the_side_of_its_hash(ids, validation, seed):
    frame = pl.DataFrame({"id": ids}, schema={"id": pl.String})
    expected = ["validation" if is_held(i, validation, seed) else "train" for i in ids]
    assert sides(frame, validation, seed) == expected


@settings(max_examples=12)
@given(
    rows=st.lists(st.sampled_from(["g1", "g2", "질문", None]), max_size=20), validation=fractions
)
def test_records_of_one_group_are_never_parted(rows, validation):
    frame = pl.DataFrame(
        {"id": [f"id-{i}" for i in range(len(rows))], "group_id": rows},
        schema={"id": pl.String, "group_id": pl.String},
    )
    got = sides(frame, validation)
    expected = [
        "validation" if is_held(group or id_, validation) else "train"
        for id_, group in frame.iter_rows()
    ]
    assert got == expected


def test_a_growing_fraction_moves_further_groups_and_none_back():
    frame = pl.DataFrame({"id": [f"id-{i}" for i in range(400)]})
    before = set()
    for fraction in (0.0, 0.05, 0.1, 0.3, 0.6, 0.99):
        held = {i for i, side in enumerate(sides(frame, fraction)) if side == "validation"}
        assert before <= held
        assert abs(len(held) / 400 - fraction) < 0.07
        before = held
    assert not any(side == "validation" for side in sides(frame, 0.0))


def test_the_seed_draws_anew():
    frame = pl.DataFrame({"id": [f"id-{i}" for i in range(100)]})
    assert sides(frame, 0.5, 1) != sides(frame, 0.5, 2)


def test_equal_groups_fall_on_the_same_side_in_every_dataset_and_under_every_label(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("".join(f"page {i} | 질문 {i} 무엇입니까\n" for i in range(40)))
    datasets = {
        "pages": dataset(toys.ReadLines(paths=(str(path),)), publish=False),
        "asked": dataset(
            toys.Questions(), steps.GroupPrompts(), Split(validation=0.4), from_="pages"
        ),
        "again": dataset(steps.Shuffle(), Split(validation=0.4), from_="asked"),
    }
    run_job(tmp_path / "out", datasets)
    one, two = (
        {
            split: set(pl.read_parquet(tmp_path / f"out/{name}/{split}-*.parquet")["group_id"])
            for split in ("train", "validation")
        }
        for name in ("asked", "again")
    )
    assert one == two
    assert all(one.values())


# --------------------------------------------------------------------------------------------------
# hold_with

ASK = [
    "how do i sharpen a kitchen knife at home",
    "부엌칼을 집에서 어떻게 갈아야 하나요",
    "what is the best way to learn korean",
    "한국어를 배우는 가장 좋은 방법은 무엇인가요",
    "why is the sky blue during the day",
    "하늘은 왜 낮에 파란색인가요",
]


def pages_with_questions():
    """Return pages of none to three questions; questions come again, reworded, on other pages."""
    pages = []
    for i in range(60):
        asked = [ASK[(i * k) % 6] + "?" * (i % 3) for k in range(i % 4)]
        pages.append(" | ".join([f"page number {i} 페이지", *asked]))
    return pages


def run_pages(tmp_path, name, validation, *, hold=("asked",), unit_bytes=1 << 20):
    path = tmp_path / "a.txt"
    if not path.exists():
        path.write_text("\n".join(pages_with_questions()) + "\n")
    source = toys.ReadLines(paths=(str(path),), unit_bytes=unit_bytes)
    datasets = {
        "pages": dataset(source, publish=False),
        "asked": dataset(
            toys.Questions(), steps.GroupPrompts(), Split(validation=validation), from_="pages"
        ),
        "few": dataset(toys.Questions(), steps.GroupPrompts(), from_="pages"),
        "text": dataset(Split(validation=validation, hold_with=hold), from_="pages"),
    }
    run(job(tmp_path / name, datasets), only=list(datasets))
    asked = pl.read_parquet(tmp_path / name / "asked/*.parquet")
    text = {}
    for split in ("train", "validation"):
        for file in (tmp_path / name / "text").glob(f"{split}-*.parquet"):
            text |= dict.fromkeys(pl.read_parquet(file)["id"], split)
    return asked, text


@pytest.mark.parametrize(("validation", "unit_bytes"), [(0.0, 1 << 20), (0.2, 700), (0.5, 1 << 20)])
def test_exactly_the_pages_of_held_out_questions_are_held_out(tmp_path, validation, unit_bytes):
    asked, text = run_pages(tmp_path, "out", validation, unit_bytes=unit_bytes)
    assert len(text) == 60
    groups = asked.group_by("doc_id").agg("group_id")
    by_page = dict(groups.iter_rows())
    assert 30 < len(by_page) < 60
    for page, side in text.items():
        held = [is_held(group, validation) for group in by_page.get(page, [page])]
        assert side == ("validation" if any(held) else "train")


def test_no_question_of_a_training_page_is_held_out(tmp_path):
    asked, text = run_pages(tmp_path, "out", 0.5)
    held = set(
        asked.filter(pl.col("group_id").map_elements(lambda g: is_held(g, 0.5), pl.Boolean))[
            "doc_id"
        ]
    )
    assert held
    assert all(text[page] == "validation" for page in held)


def test_pages_follow_several_datasets_and_one_that_does_not_split(tmp_path):
    _, alone = run_pages(tmp_path, "one", 0.3)
    _, both = run_pages(tmp_path, "two", 0.3, hold=("asked", "few"))
    assert alone == both


def test_a_growing_fraction_moves_no_page_back(tmp_path):
    before = set()
    for name, fraction in (("a", 0.3), ("b", 0.7)):
        _, text = run_pages(tmp_path, name, fraction)
        held = {page for page, side in text.items() if side == "validation"}
        assert before <= held
        before = held
    assert before
