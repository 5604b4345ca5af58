"""The index in a real Redis server, which each test session starts for itself."""

import re
import shutil
import socket
import subprocess
import sys
import time
import uuid
from datetime import date

import polars as pl
import pytest
from kept_texts import edited, frame, texts

from datatools.dedup_index import DedupIndex
from datatools.errors import ConfigError, DataError, IntegrityError, OutputHeldError
from datatools.steps.base import Batch

KEPT = frame(texts(300))
ASKED = frame(edited(texts(300)[::2], seed=1) + texts(40, seed=2), "new")
ENGLISH = "the quick brown fox jumps over the lazy dog and then runs into the green wood alone"
KOREAN = "재빠른 갈색 여우가 게으른 개를 뛰어넘어 저 멀리 푸른 숲 속으로 혼자 달려가 버렸다"
DAY = date(2026, 1, 31)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The port of a server."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed")
    port = free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    folder = tmp_path_factory.mktemp("redis")
    process = subprocess.Popen([program, *options, "--dir", folder], stdout=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def address(server):
    return f"redis://127.0.0.1:{server}/0?name=kept-{uuid.uuid4().hex}"


@pytest.fixture
def client(server):
    import redis

    return redis.Redis(port=server)


def name_of(address):
    return address.partition("?name=")[2]


def lsh_of(address, server):
    """Open the index's tables as a program with datasketch alone does."""
    from datasketch import MinHashLSH

    return MinHashLSH(
        num_perm=128,
        params=(17, 7),
        prepickle=False,
        storage_config={
            "type": "redis",
            "basename": name_of(address).encode(),
            "redis": {"host": "127.0.0.1", "port": server},
        },
    )


def words(text):
    return re.findall(r"\w+", text.lower())


def minhash(text):
    """Return what datasketch makes of a text's shingles of five words."""
    from datasketch import MinHash

    found = words(text)
    made = MinHash(num_perm=128)
    made.update_batch([" ".join(found[n : n + 5]).encode() for n in range(len(found) - 4)])
    return made


def slowly_matched(kept, asked):
    """Compare everything with everything by datasketch's own estimate."""

    def bands(made):
        return {(b, made.hashvalues[b * 7 : b * 7 + 7].tobytes()) for b in range(17)}

    there = [(id, text, minhash(text)) for id, text in kept.select("id", "text").rows()]
    banded = [bands(made) for _, _, made in there]
    found = []
    for id, text in asked.select("id", "text").rows():
        own, best, best_id = minhash(text), 0.0, None
        for (other_id, other, made), keys in zip(there, banded, strict=True):
            if len(words(text)) < 5 or len(words(other)) < 5:
                similarity = float(words(text) == words(other) and len(words(text)) > 0)
                similarity = similarity or float(text.strip() == other.strip() == "")
            else:
                similarity = own.jaccard(made) if bands(own) & keys else 0.0
            if similarity > best:
                best, best_id = similarity, other_id
        found.append((id, best_id, round(best, 6)) if best >= 0.8 else (id, None, None))
    return found


@pytest.mark.slow
def test_matches_are_those_of_datasketch_comparing_everything_with_everything(address):
    index = DedupIndex.create(address)
    index.add(KEPT[:100], added=DAY)
    index.add(KEPT[100:], added=DAY)
    found = index.match(ASKED).select("id", "match", pl.col("similarity").round(6)).rows()
    expected = slowly_matched(KEPT, ASKED)
    assert sum(match is not None for _, match, _ in expected) > 40
    assert found == expected
    opened = DedupIndex.open(address)
    assert opened.match(ASKED).equals(index.match(ASKED))
    assert len(opened) == opened.describe().documents == 300
    opened.compact()
    opened.verify()


@pytest.mark.slow
def test_a_program_with_datasketch_alone_finds_what_was_added(address, server):
    DedupIndex.create(address).add(frame([ENGLISH, KOREAN]))
    lsh = lsh_of(address, server)
    assert lsh.query(minhash(ENGLISH)) == [b"doc-0"]
    assert lsh.query(minhash(KOREAN)) == [b"doc-1"]
    assert b"doc-0" in lsh


@pytest.mark.slow
def test_an_id_that_is_there_is_left_and_an_earlier_state_matches_as_it_did(address):
    index = DedupIndex.create(address)
    assert index.add(frame([ENGLISH, "short one", ""]), added=DAY).documents == 3
    then, state = index.match(ASKED), index.state()
    done = index.add(frame([KOREAN, KOREAN]), added=DAY)
    assert (done.documents, done.known) == (0, 2)
    assert index.state() == state
    index.add(frame([KOREAN], "later"), added=date(2026, 2, 1))
    asked = frame([KOREAN, "SHORT, one!", ENGLISH, ""], "new")
    assert index.match(asked)["match"].to_list() == ["later-0", "doc-1", "doc-0", "doc-2"]
    assert index.match(asked, at=state)["match"].to_list() == [None, "doc-1", "doc-0", "doc-2"]
    assert index.match(ASKED, at=state).equals(then)
    assert index.state(before=date(2026, 2, 1)) == state


@pytest.mark.slow
def test_of_equally_similar_documents_the_earliest_is_the_match(address):
    index = DedupIndex.create(address)
    index.add(frame([ENGLISH] * 300, "z"))
    index.add(frame([ENGLISH], "a"))
    (found,) = index.match(frame([ENGLISH], "new")).to_dicts()
    assert (found["match"], found["buckets_cut"]) == ("z-0", 17)
    assert found["not_compared"] == 17 * 45


@pytest.mark.slow
@pytest.mark.parametrize("calls", [1, 2, 3])
def test_an_addition_that_breaks_off_is_as_if_it_had_not_begun(address, monkeypatch, calls):
    index = DedupIndex.create(address)
    index.add(KEPT[:100], added=DAY)
    before = index.match(ASKED)
    store, done = type(index)._store, []

    def failing(self, batch, *args):
        done.append(1)
        store(self, batch, *args)
        if len(done) == calls:
            raise KeyboardInterrupt

    monkeypatch.setattr(type(index), "_store", failing)
    with pytest.raises(KeyboardInterrupt):
        index.add(KEPT[100:].iter_slices(60), added=DAY)
    monkeypatch.undo()
    opened = DedupIndex.open(address)
    assert len(opened) == 100
    assert opened.match(ASKED).equals(before)
    # Another text under an id that was left in the buckets, long and short.
    changed = KEPT[100:].with_columns(
        pl.when(pl.int_range(pl.len()) < 2)
        .then(pl.lit("now short"))
        .otherwise(pl.col("text"))
        .alias("text")
    )
    assert opened.add(changed, added=DAY).documents == 200
    whole = pl.concat([KEPT[:100], changed])
    found = opened.match(ASKED).select("id", "match", pl.col("similarity").round(6)).rows()
    assert found == slowly_matched(whole, ASKED)
    assert opened.match(frame(["NOW short"], "new"))["match"].to_list() == ["doc-100"]


@pytest.mark.slow
def test_a_second_writer_is_refused(address, client):
    index = DedupIndex.create(address)
    lock = client.lock(f"{name_of(address)}:lock", timeout=60)
    with lock, pytest.raises(OutputHeldError, match="another process"):
        index.add(frame([ENGLISH]))
    assert index.add(frame([ENGLISH])).documents == 1


@pytest.mark.slow
def test_a_writer_that_lost_its_lock_commits_nothing(address, client):
    index = DedupIndex.create(address)

    def frames():
        yield frame([ENGLISH])
        client.delete(f"{name_of(address)}:lock")
        yield frame([KOREAN], "more")

    with pytest.raises(OutputHeldError, match="stood still"):
        index.add(frames())
    assert len(DedupIndex.open(address)) == 0


@pytest.mark.slow
def test_an_index_is_made_once_and_opened_only_where_it_is(address):
    with pytest.raises(ConfigError, match="there is no index"):
        DedupIndex.open(address)
    DedupIndex.create(address)
    with pytest.raises(ConfigError, match="there is an index already"):
        DedupIndex.create(address)


@pytest.mark.slow
@pytest.mark.parametrize("stored", [b"", b"[]", b"{}", b'{"parameters": {}, "additions": [1]}'])
def test_what_something_else_wrote_under_the_name_is_refused(address, client, stored):
    client.set(f"{name_of(address)}:index", stored)
    with pytest.raises(IntegrityError, match="is not what an index stores"):
        DedupIndex.open(address)


@pytest.mark.slow
def test_documents_that_the_server_lost_are_told(address, client):
    index = DedupIndex.create(address)
    index.add(frame([ENGLISH, KOREAN]))
    client.hdel(f"{name_of(address)}:values", "doc-0")
    with pytest.raises(IntegrityError, match="lost a document"):
        index.match(frame([ENGLISH], "new"))
    client.hdel(f"{name_of(address)}:numbers", "doc-0")
    with pytest.raises(IntegrityError, match="should hold 2 documents"):
        index.verify()


@pytest.mark.slow
def test_what_the_server_refuses_is_told(address, client):
    index = DedupIndex.create(address)
    client.set(f"{name_of(address)}:numbers", "not a hash")
    with pytest.raises(DataError, match="Redis refused"):
        index.add(frame([ENGLISH]))


@pytest.mark.slow
def test_the_step_reads_an_index_in_redis(address):
    from datatools import steps

    DedupIndex.create(address).add(frame([ENGLISH]))
    kept, dropped = steps.IndexDedup(index=address).apply(frame([ENGLISH, KOREAN], "new"))
    assert kept["id"].to_list() == ["new-1"]
    assert dropped["detail"].str.starts_with('{"survivor":"doc-0"').all()


def test_a_server_that_is_not_there_is_told():
    with pytest.raises(ConfigError, match="Redis cannot be reached"):
        DedupIndex.create(f"redis://127.0.0.1:{free_port()}/0?name=kept")


def test_a_missing_library_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ConfigError, match=r"datatools\[redis\]"):
        DedupIndex.open("redis://127.0.0.1/0?name=kept")


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("redis://127.0.0.1/0", "must name the index"),
        ("redis://127.0.0.1/0?name=a&timeout=3", "must name the index"),
        ("redis://:secret@127.0.0.1/0?name=a", "holds a password"),
        ("redis://127.0.0.1:port/0?name=a", "is not an address"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused(address, told):
    with pytest.raises(ConfigError, match=told) as caught:
        DedupIndex.open(address)
    assert "secret" not in str(caught.value)


def test_other_units_than_words_are_refused():
    with pytest.raises(ConfigError, match="must be `word`"):
        DedupIndex.create("redis://127.0.0.1/0?name=kept", unit="char")


# --------------------------------------------------------------------------------------------------
# Indexes that others made with datasketch


@pytest.mark.parametrize("params", [(17, 7), None])
def test_our_signatures_find_what_is_in_an_index_made_with_datasketch_alone(params):
    from datasketch import LeanMinHash, MinHashLSH

    from datatools.kernels.minhash import signatures

    theirs = MinHashLSH(threshold=0.8, num_perm=128, params=params)
    kept = texts(60)
    for number, text in enumerate(kept):
        theirs.insert(number, minhash(text))
    ours, _ = signatures(
        *Batch(pl.DataFrame({"text": kept})).buffers("text"), compatible="datasketch"
    )
    for number, (text, signature) in enumerate(zip(kept, ours, strict=True)):
        lean = LeanMinHash(seed=1, hashvalues=signature, scheme="affine32")
        found = theirs.query(lean)
        assert number in found
        assert sorted(found) == sorted(theirs.query(minhash(text)))
