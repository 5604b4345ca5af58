import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datatools.steps.language.engines import LANGUAGES
from datatools.steps.language.scripts import (
    SCRIPT_LANGUAGES,
    Script,
    count_letters,
    foreign_size,
    is_garbled,
    language_by_script,
    may_be,
    text_size,
)

KOREAN = "장독대는 집에서 볕이 가장 잘 드는 곳에 두고, 맑은 날에는 뚜껑을 열어 둔다."
ENGLISH = "The jars stand where the yard gets the most sun, and the lids come off."


def by_script(text):
    return language_by_script(text, count_letters(text))


def garbled(text):
    return is_garbled(text, count_letters(text))


# What Unicode's own names call the letters of each script; other letters are nobody's.
NAMES = {
    "LATIN": {Script.LATIN, Script.LATIN_1},
    "CYRILLIC": {Script.CYRILLIC},
    "GREEK": {Script.GREEK},
    "ARMENIAN": {Script.ARMENIAN},
    "HEBREW": {Script.HEBREW},
    "ARABIC": {Script.ARABIC},
    "THAANA": {Script.THAANA},
    "DEVANAGARI": {Script.DEVANAGARI},
    "BENGALI": {Script.BENGALI},
    "GURMUKHI": {Script.GURMUKHI},
    "GUJARATI": {Script.GUJARATI},
    "ORIYA": {Script.ORIYA},
    "TAMIL": {Script.TAMIL},
    "TELUGU": {Script.TELUGU},
    "KANNADA": {Script.KANNADA},
    "MALAYALAM": {Script.MALAYALAM},
    "SINHALA": {Script.SINHALA},
    "THAI": {Script.THAI},
    "LAO": {Script.LAO},
    "TIBETAN": {Script.TIBETAN},
    "MYANMAR": {Script.MYANMAR},
    "GEORGIAN": {Script.GEORGIAN},
    "ETHIOPIC": {Script.ETHIOPIC},
    "KHMER": {Script.KHMER},
    "HANGUL": {Script.HANGUL, Script.HANGUL_RARE},
    "HIRAGANA": {Script.KANA},
    "KATAKANA": {Script.KANA},
    "CJK": {Script.HAN},
    "BOPOMOFO": {Script.HAN},
}


@pytest.mark.parametrize("name", NAMES)
def test_letters_belong_to_the_script_that_unicode_names_them_after(name):
    # The basic plane, but for conjoining jamo (below) and blocks of single odd letters.
    letters = [
        char
        for char in map(chr, range(0x10000))
        if char.isalpha()
        and unicodedata.name(char, "").split(" ")[0].split("-")[0] == name
        and not 0x1100 <= ord(char) <= 0x11FF
        and not 0xA960 <= ord(char) <= 0xA97F
        and not 0xD7B0 <= ord(char) <= 0xD7FF
        and "FILLER" not in unicodedata.name(char)
    ]
    counts = count_letters("".join(letters))
    assert len(letters) > 20
    assert sum(counts[script] for script in NAMES[name]) >= 0.95 * len(letters)


@given(st.text(max_size=80))
def test_every_letter_is_counted_once_and_nothing_else_is(text):
    hidden = {chr(code) for code in (*range(0x115F, 0x1200), *range(0xD7B0, 0xD800))}
    hidden |= {"\u3164", "\uffa0"}
    assert count_letters(text).total() == sum(c.isalpha() and c not in hidden for c in text)


@pytest.mark.parametrize("text", [KOREAN, "앉다 값 한글 ㅋㅋ", ENGLISH, "café naïve"])
def test_decomposed_text_has_the_letters_of_composed_text(text):
    nfd = count_letters(unicodedata.normalize("NFD", text))
    nfc = count_letters(text)
    assert nfd
    assert text_size(nfd) == text_size(nfc)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("한국 Windows 11 업데이트 version", "ko"),
        ("ㅋㅋㅋㅋ ok", "ko"),
        ("大韓民國의 主權은 國民에게 있고, 모든 權力은 國民으로부터 나온다.", "ko"),
        ("美國은 北韓에 對話를 提案했다", "ko"),
        ("東京 Windows 11 アップデート version", "ja"),
        ("韓国語で「こんにちは」は안녕하세요と言います。", "ja"),
        ("“你好”在韩语里是안녕하세요。", None),  # the engine's to tell: Chinese that quotes Korean
        ("她穿の衣服很漂亮，这个品牌的设计师来自上海。", "zh"),
        ("酱缸放在院子里阳光最充足的地方，晴天要打开盖子。", "zh"),
        ("這是一個繁體中文的句子，用來測試語言識別。", "zh"),
        ("東京都知事選挙 投票率発表", None),  # a headline in Chinese characters may be Japanese
        ("大韓民國 憲法 第一條", None),
        ("佢哋喺度做緊乜嘢呀？我唔知喎，你哋知唔知呀？我哋一齊去睇下啦。", None),  # Cantonese
        ("ความรู้ Windows", "th"),
        ("Καλημέρα σε όλους", "el"),
        ("வணக்கம்", "ta"),
        ("ሰላም እንዴት ነህ", "am"),
        ("Բարեւ ձեզ", "hy"),
        ("שלום לכולם", None),  # Hebrew or Yiddish
        ("გამარჯობა", None),  # Georgian or Mingrelian
        ("Привет всем", None),
        (ENGLISH, None),
        ("The word 한국 means Korea and is written with two syllables.", None),
        ("", None),
        ("😀 12", None),
    ],
)
def test_a_script_decides_where_one_language_uses_it(text, language):
    assert by_script(text) == language


def test_a_few_latin_words_leave_korean_korean_and_many_do_not():
    words = ["데이터를", "정리한다"]
    assert by_script(" ".join([*words, *["data"] * 3])) == "ko"
    assert by_script(" ".join([*words, *["data"] * 6])) is None


def test_hangul_is_not_the_range_between_its_first_jamo_and_its_last_syllable():
    # `[ㄱ-힣]` spans every Chinese character, and takes this for Korean.
    chinese = "酱缸放在院子里阳光最充足的地方"
    counts = count_letters(chinese)
    assert counts[Script.HANGUL] == 0
    assert counts[Script.HAN] == len(chinese)


def test_languages_of_scripts_can_be_answered():
    assert set(LANGUAGES["fasttext"]) >= SCRIPT_LANGUAGES >= {"ko", "ja", "zh", "th", "el"}


@pytest.mark.parametrize(
    ("language", "text", "may"),
    [
        ("ko", "这样的安排需要事先得到批准。", False),
        ("ko", "Windows 11 KB5034441 update 설치 오류", True),
        ("ko", "The word 한 means one, and this goes on in English for long.", False),
        ("ru", ENGLISH, False),
        ("sr", ENGLISH, True),  # written in both
        ("de", "Ein Satz", True),
        ("ja", "東京", True),
        ("xx", "", True),  # nothing speaks against it
    ],
)
def test_a_language_needs_a_quarter_of_the_letters(language, text, may):
    assert may_be(language, count_letters(text)) is may


@pytest.mark.parametrize(
    ("language", "text", "share"),
    [
        ("ko", "한국 version", 7 / 12),
        ("ko", "大韓民國은", 0),
        ("en", "the word 한국", 5 / 12),
        ("ja", "東京アップ", 0),
        ("und", "한국 version", 0),
    ],
)
def test_letters_a_language_does_not_write_are_foreign(language, text, share):
    counts = count_letters(text)
    assert foreign_size(language, counts) / text_size(counts) == pytest.approx(share)


# --------------------------------------------------------------------------------------------------
# Text read in another encoding than it was written in


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("utf-8", "cp1252"),
        ("utf-8", "latin-1"),
        ("cp949", "cp1252"),
        ("cp949", "latin-1"),
        ("utf-8", "cp949"),
    ],
)
def test_korean_in_the_wrong_code_page_is_garbled(written, read):
    assert garbled(KOREAN.encode(written).decode(read, "replace"))
    assert not garbled(KOREAN)


def test_lost_text_read_as_korean_or_chinese_is_garbled():
    lost = b"\xef\xbf\xbd\xef\xbf\xbd"
    assert garbled(lost.decode("utf-8") and (lost * 4).decode("cp949"))
    assert garbled((lost * 4).decode("gbk"))


@pytest.mark.parametrize(
    "text",
    [
        ENGLISH,
        "아햏햏",  # two of these syllables are not in KS X 1001
        "똠방각하와 펲시콜라, 뷁!",
        "Øl på bordet, sønnen går på skøyter, og æren er vår.",
        "Những chiếc chum đặt ở nơi sân có nhiều nắng nhất.",
        "Þau sögðu að það væri öruggt að fara á fætur.",
        "Où êtes-vous allés à Noël, à Évian, près de la forêt ?",
        "é",
        "",
    ],
)
def test_sound_text_is_not_garbled(text):
    assert not garbled(text)


@pytest.mark.shared
def test_no_real_sentence_is_garbled(shared_dir):
    import gzip

    path = shared_dir / "data/f_langid/lingua_sentences.tsv.gz"
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        found = [line for line in lines if garbled(line.rstrip("\n").split("\t", 1)[1])]
    assert found == []
