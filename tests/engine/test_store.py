import os
import resource
import signal

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datatools.engine import store
from datatools.engine.store import (
    canonical_json,
    digest,
    drop_stale_temporaries,
    file_sha256,
    iter_batches,
    read_batch,
    read_json,
    read_part,
    write_atomic,
    write_json,
    write_part,
)
from datatools.errors import DataError, IntegrityError


def names(folder):
    return sorted(p.name for p in folder.iterdir()) if folder.exists() else []


class Interrupt(BaseException):
    pass


@pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt, Interrupt])
@pytest.mark.parametrize("after", [0, 1, 70_000])
def test_an_exception_in_the_middle_of_a_write_leaves_nothing(tmp_path, error, after):
    def write(file):
        file.write(b"x" * after)
        raise error

    with pytest.raises(error):
        write_atomic(tmp_path / "deep" / "a.bin", write)
    assert names(tmp_path / "deep") == []


def test_an_exception_in_the_middle_of_a_write_leaves_the_old_file(tmp_path):
    target = tmp_path / "a.bin"
    write_atomic(target, lambda file: file.write(b"old"))

    def write(file):
        file.write(b"new")
        raise ValueError

    with pytest.raises(ValueError):
        write_atomic(target, write)
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["a.bin"]


def test_a_part_whose_frames_fail_in_the_middle_leaves_nothing(tmp_path):
    frame = pl.DataFrame({"x": [1, 2]})

    def frames():
        yield frame
        raise RuntimeError("record 3 is broken")

    with pytest.raises(RuntimeError, match="record 3"):
        write_part(tmp_path, "s/a.arrow", frame.clear(), frames())
    assert names(tmp_path / "s") == []


def test_frames_of_different_schemas_are_refused_and_leave_nothing(tmp_path):
    frames = [pl.DataFrame({"x": [1]}), pl.DataFrame({"x": ["1"]})]
    with pytest.raises(TypeError, match="frames of one part differ"):
        write_part(tmp_path, "a.arrow", frames[0].clear(), iter(frames))
    assert names(tmp_path) == []


def test_size_and_digest_are_those_of_the_file(tmp_path):
    data = os.urandom(300_001)

    def write(file):
        for start in range(0, len(data), 1000):
            file.write(data[start : start + 1000])

    size, sha256 = write_atomic(tmp_path / "a.bin", write)
    assert (tmp_path / "a.bin").read_bytes() == data
    assert size == len(data)
    assert sha256 == file_sha256(tmp_path / "a.bin")


def test_buffers_that_are_not_bytes_are_written_whole(tmp_path):
    array = memoryview(bytearray(range(64))).cast("I", shape=[4, 4])
    size, _ = write_atomic(tmp_path / "a.bin", lambda file: file.write(array))
    assert size == 64
    assert (tmp_path / "a.bin").read_bytes() == bytes(range(64))


def test_short_writes_of_the_system_are_gone_on_with(tmp_path, monkeypatch):
    real = os.write
    monkeypatch.setattr(store.os, "write", lambda fd, data: real(fd, bytes(data)[:7]))
    write_atomic(tmp_path / "a.bin", lambda file: file.write(b"0123456789" * 10))
    assert (tmp_path / "a.bin").read_bytes() == b"0123456789" * 10


@pytest.mark.parametrize("failing", ["fsync", "replace", "close"])
def test_a_call_that_the_system_fails_is_raised_once_and_leaves_nothing(
    tmp_path, monkeypatch, failing
):
    calls = []
    real = getattr(os, failing)

    def fail(*args):
        calls.append(args)
        if failing == "close":
            real(*args)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(store.os, failing, fail)
    with pytest.raises(OSError, match="Input/output"):
        write_atomic(tmp_path / "a.bin", lambda file: file.write(b"data"))
    monkeypatch.undo()
    # A failed fsync must not be tried again: the kernel may have marked the lost pages clean.
    assert len(calls) == 1
    assert names(tmp_path) == []


def test_the_file_is_synced_before_its_name_and_the_directory_after(tmp_path, monkeypatch):
    order = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)

        def note(*args, name=name, real=real):
            kind = name
            if name == "fsync":
                kind = "sync dir" if os.path.isdir(f"/proc/self/fd/{args[0]}") else "sync file"
            order.append(kind)
            return real(*args)

        monkeypatch.setattr(store.os, name, note)
    write_atomic(tmp_path / "a.bin", lambda file: file.write(b"data"))
    assert order == ["sync file", "replace", "sync dir"]


def test_a_file_size_limit_stops_cleanly(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Without a handler the kernel kills the process for the first byte too many.
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(OSError) as caught:
            write_part(
                tmp_path,
                "a.arrow",
                pl.DataFrame({"x": [""]}).clear(),
                iter([pl.DataFrame({"x": [os.urandom(20_000).hex()]})]),
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert caught.value.errno == 27
    assert names(tmp_path) == []
    told = store.disk_error("a.arrow", caught.value)
    assert isinstance(told, DataError)
    assert str(told) == (
        "a.arrow: the disk is full (got 'File too large'). "
        "Free some space and run again: finished work is kept."
    )


def test_a_full_device_is_raised_and_not_swallowed():
    descriptor = os.open("/dev/full", os.O_WRONLY)
    try:
        with pytest.raises(OSError) as caught:
            store._HashingFile(descriptor).write(b"data")
    finally:
        os.close(descriptor)
    assert caught.value.errno == 28


def test_two_writers_of_one_name_do_not_meet(tmp_path):
    target = tmp_path / "a.bin"

    def outer(file):
        file.write(b"outer")
        write_atomic(target, lambda inner: inner.write(b"inner"))
        assert target.read_bytes() == b"inner"

    write_atomic(target, outer)
    assert target.read_bytes() == b"outer"
    assert names(tmp_path) == ["a.bin"]


def test_temporaries_of_a_killed_run_are_dropped_and_nothing_else(tmp_path):
    stale = tmp_path / "stages" / "k" / f"{store.TEMPORARY}123-0-a.arrow"
    stale.parent.mkdir(parents=True)
    stale.write_bytes(b"half")
    whole = stale.parent / "00000-data.arrow"
    whole.write_bytes(b"whole")
    drop_stale_temporaries(tmp_path)
    assert names(stale.parent) == ["00000-data.arrow"]


# --------------------------------------------------------------------------------------------------
# Parts

COLUMNS = {
    "text": st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    "number": st.none() | st.integers(-(2**63), 2**63 - 1),
    "ratio": st.none() | st.floats(allow_nan=False),
    "html": st.none() | st.binary(max_size=8),
    "answers": st.none() | st.lists(st.fixed_dictionaries({"a": st.none() | st.text("가a")})),
}
TYPES = {
    "text": pl.String,
    "number": pl.Int64,
    "ratio": pl.Float64,
    "html": pl.Binary,
    "answers": pl.List(pl.Struct({"a": pl.String})),
}
frames_of_rows = st.lists(st.lists(st.fixed_dictionaries(COLUMNS), max_size=5), max_size=5)


@given(batches=frames_of_rows)
def test_writing_then_reading_a_part_is_the_identity(tmp_path_factory, batches):
    root = tmp_path_factory.mktemp("part")
    frames = [pl.DataFrame(rows, schema=TYPES) for rows in batches]
    ref = write_part(root, "s/a.arrow", pl.DataFrame(schema=TYPES), iter(frames))
    assert ref.batches == tuple(len(rows) for rows in batches)
    assert ref.rows == sum(ref.batches)
    whole = pl.concat([pl.DataFrame(schema=TYPES), *frames])
    assert read_part(root, ref).equals(whole)
    assert read_part(root, ref, ["html", "text"]).equals(whole.select("html", "text"))
    for index, frame in enumerate(frames):
        assert read_batch(root, ref, index).equals(frame)
    starts = [sum(ref.batches[:i]) for i, rows in enumerate(ref.batches) if rows]
    read = list(iter_batches(root, ref, ["number"]))
    assert [start for start, _ in read] == starts
    assert all(frame.columns == ["number"] for _, frame in read)


def test_equal_rows_make_equal_bytes_however_polars_holds_them(tmp_path):
    long = "a text that is longer than what a string view holds in itself"
    texts = ["한국어", long, "", None]
    plain = pl.DataFrame({"text": texts, "n": [1, 2, None, 4], "b": [True, None, False, True]})
    ways = [
        plain,
        pl.concat([plain[:1], plain[1:3], plain[3:]], rechunk=False),
        pl.concat([plain, plain])[4:],
        pl.concat([plain, plain]).filter(
            pl.Series([False, True, True, True] + [True] + [False] * 3)
        )[[3, 0, 1, 2]],
        plain.reverse()[::-1],
    ]
    assert all(way.equals(plain) for way in ways)
    refs = [
        write_part(tmp_path, f"{i}.arrow", plain.clear(), iter([way])) for i, way in enumerate(ways)
    ]
    assert len({ref.sha256 for ref in refs}) == 1


def test_any_arrow_reader_reads_a_part(tmp_path):
    frame = pl.DataFrame({"text": ["한국어", None], "n": [1, 2]})
    ref = write_part(tmp_path, "a.arrow", frame.clear(), iter([frame]))
    table = pa.ipc.open_file(tmp_path / ref.path).read_all()
    assert table.schema.field("text").type == pa.large_string()
    assert table.to_pylist() == frame.to_dicts()


def test_batches_that_are_not_needed_are_not_read(tmp_path):
    frames = [pl.DataFrame({"x": [i]}) for i in range(4)]
    ref = write_part(tmp_path, "a.arrow", frames[0].clear(), iter(frames))
    asked = []

    def needed(start, stop):
        asked.append((start, stop))
        return start == 2

    assert [(s, f["x"].to_list()) for s, f in iter_batches(tmp_path, ref, needed=needed)] == [
        (2, [2])
    ]
    assert asked == [(0, 1), (1, 2), (2, 3), (3, 4)]


@pytest.mark.parametrize("position", [0, 9, 200, -200, -9, -1])
def test_a_flipped_bit_is_found_when_the_part_is_read(tmp_path, position):
    frame = pl.DataFrame({"x": range(100)})
    ref = write_part(tmp_path, "a.arrow", frame.clear(), iter([frame]))
    data = bytearray((tmp_path / ref.path).read_bytes())
    data[position] ^= 1
    (tmp_path / ref.path).write_bytes(data)
    with pytest.raises(IntegrityError, match=r"does not hold the bytes that were committed"):
        read_part(tmp_path, ref)


def test_a_flipped_bit_is_found_after_the_part_was_read_once(tmp_path):
    frame = pl.DataFrame({"x": range(100)})
    ref = write_part(tmp_path, "a.arrow", frame.clear(), iter([frame]))
    read_part(tmp_path, ref)
    data = bytearray((tmp_path / ref.path).read_bytes())
    data[100] ^= 1
    (tmp_path / ref.path).write_bytes(data)
    with pytest.raises(IntegrityError):
        read_part(tmp_path, ref)


def test_a_cut_part_and_a_missing_part_are_told_apart(tmp_path):
    frame = pl.DataFrame({"x": range(100)})
    ref = write_part(tmp_path, "a.arrow", frame.clear(), iter([frame]))
    path = tmp_path / ref.path
    os.truncate(path, ref.bytes - 1)
    with pytest.raises(IntegrityError, match=rf"got '{ref.bytes - 1} bytes'"):
        read_part(tmp_path, ref)
    path.unlink()
    with pytest.raises(IntegrityError, match="is missing from the cache"):
        read_part(tmp_path, ref)


# --------------------------------------------------------------------------------------------------
# JSON


def test_canonical_json_does_not_depend_on_the_order_of_keys():
    one = {"b": 1, "a": {"y": [1, 2], "x": "한국어"}}
    other = {"a": {"x": "한국어", "y": [1, 2]}, "b": 1}
    assert canonical_json(one) == canonical_json(other)
    assert digest(one) == digest(other)
    assert digest(one) != digest({**one, "b": 2})
    assert digest([1, 2]) != digest([2, 1])


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b'{"a": 1} x', b'{"a": NaN}'])
def test_json_that_is_broken_is_an_integrity_error_that_names_the_file(tmp_path, data):
    path = tmp_path / "a.json"
    path.write_bytes(data)
    with pytest.raises(IntegrityError) as caught:
        read_json(path)
    assert str(caught.value).startswith(f"{path}: is not valid JSON: ")


def test_json_is_read_back(tmp_path):
    value = {"b": [1, 2.5, None, "한국어 \u2028"], "a": {}}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value
