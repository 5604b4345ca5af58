import sys
import unicodedata

import numpy as np

from datatools.kernels import codepoints
from datatools.kernels.codepoints import (
    ALPHA,
    HANGUL,
    SINGLE,
    codepoint_tables,
    count_codepoints,
    decode,
    decode_before,
    encode,
)

SCALARS = [code for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]


def test_every_code_point_survives_encoding_and_decoding():
    raw = "".join(map(chr, SCALARS)).encode()
    data = np.frombuffer(raw, np.uint8)
    out = np.zeros(4, np.uint8)
    i = 0
    for code in SCALARS[::97]:
        char = chr(code).encode()
        i = raw.index(char, i)
        assert decode(data, i) == (code, i + len(char))
        assert decode_before(data, i + len(char)) == (code, i)
        assert bytes(out[: encode(code, out, 0)]) == char
    assert count_codepoints(data, 0, len(data)) == len(SCALARS)


def test_hangul_are_the_letters_unicode_names_hangul():
    flags = codepoint_tables().flags
    for code in SCALARS:
        char = chr(code)
        named = char.isalpha() and "HANGUL" in unicodedata.name(char, "")
        assert (flags[code] & HANGUL != 0) == named, hex(code)
        assert (flags[code] & ALPHA != 0) == char.isalpha()


UNSPACED = (
    *("CJK UNIFIED IDEOGRAPH", "CJK COMPATIBILITY IDEOGRAPH", "IDEOGRAPHIC"),
    *("HIRAGANA", "KATAKANA", "HENTAIGANA", "HALFWIDTH KATAKANA", "BOPOMOFO"),
    *("THAI", "LAO", "KHMER", "MYANMAR", "HANGUL", "HALFWIDTH HANGUL"),
)


def test_single_tokens_are_the_letters_unicode_names_after_their_scripts():
    flags = codepoint_tables().flags
    for code in SCALARS:
        named = chr(code).isalpha() and unicodedata.name(chr(code), "").startswith(UNSPACED)
        assert (flags[code] & SINGLE != 0) == named, hex(code)
        assert not named or code >= 0x800


def test_damaged_tables_are_made_again(tmp_path, monkeypatch):
    (tmp_path / "codepoints.npz").write_bytes(b"PK\x03\x04 cut short")
    monkeypatch.setattr(codepoints, "cache_dir", lambda: tmp_path)
    made = codepoint_tables.__wrapped__()
    assert (made.flags == codepoint_tables().flags).all()
    stored = codepoint_tables.__wrapped__()
    assert (stored.lower == made.lower).all()
    assert [path.name for path in tmp_path.iterdir()] == ["codepoints.npz"]
