"""The same bits on every processor: kernels compiled for lesser ones than this machine's."""

import os
import platform
import subprocess
import sys

import pytest

PROGRAM = """
import hashlib, random
import numpy as np
from datatools.kernels.minhash import bands, signatures
from datatools.kernels.repetition import repetition_counts
from datatools.kernels.shingles import shingle_sets
from datatools.kernels.sketches import compress, estimate
from datatools.kernels.words import split_whitespace, split_words
rng = random.Random(0)
pieces = ["the ", "Cat ", "ran. ", "나는 ", "집에 ", "갔다", "漢字", "“x”", "é", "Σ", "ΑΣ ", "İ",
          "Ⱥ", "\\u3000", "\\0", "😀", "𐐀", "ㅋㅋ", "\\n", "\\u2028", "a" * 70, "ไทย", "K", "_9 "]
texts = ["".join(rng.choices(pieces, k=rng.randrange(300))).encode() for _ in range(300)]
data = np.frombuffer(b"".join(texts), np.uint8)
offsets = np.cumsum([0, *map(len, texts)])
arrays = [*split_words(offsets, data), *split_whitespace(offsets, data)]
for unit in ("word", "char", "auto"):
    arrays += [*signatures(offsets, data, unit=unit), *shingle_sets(offsets, data, unit=unit)]
kept = compress(arrays[6])
arrays += [bands(arrays[6], 17, 7), kept, estimate(kept[:-1], kept[1:])]
for shingle_hash in ("sha1", "xxh32"):
    made = signatures(offsets, data, compatible="datasketch", shingle_hash=shingle_hash)
    arrays.append(made[0])
arrays.append(signatures(offsets, data, compatible="datatrove")[0])
arrays += repetition_counts(offsets, data).values()
print(hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest())
"""


def digest(directory, name=None, features=None):
    environment = {**os.environ, "DATATOOLS_KERNEL_CACHE": str(directory)}
    if name:
        environment |= {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": features}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def native(tmp_path_factory):
    return digest(tmp_path_factory.mktemp("native"))


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="x86 kinds only")
@pytest.mark.parametrize(
    ("name", "features"),
    [
        ("haswell", "+sse4.2,+avx2,+bmi,+bmi2,+popcnt,+lzcnt"),
        ("x86-64", "+sse2,-sse3,-avx"),
    ],
)
def test_kernels_for_lesser_processors_give_the_same_bytes(native, tmp_path, name, features):
    assert len(native) == 65
    assert digest(tmp_path, name, features) == native
