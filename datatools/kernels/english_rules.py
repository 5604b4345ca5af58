"""The rules by which English text is cut into tokens: classes of characters and special cases.

Owns what spaCy 3.8's English tokenizer knows, as tables for `english_tokens`: which characters may
be taken off a chunk's ends or split its middle, which units follow a number, and the strings with a
cut of their own (contractions, abbreviations, emoticons). Refuses: the loop that applies them.

References:
    Matthew Honnibal et al., spaCy 3.8, MIT licence: `spacy/lang/char_classes.py` (classes),
    `spacy/lang/punctuation.py`, `spacy/lang/en/punctuation.py` (affixes),
    `spacy/lang/tokenizer_exceptions.py`, `spacy/lang/en/tokenizer_exceptions.py` (special cases),
    `spacy/pipeline/sentencizer.pyx` (sentence ends). Facts, in this project's own form.
"""

from __future__ import annotations

import functools
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = [
    "ANY_CASE",
    "CURRENCY",
    "DECIMAL",
    "FACTOR",
    "ICON",
    "LONGEST_SPECIAL",
    "LONGEST_UNIT",
    "LOWER",
    "MARK",
    "PREFIX",
    "QUOTE",
    "SENTENCE_END",
    "STOPPABLE",
    "SUFFIX",
    "UPPER",
    "EnglishRules",
    "basic_rules",
    "special_cases",
    "with_paths",
    "without_special_cases",
]

LOWER = 1
"""A small letter, or a letter of a script without case, in the scripts spaCy lists."""
UPPER = 2
"""A capital, or a letter of a script without case."""
ANY_CASE = 4
"""Both, and the letters of those scripts that are neither."""
QUOTE = 8
"""A quotation mark or a bracket that quotes."""
ICON = 16
"""A symbol: dingbats, emoji, arrows, box drawing."""
PREFIX = 32
"""Taken off a chunk's beginning."""
SUFFIX = 64
"""Taken off a chunk's end."""
STOPPABLE = 128
"""A full stop after it is taken off."""
DECIMAL = 256
r"""A digit of any script: `\d`."""
MARK = 512
"""Unicode punctuation, categories P*."""
SENTENCE_END = 1024
"""Ends a sentence."""
CURRENCY = 2048
"""The sign of a currency."""

FACTOR: Final = np.uint64(0x9E3779B97F4A7C15)
"""Odd: what hashes of code points and of tokens are multiplied by at each step."""
LONGEST_SPECIAL: Final = 17
LONGEST_UNIT: Final = 6
_MIX_A: Final = 0xBF58476D1CE4E5B9
_MIX_B: Final = 0x94D049BB133111EB
_ALL_BITS: Final = (1 << 64) - 1

# Scripts with case: code points, hexadecimal; the category says whether small or capital.
_LATIN = (
    "41-5A 61-7A C0-D6 D8-F6 F8-FF 100-17F 180-1BF 1C4-24F 250-2AF 1D00-1D25 1D6B-1D77 1D79-1D9A "
    "1E00-1EFF 2C60-2C7B 2C7E-2C7F A722-A76F A771-A787 A78B-A78E A790-A7B9 A7FA AB30-AB5A "
    "AB60-AB64 FF21-FF3A FF41-FF5A"
)
_GREEK = "391-3A9 3B1-3C9 386 388 38A 38C 38F 389 38E 3AC 3AD 3AF 3CC 3CE 3AE 3CD"
_CYRILLIC = (
    "410-44F 401 451 404 454 406 456 407 457 490 491 403 453 405 455 408 458 409 459 40A 45A 40C "
    "45C 450 400 45D 40D 4D8 4D9 4E8 4E9 4AE 4AF 496 497 4A2 4A3 4BA 4BB"
)
_UNCASED = (
    "1200-137F 980-9FF 591-5F4 FB1D-FB4F 620-64A 66E-6D5 6E5-6FF 750-77F 8A0-8BD FB50-FBB1 "
    "FBD3-FD3D FD50-FDC7 FDF0-FDFB FE70-FEFC 1EE00-1EEBB D80-DFF 900-97F C80-CFF B80-BFF C00-C7F "
    "AC00-D7AF 1100-11FF 3040-309F 30A0-30FF 4E00-9FFF 3400-4DBF 20000-2A6DF 2A700-2EBEF 2E80-2FDF "
    "2FF0-2FFF 3000-303F 31C0-31EF 3200-33FF F900-FAFF FE30-FE4F 1F200-1F2FF 2F800-2FA1F"
)
_PUNCTUATION = "…,:;!?¿؟¡()[]{}<>_#*&。？！，、；：～·।،۔؛٪"
_QUOTES = "'\"”“`‘´’‚,„»«「」『』（）〔〕【】《》〈〉\u2329\u232a\u27e6\u27e7"
_CURRENCIES = "$£€¥฿₽\ufdfc₴₠₡₢₣₤₥₦₧₨₩₪₫₭₮₯₰₱₲₳₵₶₷₸₹₺₻₼₾₿"
_LONG_CURRENCIES = ("US$", "C$", "A$")
_UNITS = (
    "km km² km³ m m² m³ dm dm² dm³ cm cm² cm³ mm mm² mm³ ha µm nm yd in ft kg g mg µg t lb oz m/s "
    "km/h kmh mph hPa Pa mbar mb MB kb KB gb GB tb TB T G M K % км км² км³ м м² м³ дм дм² дм³ см "
    "см² см³ мм мм² мм³ нм кг г мг м/с км/ч кПа Па мбар Кб КБ кб Мб МБ мб Гб ГБ гб Тб ТБ "
    "тбكم كم² كم³ م م² م³ سم سم² سم³ مم مم² مم³ كم غرام جرام جم كغ ملغ كوب اكواب"
)  # sic: `тб` and the first Arabic unit are one word
_ICONS = (
    "A6 A9 AE B0 482 58D 58E 60E 60F 6DE 6E9 6FD 6FE 7F6 9FA B70 BF3-BF8 BFA C7F D4F D79 F01-F03 "
    "F13 F15-F17 F1A-F1F F34 F36 F38 FBE-FC5 FC7-FCC FCE FCF FD5-FD8 109E 109F 1390-1399 1940 "
    "19DE-19FF 1B61-1B6A 1B74-1B7C 2100 2101 2103-2106 2108 2109 2114 2116 2117 211E-2123 2125 "
    "2127 2129 212E 213A 213B 214A 214C 214D 214F 218A 218B 2195-2199 219C-219F 21A1 21A2 21A4 "
    "21A5 21A7-21AD 21AF-21CD 21D0 21D1 21D3 21D5-21F3 2300-2307 230C-231F 2322-2328 232B-237B "
    "237D-239A 23B4-23DB 23E2-2426 2440-244A 249C-24E9 2500-25B6 25B8-25C0 25C2-25F7 2600-266E "
    "2670-2767 2794-27BF 2800-28FF 2B00-2B2F 2B45 2B46 2B4D-2B73 2B76-2B95 2B98-2BC8 2BCA-2BFE "
    "2CE5-2CEA 2E80-2E99 2E9B-2EF3 2F00-2FD5 2FF0-2FFB 3004 3012 3013 3020 3036 3037 303E 303F "
    "3190 3191 3196-319F 31C0-31E3 3200-321E 322A-3247 3250 3260-327F 328A-32B0 32C0-32FE "
    "3300-33FF 4DC0-4DFF A490-A4C6 A828-A82B A836 A837 A839 AA77-AA79 FDFD FFE4 FFE8 FFED FFEE "
    "FFFC FFFD 10137-1013F 10179-10189 1018C-1018E 10190-1019B 101A0 101D0-101FC 10877 10878 "
    "10AC8 1173F 16B3C-16B3F 16B45 1BC9C 1D000-1D0F5 1D100-1D126 1D129-1D164 1D16A-1D16C 1D183 "
    "1D184 1D18C-1D1A9 1D1AE-1D1E8 1D200-1D241 1D245 1D300-1D356 1D800-1D9FF 1DA37-1DA3A "
    "1DA6D-1DA74 1DA76-1DA83 1DA85 1DA86 1ECAC 1F000-1F02B 1F030-1F093 1F0A0-1F0AE 1F0B1-1F0BF "
    "1F0C1-1F0CF 1F0D1-1F0F5 1F110-1F16B 1F170-1F1AC 1F1E6-1F202 1F210-1F23B 1F240-1F248 1F250 "
    "1F251 1F260-1F265 1F300-1F3FA 1F400-1F6D4 1F6E0-1F6EC 1F6F0-1F6F9 1F700-1F773 1F780-1F7D8 "
    "1F800-1F80B 1F810-1F847 1F850-1F859 1F860-1F887 1F890-1F8AD 1F900-1F90B 1F910-1F93E "
    "1F940-1F970 1F973-1F976 1F97A 1F97C-1F9A2 1F9B0-1F9B9 1F9C0-1F9C2 1F9D0-1F9FF 1FA60-1FA6D"
)
_SENTENCE_ENDS = (
    "21 2E 3F 589 61F 6D4 700-702 7F9 964 965 104A 104B 1362 1367 1368 166E 1735 1736 1803 1809 "
    "1944 1945 1AA8-1AAB 1B5A 1B5B 1B5E 1B5F 1C3B 1C3C 1C7E 1C7F 203C 203D 2047-2049 2E2E 2E3C "
    "A4FF A60E A60F A6F3 A6F7 A876 A877 A8CE A8CF A92F A9C8 A9C9 AA5D-AA5F AAF0 AAF1 ABEB FE52 "
    "FE56 FE57 FF01 FF0E FF1F 10A56 10A57 11047 11048 110BE-110C1 11141-11143 111C5 111C6 111CD "
    "111DE 111DF 11238 11239 1123B 1123C 112A9 1144B 1144C 115C2 115C3 115C9-115D7 11641 11642 "
    "1173C-1173E 11A42 11A43 11A9B 11A9C 11C41 11C42 16A6E 16A6F 16AF5 16B37 16B38 16B44 1BC9F "
    "1DA88 FF61 3002"
)


class EnglishRules(NamedTuple):
    """The rules as tables, read-only.

    A hash table is uint64 of shape (slots, 2): keys, of which 0 marks a free slot, and values.

    Attributes:
        classes: uint16 of shape (0x110000,): LOWER, UPPER ... or-ed together.
        specials: A hash table of the special cases' code points: their numbers.
        ends: bool of shape (65536,): whether a special case has this first and last code point and
            this length, as `english_tokens` packs them.
        piece_rows: int32 of shape (special cases + 1,): case s has pieces
            `piece_rows[s]:piece_rows[s + 1]`.
        pieces: int32 of shape (pieces, 2): code points, and bytes in UTF-8.
        units: A hash table of what may follow a number.
        paths: A hash table of the sequences of tokens that begin a special case: 0, or 1 more than
            the number of the case that is complete.
        most_nested: Most special cases that begin with one another's tokens.
    """

    classes: npt.NDArray[np.uint16]
    specials: npt.NDArray[np.uint64]
    ends: npt.NDArray[np.bool_]
    piece_rows: npt.NDArray[np.int32]
    pieces: npt.NDArray[np.int32]
    units: npt.NDArray[np.uint64]
    paths: npt.NDArray[np.uint64]
    most_nested: int


# --------------------------------------------------------------------------------------------------
# Classes


def _codes(ranges: str) -> Iterator[int]:
    for piece in ranges.split():
        first, _, last = piece.partition("-")
        yield from range(int(first, 16), int(last or first, 16) + 1)


def _make_classes() -> npt.NDArray[np.uint16]:
    classes = np.zeros(sys.maxunicode + 1, np.uint16)
    for code in _codes(f"{_LATIN} {_GREEK} {_CYRILLIC}"):
        category = unicodedata.category(chr(code))
        classes[code] |= ANY_CASE
        classes[code] |= {"Ll": LOWER, "Lu": UPPER}.get(category, 0)
    classes[0x294] |= LOWER  # sic: a letter without case, in a range of small ones
    classes[0x3A2] |= UPPER  # sic: not assigned, in the range of the Greek capitals
    uncased = np.fromiter(_codes(_UNCASED), np.int64)
    classes[uncased] |= LOWER | UPPER | ANY_CASE
    classes[np.fromiter(_codes(_ICONS), np.int64)] |= ICON | PREFIX | SUFFIX
    classes[np.fromiter(_codes(_SENTENCE_ENDS), np.int64)] |= SENTENCE_END
    for chars, flags in (
        (_PUNCTUATION, PREFIX | SUFFIX | STOPPABLE),
        (_QUOTES, QUOTE | PREFIX | SUFFIX | STOPPABLE),
        (_CURRENCIES, CURRENCY | PREFIX),
        ("§%=—–", PREFIX),
        ("—–", SUFFIX),
        ("0123456789%²-+|?:()", STOPPABLE),
    ):
        for char in chars:
            classes[ord(char)] |= flags
    classes[(classes & LOWER) != 0] |= STOPPABLE
    for code in range(sys.maxunicode + 1):
        category = unicodedata.category(chr(code))
        if category == "Nd":
            classes[code] |= DECIMAL
        elif category[0] == "P":
            classes[code] |= MARK
    return classes


# --------------------------------------------------------------------------------------------------
# Special cases


def _both_cases(*words: str) -> Iterator[str]:
    for word in words:
        yield from (word, word.title())


def _contractions() -> Iterator[tuple[str, ...]]:
    """Yield the pieces of each contraction, with its apostrophe and without."""

    def spelled(word: str, *parts: str) -> Iterator[tuple[str, ...]]:
        yield (word, *parts)
        yield (word, *(part.replace("'", "") for part in parts))

    for word in _both_cases("i"):
        yield from spelled(word, "'m")
        yield (word, "'m", "a")
        yield (word, "m", "a")
    pronouns = ("i", "you", "he", "she", "it", "we", "they")
    questions = ("who", "what", "when", "where", "why", "how", "there", "that", "this")
    plurals = ("these", "those")
    for word in _both_cases(*pronouns, *questions, *plurals):
        for parts in (("'ll",), ("'ll", "'ve"), ("'d",), ("'d", "'ve")):
            yield from spelled(word, *parts)
    for word in _both_cases("i", "you", "we", "they"):
        yield from spelled(word, "'ve")
    for word in _both_cases("you", "we", "they"):
        yield from spelled(word, "'re")
    for word in _both_cases("he", "she", "it", *questions):
        yield from spelled(word, "'s")
    asking = tuple(word for word in questions if word not in ("that", "this"))
    for word in _both_cases(*asking, *plurals):
        yield from spelled(word, "'ve")
        yield from spelled(word, "'re")
    verbs = ("ca", "could", "do", "does", "did", "had", "may", "might", "must", "need", "ought")
    for word in _both_cases(*verbs, "sha", "should", "wo", "would"):
        yield from spelled(word, "n't")
        yield (word, "n't", "'ve")
        yield (word, "nt", "ve")
    for word in _both_cases("could", "might", "must", "should", "would"):
        yield from spelled(word, "'ve")
    for word in _both_cases("ai", "are", "is", "was", "were", "have", "has", "dare"):
        yield from spelled(word, "n't")
    for word in _both_cases("doin", "goin", "nothin", "nuthin", "ol", "somethin"):
        yield (word,)
        yield (word + "'",)
    for word in ("em", "ll", "nuff"):
        yield (word,)
        yield ("'" + word,)
    for hour in range(1, 13):
        for half in ("a.m.", "am", "p.m.", "pm"):
            yield (str(hour), half)
    for word in _both_cases("not"):
        yield from spelled(word, "'ve")


_SPLIT = (
    "y' all|y all|how 'd 'y|How 'd 'y|can not|Can not|gon na|Gon na|got ta|Got ta|let 's|Let 's"
    "|c'm on|C'm on"
)
_WHOLE = (
    "'S 's ‘S ‘s and/or w/o 're 'Cause 'cause 'cos 'Cos 'coz 'Coz 'cuz 'Cuz 'bout ma'am Ma'am "
    "o'clock O'clock lovin' Lovin' lovin Lovin havin' Havin' havin Havin doin' Doin' doin Doin "
    "goin' Goin' goin Goin "
    "Mt. Ak. Ala. Apr. Ariz. Ark. Aug. Calif. Colo. Conn. Dec. Del. Feb. Fla. Ga. Ia. Id. Ill. "
    "Ind. Jan. Jul. Jun. Kan. Kans. Ky. La. Mar. Mass. Mich. Minn. Miss. N.C. N.D. N.H. N.J. N.M. "
    "N.Y. Neb. Nebr. Nev. Nov. Oct. Okla. Ore. Pa. S.C. Sep. Sept. Tenn. Va. Wash. Wis. "
    "'d a.m. Adm. Bros. co. Co. Corp. D.C. Dr. e.g. E.g. E.G. Gen. Gov. i.e. I.e. I.E. Inc. Jr. "
    "Ltd. Md. Messrs. Mo. Mont. Mr. Mrs. Ms. p.m. Ph.D. Prof. Rep. Rev. Sen. St. vs. v.s. "
    "' \\\") <space> '' C++ \\t \\n — "
    "a. b. c. d. e. f. g. h. i. j. k. l. m. n. o. p. q. r. s. t. u. v. w. x. y. z. ä. ö. ü. "
    ":) :-) :)) :-)) :))) :-))) (: (-: =) (= :] :-] [: [-: [= =] :o) (o: :} :-} 8) 8-) (-8 ;) ;-) "
    "(; (-; :( :-( :(( :-(( :((( :-((( ): )-: =( >:( :') :'-) :'( :'-( :/ :-/ =/ =| :| :-| ]= =[ "
    ":1 :P :-P :p :-p :O :-O :o :-o :0 :-0 :() >:o :* :-* :3 :-3 =3 :> :-> :X :-X :x :-x :D :-D "
    ";D ;-D =D xD XD xDD XDD 8D 8-D ^_^ ^__^ ^___^ >.< >.> <.< ._. ;_; -_- -__- v.v V.V v_v V_V "
    "o_o o_O O_o O_O 0_o o_0 0_0 o.O O.o O.O o.o 0.0 o.0 0.o @_@ <3 <33 <333 </3 (^_^) (-_-) "
    "(._.) (>_<) (*_*) (¬_¬) ಠ_ಠ ಠ︵ಠ (ಠ_ಠ) ¯\\(ツ)/¯ (╯°□°）╯︵┻━┻ ><(((*>"
)
_EXCLUDED = ("ill", "its", "hell", "shell", "shed", "were", "well", "whore")


@functools.cache
def special_cases() -> Mapping[str, tuple[str, ...]]:
    """Return the strings that have a cut of their own, with their pieces."""
    cases = {"".join(pieces): tuple(pieces) for pieces in _contractions()}
    cases |= {case.replace(" ", ""): tuple(case.split()) for case in _SPLIT.split("|")}
    cases |= {case: (case,) for case in _WHOLE.split()}
    cases |= {f"°{letter}.": ("°", letter, ".") for letter in "cfkCFK"}
    for word in _both_cases(*_EXCLUDED):
        cases.pop(word, None)
    for case, pieces in list(cases.items()):
        cases[case.replace("'", "’")] = tuple(piece.replace("'", "’") for piece in pieces)
    return dict(sorted(cases.items()))


# --------------------------------------------------------------------------------------------------
# Tables


def _mix(x: int) -> int:
    """Return what `hashing.mix64` returns; here for tables, before any kernel is compiled."""
    x = (x ^ (x >> 30)) * _MIX_A & _ALL_BITS
    x = (x ^ (x >> 27)) * _MIX_B & _ALL_BITS
    return x ^ (x >> 31)


def _hash(text: str) -> int:
    state = len(text)
    for char in text:
        state = (state * int(FACTOR) + ord(char)) & _ALL_BITS
    return _mix(state)


def _table(entries: Iterable[tuple[int, int]]) -> npt.NDArray[np.uint64]:
    """Return a hash table with linear probing, at most a quarter full."""
    pairs = list(entries)
    size = 16
    while size < 4 * len(pairs):
        size *= 2
    table = np.zeros((size, 2), np.uint64)
    for key, value in pairs:
        slot = key & (size - 1)
        while table[slot, 0] != 0:
            slot = (slot + 1) & (size - 1)
        table[slot] = key, value
    table.setflags(write=False)
    return table


@functools.cache
def basic_rules() -> EnglishRules:
    """Return the rules without `paths`, which `english_tokens` finds out."""
    cases = special_cases()
    pieces = [piece for case in cases.values() for piece in case]
    rows = np.cumsum([0, *(len(case) for case in cases.values())], dtype=np.int32)
    units = dict.fromkeys([*_UNITS.split(), *_CURRENCIES, *_LONG_CURRENCIES])
    if max(map(len, cases)) > LONGEST_SPECIAL or max(map(len, units)) > LONGEST_UNIT:
        raise AssertionError("a special case or unit is longer than is looked for")
    ends = np.zeros(1 << 16, np.bool_)
    for case in cases:
        ends[(211 * ord(case[0]) + 17 * ord(case[-1]) + len(case)) & 0xFFFF] = True
    rules = EnglishRules(
        _make_classes(),
        _table((_hash(case), number) for number, case in enumerate(cases)),
        ends,
        rows,
        np.array([(len(piece), len(piece.encode())) for piece in pieces], np.int32),
        _table((_hash(unit), number) for number, unit in enumerate(units)),
        _table([]),
        1,
    )
    for table in rules:
        if isinstance(table, np.ndarray):
            table.setflags(write=False)
    return rules


def without_special_cases(rules: EnglishRules) -> EnglishRules:
    """Return rules to which no string is special."""
    return rules._replace(specials=_table([]))


def with_paths(rules: EnglishRules, paths: Mapping[tuple[str, ...], str]) -> EnglishRules:
    """Return rules that put sequences of tokens together again.

    Args:
        rules: The rules.
        paths: Tokens that follow one another, and the special case that they become.
    """
    numbers = {case: number for number, case in enumerate(special_cases())}
    states: dict[int, int] = {}
    for tokens, case in paths.items():
        state = 0
        for token in tokens:
            state = _mix((state * int(FACTOR) + _hash(token)) & _ALL_BITS)
            states.setdefault(state, 0)
        states[state] = numbers[case] + 1
    nested = max(sum(path[:size] in paths for size in range(1, len(path) + 1)) for path in paths)
    return rules._replace(paths=_table(states.items()), most_nested=nested)
