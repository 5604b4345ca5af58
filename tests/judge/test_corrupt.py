from __future__ import annotations

import re

import pytest

from datatools.errors import ConfigError
from datatools.judge.arm import Text
from datatools.judge.corrupt import add_boilerplate, duplicate, replace_language, shuffle_words


def changed(before: list[Text], after: list[Text]) -> set[str]:
    assert [one.id for one in before] == [one.id for one in after]
    return {one.id for one, other in zip(before, after, strict=True) if one.text != other.text}


def test_shuffling_keeps_the_words_and_the_space_between_them(prose: list[Text]) -> None:
    for one, other in zip(prose, shuffle_words(prose, 1.0), strict=True):
        assert sorted(one.text.split()) == sorted(other.text.split())
        assert re.findall(r"\s+", one.text) == re.findall(r"\s+", other.text)


def test_a_dose_is_the_share_of_damaged_documents_and_doses_nest(prose: list[Text]) -> None:
    foreign = ["ein Satz in einer anderen Sprache, die hier niemand spricht"]
    for damage in (
        shuffle_words,
        add_boilerplate,
        lambda documents, dose: replace_language(documents, dose, foreign),
    ):
        some = changed(prose, damage(prose, 0.2))
        more = changed(prose, damage(prose, 0.6))
        assert 0.13 < len(some) / len(prose) < 0.27
        assert 0.52 < len(more) / len(prose) < 0.68
        assert some < more
        assert not changed(prose, damage(prose, 0.0))
        assert len(changed(prose, damage(prose, 1.0))) > 0.99 * len(prose)


def test_damage_depends_on_the_document_alone_and_on_the_seed(prose: list[Text]) -> None:
    for damage in (shuffle_words, add_boilerplate, duplicate):
        whole = damage(prose, 0.5)
        assert damage(prose[:50], 0.5) + damage(prose[50:], 0.5) == whole
        assert damage(prose, 0.5, seed=1) != whole


def test_boilerplate_keeps_the_text_and_adds_about_a_third(prose: list[Text]) -> None:
    after = add_boilerplate(prose, 1.0)
    assert all(one.text in other.text for one, other in zip(prose, after, strict=True))
    before_size, after_size = (sum(len(one.text) for one in side) for side in (prose, after))
    assert 1.3 < after_size / before_size < 1.5


def test_another_language_takes_the_place_of_the_text_at_its_size(prose: list[Text]) -> None:
    foreign = ["Ein Satz.\nNoch ein Satz, länger als der erste."]
    letters = set("".join(foreign))
    for one, other in zip(prose, replace_language(prose, 1.0, foreign), strict=True):
        assert set(other.text) <= letters
        assert 0 <= len(one.text.encode()) - len(other.text.encode()) <= 1
    with pytest.raises(ConfigError, match="must hold text"):
        replace_language(prose, 0.5, ["", "\n"])


def test_duplicates_have_ids_of_their_own(prose: list[Text]) -> None:
    after = duplicate(prose, 0.3, copies=3)
    assert len({one.id for one in after}) == len(after)
    texts = [one.text for one in after]
    counts = {texts.count(one.text) for one in prose}
    assert counts == {1, 4}
    assert [one for one in after if "#copy" not in one.id] == prose


def test_a_dose_outside_its_range_is_refused(prose: list[Text]) -> None:
    for dose in (-0.1, 1.1, float("nan")):
        with pytest.raises(ConfigError, match=r"dose: must be in \[0, 1\]"):
            shuffle_words(prose, dose)
