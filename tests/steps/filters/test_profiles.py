from pathlib import Path

import polars as pl
import pydantic
import pytest
import yaml

from datatools.errors import ConfigError
from datatools.steps import load_step

PROFILED = ("GopherQuality", "GopherRepetition", "C4Quality", "FineWebQuality")
EVERY = [(name, profile) for name in PROFILED for profile in load_step(name).profiles]


@pytest.mark.parametrize(("name", "profile"), EVERY)
def test_a_profile_gives_every_field_it_names(name, profile):
    step = load_step(name)(profile=profile)
    written = yaml.safe_load(yaml.safe_dump(step.model_dump(mode="json")))
    for field, value in load_step(name).profiles[profile].fields.items():
        assert getattr(step, field) == value
        assert field in written
    # What is written holds the resolved values, and reads back as the same step.
    assert load_step(name).model_validate(written) == step


@pytest.mark.parametrize("name", PROFILED)
def test_the_field_takes_the_profiles_there_are_and_no_others(name):
    cls = load_step(name)
    schema = cls.model_json_schema()["properties"]["profile"]
    assert schema["enum"] == list(cls.profiles)
    with pytest.raises(pydantic.ValidationError, match=r"datatrove-0\.10"):
        cls(profile="datatrove")


@pytest.mark.parametrize(("name", "profile"), EVERY)
def test_every_profile_names_its_source_and_fields_of_the_step(name, profile):
    cls = load_step(name)
    assert len(cls.profiles[profile].source) > 20
    assert set(cls.profiles[profile].fields) <= set(cls.model_fields) - {"profile"}
    assert set(cls.definitions) <= set(cls.model_fields)


def test_a_field_given_by_hand_overrides_the_profile():
    quality = load_step("GopherQuality")
    step = quality(profile="datatrove-0.10", min_words=10, max_hash_ratio=None)
    assert (step.min_words, step.max_hash_ratio, step.words) == (10, None, "english_tokens")
    told = "\n".join(step.explains())
    assert "profile datatrove-0.10: datatrove 0.10" in told
    assert "min_words 10 (profile: 50)" in told
    assert "max_hash_ratio off (profile: 0.1)" in told
    assert "words english_tokens" in told


def test_a_definition_that_no_rule_uses_is_refused():
    quality = load_step("GopherQuality")
    with pytest.raises(ConfigError, match="max_bullet_lines is off"):
        quality(bullets="*", max_bullet_lines=None)
    with pytest.raises(ConfigError, match="min_sentences is off"):
        load_step("C4Quality")(sentences="english_tokens", min_sentences=None)
    # What the profile says anyway may stand.
    assert quality(bullets=quality().bullets, max_bullet_lines=None).max_bullet_lines is None


def test_the_guide_names_every_profile():
    guide = (Path(__file__).parents[3] / "docs" / "filters.md").read_text("utf-8")
    for name, profile in EVERY:
        assert f"`{profile}`" in guide, (name, profile)


# Each pair says the same in English and in Korean.
STORY = (
    "The harbour was quiet when the last boat came in. The men who had been out since "
    "dawn began to unload their boxes, and nobody said much. There was little to say: the "
    "nets had come up nearly empty for the third week in a row.\n"
    "An old man stood apart from the others with his hands in his coat. He had seen years "
    "like this one, and he remembered how the herring had come back after a long cold "
    "spring.\n"
    "He did not tell the younger men about it. They would listen politely, and think that "
    "he was trying to be kind. So he walked along the wall to the small white house at "
    "the end.\n",
    "마지막 배가 들어왔을 때 항구는 조용했다. 새벽부터 바다에 나가 있던 사람들은 상자를 "
    "내리기 시작했고 아무도 별말을 하지 않았다. 할 말이 없었다. 벌써 석 주째 그물은 거의 "
    "빈 채로 올라왔다.\n"
    "노인은 외투 주머니에 손을 넣고 사람들과 조금 떨어져 서 있었다. 그는 이런 해를 여러 "
    "번 겪었고, 길고 추운 봄이 지난 뒤에 청어 떼가 돌아오던 모습도 기억했다.\n"
    "젊은 사람들에게는 그 이야기를 하지 않았다. 그들은 예의 바르게 들어 주겠지만 "
    "위로하려는 말이라고 생각할 것이다. 그래서 그는 방파제를 따라 끝에 있는 작고 하얀 "
    "집으로 걸어갔다.\n",
)
TALK = (
    "“Do you know this song at all?”\n"
    "“I heard it once, and I have it at home.”\n"
    "“Then we should sing it for the rest of them.”\n"
    "“Not before we eat, if that is right with you.”\n"
    "“You always want to eat first, and the song is short.”\n"
    "“So is the bread, and it is warm.”\n",
    "“너 혹시 이 노래 어디서 들어 본 적 있어?”\n"
    "“한 번 들어 봤는데 집에 음반이 있을 거야.”\n"
    "“그럼 이따가 다른 사람들 앞에서 불러 보자.”\n"
    "“괜찮다면 밥부터 먹고 나서 불렀으면 좋겠어.”\n"
    "“너는 언제나 밥부터 찾더라. 노래는 금방 끝나는데.”\n"
    "“빵도 금방 먹어. 게다가 아직 따뜻하단 말이야.”\n"
    "“그래, 그럼 먼저 먹고 나서 다 같이 부르기로 하자.”\n"
    "“좋아. 물은 내가 올려놓을 테니 접시를 꺼내 줘.”\n",
)
MENU = (
    "Home\nNews\nSport\nWeather\nLogin\n" * 6,
    "홈\n소식\n운동\n날씨\n로그인\n" * 6,
)
# Which of (story, talk, menu) stay: in English, in Korean.
KEPT = {
    ("GopherQuality", "datatools"): ("st", "st"),
    ("GopherQuality", "paper"): ("st", ""),  # no English stop word
    ("GopherQuality", "datatrove-0.10"): ("s", ""),
    ("GopherQuality", "fineweb2-korean"): ("st", "st"),
    ("GopherRepetition", "datatools"): ("st", "st"),
    ("GopherRepetition", "datatrove-0.10"): ("st", "st"),
    ("GopherRepetition", "fineweb2-korean"): ("st", "st"),
    ("C4Quality", "datatools"): ("st", "st"),
    ("C4Quality", "paper"): ("s", "s"),  # lines end in typographic quotes
    ("C4Quality", "tfds"): ("s", "s"),
    ("C4Quality", "datatrove-0.10"): ("s", "s"),
    ("FineWebQuality", "datatools"): ("st", "st"),
    ("FineWebQuality", "paper"): ("s", "s"),
    ("FineWebQuality", "datatrove-0.10"): ("s", "s"),
    ("FineWebQuality", "datatrove-0.3"): ("s", "s"),
    ("FineWebQuality", "fineweb2-korean"): ("s", "s"),
}


def letters_kept(name, profile, language):
    texts = [STORY[language], TALK[language], MENU[language]]
    frame = pl.DataFrame({"k": list("stm"), "text": texts})
    kept, _ = load_step(name)(profile=profile).apply(frame)
    return "".join(kept["k"])


@pytest.mark.parametrize(("name", "profile"), EVERY)
def test_what_english_and_korean_keep_side_by_side(name, profile):
    found = tuple(letters_kept(name, profile, language) for language in (0, 1))
    assert found == KEPT[name, profile]
