"""`Secrets`: forms that issuers publish, what stands for a secret, and what must always hold.

Every secret here is made for the test and joined from pieces, so that no scanner takes this file
for a leak.
"""

import base64
import json
import random
import zlib

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from datatools.errors import ConfigError
from datatools.steps.safety.secret_patterns import FORMS, SECRETS
from datatools.steps.safety.secrets import Secrets

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
DIGITS = "0123456789"
draw = random.Random(3)


def drawn(count, alphabet=LETTERS + DIGITS):
    return "".join(draw.choices(alphabet, k=count))


def with_checksum(prefix):
    """A token as GitHub describes it: 30 characters, and their CRC-32 to the base 62."""
    body, alphabet = drawn(30), DIGITS + LETTERS
    number, check = zlib.crc32(body.encode()), ""
    while number:
        check = alphabet[number % 62] + check
        number //= 62
    return prefix + body + check.rjust(6, "0")


def jwt(header):
    def part(value):
        return base64.urlsafe_b64encode(value.encode()).decode().rstrip("=")

    return ".".join([part(header), part('{"sub": "홍길동", "n": 12}'), drawn(43)])


def pem(kind):
    body = "\n".join(drawn(64, LETTERS + DIGITS + "+/") for _ in range(4))
    return f"-----BEGIN {kind}-----\n{body}\n-----END {kind}-----"


KEYS = [
    with_checksum("gh" + "p_"),
    with_checksum("gh" + "s_"),
    with_checksum("np" + "m_"),
    "gh" + "p_" + "zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ" + "0mLq17",  # public since 2021, revoked
    f"github{'_pat_'}{drawn(22)}_{drawn(59)}",
    f"glpat{'-'}{drawn(20)}",
    f"AK{'IA'}{drawn(16, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567')}",
    f"AI{'za'}{drawn(35)}",
    f"xox{'b-'}{drawn(12, DIGITS)}-{drawn(24)}",
    f"sk_{'live_'}{drawn(24)}",
    f"S{'G.'}{drawn(22)}.{drawn(43)}",
    f"{drawn(10, '123456789')}{':AA'}{drawn(33)}",
    f"h{'f_'}{drawn(34, LETTERS)}",
    f"sk-{'ant-'}api03-{drawn(93)}",
    f"sk-{'proj-'}{drawn(48)}",
    f"sk-{drawn(20)}T3Blbk{'FJ'}{drawn(20)}",
    f"shp{'at_'}{drawn(32, '0123456789abcdef')}",
    f"dop{'_v1_'}{drawn(64, '0123456789abcdef')}",
]


def masked(text, **settings):
    kept, _ = Secrets(**settings).apply(pl.DataFrame({"text": [text]}))
    return kept["text"].item()


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key[:4])
@pytest.mark.parametrize("text", ["{}", "키는 {}입니다.", "key='{}'", "use {}, please\n"])
def test_a_key_with_a_published_form_is_masked_wherever_it_stands(key, text):
    assert masked(text.format(key)) == text.format("[API_KEY]")


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key[:4])
def test_a_key_that_is_a_part_of_a_longer_word_is_none(key):
    assert masked(f"x{key}") == f"x{key}" or not key[0].isalpha()


def test_a_token_whose_check_digits_are_wrong_is_none():
    token = with_checksum("gh" + "o_")
    wrong = token[:-1] + ("a" if token[-1] != "a" else "b")
    assert masked(wrong) == wrong


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("토큰 " + jwt('{"alg": "HS256", "typ": "JWT"}') + " 끝", "토큰 [JWT] 끝"),
        (f"a\n{pem('RSA PRIVATE KEY')}\nb", "a\n[PRIVATE_KEY]\nb"),
        (pem("PRIVATE KEY"), "[PRIVATE_KEY]"),
        (pem("EC PRIVATE KEY").replace("\n", "\\n"), "[PRIVATE_KEY]"),
        (pem("PRIVATE KEY").partition("-----END")[0] + "잘렸다", "[PRIVATE_KEY]\n잘렸다"),
        ("postgres://app:p7Kq9xLw2@db.host/x", "postgres://app:[CONNECTION_STRING]@db.host/x"),
        ("redis://:s3cr3tPw@10.0.0.1:6379", "redis://:[CONNECTION_STRING]@10.0.0.1:6379"),
        ("api_key = 'k3J9xQ2mV8rT5wZ1'", "api_key = '[PASSWORD]'"),
        ('"clientSecret": "no", "client_secret": "k3J9xQ2mV8rT5wZ1"', None),
        ("서비스키: k3J9xQ2mV8rT5wZ1bN", "서비스키: [PASSWORD]"),
        (f"AccountKey={drawn(86)}==;x", "AccountKey=[API_KEY];x"),
        (f"https://hooks.slack.com/services/T{'0A1B2C3D'}/B01A2B3C4/{drawn(24)}", None),
    ],
)
def test_other_forms_are_masked_and_what_stands_around_them_stays(text, expected):
    found = masked(text)
    if expected is None:
        assert found != text
        assert found.count("[") == 1
    else:
        assert found == expected


@pytest.mark.parametrize(
    "text",
    [
        "gh" + "p_" + "x" * 36,
        "AKIA" + "IOSFODNN7EXAMPLE",
        "AIza" + "x" * 35,
        "sk_live_" + "your" + "a1b2c3d4e5f6g7h8i9j0",
        "eyJhbGciOiJIUzI1NiJ9 alone",
        jwt('["alg"]'),
        "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
        "mysql://user:password@localhost/db",
        "https://me:<password>@host.kr, https://a:${PW}@host.kr, https://x:***@h.kr",
        "http://host.kr:8080/a@b, https://example.org/a:b@c",
        "api_key = os.environ['API_KEY'], token=getenv(x)",
        "api_key: YOUR_API_KEY_GOES_HERE, password = changeme",
        "token: the_same_words_again, secret=aaaaaaaaaaaaaaaa",
        "비밀번호는 여덟 글자 이상이어야 합니다. password must have 8 characters.",
        "key=value, secret garden, the token ring, 서비스키 발급",
        "d41d8cd98f00b204e9800998ecf8427e 550e8400-e29b-41d4-a716-446655440000",
        "",
    ],
)
def test_what_only_stands_for_a_secret_stays(text):
    assert masked(text) == text


def test_counts_and_reasons_tell_no_value():
    frame = pl.DataFrame({"text": [f"{KEYS[0]} and {KEYS[5]}", "없음"]})
    kept, dropped = Secrets(api_key="drop").apply(frame)
    assert kept["secret_api_key"].to_list() == [0]
    assert dropped["reason"].to_list() == ["secret_api_key"]
    assert json.loads(dropped["detail"].item()) == {"found": {"api_key": 2}}


@pytest.mark.parametrize("placeholder", ["k3J9xQ2mV8rT5wZ1", KEYS[0], "h2Ks9{type}"])
def test_a_placeholder_that_would_be_found_is_refused(placeholder):
    with pytest.raises((ConfigError, ValidationError), match="would be found itself"):
        Secrets(placeholder=placeholder)


def test_a_step_that_looks_for_nothing_is_refused():
    with pytest.raises((ConfigError, ValidationError), match="looks for nothing"):
        Secrets(**dict.fromkeys(SECRETS, "off"))


PIECES = [
    *KEYS[:8],
    "api_key=",
    "k3J9xQ2mV8rT5wZ1",
    "://",
    "u:",
    "@h.kr",
    " ",
    "'",
    "키",
    "x",
    "\n",
]


@settings(max_examples=40)
@given(st.lists(st.lists(st.sampled_from(PIECES), max_size=12).map("".join), max_size=4))
def test_a_masked_text_is_masked_no_further(texts):
    once, _ = Secrets().apply(pl.DataFrame({"text": texts}, schema={"text": pl.String}))
    twice, _ = Secrets().apply(once.select("text"))
    assert twice["text"].to_list() == once["text"].to_list()


@pytest.mark.parametrize(
    "piece", ["://a:", "eyJaaaaaaaaaaa.", "api_key=", "xoxb-", "a:AA", "key: "]
)
def test_long_repetitions_take_linear_time(piece):
    """A pattern that gives back what it took would take days here."""
    text = piece * 100_000 + "!"
    assert masked(text).endswith("!")


def test_every_form_has_a_kind_and_a_way_to_be_found_fast():
    assert {form.kind for form in FORMS} == set(SECRETS)
    for form in FORMS:
        assert bool(form.literal) != bool(form.likely)
