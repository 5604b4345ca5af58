"""What secrets look like: the forms that those who issue them publish, and how to check them.

Owns the forms, each beginning with a text that few other things hold, and the checks of what fits a
form. Refuses: secrets without a form of their own, unless a name such as `api_key` stands before a
value that looks drawn at random.

Every form takes time linear in the text: one run of characters after another, none of which can
give back what it took.

References:
    GitHub, Behind GitHub's new authentication token formats, 2021 (prefixes, CRC-32 in the last six
    digits; npm tokens are made alike). AWS, IAM identifiers, unique ID prefixes. Google Cloud, API
    keys. GitLab, Token overview, token prefixes. Slack, Token types; Incoming webhooks. Stripe, API
    keys. Twilio SendGrid, API keys. Telegram, Bot API, authorising your bot. Hugging Face, User
    access tokens. OpenAI and Anthropic, API reference, authentication. Shopify, Access tokens.
    DigitalOcean, Personal access tokens. Azure Storage, Configure connection strings. RFC 7468
    (PEM). RFC 7519 (JWT), RFC 3986, section 3.2.1 (user information).
"""

from __future__ import annotations

import base64
import binascii
import math
import re
import zlib
from collections import Counter
from collections.abc import Callable
from typing import Final, NamedTuple

import orjson

__all__ = ["FORMS", "SECRETS", "Form"]

SECRETS: Final = ("api_key", "jwt", "private_key", "connection_string", "password")
"""Kinds of secrets."""


class Form(NamedTuple):
    """One form.

    Attributes:
        kind: One of `SECRETS`.
        literal: What every text of the form holds, in lower case; empty where many others hold it,
            too, and `likely` tells more.
        pattern: The form; the group `secret`, where there is one, is what must not be seen.
        check: Whether a text of that form is a secret indeed.
        likely: Pattern, in the syntax of Rust's `regex`, that every text of the form matches.
    """

    kind: str
    literal: str
    pattern: re.Pattern[bytes]
    check: Callable[[bytes], bool]
    likely: str = ""


_DIGITS = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def _has_checksum(token: bytes) -> bool:
    """Say whether a token ends in the CRC-32 of its random part, in six digits to the base 62."""
    drawn, check = token[-36:-6], token[-6:]
    number = zlib.crc32(drawn)
    written = b""
    for _ in range(6):
        number, digit = divmod(number, 62)
        written = _DIGITS[digit : digit + 1] + written
    return written == check


def _bits(value: bytes) -> float:
    """Return the entropy per byte of a value's own bytes, in bits."""
    total = len(value)
    return -sum(n / total * math.log2(n / total) for n in Counter(value).values())


def _is_drawn(value: bytes) -> bool:
    """Say whether a value looks drawn at random rather than written: `AIzaxxxxxxxx` does not."""
    return _bits(value) >= 3.0 and not _EXAMPLE.search(value.lower())


_EXAMPLE = re.compile(rb"example|your|xxxx|\*\*\*|1234567890|abcdef(?:gh|123)|placeholder|dummy")
_NAMES_OF_VALUES = re.compile(
    rb"(?:pass(?:word|wd)?|pwd|secret|token|user(?:name)?|key|admin|root|test|guest|none|null|true|"
    rb"false|changeme|foo|bar|hunter2|\d{1,4}|.)\d{0,3}"
)
_NOT_VALUES = re.compile(rb"[<>{}$%\[\]()]|\.{3}|process\.env|os\.environ|getenv")


def _is_value(value: bytes) -> bool:
    """Say whether a password in an address is one, not a name for one or a variable."""
    return not (
        _NAMES_OF_VALUES.fullmatch(value.lower())
        or _NOT_VALUES.search(value)
        or _EXAMPLE.search(value.lower())
        or len(set(value)) == 1
    )


def _is_random_value(value: bytes) -> bool:
    """Say whether a named value is a secret: letters and digits mixed, 3.5 bits a byte or more."""
    mixed = re.search(rb"[0-9]", value) and re.search(rb"[A-Za-z]", value)
    return bool(mixed) and _bits(value) >= 3.5 and _is_value(value)


def _is_jwt(token: bytes) -> bool:
    head = token.partition(b".")[0]
    try:
        header = orjson.loads(base64.urlsafe_b64decode(head + b"=" * (-len(head) % 4)))
    except (binascii.Error, ValueError):
        return False
    return isinstance(header, dict) and "alg" in header


def _holds_a_key(block: bytes) -> bool:
    body = b"".join(block.split(b"-----")[2].split())
    return len(body) >= 60 and _bits(body) >= 4


def _form(
    kind: str,
    literal: str,
    pattern: str,
    check: Callable[[bytes], bool] = _is_drawn,
    likely: str = "",
) -> Form:
    return Form(kind, literal.lower(), re.compile(pattern.encode()), check, likely)


def _key(prefix: str, rest: str, check: Callable[[bytes], bool] = _is_drawn) -> Form:
    """Return the form of keys with a prefix, which stand alone."""
    pattern = rf"(?<![0-9A-Za-z_]){re.escape(prefix)}{rest}(?![0-9A-Za-z_])"
    return _form("api_key", prefix, pattern, check)


_NAMES = (
    r"(?:api[_-]?key|apikey|access[_-]?key|secret[_-]?key|client[_-]?secret|auth[_-]?token|"
    r"access[_-]?token|private[_-]?token|passw(?:or)?d|pwd|secret|token|인증키|서비스키|비밀키|비밀번호)"
)
_SET = r"[\"']?[ \t]{0,4}(?::|=>|=)[ \t]{0,4}[\"'`]?"
_VALUE = "[0-9A-Za-z_+/.~!@#^&*=-]"

FORMS: Final = (
    *(_key(f"gh{one}_", "[0-9A-Za-z]{36}", _has_checksum) for one in "pousr"),
    _key("npm_", "[0-9A-Za-z]{36}", _has_checksum),
    _key("github_pat_", "[0-9A-Za-z]{22}_[0-9A-Za-z]{59}"),
    _key("glpat-", "[0-9A-Za-z_-]{20,64}+"),
    _key("AKIA", "[A-Z2-7]{16}"),
    _key("ASIA", "[A-Z2-7]{16}"),
    _key("AIza", "[0-9A-Za-z_-]{35}"),
    *(_key(f"xox{one}-", "[0-9A-Za-z-]{20,250}+") for one in "abprs"),
    _form(
        "api_key",
        "hooks.slack.com/services/",
        r"hooks\.slack\.com/services/(?P<secret>T[0-9A-Z]{8,12}+/B[0-9A-Z]{8,12}+/[0-9A-Za-z]{24})",
    ),
    *(_key(f"{one}_live_", "[0-9A-Za-z]{24,120}+") for one in ("sk", "rk")),
    _key("SG.", r"[0-9A-Za-z_-]{22}\.[0-9A-Za-z_-]{43}"),
    _form(
        "api_key",
        ":aa",
        r"(?<![0-9A-Za-z_:])[0-9]{8,10}+:AA[0-9A-Za-z_-]{33}(?![0-9A-Za-z_-])",
    ),
    _key("hf_", "[A-Za-z]{34}"),
    _key("sk-ant-", "[0-9A-Za-z_-]{80,120}+"),
    _key("sk-proj-", "[0-9A-Za-z_-]{40,200}+"),
    _form(
        "api_key",
        "T3BlbkFJ",
        r"(?<![0-9A-Za-z_])sk-[0-9A-Za-z]{20}T3BlbkFJ[0-9A-Za-z]{20}(?![0-9A-Za-z_])",
    ),
    _key("shpat_", "[0-9a-f]{32}"),
    _key("dop_v1_", "[0-9a-f]{64}"),
    _form("api_key", "accountkey=", r"(?i:AccountKey=)(?P<secret>[0-9A-Za-z+/]{86}==)"),
    _form(
        "jwt",
        "eyj",
        r"(?<![0-9A-Za-z_-])eyJ[0-9A-Za-z_-]{10,2000}+\.eyJ[0-9A-Za-z_-]{10,8000}+\."
        r"[0-9A-Za-z_-]{20,2000}+",
        _is_jwt,
    ),
    _form(
        "private_key",
        "private key",
        # To the end line; a key that was cut has none, and goes on for as long as its lines do.
        r"-----BEGIN (?:[A-Z0-9]{2,10}+ )?PRIVATE KEY(?: BLOCK)?-----(?:"
        r"(?:[^-]|-(?!----)){60,20000}+-----END [A-Z0-9 ]{3,40}+-----|"
        r"(?:\s{1,4}[0-9A-Za-z+/=]{40,100}+)++)",
        _holds_a_key,
    ),
    _form(
        "connection_string",
        "",
        r"://[^\s:/@?#\"'<>`]{0,64}+:(?P<secret>[^\s/@\"'<>`]{3,128}+)@[0-9A-Za-z\[]",
        _is_value,
        r"://[^\s:/@?#]*:[^\s/@]+@",
    ),
    _form(
        "password",
        "",
        rf"(?i:{_NAMES}){_SET}(?P<secret>{_VALUE}{{16,128}}+)",
        _is_random_value,
        rf"(?i){_NAMES}{_SET}{_VALUE}{{16}}",
    ),
)
"""The forms, in the order in which they are tried: of two that overlap the first one counts."""
